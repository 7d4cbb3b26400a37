/**
 * Times to live among arguments: seconds or milliseconds, from now or since 1970, checked as Redis checks them and turned into ms
 * since 1970.
 *
 * Times are doubles everywhere behind this: what a double cannot hold exactly is refused here, as Redis refuses what 64 bits cannot hold.
 */
import type { ExactNumber } from '../crdt/exact-number.ts';
import { parseExactInteger } from './parse-number.ts';
import type { Call } from './spec.ts';
import { invalidExpireTime, NOT_AN_INTEGER } from './texts.ts';

export interface ExpiryUnit {
  /** Milliseconds per unit. */
  readonly scale: 1 | 1000;
  /** Counted from now, or from 1970. */
  readonly isRelative: boolean;
}

export const EX: ExpiryUnit = { scale: 1000, isRelative: true };
export const PX: ExpiryUnit = { scale: 1, isRelative: true };
export const EXAT: ExpiryUnit = { scale: 1000, isRelative: false };
export const PXAT: ExpiryUnit = { scale: 1, isRelative: false };

/** The latest time that is kept to the millisecond, in the year 287396. */
const EXPIRY_MS_MAX = BigInt(Number.MAX_SAFE_INTEGER);
const INT64_MIN = -(2n ** 63n);
/** Seconds up to here, and any time now, add up exactly. */
const PLAIN_MAX = 2 ** 42;

/**
 * The time that the argument names, ms since 1970; NaN: an error was replied. `command`: lower case, for its text. `positive`: zero and
 * below are errors (SET and its kin); EXPIRE takes them as "now".
 */
export function readExpiryOrReply(
  call: Call,
  index: number,
  unit: ExpiryUnit,
  command: string,
  positive: boolean,
): number {
  const value = parseExactInteger(call.args, index);
  if (value === null) {
    call.reply.error(NOT_AN_INTEGER);
    return NaN;
  }
  const base = unit.isRelative ? call.database.nowMs : 0;
  const atMs =
    positive && (typeof value === 'number' ? value <= 0 : value.lte(0)) ? NaN : absolute(value, unit.scale, base);
  if (Number.isNaN(atMs)) call.reply.error(invalidExpireTime(command));
  return atMs;
}

/** NaN: later than can be kept, or before what Redis counts in milliseconds. However long ago a time is, it is over. */
function absolute(value: ExactNumber, scale: number, base: number): number {
  if (typeof value === 'number' && Math.abs(value) < PLAIN_MAX) return value * scale + base;
  const product = BigInt(value.toFixed(0)) * BigInt(scale);
  const sum = product + BigInt(Math.trunc(base));
  return sum > EXPIRY_MS_MAX || product < INT64_MIN ? NaN : Number(sum);
}
