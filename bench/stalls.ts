/**
 * How long others wait while a server does something that grows with its data: the longest of the PINGs that another client sends every millisecond.
 *
 * redis-server does the same beside, where it can. On a busy machine the longest wait is also how long the process got no processor; the
 * p99.9 is printed for that reason.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { encode, numbered, pour, pourFields, pourKeys, pourMembers, print, rate, short } from './measure.ts';
import type { Options } from './options.ts';
import type { Runtime } from './runtimes.ts';
import { BenchDatabase, startAlone, startRedis, type Persistence, type Server } from './servers.ts';

const PINGER = join(import.meta.dirname, 'pinger.ts');
const EXPIRE_AFTER_MS = 4_000;
const LOOK_PERIOD_MS = 20;
const WAIT_MAX_MS = 300_000;
/** After a command has replied, what it left to do goes on. */
const AFTERMATH_MS = 2_000;
const ON_DEMAND: Persistence = { kind: 'snapshot', afterSeconds: 1, afterWrites: 1 };

interface Stall {
  readonly longestMs: number;
  readonly p999Ms: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + WAIT_MAX_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${WAIT_MAX_MS / 1000} s: ${what}`);
    await sleep(LOOK_PERIOD_MS);
  }
}

/** The waits while `work` goes on. */
async function watchStalls(server: Server, work: () => Promise<unknown>): Promise<Stall> {
  const pinger = fork(PINGER, [`${server.port}`]);
  try {
    await once(pinger, 'message');
    await work();
    pinger.send('report');
    const [stall] = (await once(pinger, 'message')) as [Stall];
    return stall;
  } finally {
    pinger.kill();
  }
}

const describe = ({ longestMs, p999Ms }: Stall): string =>
  `${longestMs.toFixed(0)} ms (p99.9 ${p999Ms.toFixed(1)})`.padEnd(24);

const show = (what: string, ours: string, theirs: string, note = ''): void =>
  print(`  ${what.padEnd(44)} ${ours.padEnd(24)} redis-server ${theirs.padEnd(24)} ${note}`.trimEnd());

const keysOf = async (server: Server): Promise<number> => Number((await server.ask('DBSIZE')).slice(1));
const isEmpty = (server: Server): Promise<void> =>
  until(`${server.name} is empty`, async () => (await keysOf(server)) === 0);

/** The same on both. */
async function onBoth(
  what: string,
  servers: readonly [Server, Server],
  work: (server: Server) => Promise<unknown>,
): Promise<void> {
  const [ours, theirs] = [
    await watchStalls(servers[0], () => work(servers[0])),
    await watchStalls(servers[1], () => work(servers[1])),
  ];
  show(what, describe(ours), describe(theirs));
}

/** One command and what it leaves to do. */
const runOnce =
  (...words: readonly string[]) =>
  async (server: Server): Promise<void> => {
    await server.ask(...words);
    await sleep(AFTERMATH_MS);
  };

async function alone(runtime: Runtime, keys: number): Promise<void> {
  const redis = await startRedis();
  const instance = await startAlone(runtime);
  const both = [instance, redis] as const;
  try {
    await onBoth(`loading ${short(keys)} keys: tables grow`, both, (server) => pourKeys(server, keys));
    await recover(both, keys);
    await onBoth(`FLUSHALL of ${short(keys)} keys`, both, runOnce('FLUSHALL'));
    for (const server of both) await pourFields(server, 'hash', keys);
    await onBoth(`DEL of a hash of ${short(keys)}`, both, runOnce('DEL', 'hash'));
    for (const server of both) await pourMembers(server, 'set', keys);
    await onBoth(`DEL of a set of ${short(keys)}`, both, runOnce('DEL', 'set'));
    await onBoth(`expiry of ${short(keys)} keys at one moment`, both, async (server) => {
      const at = `${Date.now() + EXPIRE_AFTER_MS + keys / 100}`;
      await pour(server, keys, (i) => encode('SET', numbered('key', i), 'x', 'PXAT', at));
      await isEmpty(server);
    });
  } finally {
    await Promise.all(both.map((server) => server.stop()));
  }
}

/** kill -9 with all that was loaded: how long until it serves again. Nobody can be held up meanwhile, so time counts. */
async function recover(servers: readonly [Server, Server], keys: number): Promise<void> {
  const speeds: number[] = [];
  for (const server of servers) {
    await sleep(AFTERMATH_MS);
    await server.kill();
    const start = performance.now();
    await server.start();
    await until(`${server.name} has its keys again`, async () => (await keysOf(server)) === keys);
    speeds.push((performance.now() - start) / 1000);
  }
  const [ours, theirs] = speeds.map((seconds) => `${seconds.toFixed(1)} s, ${rate(keys / seconds)}`);
  show(`kill -9 with ${short(keys)} keys: serves again after`, ours!, theirs!);
}

async function snapshot(runtime: Runtime, keys: number): Promise<void> {
  const redis = await startRedis({ persistence: ON_DEMAND });
  const instance = await startAlone(runtime, ON_DEMAND);
  try {
    await pourKeys(instance, keys);
    await pourKeys(redis, keys);
    const newest = (): string =>
      readdirSync(join(instance.directory, 'data'))
        .filter((name) => /^snapshot-\d+$/.test(name))
        .sort()
        .at(-1) ?? '';
    // What loading has begun is finished; then one from beginning to end, with writes into what it has not written yet.
    await sleep(AFTERMATH_MS);
    const before = newest();
    const overwrite = (server: Server): Promise<void> => pourKeys(server, Math.ceil(keys / 10));
    const ours = await watchStalls(instance, async () => {
      await overwrite(instance);
      await until('a snapshot is taken', () => newest() !== before);
    });
    const theirs = await watchStalls(redis, async () => {
      await redis.ask('BGSAVE');
      await overwrite(redis);
      await until('BGSAVE ends', async () =>
        (await redis.ask('INFO', 'persistence')).includes('rdb_bgsave_in_progress:0'),
      );
    });
    show(`snapshot of ${short(keys)} keys, written to meanwhile`, describe(ours), describe(theirs));
  } finally {
    await Promise.all([redis.stop(), instance.stop()]);
  }
}

async function fullSync(runtime: Runtime, keys: number): Promise<void> {
  const database = await BenchDatabase.plan(runtime, 2);
  const source = await database.startInstance(1);
  const redis = await startRedis();
  const started: Server[] = [source, redis];
  try {
    await pourKeys(source, keys);
    await pourKeys(redis, keys);
    // Both targets have keys of their own before: the instance merges, the replica throws them away.
    let atTarget: Stall = { longestMs: 0, p999Ms: 0 };
    let seconds = 0;
    const atSource = await watchStalls(source, async () => {
      const target = await database.startInstance(2);
      started.push(target);
      const start = performance.now();
      atTarget = await watchStalls(target, () =>
        until('the target has all', async () => (await keysOf(target)) >= keys),
      );
      seconds = (performance.now() - start) / 1000;
    });
    const replica = await startRedis();
    started.push(replica);
    let atReplica: Stall = { longestMs: 0, p999Ms: 0 };
    let replicaSeconds = 0;
    const atPrimary = await watchStalls(redis, async () => {
      const start = performance.now();
      atReplica = await watchStalls(replica, async () => {
        await replica.ask('REPLICAOF', '127.0.0.1', `${redis.port}`);
        await until('the replica has all', async () => (await keysOf(replica).catch(() => 0)) >= keys);
      });
      replicaSeconds = (performance.now() - start) / 1000;
    });
    show(`full sync of ${short(keys)} keys, at the source`, describe(atSource), describe(atPrimary));
    show(`full sync of ${short(keys)} keys, at the target`, describe(atTarget), describe(atReplica));
    show(`full sync of ${short(keys)} keys, takes`, `${seconds.toFixed(1)} s`, `${replicaSeconds.toFixed(1)} s`);
  } finally {
    await Promise.all(started.map((server) => server.stop()));
  }
}

export async function stalls({ keys, runtimes }: Options): Promise<void> {
  print(`Longest wait of a PING while the server is busy with something large (${runtimes[0]!.name})`);
  await alone(runtimes[0]!, keys);
  await snapshot(runtimes[0]!, keys);
  await fullSync(runtimes[0]!, keys);
}
