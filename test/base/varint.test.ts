import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readVarint, VARINT_BYTES_MAX, varintBytes, writeVarint } from '../../src/base/varint.ts';
import { assertLaw } from '../law.ts';

const value = fc.oneof(
  fc.nat({ max: 300 }),
  fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  fc.integer({ min: 0, max: 52 }).map((power) => 2 ** power - 1),
  fc.constant(Number.MAX_SAFE_INTEGER),
);

describe('a varint', () => {
  it('is read as it was written, one behind another', () => {
    assertLaw(
      fc.array(value, { maxLength: 20 }),
      (values) => {
        const bytes = Buffer.alloc(values.length * VARINT_BYTES_MAX);
        let end = 0;
        for (const one of values) {
          const next = writeVarint(bytes, end, one);
          expect(next - end).toBe(varintBytes(one));
          end = next;
        }
        let at = 0;
        for (const one of values) {
          expect(readVarint(bytes, at)).toBe(one);
          at += varintBytes(one);
        }
        expect(at).toBe(end);
      },
      { runs: 200, print: (values) => values.join(' ') },
    );
  });

  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 32, '8080808010'],
    [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f'],
  ])('of %d is %s', (number, hex) => {
    const bytes = Buffer.alloc(VARINT_BYTES_MAX);
    expect(bytes.subarray(0, writeVarint(bytes, 0, number)).toString('hex')).toBe(hex);
  });

  it('takes bytes past the end for 0 and never reads more than eight', () => {
    expect(readVarint(Buffer.from('80', 'hex'), 0)).toBe(0);
    expect(readVarint(Buffer.alloc(0), 0)).toBe(0);
    expect(readVarint(Buffer.alloc(20, 0x80), 0)).toBe(0);
  });
});
