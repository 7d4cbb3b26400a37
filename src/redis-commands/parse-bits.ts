/** Where bits are, among arguments: offsets of SETBIT, GETBIT and BITFIELD, ranges in bytes or bits of BITCOUNT and BITPOS. */
import { readInteger } from '../crdt/exact-number.ts';
import { STRING_BYTES_MAX } from './limits.ts';
import { parseInteger } from './parse-number.ts';
import type { Call } from './spec.ts';
import { NOT_AN_INTEGER, SYNTAX_ERROR } from './texts.ts';

const BAD_OFFSET = 'ERR bit offset is not an integer or out of range';
const HASH_SIGN = 35;

/** A bit within the longest string; -1: an error was replied. `bits` > 0 allows `#n`, the n-th field of that many bits. */
export function readBitOffsetOrReply({ args, reply }: Call, index: number, bits = 0): number {
  const start = args.starts[index]!;
  const isCounted = bits > 0 && args.lengths[index]! > 0 && args.bytes[start] === HASH_SIGN;
  const skip = isCounted ? 1 : 0;
  const value = readInteger(args.bytes, start + skip, args.lengths[index]! - skip);
  const offset = value === null ? -1 : Number(value) * (isCounted ? bits : 1);
  if (offset >= 0 && offset < STRING_BYTES_MAX * 8) return offset;
  reply.error(BAD_OFFSET);
  return -1;
}

/** Bits `first` to `last`, both included; first > last: none. */
export interface BitRange {
  first: number;
  last: number;
}

const RANGE: BitRange = { first: 0, last: -1 };

/**
 * The range that `start`, `end` and an optional unit name in a string of that many bytes. Negative ones count from the end. The result is
 * reused. null: an error was replied. `endIndex` 0: up to the end of the string.
 */
export function readBitRangeOrReply(
  { args, reply }: Call,
  startIndex: number,
  endIndex: number,
  unitIndex: number,
  byteCount: number,
): BitRange | null {
  let start = parseInteger(args, startIndex);
  let end = endIndex === 0 ? -1 : parseInteger(args, endIndex);
  const isBits = unitIndex !== 0 && args.isWord(unitIndex, 'BIT');
  const isBadUnit = !isBits && unitIndex !== 0 && !args.isWord(unitIndex, 'BYTE');
  if (Number.isNaN(start) || Number.isNaN(end) || isBadUnit) {
    reply.error(Number.isNaN(start) || !isBadUnit ? NOT_AN_INTEGER : SYNTAX_ERROR);
    return null;
  }
  const total = isBits ? byteCount * 8 : byteCount;
  if (start < 0) start = Math.max(0, total + start);
  if (end < 0) end = Math.max(0, total + end);
  end = Math.min(end, total - 1);
  // Beyond 2^53 a number minus one is the same number, so an empty range is always this one.
  const isEmpty = start > end;
  RANGE.first = isEmpty ? 0 : isBits ? start : start * 8;
  RANGE.last = isEmpty ? -1 : isBits ? end : end * 8 + 7;
  return RANGE;
}
