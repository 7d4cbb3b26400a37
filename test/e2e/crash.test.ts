/**
 * kill -9 of real instance processes under load. What was acknowledged under appendfsync-always is never lost; under every-second a
 * killed process (not a dead machine) loses at most what it had not handed to the system yet, and both sides agree in any case.
 */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { LiveDatabase } from './live-database.ts';
import { checkEverythingAcknowledged, findWrites, newLedger, writeLoad, type Ledger } from './load.ts';

jest.setTimeout(180_000);

const WRITES_PER_SIDE = 25_000;
const KILLS_PER_SIDE = 2;

/** Writes to both sides at once; each side's instance is killed several times meanwhile, in the middle of a pipeline. */
async function writeUnderKills(database: LiveDatabase, ledgers: readonly Ledger[]): Promise<void> {
  await Promise.all(
    ledgers.map(async (ledger) => {
      const kills: Promise<void>[] = [];
      await writeLoad(database, ledger, WRITES_PER_SIDE, () => {
        const due = ((kills.length + 0.5 + ledger.cluster / 4) * WRITES_PER_SIDE) / KILLS_PER_SIDE;
        if (kills.length < KILLS_PER_SIDE && ledger.sent > due) kills.push(database.killInstance(ledger.cluster));
      });
      await Promise.all(kills);
      expect(kills).toHaveLength(KILLS_PER_SIDE);
      expect(ledger.acknowledged).toBeLessThan(ledger.sent);
    }),
  );
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

  it('come back, agree, and have lost no more than the last moment before each kill', async () => {
    const ledgers = [newLedger(0), newLedger(1)];
    await writeUnderKills(database, ledgers);
    await database.converged();
    const found = await Promise.all([0, 1].map((cluster) => findWrites(database, cluster, ledgers)));
    expect(found[0]).toEqual(found[1]);
    // The system has what was handed to it a few milliseconds after each commit: a pipeline at the most is in between.
    expect(found[0]!.missing.length).toBeLessThan(WRITES_PER_SIDE / 10);
    for (const [i, { increments }] of ledgers.entries()) {
      expect(found[0]!.counters[i]).toBeGreaterThanOrEqual(increments.acknowledged * 0.9);
      expect(found[0]!.counters[i]).toBeLessThanOrEqual(increments.sent);
    }
  });
});
