/**
 * Exact numbers for counters: safe integers as plain numbers, everything else as decimals of arbitrary size (big.js).
 *
 * Totals must be exact, so that 0.1 + 0.1 + 0.1 is 0.3 and two instances that count near the int64 bound neither wrap nor round;
 * but nearly every counter is a small integer, and those must cost nothing.
 *
 * Invariant: a value that is a safe integer is always a plain number, so equal values are of equal kind.
 */
import Big from 'big.js';

export type ExactNumber = number | Big;

Big.PE = 1_000_000;
Big.NE = -1_000_000;

/** Digits after the point that Redis prints at most. */
const DECIMALS_SHOWN = 17;
const INT64_MAX = new Big('9223372036854775807');
const INT64_MIN = new Big('-9223372036854775808');
const SAFE_MAX = new Big(Number.MAX_SAFE_INTEGER);

const normalize = (value: Big): ExactNumber =>
  value.abs().lte(SAFE_MAX) && value.eq(value.round(0, 0)) ? value.toNumber() + 0 : value;

export function addExact(a: ExactNumber, b: ExactNumber): ExactNumber {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return normalize(new Big(a).plus(b));
}

export function subtractExact(a: ExactNumber, b: ExactNumber): ExactNumber {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return normalize(new Big(a).minus(b));
}

export const isZero = (value: ExactNumber): boolean => (typeof value === 'number' ? value === 0 : value.eq(0));

export const isInteger = (value: ExactNumber): boolean => typeof value === 'number' || value.eq(value.round(0, 0));

export const formatExact = (value: ExactNumber): string =>
  typeof value === 'number' ? String(value) : value.toFixed();

/** Rounded to the decimals that Redis prints (`%.17Lf`), half to even. */
export function roundDecimals(value: ExactNumber): ExactNumber {
  return typeof value === 'number' ? value : normalize(value.round(DECIMALS_SHOWN, Big.roundHalfEven));
}

/** Text that `formatExact` or an integer parser made. */
export function parseExact(text: string): ExactNumber {
  return normalize(new Big(text));
}

/** Whether the value is an integer within the signed 64-bit range. */
export const fitsInt64 = (value: ExactNumber): boolean =>
  typeof value === 'number' || (isInteger(value) && value.lte(INT64_MAX) && value.gte(INT64_MIN));

/** An integer beyond the signed 64-bit range becomes the bound it passed. Other values stay. */
export function clampInt64(value: ExactNumber): ExactNumber {
  if (typeof value === 'number' || !isInteger(value)) return value;
  if (value.gt(INT64_MAX)) return INT64_MAX;
  return value.lt(INT64_MIN) ? INT64_MIN : value;
}

/**
 * Reads a canonical signed 64-bit integer as Redis's string2ll does: no sign but '-', no leading zero, no space. A safe one
 * comes back as a number; null: not an integer, or out of range.
 */
export function readInteger(bytes: Uint8Array, start: number, length: number): ExactNumber | null {
  if (length === 0 || length > 20) return null;
  let at = start;
  const end = start + length;
  const negative = bytes[at] === 45;
  if (negative && ++at === end) return null;
  const first = bytes[at]!;
  if (first === 48) return length === 1 ? 0 : null;
  let value = 0;
  for (let i = at; i < end; i++) {
    const digit = bytes[i]! - 48;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  if (end - at <= 15) return negative ? -value : value;
  let text = negative ? '-' : '';
  for (let i = at; i < end; i++) text += String.fromCharCode(bytes[i]!);
  const exact = parseExact(text);
  return fitsInt64(exact) ? exact : null;
}

const DECIMAL = /^[+-]?(?:(\d+)\.?(\d*)|\.(\d+))(?:[eE]([+-]?\d+))?$/;
const HEXADECIMAL = /^([+-]?)0[xX](?=\.?[\da-fA-F])([\da-fA-F]*)\.?([\da-fA-F]*)(?:[pP]([+-]?\d+))?$/;
/** Longest text that is read as a number, bytes: Redis's MAX_LONG_DOUBLE_CHARS without its end. */
const DECIMAL_CHARS_MAX = 5 * 1024 - 1;
/** What a long double of x86 can hold: larger is infinite, smaller zero, and Redis takes neither for a number. */
const LONG_DOUBLE_MAX = new Big('1.18973149535723176502e4932');
const LONG_DOUBLE_DIGITS = { max: 4932, min: -4951 };
const LONG_DOUBLE_BITS = { max: 16_384, min: -16_445 };

/** Whether Redis could not hold it. */
export const isBeyondLongDouble = (value: ExactNumber): boolean =>
  typeof value !== 'number' && value.abs().gt(LONG_DOUBLE_MAX);

/** Reads a finite number as INCRBYFLOAT accepts it, that is as strtold does: decimal or hexadecimal; null: not one. */
export function readDecimal(bytes: Uint8Array, start: number, length: number): ExactNumber | null {
  if (length === 0 || length > DECIMAL_CHARS_MAX) return null;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1');
  const decimal = DECIMAL.exec(text);
  if (decimal === null) return readHexadecimal(text);
  const [, whole = '', fraction = decimal[3] ?? '', , exponent = '0'] = decimal;
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return 0;
  const point = Number(exponent) - fraction.length;
  const magnitude = point + digits.length - 1;
  if (magnitude > LONG_DOUBLE_DIGITS.max || magnitude < LONG_DOUBLE_DIGITS.min) return null;
  const value = normalize(new Big(`${text.startsWith('-') ? '-' : ''}${digits}e${point}`));
  return isBeyondLongDouble(value) ? null : value;
}

/** Exact, where a long double keeps the first 64 bits. */
function readHexadecimal(text: string): ExactNumber | null {
  const [, sign, whole = '', fraction = '', exponent = '0'] = HEXADECIMAL.exec(text) ?? [];
  if (sign === undefined) return null;
  const mantissa = BigInt(`0x${whole}${fraction}`);
  if (mantissa === 0n) return 0;
  const point = Number(exponent) - 4 * fraction.length;
  const magnitude = point + mantissa.toString(2).length;
  if (magnitude > LONG_DOUBLE_BITS.max || magnitude < LONG_DOUBLE_BITS.min) return null;
  const value = point >= 0 ? `${mantissa << BigInt(point)}` : `${mantissa * 5n ** BigInt(-point)}e${point}`;
  return normalize(new Big(`${sign === '-' ? '-' : ''}${value}`));
}
