import { describe, expect, it } from '@jest/globals';
import { hashKey } from '../../src/memory/key-hash.ts';
import { chiSquare } from '../chi-square.ts';

/** HalfSipHash with any number of rounds, as its specification writes it down. */
function halfSipHash(
  rounds: { readonly perWord: number; readonly last: number },
  key: readonly [number, number],
  input: Uint8Array,
): number {
  const v = [key[0], key[1], 0x6c796765 ^ key[0], 0x74656462 ^ key[1]];
  const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
  const round = (): void => {
    v[0] = (v[0]! + v[1]!) | 0;
    v[1] = rotate(v[1]!, 5) ^ v[0];
    v[0] = rotate(v[0], 16);
    v[2] = (v[2]! + v[3]!) | 0;
    v[3] = rotate(v[3]!, 8) ^ v[2];
    v[0] = (v[0] + v[3]) | 0;
    v[3] = rotate(v[3], 7) ^ v[0];
    v[2] = (v[2] + v[1]) | 0;
    v[1] = rotate(v[1], 13) ^ v[2];
    v[2] = rotate(v[2], 16);
  };
  const padded = Buffer.alloc((input.length & ~3) + 4);
  padded.set(input);
  padded[padded.length - 1] = input.length;
  for (let at = 0; at < padded.length; at += 4) {
    v[3] = v[3]! ^ padded.readInt32LE(at);
    for (let i = 0; i < rounds.perWord; i++) round();
    v[0] = v[0]! ^ padded.readInt32LE(at);
  }
  v[2] = v[2]! ^ 0xff;
  for (let i = 0; i < rounds.last; i++) round();
  return (v[1]! ^ v[3]!) | 0;
}

const sequence = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i);

describe('the hash of keys', () => {
  it('is HalfSipHash-1-3, of the specification whose 2-4 gives the published values', () => {
    const published = ['a9359f5b', '27475ab8', 'fa62a603'];
    for (const [length, hex] of published.entries()) {
      const hash = Buffer.alloc(4);
      hash.writeInt32LE(halfSipHash({ perWord: 2, last: 4 }, [0x03020100, 0x07060504], sequence(length)));
      expect(hash.toString('hex')).toBe(hex);
    }
    for (let length = 0; length < 70; length++) {
      const bytes = Buffer.concat([Buffer.from('..'), sequence(length), Buffer.from('..')]);
      for (const [a, b] of [
        [1, 2],
        [0xffffffff, 0x9abcdef0],
      ] as const) {
        expect(hashKey(a, b, bytes, 2, length)).toBe(
          halfSipHash({ perWord: 1, last: 3 }, [a | 0, b | 0], sequence(length)),
        );
      }
    }
  });

  it('spreads keys that differ little over all buckets, by its lowest bits', () => {
    for (const name of [
      (i: number) => `key:${i}`,
      (i: number) => String(i),
      (i: number) => 'x'.repeat(i % 7) + (i << 8),
    ]) {
      const counts = new Array<number>(1024).fill(0);
      for (let i = 0; i < 20_480; i++) {
        const bytes = Buffer.from(name(i));
        counts[hashKey(5, 6, bytes, 0, bytes.length) & 1023]!++;
      }
      expect(chiSquare(counts)).toBeLessThan(1.25);
    }
  });
});
