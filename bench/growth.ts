/**
 * What an operation costs as data grows: processor time of the server per operation, at each size, of both servers.
 *
 * Caches make anything dearer as it grows, redis-server too; what matters is that ours does not grow faster.
 */
import { drive, encode, micros, numbered, pour, pourFields, pourKeys, pourMembers, print, short } from './measure.ts';
import type { Options } from './options.ts';
import type { Runtime } from './runtimes.ts';
import { startAlone, startRedis, type Server } from './servers.ts';

const REQUESTS = 200_000;
const DEPTH = 16;
const VALUE = 'x'.repeat(32);

interface Operation {
  readonly name: string;
  readonly load: (server: Server, size: number) => Promise<void>;
  readonly words: readonly string[];
  /** The key that all is in; null: there are many. */
  readonly container: string | null;
}

const OPERATIONS: readonly Operation[] = [
  { name: 'SET', load: pourKeys, words: ['SET', 'key:__rand_int__', VALUE], container: null },
  { name: 'GET', load: pourKeys, words: ['GET', 'key:__rand_int__'], container: null },
  {
    name: 'INCR',
    load: (server, size) => pour(server, size, (i) => encode('INCR', numbered('counter', i))),
    words: ['INCR', 'counter:__rand_int__'],
    container: null,
  },
  {
    name: 'HSET',
    load: (server, size) => pourFields(server, 'hash', size),
    words: ['HSET', 'hash', 'element:__rand_int__', VALUE],
    container: 'hash',
  },
  {
    name: 'SADD',
    load: (server, size) => pourMembers(server, 'set', size),
    words: ['SADD', 'set', 'element:__rand_int__'],
    container: 'set',
  },
];

/** Processor time, microseconds: of a command on average, and of removing all that was loaded, with one DEL where it is one key. */
async function measure(
  server: Server,
  operation: Operation,
  size: number,
  requests: number,
): Promise<[number, number]> {
  await operation.load(server, size);
  // The table that loading has made grow finishes first.
  await drive(server, operation.words, { depth: DEPTH, requests: requests / 4, keys: size });
  const { cpuMicrosPerOperation } = await drive(server, operation.words, { depth: DEPTH, requests, keys: size });
  const before = server.cpuMicros();
  await (operation.container === null ? server.ask('FLUSHALL') : server.ask('DEL', operation.container));
  return [cpuMicrosPerOperation, server.cpuMicros() - before];
}

/** One pair of servers for all sizes: the compiler has seen the operation before the first is measured. */
async function grow(runtime: Runtime, operation: Operation, sizes: readonly number[], requests: number): Promise<void> {
  const redis = await startRedis();
  const instance = await startAlone(runtime);
  try {
    for (const server of [instance, redis]) await measure(server, operation, sizes[0]!, requests);
    for (const size of sizes) {
      const [ours, removal] = await measure(instance, operation, size, requests);
      const [theirs, theirRemoval] = await measure(redis, operation, size, requests);
      const what = operation.container === null ? 'FLUSHALL' : 'DEL of it';
      const removed = `${what} ${(removal / 1000).toFixed(0)} ms against ${(theirRemoval / 1000).toFixed(0)} ms`;
      print(
        `  ${operation.name.padEnd(5)} ${short(size).padEnd(6)} ${micros(ours)} against ${micros(theirs)}   ${removed}`,
      );
    }
  } finally {
    await Promise.all([redis.stop(), instance.stop()]);
  }
}

export async function growth({ quick, runtimes, sizes }: Options): Promise<void> {
  print(`Growth: processor time per operation at P${DEPTH}, ours (${runtimes[0]!.name}) against redis-server`);
  for (const operation of OPERATIONS) await grow(runtimes[0]!, operation, sizes, quick ? REQUESTS / 4 : REQUESTS);
}
