import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AppendBuffer } from '../../src/memory/append-buffer.ts';
import { assertLaw } from '../law.ts';

const CHUNK_BYTES = 64;
const START = 1000;

type Action =
  { readonly do: 'append' | 'pend' | 'view' | 'trim'; readonly size: number } | { readonly do: 'commit' | 'rollback' };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('append', 'pend', 'view', 'trim'), size: fc.nat({ max: 150 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('commit', 'rollback') }) },
);

/** Bytes from a position on, as the buffer gives them piece by piece. */
function readAll(buffer: AppendBuffer, position: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = position; at < buffer.end;) {
    const piece = buffer.view(at, 50)!;
    expect(piece.length).toBeGreaterThan(0);
    pieces.push(piece);
    at += piece.length;
  }
  return Buffer.concat(pieces);
}

describe('AppendBuffer', () => {
  it('holds what was committed at its position until it is trimmed, and a view stays as it was so long', () => {
    const check = (actions: readonly Action[]): void => {
      const buffer = new AppendBuffer({ chunkBytes: CHUNK_BYTES, start: START });
      let model = Buffer.alloc(0);
      let pending = Buffer.alloc(0);
      const views: { readonly position: number; readonly view: Buffer; readonly copy: Buffer }[] = [];
      let next = 0;
      for (const one of actions) {
        const size = 'size' in one ? one.size : 0;
        const bytes = Buffer.from(Array.from({ length: size }, () => next++ & 255));
        if (one.do === 'pend') {
          buffer.reserve(size);
          bytes.copy(buffer.bytes, buffer.offset);
          buffer.offset += size;
          pending = Buffer.concat([pending, bytes]);
        } else if (one.do === 'append') {
          buffer.append(bytes);
          model = Buffer.concat([model, pending, bytes]);
          pending = Buffer.alloc(0);
        } else if (one.do === 'commit') {
          buffer.commit();
          model = Buffer.concat([model, pending]);
          pending = Buffer.alloc(0);
        } else if (one.do === 'rollback') {
          buffer.rollback();
          pending = Buffer.alloc(0);
        } else if (one.do === 'trim') {
          const before = buffer.start;
          const position = Math.min(buffer.end, before + size);
          buffer.trimBefore(position);
          expect(buffer.start).toBeGreaterThanOrEqual(before);
          expect(buffer.start).toBeLessThanOrEqual(position);
        } else {
          const position = buffer.start + (size % (buffer.end - buffer.start + 1));
          const view = buffer.view(position, size)!;
          expect(view.length).toBeLessThanOrEqual(size);
          views.push({ position, view, copy: Buffer.from(view) });
        }
        expect(buffer.end).toBe(START + model.length);
        expect(buffer.heldBytes).toBe(buffer.end - buffer.start);
        expect(buffer.bytes.subarray(buffer.pendingStart, buffer.offset).equals(pending)).toBe(true);
        expect(readAll(buffer, buffer.start).equals(model.subarray(buffer.start - START))).toBe(true);
        expect(buffer.view(buffer.start - 1, 10)).toBeNull();
        expect(buffer.view(buffer.end + 1, 10)).toBeNull();
      }
      const held = views.filter(({ position }) => position >= buffer.start);
      for (const { view, copy } of held) expect(view.equals(copy)).toBe(true);
    };
    assertLaw(fc.array(action, { maxLength: 40 }), check, { runs: 100, print: (actions) => JSON.stringify(actions) });
  });

  it('fills a trimmed chunk again', () => {
    const buffer = new AppendBuffer({ chunkBytes: CHUNK_BYTES });
    const first = buffer.bytes;
    for (let i = 1; i <= 3; i++) buffer.append(Buffer.alloc(CHUNK_BYTES, i));
    buffer.trimBefore(2 * CHUNK_BYTES);
    expect(buffer.start).toBe(2 * CHUNK_BYTES);
    const chunks = [4, 5].map((i) => (buffer.append(Buffer.alloc(CHUNK_BYTES, i)), buffer.bytes));
    expect(chunks).toContain(first);
  });

  it('begins elsewhere only while it is empty', () => {
    const buffer = new AppendBuffer({ chunkBytes: CHUNK_BYTES });
    buffer.restartAt(5000);
    buffer.append(Buffer.from('abc'));
    expect([buffer.start, buffer.end, buffer.view(5001, 9)!.toString()]).toEqual([5000, 5003, 'bc']);
    expect(() => buffer.restartAt(0)).toThrow('only while it is empty');
  });
});
