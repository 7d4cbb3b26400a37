/** What is refused has changed nothing, and what makes room is never refused. */
import { describe, expect, it } from '@jest/globals';
import { Database } from '../../src/database/database.ts';
import { BatchTooLargeError } from '../../src/database/effects.ts';
import { ArenaFullError } from '../../src/memory/arena.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { CommandRunner } from '../simulation/instance/command-runner.ts';
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

describe('a command of several effects', () => {
  const words = (count: number, of: (i: number) => readonly string[]): string[] =>
    Array.from({ length: count }, (_, i) => of(i)).flat();
  const long = (i: number, length: number): string => `${i}`.padEnd(length, 'm');

  /** Sets of long members, a hash, and counters under many names, in keys and in fields. */
  function furnish(run: (...argv: string[]) => void): void {
    run('SADD', 'set0', ...words(3, (i) => [long(i, 1000)]));
    run('SADD', 'set1', ...words(3, (i) => [long(i + 3, 1000)]));
    run('HSET', 'hash', ...words(20, (i) => [`field ${i}`, long(i, 200)]));
    run('SET', 'target', 'before');
    run('INCR', 'target');
    for (let i = 0; i < 40; i++) run('INCR', `counter ${i}`);
    for (let i = 0; i < 40; i++) run('HINCRBY', 'counters', `counter ${i}`, '1');
  }

  /** Returns how many keys it has made. */
  function fillUp(run: (...argv: string[]) => void): number {
    for (let i = 0; ; i++) {
      try {
        run('SET', `filler ${i}`, 'x'.repeat(200));
      } catch (error) {
        expect(error).toBeInstanceOf(ArenaFullError);
        return i;
      }
    }
  }

  it.each([
    ['SUNIONSTORE', 'target', 'set0', 'set1'],
    ['SUNIONSTORE', 'counters', 'set0', 'set1'],
    ['COPY', 'hash', 'target', 'REPLACE'],
    ['COPY', 'set0', 'counters', 'REPLACE'],
    ['RENAME', 'counters', 'target'],
    ['MSET', ...words(40, (i) => [`counter ${i}`, 'a string'])],
    ['HSET', 'counters', ...words(40, (i) => [`counter ${i}`, 'a string'])],
    ['SADD', 'set0', ...words(5, (i) => [long(i + 10, 1000)])],
  ])('is refused whole or done whole, however much room is left: %s %s', (...argv) => {
    const database = newDatabase();
    const runner = new CommandRunner(database);
    const run = (...words: string[]): void => {
      runner.run(words);
      database.commit();
    };
    furnish(run);
    fill(database);
    // What is left is given back in steps that are small against what the command takes.
    run('DEL', 'k0');
    const fillers = fillUp(run);
    const before = (): string => {
      database.commit();
      return database.digest();
    };
    for (let refusals = 0; ; refusals++) {
      const digest = before();
      try {
        run(...argv);
        expect(refusals).toBeGreaterThan(0);
        return;
      } catch (error) {
        expect(error).toBeInstanceOf(ArenaFullError);
        expect(before()).toBe(digest);
        for (let i = 0; i < 5 && refusals * 5 + i < fillers; i++) run('DEL', `filler ${refusals * 5 + i}`);
        if (refusals * 5 >= fillers) run('DEL', `k${refusals - Math.floor(fillers / 5) + 1}`);
      }
    }
  });
});
