/**
 * What an operation costs as data grows: processor time of the server per operation, at each size, of both servers.
 *
 * Caches make anything dearer as it grows, redis-server too; what matters is that ours does not grow faster.
 */
import { drive, encode, micros, numbered, pour, pourFields, pourKeys, pourMembers, print, short } from './measure.ts';
import type { Options } from './options.ts';
import { startAlone, startRedis, type Server } from './servers.ts';

const REQUESTS = 200_000;
const DEPTH = 16;
const VALUE = 'x'.repeat(32);

interface Operation {
  readonly name: string;
  readonly load: (server: Server, size: number) => Promise<void>;
  readonly words: readonly string[];
}

const OPERATIONS: readonly Operation[] = [
  { name: 'SET', load: pourKeys, words: ['SET', 'key:__rand_int__', VALUE] },
  { name: 'GET', load: pourKeys, words: ['GET', 'key:__rand_int__'] },
  {
    name: 'INCR',
    load: (server, size) => pour(server, size, (i) => encode('INCR', numbered('counter', i))),
    words: ['INCR', 'counter:__rand_int__'],
  },
  {
    name: 'HSET',
    load: (server, size) => pourFields(server, 'hash', size),
    words: ['HSET', 'hash', 'element:__rand_int__', VALUE],
  },
  {
    name: 'SADD',
    load: (server, size) => pourMembers(server, 'set', size),
    words: ['SADD', 'set', 'element:__rand_int__'],
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
  const container = operation.name === 'HSET' ? 'hash' : operation.name === 'SADD' ? 'set' : null;
  await (container === null ? server.ask('FLUSHALL') : server.ask('DEL', container));
  return [cpuMicrosPerOperation, server.cpuMicros() - before];
}

export async function growth({ quick, runtimes, sizes }: Options): Promise<void> {
  print(`Growth: processor time per operation at P${DEPTH}, ours (${runtimes[0]!.name}) against redis-server`);
  const requests = quick ? REQUESTS / 4 : REQUESTS;
  for (const operation of OPERATIONS) {
    for (const size of sizes) {
      const redis = await startRedis();
      const instance = await startAlone(runtimes[0]!);
      try {
        const [ours, removal] = await measure(instance, operation, size, requests);
        const [theirs, theirRemoval] = await measure(redis, operation, size, requests);
        const what = operation.name === 'HSET' || operation.name === 'SADD' ? 'DEL of it' : 'FLUSHALL';
        const removed = `${what} ${(removal / 1000).toFixed(0)} ms against ${(theirRemoval / 1000).toFixed(0)} ms`;
        print(
          `  ${operation.name.padEnd(5)} ${short(size).padEnd(6)} ${micros(ours)} against ${micros(theirs)}   ${removed}`,
        );
      } finally {
        await Promise.all([redis.stop(), instance.stop()]);
      }
    }
  }
}
