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
  const FILLER = 'x'.repeat(200);
  /** Keys short of a full memory, from so many on: the last time that room was asked for lies differently far back. */
  const SHORT_MAX = 40;
  const LARGE_KEYS = fill(newDatabase()) - 20;

  /** Sets of long members, a hash, counters in keys and in fields; then keys without number. Returns how many of these there are. */
  function furnish(
    database: Database,
    fillersMax: number,
  ): { readonly fillers: number; readonly runner: CommandRunner } {
    const runner = new CommandRunner(database);
    const run = (...argv: string[]): void => {
      runner.run(argv);
      database.commit();
    };
    run('SADD', 'set', long(0, 2000), 'short');
    run('HSET', 'hash', ...words(6, (i) => [`field ${i}`, long(i, 300)]));
    run('SET', 'target', 'before');
    run('INCR', 'target');
    for (let i = 0; i < 20; i++) run('INCR', `counter ${i}`);
    for (let i = 0; i < 20; i++) run('HINCRBY', 'counters', `counter ${i}`, '1');
    // Most of it, faster.
    for (let i = 0; i < LARGE_KEYS; i++) {
      set(database, `k${i}`, 8000);
      database.commit();
    }
    for (let fillers = 0; fillers < fillersMax; fillers++) {
      try {
        run('SET', `filler ${fillers}`, FILLER);
      } catch (error) {
        expect(error).toBeInstanceOf(ArenaFullError);
        return { fillers, runner };
      }
    }
    return { fillers: fillersMax, runner };
  }

  const fillersMax = furnish(newDatabase(), Infinity).fillers;

  it.each([
    ['SUNIONSTORE', 'target', 'set'],
    ['SUNIONSTORE', 'counters', 'set'],
    ['COPY', 'hash', 'target', 'REPLACE'],
    ['RENAME', 'counters', 'target'],
    ['MSET', ...words(20, (i) => [`counter ${i}`, 'a string'])],
    ['HSET', 'counters', ...words(20, (i) => [`counter ${i}`, 'a string'])],
  ])('is refused whole or done whole, however much room is left: %s %s', (...argv) => {
    let refusals = 0;
    for (let short = 1; short <= SHORT_MAX; short++) {
      const database = newDatabase();
      const { runner } = furnish(database, fillersMax - short);
      const before = database.digest();
      try {
        runner.run(argv);
      } catch (error) {
        refusals++;
        expect(error).toBeInstanceOf(ArenaFullError);
        expect(database.commit()).toBe(0);
        expect(database.digest()).toBe(before);
      }
    }
    expect(refusals).toBeGreaterThan(0);
    expect(refusals).toBeLessThan(SHORT_MAX);
  });
});
