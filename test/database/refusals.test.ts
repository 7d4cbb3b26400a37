/** What is refused has changed nothing, and what makes room is never refused. */
import { describe, expect, it } from '@jest/globals';
import { Database } from '../../src/database/database.ts';
import { BatchTooLargeError } from '../../src/database/effects.ts';
import { ArenaFullError } from '../../src/memory/arena.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { readVisible } from '../simulation/read-visible.ts';
import { seededRandom, START_MS } from './cluster.ts';

const MIB = 1024 * 1024;
const BATCH_BYTES_MAX = 16 * 1024;

function newDatabase(): Database {
  const database = new Database({
    instance: 1,
    generation: START_MS / 1000,
    random: seededRandom(1),
    segmentBytes: MIB / 4,
    logChunkBytes: 4096,
    limits: { batchBytesMax: BATCH_BYTES_MAX, arenaBytesMax: 8 * MIB, applyReserveBytes: 64 * 1024 },
  });
  database.setTime(START_MS);
  return database;
}

const refTo = (database: Database, key: string) => database.lookupWrite(makeArgs([key]), 0);

function set(database: Database, key: string, length: number): void {
  database.writer.set(refTo(database, key), Buffer.alloc(length, 'x'), 0, length);
}

/** Fills the arena; returns how many keys there are. */
function fill(database: Database): number {
  for (let i = 0; ; i++) {
    try {
      set(database, `k${i}`, 8000);
    } catch (error) {
      expect(error).toBeInstanceOf(ArenaFullError);
      return i;
    } finally {
      database.commit();
    }
  }
}

describe('a SET on a hash', () => {
  it('that is too large for a batch leaves the hash as it was', () => {
    const database = newDatabase();
    const [field, value] = [Buffer.from('f'), Buffer.from('v')];
    database.writer.setField(refTo(database, 'h'), field, 0, 1, value, 0, 1);
    database.commit();
    const before = database.digest();
    expect(() => set(database, 'h', BATCH_BYTES_MAX)).toThrow(BatchTooLargeError);
    expect(database.commit()).toBe(0);
    expect(database.digest()).toBe(before);
  });
});

describe('a database whose memory is used up', () => {
  it('refuses a write and has changed nothing', () => {
    const database = newDatabase();
    const keys = fill(database);
    const before = database.digest();
    expect(() => set(database, 'one more', 8000)).toThrow(ArenaFullError);
    expect(() => set(database, 'k0', 8001)).toThrow(ArenaFullError);
    expect(database.commit()).toBe(0);
    expect(database.keyCount).toBe(keys);
    expect(database.digest()).toBe(before);
  });

  it('takes removals, one by one or all at once, and then writes again', () => {
    for (const removesAll of [false, true]) {
      const database = newDatabase();
      const keys = fill(database);
      if (removesAll) database.writer.flush(refTo(database, 'k0'));
      for (let i = 0; i < keys && !removesAll; i++) database.writer.remove(refTo(database, `k${i}`));
      database.commit();
      while (database.settleStep(1000));
      expect(database.keyCount).toBe(0);
      expect(fill(database)).toBeGreaterThan(keys / 2);
      expect(readVisible(database, 'k0').type).toBe('string');
    }
  });
});
