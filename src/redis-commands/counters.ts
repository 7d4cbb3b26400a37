/**
 * Counters: numbers in strings that instances count up and down at the same time.
 *
 * They write increments, never values, so concurrent ones add up. The base of a counter is the string's register, as set by SET;
 * what is visible is their sum, exact for integers over the whole int64 and for decimals of any size.
 */
import {
  addExact,
  fitsInt64,
  formatExact,
  isBeyondLongDouble,
  readInteger,
  type ExactNumber,
} from '../crdt/exact-number.ts';
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import { isInfinite, parseDecimal, parseExactInteger, replyExact } from './parse-number.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { isStringOrReply, readValue } from './string-access.ts';
import { NOT_A_FLOAT, NOT_AN_INTEGER, WOULD_BE_INFINITE } from './texts.ts';

const ADDS_UP = 'Increments made at several instances at the same time add up.';
const OVERFLOW = 'ERR increment or decrement would overflow';
const INT64_MIN = '-9223372036854775808';

function addInteger(call: Call, change: ExactNumber): void {
  const { database, reply } = call;
  const key = database.lookupWrite(call.args, 1);
  if (!isStringOrReply(call, key)) return;
  const lone = key.type === TYPE.string ? database.keyspace.cells.loneCount(key.record) : NaN;
  const sum = typeof change === 'number' ? lone + change : NaN;
  if (Number.isSafeInteger(sum)) {
    database.writer.add(key, change);
    reply.integer(sum);
    return;
  }
  const current = key.type === TYPE.none ? 0 : readCount(call, key);
  if (current === null) {
    reply.error(NOT_AN_INTEGER);
    return;
  }
  const next = addExact(current, change);
  if (!fitsInt64(next)) {
    reply.error(OVERFLOW);
    return;
  }
  database.writer.add(key, change);
  // A sum beyond int64 that a merge made shows the bound: what it is now cannot be told from what it showed.
  if (typeof current === 'number') replyExact(reply, next);
  else replyExact(reply, database.keyspace.readNumber(key.record)!);
}

/** The visible value as an integer; null: it is none. A register counts only if it is written as INCR itself would write it. */
function readCount(call: Call, key: KeyRef): ExactNumber | null {
  const { keyspace } = call.database;
  if (keyspace.attributes(key.record) !== 0 && keyspace.cells.hasCounter(key.record)) {
    const number = keyspace.readNumber(key.record);
    return number !== null && fitsInt64(number) ? number : null;
  }
  const value = readValue(call, key);
  return readInteger(value.bytes, value.start, value.length);
}

function addArgument(call: Call, sign: 1 | -1): void {
  const change = parseExactInteger(call.args, 2);
  if (change === null) call.reply.error(NOT_AN_INTEGER);
  else if (sign === 1) addInteger(call, change);
  else if (typeof change === 'number') addInteger(call, 0 - change);
  else if (change.toFixed() === INT64_MIN) call.reply.error('ERR decrement would overflow');
  else addInteger(call, change.times(-1));
}

function incrbyfloat(call: Call): void {
  const { database, reply } = call;
  const key = database.lookupWrite(call.args, 1);
  if (!isStringOrReply(call, key)) return;
  const current = key.type === TYPE.none ? 0 : readDecimalValue(call, key);
  const change = parseDecimal(call.args, 2);
  if (current === null || change === null) {
    reply.error(NOT_A_FLOAT);
    return;
  }
  if (current === Infinity || change === Infinity || isBeyondLongDouble(addExact(current, change))) {
    reply.error(WOULD_BE_INFINITE);
    return;
  }
  database.writer.add(key, change, true);
  reply.text(formatExact(database.keyspace.readNumber(key.record)!));
}

function readDecimalValue(call: Call, key: KeyRef): ExactNumber | null {
  const number = call.database.keyspace.readNumber(key.record);
  if (number !== null) return number;
  const value = readValue(call, key);
  return isInfinite(value.bytes, value.start, value.length) ? Infinity : null;
}

export const COUNTER_COMMANDS = [
  {
    name: 'INCR',
    summary: 'Adds one to a counter.',
    group: 'string',
    since: '1.0.0',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: ADDS_UP,
    run: (call) => addInteger(call, 1),
  },
  {
    name: 'DECR',
    summary: 'Takes one from a counter.',
    group: 'string',
    since: '1.0.0',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: ADDS_UP,
    run: (call) => addInteger(call, -1),
  },
  {
    name: 'INCRBY',
    summary: 'Adds an integer to a counter.',
    group: 'string',
    since: '1.0.0',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: ADDS_UP,
    run: (call) => addArgument(call, 1),
  },
  {
    name: 'DECRBY',
    summary: 'Takes an integer from a counter.',
    group: 'string',
    since: '1.0.0',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: ADDS_UP,
    run: (call) => addArgument(call, -1),
  },
  {
    name: 'INCRBYFLOAT',
    summary: 'Adds a decimal to a counter.',
    group: 'string',
    since: '2.6.0',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: `${ADDS_UP} Sums are exact decimals, where Redis rounds to a long double.`,
    run: incrbyfloat,
  },
] as const satisfies readonly CommandSpec[];
