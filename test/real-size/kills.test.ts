/**
 * Millions of keys, two busy processes beside, snapshots being written: the instance is killed again and again at random moments. Every acknowledged write is
 * there, and it is up again in at most twice the time that redis-server takes with the same keys.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startRedis, type Server } from '../../bench/servers.ts';
import { LiveDatabase } from '../e2e/live-database.ts';
import { checkEverythingAcknowledged, newLedger, writeLoad } from '../e2e/load.ts';
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
    await redis.kill();
    const redisStart = performance.now();
    await redis.start();
    while (!(await redis.ask('DBSIZE')).startsWith(`:${KEYS}`)) await sleep(20);
    const redisMs = performance.now() - redisStart;
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
    process.stdout.write(
      `${KEYS} keys: back after ${times.map((ms) => (ms / 1000).toFixed(1)).join(', ')} s, redis-server ${(redisMs / 1000).toFixed(1)} s; ` +
        `${ledger.acknowledged} of ${ledger.sent} writes acknowledged\n`,
    );
    await database.converged();
    await checkEverythingAcknowledged(database, [ledger]);
    for (const ms of times) expect(ms).toBeLessThan(2 * redisMs + START_MS);
  });
});
