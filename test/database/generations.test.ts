/** Replaying the log comes to what was there when it was written, whoever wrote what stands in it. */
import { describe, expect, it } from '@jest/globals';
import { FRAME, readU32 } from '../../src/crdt/frame.ts';
import { Database } from '../../src/database/database.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { readVisible } from '../simulation/read-visible.ts';
import { framesOf, seededRandom, START_MS } from './cluster.ts';

const GENERATION = START_MS / 1000;

function newDatabase(instance: number, generation = 0): Database {
  const limits = { smallContainerEntries: 2, smallKeyspaceKeys: 1 };
  const options = { segmentBytes: 1 << 20, logChunkBytes: 1 << 12, limits };
  const database = new Database({ instance, generation, random: seededRandom(instance), ...options });
  database.setTime(START_MS);
  return database;
}

function count(database: Database, field: string): void {
  const ref = database.lookupWrite(makeArgs(['h']), 0);
  database.writer.addField(ref, Buffer.from(field), 0, field.length, 1);
  database.commit();
}

function removeAll(database: Database): void {
  database.writer.remove(database.lookupWrite(makeArgs(['h']), 0));
  database.commit();
}

/** All frames of its log, as recovery reads them. */
function replay(log: Database['log'], into: Database): void {
  for (let at = log.start; at < log.end;) {
    const bytes = Buffer.from(log.view(at, Infinity)!);
    const length = 4 + readU32(bytes, 0);
    if (bytes[4] === FRAME.generation) into.resumeGeneration(readU32(bytes, 5));
    else into.replayBatch(bytes, 0, length);
    at += length;
  }
}

describe('an instance that has got back from a peer what its earlier generation had lost', () => {
  it.each([1, 5])(
    'recovers what it had before, with removals that had not seen its newer writes (%i fields)',
    (fields) => {
      const first = newDatabase(1);
      first.startGeneration(GENERATION, 0);
      for (let i = 0; i < fields; i++) count(first, `f${i}`);
      const kept = framesOf(first).length;
      removeAll(first);
      // With what a large removal names afterwards.
      first.settle();
      const lost = framesOf(first).slice(kept);

      const second = newDatabase(1);
      second.startGeneration(GENERATION, 0);
      for (const frame of framesOf(first).slice(0, kept)) second.applyBatch(frame, 0, frame.length);
      second.startGeneration(GENERATION + 1, 0);
      count(second, 'new');
      for (const frame of lost) second.applyBatch(frame, 0, frame.length);
      second.settle();
      const before = readVisible(second, 'h');
      expect(before).toMatchObject({ type: 'hash', fields: [['new', '1']] });

      const third = newDatabase(1);
      replay(second.log, third);
      third.settle();
      expect(readVisible(third, 'h')).toEqual(before);
      expect(third.digest()).toBe(second.digest());
    },
  );
});
