/**
 * Exact decimals for the oracle: a BigInt and a number of digits behind the point. Independent of the engine's arithmetic on purpose.
 */
export interface Decimal {
  /** The number times 10^scale. */
  readonly digits: bigint;
  readonly scale: number;
}

export const ZERO: Decimal = { digits: 0n, scale: 0 };

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const PATTERN = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/;

/** Reads a number as INCRBYFLOAT accepts it; null: not one. */
export function readDecimal(text: string): Decimal | null {
  const match = text.length <= 400 ? PATTERN.exec(text) : null;
  if (match === null) return null;
  const [, sign, whole, fraction, exponent] = match;
  if (whole === '' && fraction === '') return null;
  const power = Number(exponent ?? '0');
  if (Math.abs(power) > 9999) return null;
  const digits = BigInt(`${whole}${fraction}`) * (sign === '-' ? -1n : 1n);
  const scale = fraction!.length - power;
  return scale >= 0 ? trim({ digits, scale }) : { digits: digits * 10n ** BigInt(-scale), scale: 0 };
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return trim({ digits: atScale(a, scale) + atScale(b, scale), scale });
}

export const negate = (a: Decimal): Decimal => ({ digits: -a.digits, scale: a.scale });

export const fitsInt64 = ({ digits, scale }: Decimal): boolean =>
  scale === 0 && digits <= INT64_MAX && digits >= INT64_MIN;

/** An integer beyond the signed 64-bit range becomes the bound that it passed. */
export function clamp(value: Decimal): Decimal {
  if (value.scale > 0) return value;
  if (value.digits > INT64_MAX) return { digits: INT64_MAX, scale: 0 };
  return value.digits < INT64_MIN ? { digits: INT64_MIN, scale: 0 } : value;
}

export function formatDecimal({ digits, scale }: Decimal): string {
  if (scale === 0) return String(digits);
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0');
  return `${digits < 0n ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

const atScale = (value: Decimal, scale: number): bigint => value.digits * 10n ** BigInt(scale - value.scale);

function trim(value: Decimal): Decimal {
  let { digits, scale } = value;
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n;
    scale--;
  }
  return { digits, scale };
}
