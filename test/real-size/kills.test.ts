/**
 * Millions of keys, two busy processes beside, snapshots being written: the instance is killed again and again at random moments. Every acknowledged write is
 * there, and it is up again in at most twice the time that redis-server takes with the same keys.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startRedis, type Server } from '../../bench/servers.ts';
import { LiveDatabase } from '../e2e/live-database.ts';
import { checkEverythingAcknowledged, newLedger, writeLoad, writeOf } from '../e2e/load.ts';
import { Wire, type Word } from '../e2e/wire.ts';

jest.setTimeout(1_800_000);

const KEYS = Number(process.env['CRDB_REAL_SIZE_KEYS'] ?? 5_000_000);
const KILLS = 10;
/** After so long at least, and at most that much more, the next kill comes, ms. */
const CALM_MS = 2_000;
const RANDOM_MS = 8_000;
const BUSY = 2;
const PIPELINE = 1_000;
/** A process of Node.js more than one of redis-server needs before it does anything, and the wait of the supervisor, ms. */
const START_MS = 1_500;

async function load(port: number): Promise<void> {
  const wire = await Wire.connect(`127.0.0.1:${port}`);
  for (let first = 0; first < KEYS; first += PIPELINE) {
    const requests = Array.from({ length: PIPELINE }, (_, i): Word[] => [
      'SET',
      `key:${first + i}`,
      `${first + i}`.padStart(32, '0'),
    ]);
    await wire.pipeline(requests, (reply) => {
      if (reply !== 'OK') throw new Error(String(reply));
    });
  }
  wire.close();
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** ms that redis-server needs for its log. */
async function restartRedis(redis: Server): Promise<number> {
  await redis.kill();
  const start = performance.now();
  await redis.start();
  while (!(await redis.ask('DBSIZE')).startsWith(':')) await sleep(20);
  return performance.now() - start;
}

async function afterTheSameWrites(redis: Server, count: number): Promise<number> {
  await restartRedis(redis);
  const wire = await Wire.connect(`127.0.0.1:${redis.port}`);
  for (let first = 0; first < count; first += PIPELINE) {
    await wire.pipeline(
      Array.from({ length: PIPELINE }, (_, i) => writeOf(0, first + i)),
      () => {},
    );
  }
  wire.close();
  return restartRedis(redis);
}

describe('an instance that is killed under load', () => {
  let database: LiveDatabase;
  let redis: Server;
  const busy: ChildProcess[] = [];

  beforeAll(async () => {
    database = await LiveDatabase.create();
    redis = await startRedis();
    await load(database.config(0).port);
    await load(redis.port);
    for (let i = 0; i < BUSY; i++) busy.push(spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
  });
  afterAll(async () => {
    for (const child of busy) child.kill();
    await redis.stop();
    await database.cleanUp();
  });

  it(`has all acknowledged writes after each of ${KILLS} kills, and is back soon`, async () => {
    const redisMs = await restartRedis(redis);
    await redis.kill();
    const ledger = newLedger(0);
    let isDone = false;
    const writing = (async () => {
      while (!isDone) await writeLoad(database, ledger, 20_000);
    })();
    const times: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(CALM_MS + Math.random() * RANDOM_MS);
      const start = performance.now();
      await database.killInstance(0);
      const wire = await database.connect(0);
      times.push(performance.now() - start);
      expect(await wire.ask('DBSIZE')).toBeGreaterThanOrEqual(KEYS);
      wire.close();
    }
    isDone = true;
    await writing;
    const redisMsAfter = await afterTheSameWrites(redis, ledger.sent);
    process.stdout.write(
      `${KEYS} keys: back after ${times.map(seconds).join(', ')} s; redis-server ${seconds(redisMs)} s, after the same writes ${seconds(redisMsAfter)} s; ` +
        `${ledger.acknowledged} of ${ledger.sent} writes acknowledged\n`,
    );
    await database.converged();
    await checkEverythingAcknowledged(database, [ledger]);
    times.forEach((ms, kill) => {
      // What there is to be loaded grows from kill to kill, here as there.
      const comparableMs = redisMs + ((redisMsAfter - redisMs) * (kill + 1)) / KILLS;
      expect(ms).toBeLessThan(2 * comparableMs + START_MS);
    });
  });
});
