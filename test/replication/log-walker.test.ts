import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BATCH, FRAME, readU32, readU48, writeU32 } from '../../src/crdt/frame.ts';
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import { LogWalker } from '../../src/replication/log-walker.ts';
import { makeBatch } from './fake-database.ts';

const seal = Buffer.alloc(19);
writeU32(seal, 0, 15);
seal[4] = FRAME.seal;

/** Walks the log in slices of these lengths (at least a frame's head); returns what was sent. */
function walk(
  log: Buffer,
  lengths: readonly number[],
  wanted: readonly number[],
  origins: OriginTable,
): { readonly sent: Buffer; readonly walker: LogWalker } {
  const walker = new LogWalker(origins);
  walker.setWanted(wanted);
  const runs: Buffer[] = [];
  let position = 0;
  for (let i = 0; position < log.length && walker.gap < 0; i++) {
    const slice = log.subarray(position, position + lengths[i % lengths.length]!);
    position += walker.walk(slice, (bytes, start, end) => runs.push(Buffer.from(bytes.subarray(start, end))));
  }
  return { sent: Buffer.concat(runs), walker };
}

describe('the log walker', () => {
  it('sends exactly the wanted batches, in order, however the log is sliced', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ instance: fc.integer({ min: 1, max: 4 }), size: fc.nat(200), sealed: fc.boolean() }), {
          maxLength: 40,
        }),
        fc.array(fc.integer({ min: 32, max: 500 }), { minLength: 1, maxLength: 5 }),
        fc.subarray([1, 2, 3, 4]),
        (list, lengths, wantedInstances) => {
          const origins = new OriginTable();
          const indexes = [1, 2, 3, 4].map((instance) => origins.indexOf(instance, 7));
          const seqs = [0, 0, 0, 0, 0];
          const log: Buffer[] = [];
          const expected: Buffer[] = [];
          for (const { instance, size, sealed } of list) {
            const frame = makeBatch({ instance, generation: 7, seq: ++seqs[instance]!, text: 'z'.repeat(size) });
            log.push(frame);
            if (sealed) log.push(seal);
            if (wantedInstances.includes(instance)) expected.push(frame);
          }
          const wanted = wantedInstances.map((instance) => indexes[instance - 1]!);
          const { sent, walker } = walk(Buffer.concat(log), lengths, wanted, origins);
          expect(sent.equals(Buffer.concat(expected))).toBe(true);
          expect(walker.frameBytesLeft).toBe(0);
          for (const instance of wantedInstances) expect(walker.sent.get(indexes[instance - 1]!)).toBe(seqs[instance]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('passes over what was sent, and stops before a batch whose predecessor is missing', () => {
    const origins = new OriginTable();
    const index = origins.indexOf(1, 7);
    const log = Buffer.concat([1, 2, 4].map((seq) => makeBatch({ instance: 1, generation: 7, seq, text: '' })));
    const walker = new LogWalker(origins);
    walker.setWanted([index]);
    const has = new VersionVector();
    has.set(index, 1);
    walker.raiseSent(has);
    const runs: number[] = [];
    const count = walker.walk(log, (bytes, start, end) => {
      for (let at = start; at < end; at += 4 + readU32(bytes, at)) runs.push(readU48(bytes, at + BATCH.seq));
    });
    expect(runs).toEqual([2]);
    expect(walker.gap).toBe(index);
    expect(count).toBe((log.length / 3) * 2);
  });

  it('makes one run of neighbours and does not copy them', () => {
    const origins = new OriginTable();
    const index = origins.indexOf(1, 7);
    const log = Buffer.concat(
      Array.from({ length: 1000 }, (_, i) => makeBatch({ instance: 1, generation: 7, seq: i + 1, text: 'v' })),
    );
    const walker = new LogWalker(origins);
    walker.setWanted([index]);
    const runs: [Buffer, number, number][] = [];
    walker.walk(log, (...run) => runs.push(run));
    expect(runs).toHaveLength(1);
    expect(runs[0]![0]).toBe(log);
    expect(runs[0]!.slice(1)).toEqual([0, log.length]);
  });
});
