import { describe, expect, it } from '@jest/globals';
import { uniformBelow } from '../../src/base/uniform.ts';
import { chiSquare } from '../chi-square.ts';
import { seededRandom } from '../database/cluster.ts';

describe('uniformBelow', () => {
  it('is uniform for every bound, those that the remainder would favour small numbers for included', () => {
    const random = seededRandom(3);
    for (const bound of [1, 2, 3, 7, 64, 100, 1000]) {
      const counts = new Array<number>(bound).fill(0);
      for (let i = 0; i < 100 * bound; i++) counts[uniformBelow(bound, random)]!++;
      expect(chiSquare(counts)).toBeLessThan(2);
    }
    const thirds = [0, 0, 0];
    for (let i = 0; i < 3000; i++) thirds[Math.floor(uniformBelow(3 * 2 ** 30, random) / 2 ** 30)]!++;
    expect(chiSquare(thirds)).toBeLessThan(2);
  });

  it('reaches both ends, up to 2^32', () => {
    expect(uniformBelow(2 ** 32, () => 0xffffffff)).toBe(2 ** 32 - 1);
    expect(uniformBelow(2 ** 32, () => 0)).toBe(0);
    expect(uniformBelow(5, () => 4 << 29)).toBe(4);
  });
});
