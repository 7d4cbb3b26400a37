/**
 * Side by side with redis-server, in one run: `npm run bench [-- --quick]`.
 *
 * Both servers keep an every-second log. They are driven alternately by redis-benchmark with 50 clients; a figure is the median of the ratios of
 * its rounds, so a machine that slows down half-way slows both. Only ratios are comparable between runs.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { startInstances, startRedis, type Server } from './servers.ts';

const quick = process.argv.includes('--quick');
const only = process.argv.find((word) => word.startsWith('--only='))?.slice(7);
const ROUNDS = quick ? 1 : 5;
const CLIENTS = '50';
/** Connections that measure latency; thousands of samples a second, so that the worst thousandth is more than one or two of them. */
const READERS = 8;
const COMMANDS = ['set', 'get', 'incr', 'sadd', 'hset'] as const;
const PIPELINES = [
  { depth: 1, requests: quick ? 30_000 : 80_000 },
  { depth: 16, requests: quick ? 200_000 : 500_000 },
  { depth: 100, requests: quick ? 300_000 : 800_000 },
];
/** What the project promises: ratio to redis-server, by command and pipeline depth. */
const BARS: Record<string, readonly number[]> = {
  set: [0.9, 1.0, 1.1],
  get: [0.9, 1.0, 1.1],
  incr: [0.8, 0.8, 0.8],
  sadd: [0.8, 0.8, 0.8],
  hset: [0.8, 0.8, 0.8],
};

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function benchmark(server: Server, command: string, depth: number, requests: number): number {
  const args = ['-p', String(server.port), '-t', command, '-n', String(requests), '-c', CLIENTS, '-P', String(depth)];
  const output = execFileSync('redis-benchmark', [...args, '-r', '100000', '-d', '32', '-q'], { encoding: 'latin1' });
  const rates = [...output.replaceAll('\r', '\n').matchAll(/([\d.]+) requests per second/g)];
  return Number(rates.at(-1)![1]);
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

function compare(
  ours: Server,
  theirs: Server,
  command: string,
  depth: number,
  requests: number,
): { ratio: number; ours: number; theirs: number } {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const mine = benchmark(ours, command, depth, requests);
    const other = benchmark(theirs, command, depth, requests);
    return { ratio: mine / other, ours: mine, theirs: other };
  });
  return {
    ratio: median(rounds.map((r) => r.ratio)),
    ours: median(rounds.map((r) => r.ours)),
    theirs: median(rounds.map((r) => r.theirs)),
  };
}

const rate = (perSecond: number): string => `${Math.round(perSecond / 1000)}k/s`;
const mark = (holds: boolean): string => (holds ? 'holds' : 'FALLS SHORT');

async function throughput(): Promise<void> {
  print('Throughput, ratio to redis-server (appendonly every second), 50 clients, 32-byte values, 100k keys');
  const redis = await startRedis();
  const [instance] = await startInstances(1);
  try {
    for (const command of COMMANDS) {
      PIPELINES.forEach(({ depth, requests }, i) => {
        const result = compare(instance!, redis, command, depth, requests);
        const bar = BARS[command]![i]!;
        const figures = `${result.ratio.toFixed(2)}  (>= ${bar.toFixed(1)}: ${mark(result.ratio >= bar)})`;
        print(
          `  ${command.padEnd(5)} P${String(depth).padEnd(4)} ${figures}   ${rate(result.ours)} against ${rate(result.theirs)}`,
        );
      });
    }
  } finally {
    await Promise.all([redis.stop(), instance!.stop()]);
  }
}

async function replicated(): Promise<void> {
  print('SET with a second instance receiving, ratio to redis-server with one replica');
  const redis = await startRedis();
  const replica = await startRedis({ replicaOf: redis.port });
  const [instance, peer] = await startInstances(2);
  try {
    for (const { depth, requests } of PIPELINES) {
      const result = compare(instance!, redis, 'set', depth, requests);
      const figures = `${result.ratio.toFixed(2)}  (>= 1.0: ${mark(result.ratio >= 1)})`;
      print(`  set   P${String(depth).padEnd(4)} ${figures}   ${rate(result.ours)} against ${rate(result.theirs)}`);
    }
  } finally {
    await Promise.all([redis.stop(), replica.stop(), instance!.stop(), peer!.stop()]);
  }
}

/** Loads a million keys, each once, in order. */
async function loadMillion(server: Server): Promise<void> {
  const cli = spawn('redis-cli', ['-p', String(server.port), '--pipe'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const value = 'x'.repeat(32);
  for (let i = 0; i < 1_000_000;) {
    let block = '';
    for (let n = 0; n < 10_000; n++, i++) {
      block += `*3\r\n$3\r\nSET\r\n$16\r\nkey:${String(i).padStart(12, '0')}\r\n$32\r\n${value}\r\n`;
    }
    if (!cli.stdin.write(block)) await once(cli.stdin, 'drain');
  }
  cli.stdin.end();
  await once(cli, 'exit');
}

async function memory(): Promise<void> {
  print('Resident memory with 1 M keys of 16 bytes, values of 32 bytes, after a fresh start and the load');
  const redis = await startRedis();
  const [instance] = await startInstances(1);
  try {
    const sizes: number[] = [];
    for (const server of [instance!, redis]) {
      const before = server.residentBytes();
      await loadMillion(server);
      const keys = await server.ask('DBSIZE');
      const after = server.residentBytes();
      sizes.push(after);
      const perKey = ((after - before) / 1e6).toFixed(0);
      print(
        `  ${server.name.padEnd(13)} ${(after / 1e6).toFixed(0)} MB, ${perKey} bytes per key above the start, ${keys.trim().slice(1)} keys`,
      );
    }
    const ratio = sizes[0]! / sizes[1]!;
    print(`  ratio ${ratio.toFixed(2)}  (<= 1.1: ${mark(ratio <= 1.1)})`);
  } finally {
    await Promise.all([redis.stop(), instance!.stop()]);
  }
}

/** p99.9 of single GETs, one at a time on each of a few connections, while a million keys are being written, in ms. */
async function latency(server: Server): Promise<number> {
  const writer = spawn(
    'redis-benchmark',
    [
      '-p',
      String(server.port),
      '-t',
      'set',
      '-n',
      '1000000',
      '-c',
      '50',
      '-P',
      '16',
      '-r',
      '1000000',
      '-d',
      '32',
      '-q',
    ],
    { stdio: 'ignore' },
  );
  const done = once(writer, 'exit');
  let running = true;
  void done.then(() => (running = false));
  const times: number[] = [];
  const request = Buffer.from('*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n');
  const read = async (): Promise<void> => {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.setNoDelay(true);
    while (running) {
      const start = process.hrtime.bigint();
      socket.write(request);
      await once(socket, 'data');
      times.push(Number(process.hrtime.bigint() - start) / 1e6);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: READERS }, read));
  await done;
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.999)] ?? NaN;
}

async function latencies(): Promise<void> {
  print('p99.9 of GET while 1 M keys are being written (50 clients, pipeline 16)');
  const rounds: { ours: number; theirs: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const redis = await startRedis();
    const [instance] = await startInstances(1);
    try {
      rounds.push({ ours: await latency(instance!), theirs: await latency(redis) });
    } finally {
      await Promise.all([redis.stop(), instance!.stop()]);
    }
  }
  const ours = median(rounds.map((r) => r.ours));
  const theirs = median(rounds.map((r) => r.theirs));
  print(
    `  ours ${ours.toFixed(2)} ms, redis-server ${theirs.toFixed(2)} ms  (<= redis-server: ${mark(ours <= theirs)})`,
  );
}

const parts: Record<string, () => Promise<void>> = { throughput, replicated, memory, latency: latencies };
for (const [name, part] of Object.entries(parts)) if (only === undefined || only === name) await part();
