/** redis-cli and redis-benchmark, as operators type them. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execa } from 'execa';
import { describeWithRedis } from '../redis-commands/redis-server.ts';
import { eventually } from '../server/endpoint.ts';
import { RealInstance } from './real-instance.ts';

const DEADLINE_MS = 60_000;

let instance: RealInstance;

beforeAll(async () => {
  instance = await RealInstance.start();
});
afterAll(() => instance.stop());

const options = { reject: false, timeout: DEADLINE_MS, all: true } as const;

/** What redis-cli prints; `input`: what is typed or piped into it. */
async function cli(args: string, input?: string): Promise<string> {
  const words = ['-p', `${instance.port}`, ...args.split(' ')];
  const child = await execa(
    'redis-cli',
    words,
    input === undefined ? { ...options, stdin: 'ignore' } : { ...options, input },
  );
  return child.all ?? '';
}

async function benchmark(args: string): Promise<string> {
  const child = await execa('redis-benchmark', ['-p', `${instance.port}`, ...args.split(' ')], options);
  const text = (child.all ?? '').replaceAll('\r', '\n');
  if (child.exitCode !== 0) throw new Error(text);
  return text;
}

/** Names of the tests with a throughput above zero, from `-q`. */
const measured = (text: string): string[] =>
  [...text.matchAll(/^([A-Z]\w+)(?: \(.*\))?: ([\d.]+) requests per second/gm)]
    .filter(([, , rate]) => Number(rate) > 0)
    .map(([, name]) => name!);

describeWithRedis('redis-cli', () => {
  beforeAll(async () => {
    const lines = Array.from({ length: 300 }, (_, i) => `SET key:${i} value-${i}`);
    const more = ['HSET hash a 1 b 2', 'SADD set x y z', `SET big ${'x'.repeat(3000)}`];
    expect(await cli('--pipe', `${[...lines, ...more].join('\r\n')}\r\n`)).toContain('errors: 0, replies: 303');
  });

  it('prints replies of both protocols, as text, CSV and JSON', async () => {
    expect(await cli('get key:7')).toBe('value-7');
    expect((await cli('--csv hgetall hash')).split(',').sort()).toEqual(['"1"', '"2"', '"a"', '"b"']);
    expect((await cli('-3 --no-raw hgetall hash')).split('\n')).toHaveLength(2);
    expect(JSON.parse(await cli('-3 --json hgetall hash'))).toEqual({ a: '1', b: '2' });
    expect(await cli('-e get')).toBe("ERR wrong number of arguments for 'get' command");
    expect(await cli('-r 3 incr counter')).toBe('1\n2\n3');
    expect(await cli('-x set piped', 'from standard input')).toBe('OK');
    expect(await cli('strlen piped')).toBe('19');
    expect(await cli('--raw', 'multi\nset a 1\nget a\nexec\n')).toBe('OK\nQUEUED\nQUEUED\nOK\n1');
  });

  it('walks the keys: --scan, --bigkeys, --memkeys', async () => {
    expect((await cli('--scan --pattern key:1?')).split('\n').sort()).toEqual(
      Array.from({ length: 10 }, (_, i) => `key:1${i}`),
    );
    const bigKeys = await cli('--bigkeys');
    expect(bigKeys).toMatch(/Biggest string found '"big"' has 3000 bytes/);
    expect(bigKeys).toMatch(/Biggest\s+hash found '"hash"' has 2 fields/);
    expect(bigKeys).toMatch(/Biggest\s+set found '"set"' has 3 members/);
    expect(await cli('--memkeys')).toMatch(/Biggest string found '"big"' has 3\d\d\d bytes/);
    expect(await cli('--memkeys-samples 2')).toMatch(/Biggest\s+hash found '"hash"' has \d+ bytes/);
    expect(await cli('--hotkeys')).toContain('An LFU maxmemory policy is not selected');
  });

  it('watches the server: --stat, --latency', async () => {
    const stat = execa('redis-cli', ['-p', `${instance.port}`, '--stat', '-i', '0.05'], options);
    let shown = '';
    stat.stdout.on('data', (bytes: Buffer) => (shown += String(bytes)));
    await eventually(() => shown.split('\n').length > 4, '--stat has printed some lines');
    stat.kill();
    await stat;
    const [heading, first] = shown.split('\n').slice(1);
    expect(heading).toContain('keys');
    expect(first).toMatch(/^3\d\d\s+[\d.]+[KM]\s+\d+\s+0\s+\d+ \(\+0\)\s+\d+\s*$/);
    const latency = execa('redis-cli', ['-p', `${instance.port}`, '--latency', '-i', '1', '--raw'], options);
    expect((await latency).all).toMatch(/^\d+ \d+ [\d.]+ \d+$/);
  });

  it('listens: monitor, subscribe', async () => {
    for (const [command, ready, trigger, expected] of [
      ['monitor', /OK/, 'get watched', /"get" "watched"/],
      ['psubscribe n*', /psubscribe/, 'publish news hello', /pmessage\nn\*\nnews\nhello/],
      ['-3 subscribe news', /subscribe/, 'publish news hello', /message\nnews\nhello/],
    ] as const) {
      const child = execa('redis-cli', ['-p', `${instance.port}`, ...command.split(' ')], options);
      let shown = '';
      child.stdout.on('data', (bytes: Buffer) => (shown += String(bytes)));
      await eventually(() => ready.test(shown), `${command} has begun`);
      await cli(trigger);
      await eventually(() => expected.test(shown), `${command} shows it: ${shown}`);
      child.kill();
      await child;
    }
  });

  it('is told why scripts, replicas and clusters are not there', async () => {
    expect(await cli('eval return_1 0')).toContain('scripts and functions are not supported by this version');
    expect(await cli('--rdb /dev/null')).toContain('an Active-Active instance replicates with the other instances');
    expect(await cli(`--cluster check 127.0.0.1:${instance.port}`)).toContain('is not configured as a cluster node');
  });
});

describeWithRedis('redis-benchmark', () => {
  it('runs its tests of the types that there are', async () => {
    const text = await benchmark('-q -n 500 -t ping,set,get,incr,sadd,spop,hset,mset');
    expect(measured(text)).toEqual(['PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR', 'SADD', 'HSET', 'SPOP', 'MSET']);
  });

  it.each(['-P 16 -r 1000', '--threads 2', '-3', '-c 1', '-d 10000 -P 4', '-k 0 -c 5'])(
    'runs with %s',
    async (flags) => {
      expect(measured(await benchmark(`-q -n 1000 -t set,get ${flags}`))).toEqual(['SET', 'GET']);
    },
  );

  it('prints CSV, and runs any command', async () => {
    const lines = (await benchmark('--csv -n 500 -t set,get')).trim().split('\n');
    expect(lines.map((line) => line.split(',')[0])).toEqual(['"test"', '"SET"', '"GET"']);
    expect(await benchmark('-q -n 500 -r 100 hset h:__rand_int__ f v')).toMatch(/requests per second/);
  });

  it('says which command the server does not know', async () => {
    await expect(benchmark('-q -n 100 -t lpush')).rejects.toThrow("ERR unknown command 'LPUSH'");
  });
});
