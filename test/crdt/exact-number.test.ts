import { describe, expect, it } from '@jest/globals';
import Big from 'big.js';
import fc from 'fast-check';
import {
  addExact,
  clampInt64,
  fitsInt64,
  formatExact,
  isInteger,
  isZero,
  parseExact,
  readDecimal,
  readInteger,
  roundDecimals,
  subtractExact,
} from '../../src/crdt/exact-number.ts';
import { assertLaw } from '../law.ts';

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const EDGES = [0n, 1n, -1n, 2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), INT64_MAX, INT64_MIN];

const integer = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }).map(BigInt),
  fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
  fc.constantFrom(...EDGES),
);
const decimal = fc
  .tuple(integer, fc.nat({ max: 25 }))
  .map(([digits, scale]) => new Big(String(digits)).div(new Big(10).pow(scale)).toFixed());

const read = <T>(reader: (bytes: Uint8Array, start: number, length: number) => T, text: string): T => {
  const bytes = Buffer.from(`<${text}>`, 'latin1');
  return reader(bytes, 1, bytes.length - 2);
};

describe('exact numbers', () => {
  it('add and subtract integers as BigInt does', () => {
    assertLaw(
      fc.tuple(integer, integer),
      ([a, b]) => {
        const [x, y] = [parseExact(String(a)), parseExact(String(b))];
        expect(formatExact(addExact(x, y))).toBe(String(a + b));
        expect(formatExact(subtractExact(x, y))).toBe(String(a - b));
        expect(isZero(subtractExact(x, x))).toBe(true);
        expect(typeof x === 'number').toBe(a >= -(2n ** 53n) + 1n && a < 2n ** 53n);
        expect(isInteger(addExact(x, y))).toBe(true);
        expect(fitsInt64(addExact(x, y))).toBe(a + b <= INT64_MAX && a + b >= INT64_MIN);
        const clamped = a + b > INT64_MAX ? INT64_MAX : a + b < INT64_MIN ? INT64_MIN : a + b;
        expect(formatExact(clampInt64(addExact(x, y)))).toBe(String(clamped));
      },
      { runs: 100, print: (pair) => pair.join(' and ') },
    );
  });

  it('add and subtract decimals as big.js does, and go back to integers where they are', () => {
    assertLaw(
      fc.tuple(decimal, decimal),
      ([a, b]) => {
        const [x, y] = [parseExact(a), parseExact(b)];
        expect(formatExact(addExact(x, y))).toBe(new Big(a).plus(b).toFixed());
        expect(formatExact(subtractExact(addExact(x, y), y))).toBe(new Big(a).toFixed());
        const back = subtractExact(addExact(x, y), y);
        expect(typeof back).toBe(typeof x);
        expect(formatExact(roundDecimals(x))).toBe(new Big(a).round(17, 2).toFixed());
      },
      { runs: 100, print: (pair) => pair.join(' and ') },
    );
  });

  it('read back what they print', () => {
    assertLaw(
      decimal,
      (text) => {
        const value = parseExact(text);
        expect(formatExact(parseExact(formatExact(value)))).toBe(formatExact(value));
        expect(formatExact(read(readDecimal, text)!)).toBe(formatExact(value));
        const asInteger = read(readInteger, text);
        if (!isInteger(value) || !fitsInt64(value)) expect(asInteger).toBeNull();
        else expect(formatExact(asInteger!)).toBe(text);
      },
      { runs: 100, print: (text) => text },
    );
  });

  it.each(['', '-', '+1', '01', '-0', '-01', ' 1', '1 ', '1.0', '0x1', '9223372036854775808', '-9223372036854775809'])(
    'do not take %j for an integer',
    (text) => {
      expect(read(readInteger, text)).toBeNull();
    },
  );

  it.each([
    ['+1', '1'],
    ['1.', '1'],
    ['.5', '0.5'],
    ['-0', '0'],
    ['-0.50', '-0.5'],
    ['5.e2', '500'],
    ['1e-3', '0.001'],
    ['9223372036854775808', '9223372036854775808'],
    ['-0x1F.8', '-31.5'],
    ['0x1p-3', '0.125'],
    ['0x1p70', '1180591620717411303424'],
    ['0e-99999', '0'],
  ])('take %j for the decimal %s', (text, value) => {
    expect(formatExact(read(readDecimal, text)!)).toBe(value);
  });

  it.each([
    '',
    '.',
    '-',
    'e5',
    '1e',
    '1e99999',
    '2e4932',
    '1e-5000',
    '0x',
    '0x1p16384',
    'inf',
    'nan',
    ' 1',
    '1 ',
    '1'.repeat(5120),
  ])('do not take %j for a decimal', (text) => {
    expect(read(readDecimal, text)).toBeNull();
  });
});
