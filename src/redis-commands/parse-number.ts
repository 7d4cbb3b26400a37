/**
 * Numbers among arguments, with Redis's idea of what a number is: integers without leading zeros, spaces or '+' (string2ll), and
 * decimals as strtold takes them, hexadecimal ones included.
 */
import { isInteger, readDecimal, readInteger, roundDecimals, type ExactNumber } from '../crdt/exact-number.ts';
import type { Args } from '../resp/args.ts';
import type { Reply } from '../resp/reply.ts';

const INFINITE = /^[+-]?inf(inity)?$/i;

/** A signed 64-bit integer, exact; null: it is not one. */
export function parseExactInteger(args: Args, index: number): ExactNumber | null {
  return readInteger(args.bytes, args.starts[index]!, args.lengths[index]!);
}

/** A signed 64-bit integer where only magnitude matters beyond 2^53 (offsets, counts): rounded there. NaN: it is not one. */
export function parseInteger(args: Args, index: number): number {
  const value = readInteger(args.bytes, args.starts[index]!, args.lengths[index]!);
  if (typeof value === 'number') return value;
  return value === null ? NaN : value.toNumber();
}

/**
 * A decimal to add, without the digits that Redis would never show. null: not a number; Infinity (for either sign): infinite.
 */
export function parseDecimal(args: Args, index: number): ExactNumber | null {
  const value = readDecimal(args.bytes, args.starts[index]!, args.lengths[index]!);
  if (value === null) return isInfinite(args.bytes, args.starts[index]!, args.lengths[index]!) ? Infinity : null;
  return roundDecimals(value);
}

/** Whether the text says that it is infinite: a number for Redis, but none that can be added to. */
export function isInfinite(bytes: Uint8Array, start: number, length: number): boolean {
  if (length < 3 || length > 9) return false;
  return INFINITE.test(Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1'));
}

/** Replies an integer of the whole signed 64-bit range. */
export function replyExact(reply: Reply, value: ExactNumber): void {
  if (typeof value === 'number') reply.integer(value);
  else reply.bigint(BigInt(isInteger(value) ? value.toFixed(0) : 0));
}
