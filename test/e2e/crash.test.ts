/**
 * kill -9 of real instance processes under load. What was acknowledged under appendfsync-always is never lost. Under every-second a killed process
 * (not a dead machine) loses only what was acknowledged while its last fsync was running; and both sides agree in any case.
 */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { LiveDatabase } from './live-database.ts';
import { checkEverythingAcknowledged, findWrites, newLedger, writeLoad, type Ledger } from './load.ts';

jest.setTimeout(180_000);

const WRITES_PER_SIDE = 25_000;
const KILLS_PER_SIDE = 2;

interface Kill {
  readonly cluster: number;
  readonly atMs: number;
}

/** Writes to both sides at once; each side's instance is killed several times meanwhile, in the middle of a pipeline. */
async function writeUnderKills(database: LiveDatabase, ledgers: readonly Ledger[], pauseMs = 0): Promise<Kill[]> {
  const all = await Promise.all(
    ledgers.map(async (ledger) => {
      const { cluster } = ledger;
      const kills: Kill[] = [];
      const ends: Promise<void>[] = [];
      const onReply = (): void => {
        const due = ((kills.length + 0.5 + cluster / 4) * WRITES_PER_SIDE) / KILLS_PER_SIDE;
        if (kills.length >= KILLS_PER_SIDE || ledger.sent <= due) return;
        kills.push({ cluster, atMs: Date.now() });
        ends.push(database.killInstance(cluster));
      };
      await writeLoad(database, ledger, WRITES_PER_SIDE, { onReply, pauseMs });
      await Promise.all(ends);
      expect(kills).toHaveLength(KILLS_PER_SIDE);
      expect(ledger.acknowledged).toBeLessThan(ledger.sent);
      return kills;
    }),
  );
  return all.flat();
}

describe('instances that are killed while both sides write, appendfsync-always', () => {
  let database: LiveDatabase;
  beforeAll(async () => {
    database = await LiveDatabase.create('--aof-policy', 'appendfsync-always');
  });
  afterAll(() => database.cleanUp());

  const ledgers = [newLedger(0), newLedger(1)];

  it('come back, agree, and have everything that was acknowledged', async () => {
    await writeUnderKills(database, ledgers);
    await database.converged();
    await checkEverythingAcknowledged(database, ledgers);
  });

  it('have everything that was acknowledged while nobody pulled from the killed one', async () => {
    await database.changeSync('pause', 1);
    await writeLoad(database, ledgers[0]!, 4_000);
    await database.killInstance(0);
    await writeLoad(database, ledgers[0]!, 1_000);
    expect((await findWrites(database, 1, ledgers)).missing).not.toEqual([]);
    await database.changeSync('resume', 1);
    await database.converged();
    await checkEverythingAcknowledged(database, ledgers);
  });
});

describe('instances that are killed while both sides write, appendfsync-every-sec', () => {
  let database: LiveDatabase;
  beforeAll(async () => {
    database = await LiveDatabase.create('--aof-policy', 'appendfsync-every-sec');
  });
  afterAll(() => database.cleanUp());

  it('come back, agree, and have lost nothing but what a second before a kill had brought', async () => {
    const ledgers = [newLedger(0), newLedger(1)];
    const kills = await writeUnderKills(database, ledgers, 250);
    await database.converged();
    const [found, other] = await Promise.all([0, 1].map((cluster) => findWrites(database, cluster, ledgers)));
    expect(found).toEqual(other);
    const isExcused = (cluster: number, atMs: number): boolean =>
      kills.some((kill) => kill.cluster === cluster && Math.abs(kill.atMs - atMs) < 1_000);
    expect(found!.missing.filter(({ cluster, acknowledgedAtMs }) => !isExcused(cluster, acknowledgedAtMs))).toEqual([]);
    for (const [i, { cluster, increments, acks }] of ledgers.entries()) {
      const safe = acks.filter(({ number, atMs }) => number % 4 === 0 && !isExcused(cluster, atMs)).length;
      expect(safe).toBeGreaterThan(0);
      expect(found!.counters[i]).toBeGreaterThanOrEqual(safe);
      expect(found!.counters[i]).toBeLessThanOrEqual(increments.sent);
    }
  });
});
