import { describe, expect, it } from '@jest/globals';
import { BATCH, BATCH_HAS_CONTEXT, FRAME, writeU32, writeU48 } from '../../src/crdt/frame.ts';
import { Node } from './cluster.ts';

/** A batch without effects. `context`: the instance that it says to have seen something of. */
function batchOf(options: { readonly instance: number; readonly seq: number; readonly context?: number }): Buffer {
  const { instance, seq, context } = options;
  const delta = context === undefined ? [] : [1, context, 1, 0, 0, 0, 7];
  const bytes = Buffer.concat([Buffer.alloc(BATCH.body), Buffer.from(delta)]);
  writeU32(bytes, 0, bytes.length - 4);
  bytes[4] = FRAME.batch;
  bytes[BATCH.flags] = context === undefined ? 0 : BATCH_HAS_CONTEXT;
  bytes[BATCH.instance] = instance;
  writeU32(bytes, BATCH.generation, 1);
  writeU48(bytes, BATCH.seq, seq);
  return bytes;
}

describe('A batch of another instance', () => {
  const apply = (bytes: Buffer): string => new Node(1, 1).database.applyBatch(bytes, 0, bytes.length);

  it('is applied when it is the next and all that it names is here, and waits otherwise', () => {
    expect(apply(batchOf({ instance: 2, seq: 1 }))).toBe('applied');
    expect(apply(batchOf({ instance: 2, seq: 2 }))).toBe('early');
    expect(apply(batchOf({ instance: 2, seq: 1, context: 3 }))).toBe('early');
    expect(apply(batchOf({ instance: 2, seq: 2, context: 3 }))).toBe('early');
  });

  it('that names instance 0 is refused at once: waiting for it, the link would ask peers for it by name for ever', () => {
    expect(() => apply(batchOf({ instance: 0, seq: 1 }))).toThrow();
    expect(() => apply(batchOf({ instance: 0, seq: 9 }))).toThrow();
    expect(() => apply(batchOf({ instance: 2, seq: 1, context: 0 }))).toThrow();
    expect(() => apply(batchOf({ instance: 2, seq: 9, context: 0 }))).toThrow();
  });

  it('whose context ends within an entry is refused', () => {
    const whole = batchOf({ instance: 2, seq: 1, context: 3 });
    for (let cut = 1; cut <= 6; cut++) {
      const bytes = Buffer.from(whole.subarray(0, whole.length - cut));
      writeU32(bytes, 0, bytes.length - 4);
      expect(() => apply(bytes)).toThrow();
    }
  });
});
