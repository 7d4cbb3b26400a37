import { describe, expect, it } from '@jest/globals';
import { equalBytes } from '../../src/base/equal-bytes.ts';

const SOURCE = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 7 + 1) & 0xff));
const LENGTHS = [0, 1, 3, 4, 5, 7, 8, 48, 63];

describe('Runs of bytes', () => {
  it.each(LENGTHS)('of %i bytes are told apart by any one of them', (length) => {
    const other = Buffer.concat([Buffer.from('ab'), SOURCE]);
    expect(equalBytes(SOURCE, 5, other, 7, length)).toBe(true);
    for (let i = 0; i < length; i++) {
      other[7 + i]! ^= 1;
      expect(equalBytes(SOURCE, 5, other, 7, length)).toBe(false);
      other[7 + i]! ^= 1;
    }
  });
});
