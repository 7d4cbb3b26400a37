/**
 * Bitmaps: strings seen as bits, the highest bit of the first byte being bit 0.
 *
 * Whatever changes a bit writes the whole string, since concurrent changes of a string are resolved by the last writer.
 */
import { TYPE } from '../database/key-ref.ts';
import type { ValueRef } from '../database/value-ref.ts';
import { copyBytes } from '../memory/arena.ts';
import { parseInteger } from './parse-number.ts';
import { readBitOffsetOrReply, readBitRangeOrReply } from './parse-bits.ts';
import { scratch } from './scratch.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { isStringOrReply, readValue, writeChanged } from './string-access.ts';
import { NOT_AN_INTEGER, SYNTAX_ERROR } from './texts.ts';

const WHOLE_VALUE = 'The whole value is replicated: of concurrent changes the last writer wins.';
const BAD_BIT = 'ERR bit is not an integer or out of range';

/** Number of bits set in each byte. */
const BITS_SET = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

function setbit(call: Call): void {
  const { args, database, reply } = call;
  const offset = readBitOffsetOrReply(call, 2);
  if (offset < 0) return;
  const bit = parseInteger(args, 3);
  if (bit !== 0 && bit !== 1) {
    reply.error(BAD_BIT);
    return;
  }
  const key = database.lookupWrite(args, 1);
  if (!isStringOrReply(call, key)) return;
  const old = readValue(call, key);
  const oldLength = old.length;
  const at = Math.floor(offset / 8);
  const mask = 0x80 >>> (offset & 7);
  const wasSet = at < oldLength && (old.bytes[old.start + at]! & mask) !== 0;
  if (at >= oldLength || wasSet !== (bit === 1)) {
    const length = Math.max(oldLength, at + 1);
    const value = scratch(length);
    copyBytes(value, 0, old.bytes, old.start, oldLength);
    value.fill(0, oldLength, length);
    value[at] = bit === 1 ? value[at]! | mask : value[at]! & ~mask;
    writeChanged(call, key, value, length, oldLength);
  }
  reply.integer(wasSet ? 1 : 0);
}

function getbit(call: Call): void {
  const offset = readBitOffsetOrReply(call, 2);
  if (offset < 0) return;
  const key = call.database.lookup(call.args, 1);
  if (isStringOrReply(call, key)) call.reply.integer(bitAt(readValue(call, key), offset));
}

/** 0 beyond the end. */
function bitAt({ bytes, start, length }: ValueRef, offset: number): number {
  const at = Math.floor(offset / 8);
  return at < length ? (bytes[start + at]! >>> (7 - (offset & 7))) & 1 : 0;
}

function bitcount(call: Call): void {
  const { args, reply } = call;
  const key = call.database.lookup(args, 1);
  if (key.type === TYPE.none) {
    reply.integer(0);
    return;
  }
  if (!isStringOrReply(call, key)) return;
  if (args.count === 3 || args.count > 5) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const value = readValue(call, key);
  if (args.count === 2) {
    reply.integer(countBits(value, 0, value.length * 8 - 1));
    return;
  }
  const start = parseInteger(args, 2);
  const end = parseInteger(args, 3);
  const isReversed = start < 0 && end < 0 && start > end;
  // Redis looks at these before it looks at the unit.
  if (Number.isNaN(start) || Number.isNaN(end) || isReversed) {
    if (isReversed) reply.integer(0);
    else reply.error(NOT_AN_INTEGER);
    return;
  }
  const range = readBitRangeOrReply(call, 2, 3, args.count === 5 ? 4 : 0, value.length);
  if (range !== null) reply.integer(countBits(value, range.first, range.last));
}

/** Bits set from `first` to `last`, both included. */
function countBits({ bytes, start }: ValueRef, first: number, last: number): number {
  if (first > last) return 0;
  const firstByte = start + Math.floor(first / 8);
  const lastByte = start + Math.floor(last / 8);
  let count = 0;
  for (let i = firstByte; i <= lastByte; i++) count += BITS_SET[bytes[i]!]!;
  // Less those of the first byte before the range, and those of the last byte behind it.
  count -= BITS_SET[bytes[firstByte]! & ~(0xff >>> (first & 7)) & 0xff]!;
  return count - BITS_SET[bytes[lastByte]! & (0x7f >>> (last & 7))]!;
}

function bitpos(call: Call): void {
  const { args, database, reply } = call;
  const bit = parseInteger(args, 2);
  if (bit !== 0 && bit !== 1) {
    reply.error(Number.isNaN(bit) ? NOT_AN_INTEGER : 'ERR The bit argument must be 1 or 0.');
    return;
  }
  const key = database.lookup(args, 1);
  if (key.type === TYPE.none) {
    reply.integer(bit === 1 ? -1 : 0);
    return;
  }
  if (!isStringOrReply(call, key)) return;
  if (args.count > 6) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const value = readValue(call, key);
  const hasEnd = args.count > 4;
  let first = 0;
  let last = value.length * 8 - 1;
  if (args.count > 3) {
    const range = readBitRangeOrReply(call, 3, hasEnd ? 4 : 0, args.count === 6 ? 5 : 0, value.length);
    if (range === null) return;
    ({ first, last } = range);
  }
  const position = first > last ? -1 : findBit(value, bit, first, last);
  // Without an explicit end the string goes on in zeros for ever.
  const isBeyond = position < 0 && bit === 0 && !hasEnd && first <= last;
  reply.integer(isBeyond ? value.length * 8 : position);
}

/** The first such bit from `first` to `last`; -1: none. */
function findBit(value: ValueRef, bit: number, first: number, last: number): number {
  const { bytes, start } = value;
  const uniform = bit === 1 ? 0 : 0xff;
  for (let at = first; at <= last; at++) {
    if ((at & 7) === 0) {
      let byte = at / 8;
      const lastByte = Math.floor(last / 8);
      while (byte <= lastByte && bytes[start + byte] === uniform) byte++;
      at = byte * 8;
      if (at > last) return -1;
    }
    if (bitAt(value, at) === bit) return at;
  }
  return -1;
}

type Combine = 'AND' | 'OR' | 'XOR' | 'NOT';

function bitop(call: Call): void {
  const { args, database, reply } = call;
  const combine = readCombine(call);
  if (combine === null || (combine === 'NOT' && args.count !== 4)) {
    reply.error(combine === null ? SYNTAX_ERROR : 'ERR BITOP NOT must be called with a single source key.');
    return;
  }
  let length = 0;
  for (let i = 3; i < args.count; i++) {
    const key = database.lookup(args, i);
    if (!isStringOrReply(call, key)) return;
    length = Math.max(length, readValue(call, key).length);
  }
  const result = scratch(length);
  result.fill(0, 0, length);
  for (let i = 3; i < args.count; i++) {
    const value = readValue(call, database.lookup(args, i));
    if (i === 3) copyBytes(result, 0, value.bytes, value.start, value.length);
    else combineBytes(combine, result, length, value);
  }
  if (combine === 'NOT') for (let i = 0; i < length; i++) result[i] = ~result[i]!;
  const target = database.lookupWrite(args, 2);
  if (length > 0) database.writer.set(target, result, 0, length);
  else if (target.type !== TYPE.none) database.writer.remove(target);
  reply.integer(length);
}

/** null: there is no such operation. */
function readCombine({ args }: Call): Combine | null {
  if (args.isWord(1, 'AND')) return 'AND';
  if (args.isWord(1, 'OR')) return 'OR';
  if (args.isWord(1, 'XOR')) return 'XOR';
  return args.isWord(1, 'NOT') ? 'NOT' : null;
}

/** A value that is shorter goes on in zeros. */
function combineBytes(combine: Combine, result: Buffer, length: number, value: ValueRef): void {
  const { bytes, start } = value;
  const common = value.length;
  if (combine === 'AND') {
    for (let i = 0; i < common; i++) result[i]! &= bytes[start + i]!;
    result.fill(0, common, length);
  } else if (combine === 'OR') {
    for (let i = 0; i < common; i++) result[i]! |= bytes[start + i]!;
  } else {
    for (let i = 0; i < common; i++) result[i]! ^= bytes[start + i]!;
  }
}

export const BITMAP_COMMANDS = [
  {
    name: 'SETBIT',
    summary: 'Sets or clears a bit and returns what it was.',
    group: 'bitmap',
    since: '2.2.0',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: ONE_KEY,
    deviation: WHOLE_VALUE,
    run: setbit,
  },
  {
    name: 'GETBIT',
    summary: 'Returns a bit.',
    group: 'bitmap',
    since: '2.2.0',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: getbit,
  },
  {
    name: 'BITCOUNT',
    summary: 'Counts the bits that are set, in the whole string or a range of bytes or bits.',
    group: 'bitmap',
    since: '2.6.0',
    arity: -2,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: bitcount,
  },
  {
    name: 'BITPOS',
    summary: 'Finds the first bit that is set, or clear.',
    group: 'bitmap',
    since: '2.8.7',
    arity: -3,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: bitpos,
  },
  {
    name: 'BITOP',
    summary: 'Combines strings bit by bit into another.',
    group: 'bitmap',
    since: '2.6.0',
    arity: -4,
    flags: ['write', 'denyoom'],
    keys: { first: 2, last: -1, step: 1 },
    deviation: WHOLE_VALUE,
    run: bitop,
  },
] as const satisfies readonly CommandSpec[];
