import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithRedis, RedisServer as RealRedis } from '../redis-commands/redis-server.ts';
import { splitReplies } from '../redis-commands/raw-reply.ts';
import { Endpoint, type TestClient } from './endpoint.ts';

/** Facts about the database; and what Redis itself has otherwise where it runs as a test. */
const OWN = new Set(
  `port bind dir appendonly appendfsync save maxmemory maxmemory-policy maxclients databases requirepass proto-max-bulk-len
  client-query-buffer-limit daemonize pidfile unixsocket latency-tracking protected-mode logfile tls-port`.split(/\s+/),
);
/** Of 7.2; redis-server here is 7.0. */
const NEW = ['set-max-listpack-entries', 'set-max-listpack-value', 'locale-collate', 'cluster-announce-human-nodename'];
/** Setting these would do something to the server that we compare with. */
const DANGEROUS =
  /^(tls-|bind-source-addr|activedefrag|jemalloc|oom-score|cluster-(announce|port)|replicaof|slaveof|hz|crash|masterauth|masteruser)/;
const VALUES = [
  '',
  '0',
  '1',
  '-1',
  '-5',
  '007',
  '5%',
  '101%',
  '100',
  '1000',
  '70000',
  '2147483648',
  '9223372036854775807',
  '9223372036854775808',
  '1kb',
  '1G',
  '10xb',
  'yes',
  'YES',
  'no',
  'maybe',
  'ip',
  'disabled',
  'now force',
  'x y z',
];
const SPECIAL: Readonly<Record<string, readonly string[]>> = {
  'client-output-buffer-limit': [
    'normal 1 2',
    'foo 1 2 3',
    'normal 1 2 x',
    'normal 1mb 2mb 60',
    'replica 5 6 7 pubsub 1 2 3',
    'slave 1k 2k 3',
  ],
  'latency-tracking-info-percentiles': ['50 101', '50 a', '50 99.95', '100', '0 50.0'],
  'shutdown-on-sigterm': ['force now', 'default', 'save nosave', 'foo'],
  'proc-title-template': ['{foo}', '{title} x', '{title'],
  loglevel: ['x', 'WARNING', 'debug'],
  'notify-keyspace-events': ['KEA', 'xyz!', 'Kg$'],
  'repl-diskless-load': ['swapdb', 'on-empty-db', 'foo'],
};

describeWithRedis("CONFIG, beside redis-server's", () => {
  let redis: RealRedis;
  let endpoint: Endpoint;
  let client: TestClient;

  beforeAll(async () => {
    redis = await RealRedis.start();
    endpoint = await Endpoint.start();
    client = await endpoint.connect();
  });
  afterAll(async () => {
    await endpoint.stop();
    await redis.stop();
  });

  async function theirs(...words: string[]): Promise<unknown> {
    const [reply] = splitReplies(await redis.run([words]));
    if (!reply!.startsWith('*')) return reply!.replace(/^\+|\r\n$/g, '');
    return reply!.split('\r\n').filter((_, i) => i > 0 && i % 2 === 0);
  }
  const ours = (...words: string[]): Promise<unknown> =>
    client.ask(words.map((word) => JSON.stringify(word)).join(' '));
  const pairsOf = (reply: unknown): Map<string, string> => {
    const list = reply as string[];
    return new Map(list.flatMap((word, i) => (i % 2 === 0 ? [[word, list[i + 1]!] as const] : [])));
  };

  it('knows every setting of 7.0 and 7.2, with the same presets', async () => {
    const [here, there] = [pairsOf(await ours('CONFIG', 'GET', '*')), pairsOf(await theirs('CONFIG', 'GET', '*'))];
    expect([...here.keys()].sort()).toEqual([...there.keys(), ...NEW].sort());
    for (const [name, value] of there) if (!OWN.has(name)) expect([name, here.get(name)]).toEqual([name, value]);
  });

  it('takes and refuses the same values, in the same words', async () => {
    const names = [...pairsOf(await theirs('CONFIG', 'GET', '*')).keys()];
    for (const name of names) {
      if (OWN.has(name) || DANGEROUS.test(name)) continue;
      for (const value of [...VALUES, ...(SPECIAL[name] ?? [])]) {
        const said = `${name} ${value}`;
        const replies = await Promise.all([ours('CONFIG', 'SET', name, value), theirs('CONFIG', 'SET', name, value)]);
        expect({ said, reply: replies[0] }).toEqual({ said, reply: replies[1] });
        const shown = await Promise.all([ours('CONFIG', 'GET', name), theirs('CONFIG', 'GET', name)]);
        expect({ said, shown: shown[0] }).toEqual({ said, shown: shown[1] });
      }
    }
  });

  it('keeps the settings of 7.2', async () => {
    for (const [name, value] of [
      ['set-max-listpack-entries', '256'],
      ['set-max-listpack-value', '32'],
    ] as const) {
      expect(await ours('CONFIG', 'SET', name, value)).toBe('OK');
      expect(await ours('CONFIG', 'GET', name)).toEqual([name, value]);
    }
  });

  it('leaves to crdb-cli what belongs to the database', async () => {
    expect(await ours('CONFIG', 'SET', 'maxmemory', '100mb')).toMatch(/belongs to the database; see crdb-cli$/);
    expect(await ours('CONFIG', 'SET', 'requirepass', 'x')).toMatch(/belongs to the database; see crdb-cli$/);
  });
});
