/**
 * BITFIELD: integers of 1 to 64 bits at any bit of a string, read, set and counted up with a choice of what an overflow does.
 *
 * All operations of a call are read before the first is done, so a call with an error changes nothing. They work on a copy of the value,
 * which is written as a whole if anything came of it.
 */
import type { ValueRef } from '../database/value-ref.ts';
import { copyBytes } from '../memory/arena.ts';
import { readBitOffsetOrReply } from './parse-bits.ts';
import { parseExactInteger } from './parse-number.ts';
import { scratch } from './scratch.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { isStringOrReply, readValue, writeChanged } from './string-access.ts';
import { NOT_AN_INTEGER, SYNTAX_ERROR } from './texts.ts';

type Overflow = 'WRAP' | 'SAT' | 'FAIL';

interface Operation {
  readonly kind: 'GET' | 'SET' | 'INCRBY';
  readonly isSigned: boolean;
  readonly bits: number;
  /** First bit. */
  readonly offset: number;
  /** What to set or add; 0 for GET. */
  readonly operand: bigint;
  readonly overflow: Overflow;
}

const BAD_TYPE = 'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.';
const TYPE_PATTERN = /^([iu])([1-9][0-9]?)$/;

function bitfield(call: Call, isReadOnly: boolean): void {
  const operations = readOperationsOrReply(call);
  if (operations === null) return;
  const writeEnd = operations.reduce(
    (end, { kind, offset, bits }) => (kind === 'GET' ? end : Math.max(end, offset + bits)),
    0,
  );
  if (writeEnd === 0) read(call, operations);
  else if (isReadOnly) call.reply.error('ERR BITFIELD_RO only supports the GET subcommand');
  else write(call, operations, Math.ceil(writeEnd / 8));
}

function read(call: Call, operations: readonly Operation[]): void {
  const key = call.database.lookup(call.args, 1);
  if (!isStringOrReply(call, key)) return;
  const { bytes, start, length }: ValueRef = readValue(call, key);
  call.reply.array(operations.length);
  for (const operation of operations) call.reply.bigint(readField(bytes, start, length, operation));
}

/** `lengthMin`: bytes that the fields to be written reach to. */
function write(call: Call, operations: readonly Operation[], lengthMin: number): void {
  const { args, database, reply } = call;
  const key = database.lookupWrite(args, 1);
  if (!isStringOrReply(call, key)) return;
  const old = readValue(call, key);
  const oldLength = old.length;
  const length = Math.max(oldLength, lengthMin);
  const value = scratch(length);
  copyBytes(value, 0, old.bytes, old.start, oldLength);
  value.fill(0, oldLength, length);
  let isChanged = length > oldLength;
  reply.array(operations.length);
  for (const operation of operations) {
    const before = readField(value, 0, length, operation);
    const after = apply(operation, before);
    if (after === null) {
      reply.nil();
      continue;
    }
    reply.bigint(operation.kind === 'INCRBY' ? after : before);
    if (after === before) continue;
    writeField(value, operation, after);
    isChanged = true;
  }
  if (isChanged) writeChanged(call, key, value, length, oldLength);
}

/** The field's new value; null: it would overflow, and must not. */
function apply({ kind, isSigned, bits, operand, overflow }: Operation, before: bigint): bigint | null {
  if (kind === 'GET') return before;
  const max = isSigned ? 2n ** BigInt(bits - 1) - 1n : 2n ** BigInt(bits) - 1n;
  const min = isSigned ? -max - 1n : 0n;
  // Setting an unsigned field to a negative number is setting it to a very large one.
  const wanted = kind === 'INCRBY' ? before + operand : isSigned ? operand : BigInt.asUintN(64, operand);
  if (wanted >= min && wanted <= max) return wanted;
  if (overflow === 'FAIL') return null;
  if (overflow === 'SAT') return wanted > max ? max : min;
  return isSigned ? BigInt.asIntN(bits, wanted) : BigInt.asUintN(bits, wanted);
}

/** Bits beyond the end of the value are 0. */
function readField(bytes: Uint8Array, start: number, length: number, { offset, bits, isSigned }: Operation): bigint {
  const first = Math.floor(offset / 8);
  const last = Math.floor((offset + bits - 1) / 8);
  let window = 0n;
  for (let i = first; i <= last; i++) window = (window << 8n) | BigInt(i < length ? bytes[start + i]! : 0);
  const field = window >> BigInt(last * 8 + 8 - offset - bits);
  return isSigned ? BigInt.asIntN(bits, field) : BigInt.asUintN(bits, field);
}

function writeField(bytes: Uint8Array, { offset, bits }: Operation, value: bigint): void {
  for (let i = bits - 1, rest = BigInt.asUintN(64, value); i >= 0; i--, rest >>= 1n) {
    const at = offset + i;
    const mask = 0x80 >>> (at & 7);
    const byte = Math.floor(at / 8);
    bytes[byte] = (rest & 1n) === 1n ? bytes[byte]! | mask : bytes[byte]! & ~mask;
  }
}

/** null: an error was replied. */
function readOperationsOrReply(call: Call): Operation[] | null {
  const { args } = call;
  const operations: Operation[] = [];
  let overflow: Overflow = 'WRAP';
  for (let i = 2; i < args.count;) {
    const remaining = args.count - i - 1;
    if (args.isWord(i, 'OVERFLOW') && remaining >= 1) {
      const chosen = readOverflowOrReply(call, i + 1);
      if (chosen === null) return null;
      overflow = chosen;
      i += 2;
      continue;
    }
    const kind = readKind(call, i, remaining);
    if (kind === null) {
      call.reply.error(SYNTAX_ERROR);
      return null;
    }
    const operation = readOperationOrReply(call, i, kind, overflow);
    if (operation === null) return null;
    operations.push(operation);
    i += kind === 'GET' ? 3 : 4;
  }
  return operations;
}

function readKind({ args }: Call, index: number, remaining: number): Operation['kind'] | null {
  if (args.isWord(index, 'GET') && remaining >= 2) return 'GET';
  if (args.isWord(index, 'SET') && remaining >= 3) return 'SET';
  return args.isWord(index, 'INCRBY') && remaining >= 3 ? 'INCRBY' : null;
}

function readOverflowOrReply({ args, reply }: Call, index: number): Overflow | null {
  for (const overflow of ['WRAP', 'SAT', 'FAIL'] as const) if (args.isWord(index, overflow)) return overflow;
  reply.error('ERR Invalid OVERFLOW type specified');
  return null;
}

/** The operation whose name is at `index`. */
function readOperationOrReply(
  call: Call,
  index: number,
  kind: Operation['kind'],
  overflow: Overflow,
): Operation | null {
  const { args, reply } = call;
  const type = TYPE_PATTERN.exec(args.latin1(index + 1));
  const isSigned = type?.[1] === 'i';
  const bits = Number(type?.[2] ?? 0);
  if (bits < 1 || bits > (isSigned ? 64 : 63)) {
    reply.error(BAD_TYPE);
    return null;
  }
  const offset = readBitOffsetOrReply(call, index + 2, bits);
  if (offset < 0) return null;
  const operand = kind === 'GET' ? 0 : parseExactInteger(args, index + 3);
  if (operand === null) {
    reply.error(NOT_AN_INTEGER);
    return null;
  }
  return { kind, isSigned, bits, offset, operand: BigInt(operand.toFixed(0)), overflow };
}

export const BITFIELD_COMMANDS = [
  {
    name: 'BITFIELD',
    summary: 'Reads, sets and adds to integers at any bit of a string.',
    group: 'bitmap',
    since: '3.2.0',
    arity: -2,
    flags: ['write', 'denyoom'],
    keys: ONE_KEY,
    deviation: 'The whole value is replicated: of concurrent changes the last writer wins, INCRBY included.',
    run: (call) => bitfield(call, false),
  },
  {
    name: 'BITFIELD_RO',
    summary: 'Reads integers at any bit of a string.',
    group: 'bitmap',
    since: '6.0.0',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => bitfield(call, true),
  },
] as const satisfies readonly CommandSpec[];
