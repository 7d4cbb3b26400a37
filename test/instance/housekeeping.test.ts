import { describe, expect, it } from '@jest/globals';
import { Database } from '../../src/database/database.ts';
import { SEGMENT_SHIFT } from '../../src/memory/arena.ts';
import { Housekeeping } from '../../src/instance/housekeeping.ts';
import * as limits from '../../src/instance/limits.ts';
import { seededRandom } from '../database/cluster.ts';
import { ManualClock } from '../storage/fixture.ts';

const BLOCK_BYTES = 100_000;
/** Segments here. */
const SEGMENT_BYTES = 1 << 20;
/** The arena keeps one free segment this long before it drops that as well. */
const KEPT_PERIODS = 2;

function keepHouse() {
  const clock = new ManualClock();
  const database = new Database({ instance: 1, generation: 1, random: seededRandom(1), segmentBytes: SEGMENT_BYTES });
  database.setTime(clock.nowMs());
  const { arena } = database.keyspace;
  /** Buffers that V8 cannot free. */
  const held: ArrayBufferLike[] = [];
  let collections = 0;
  new Housekeeping({
    clock,
    database,
    log: { writtenPosition: 0, wake: () => undefined },
    mayExpireFor: () => false,
    stability: () => ({ covers: () => false, isFinal: () => false }),
    collectGarbage: () => collections++,
  }).start();
  return {
    /** The arena drops segments, and somebody holds them. */
    drop: (segments: number): void => {
      const blocks = Array.from({ length: Math.ceil((segments + 1) * (SEGMENT_BYTES / BLOCK_BYTES)) }, () =>
        arena.allocate(BLOCK_BYTES),
      );
      for (const block of blocks) held.push(arena.bytes[block >>> SEGMENT_SHIFT]!.buffer);
      for (const block of blocks) arena.free(block);
    },
    periods: async (count: number): Promise<number> => {
      const before = collections;
      await clock.pass(count * limits.HOUSEKEEPING_PERIOD_MS);
      return collections - before;
    },
    dropped: () => arena.droppedBytes,
  };
}

describe('Housekeeping of memory', () => {
  it('has nothing collected while nothing was dropped', async () => {
    expect(await keepHouse().periods(5)).toBe(0);
  });

  it('asks again for memory that one collection did not free, each time after twice as long', async () => {
    const { drop, periods, dropped } = keepHouse();
    drop(3);
    expect(dropped()).toBeGreaterThan(0);
    expect(await periods(KEPT_PERIODS)).toBe(0);
    const asked: number[] = [];
    for (let period = 1; period <= 40; period++) if ((await periods(1)) > 0) asked.push(period);
    expect(asked).toEqual([1, 2, 4, 8, 16, 32]);
  });

  it('begins anew when more is dropped', async () => {
    const { drop, periods } = keepHouse();
    drop(3);
    await periods(40);
    drop(3);
    await periods(KEPT_PERIODS);
    expect(await periods(2)).toBe(2);
  });
});
