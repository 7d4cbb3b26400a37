import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FRAME, writeU32 } from '../../src/crdt/frame.ts';
import { FrameSplitter, frameSizesFromPeer, frameSizesFromPuller } from '../../src/replication/frame-splitter.ts';
import { REPLICATION_LIMITS } from '../../src/replication/limits.ts';

const sizes = frameSizesFromPeer(REPLICATION_LIMITS);

function frameOf(kind: number, payloadBytes: number, fill: number): Buffer {
  const frame = Buffer.alloc(5 + payloadBytes, fill);
  writeU32(frame, 0, payloadBytes + 1);
  frame[4] = kind;
  return frame;
}

/** Pushes the pieces, spoiling each afterwards; `handlesAtOnce` frames are taken per push, the rest later. */
function split(
  pieces: readonly Buffer[],
  handlesAtOnce = Infinity,
): { readonly frames: Buffer[]; readonly error: string | null } {
  const splitter = new FrameSplitter(sizes, REPLICATION_LIMITS);
  const frames: Buffer[] = [];
  const take = (countMax: number): void => {
    for (let i = 0; i < countMax && splitter.next(); i++) {
      frames.push(Buffer.from(splitter.bytes.subarray(splitter.start, splitter.end)));
    }
  };
  for (const piece of pieces) {
    const lent = Buffer.from(piece);
    splitter.push(lent);
    take(handlesAtOnce);
    splitter.detach();
    lent.fill(0xee);
  }
  take(Infinity);
  return { frames, error: splitter.error };
}

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

const anyFrames = fc.array(
  fc.record({
    kind: fc.constantFrom(FRAME.batch, FRAME.heartbeat, FRAME.ask, FRAME.snapshot),
    size: fc.nat(3000),
    fill: fc.nat(255),
  }),
  { maxLength: 20 },
);

describe('the frame splitter', () => {
  it('hands out the same frames however the bytes are cut and however many are taken at a time', () => {
    fc.assert(
      fc.property(
        anyFrames,
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 4 }),
        (list, lengths, countMax) => {
          const frames = list.map(({ kind, size, fill }) =>
            frameOf(kind, kind === FRAME.batch ? size + 20 : size, fill),
          );
          const result = split(cut(Buffer.concat(frames), lengths), countMax);
          expect(result.error).toBeNull();
          expect(result.frames.map((frame) => frame.length)).toEqual(frames.map((frame) => frame.length));
          expect(Buffer.concat(result.frames).equals(Buffer.concat(frames))).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('does not copy a frame that arrives whole', () => {
    const splitter = new FrameSplitter(sizes, REPLICATION_LIMITS);
    const bytes = Buffer.concat([frameOf(FRAME.batch, 100, 1), frameOf(FRAME.batch, 50, 2)]);
    splitter.push(bytes);
    expect(splitter.next()).toBe(true);
    expect(splitter.bytes).toBe(bytes);
    expect(splitter.next()).toBe(true);
    expect([splitter.start, splitter.end]).toEqual([105, 160]);
  });

  it('takes 32 MiB in pieces of 1 KiB in linear time', () => {
    const frame = frameOf(FRAME.batch, 32 * 1024 * 1024, 7);
    const splitter = new FrameSplitter(sizes, REPLICATION_LIMITS);
    let found = 0;
    for (let at = 0; at < frame.length; at += 1024) {
      splitter.push(frame.subarray(at, at + 1024));
      while (splitter.next()) found += splitter.end - splitter.start;
      splitter.detach();
    }
    expect(found).toBe(frame.length);
  });

  it('does not reserve memory for a length that is only announced', () => {
    const splitter = new FrameSplitter(sizes, REPLICATION_LIMITS);
    const header = Buffer.alloc(8);
    writeU32(header, 0, 1024 * 1024 * 1024);
    header[4] = FRAME.batch;
    splitter.push(header);
    expect(splitter.next()).toBe(false);
    expect(splitter.error).toBeNull();
    expect(splitter.heldBytes).toBe(8);
  });

  it('refuses what is too long for its kind, too short, or not expected from this side', () => {
    expect(split([frameOf(FRAME.heartbeat, REPLICATION_LIMITS.controlFrameBytesMax, 0)]).error).toMatch(
      /at most 1048576 are allowed/,
    );
    expect(split([frameOf(FRAME.batch, 3, 0)]).error).toBe('a frame of kind 1 has only 8 bytes');
    expect(split([frameOf(FRAME.ack, 3, 0)]).error).toBe('not a frame that belongs here: kind 21, 8 bytes');
    const fromPuller = new FrameSplitter(frameSizesFromPuller(REPLICATION_LIMITS), REPLICATION_LIMITS);
    fromPuller.push(frameOf(FRAME.batch, 100, 0));
    expect(fromPuller.next()).toBe(false);
    expect(fromPuller.error).toMatch(/^not a frame that belongs here: kind 1/);
  });

  it('never throws on any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 10 }), (pieces) => {
        split(pieces.map((piece) => Buffer.from(piece)));
      }),
    );
  });
});
