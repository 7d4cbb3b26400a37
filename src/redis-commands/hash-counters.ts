/**
 * Counting in hash fields. A field is a cell, as a string is: increments from all instances add up, on top of the latest HSET.
 *
 * Whether a field may be counted is judged by what a client sees, so that "1.0" is no integer although its value is one; the
 * reply is what a client sees afterwards, which differs from the plain sum only where a merge had passed the int64 bound.
 */
import { addExact, fitsInt64, readInteger, type ExactNumber } from '../crdt/exact-number.ts';
import { ValueRef } from '../database/value-ref.ts';
import type { KeyRef } from '../database/key-ref.ts';
import { clearHiddenField, findVisible, hashKeyForWrite, hashOf, replyValue } from './hash-access.ts';
import { parseDecimal, parseExactInteger, replyExact } from './parse-number.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { NOT_A_FLOAT, NOT_AN_INTEGER } from './texts.ts';

const value = new ValueRef();

function hincrby(call: Call): void {
  const { args, reply } = call;
  const change = parseExactInteger(args, 3);
  if (change === null) {
    reply.error(NOT_AN_INTEGER);
    return;
  }
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const { keyspace } = call.database;
  const field = findVisible(keyspace, hashOf(keyspace, key), args, 2);
  const before = field === 0 ? 0 : readVisibleInteger(call, field);
  if (before === null) {
    reply.error('ERR hash value is not an integer');
    return;
  }
  if (!fitsInt64(addExact(before, change))) {
    reply.error('ERR increment or decrement would overflow');
    return;
  }
  replyExact(reply, keyspace.readNumber(addToField(call, key, field, change))!);
}

function readVisibleInteger(call: Call, field: number): ExactNumber | null {
  const { keyspace } = call.database;
  if (keyspace.attributes(field) !== 0 && keyspace.cells.hasCounter(field)) {
    const number = keyspace.readNumber(field);
    return number !== null && fitsInt64(number) ? number : null;
  }
  keyspace.readCell(field, value);
  return readInteger(value.bytes, value.start, value.length);
}

function hincrbyfloat(call: Call): void {
  const { args, reply } = call;
  const change = parseDecimal(args, 3);
  if (change === null) {
    reply.error(NOT_A_FLOAT);
    return;
  }
  if (change === Infinity) {
    reply.error('ERR value is NaN or Infinity');
    return;
  }
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const { keyspace } = call.database;
  const field = findVisible(keyspace, hashOf(keyspace, key), args, 2);
  if (field !== 0 && keyspace.readNumber(field) === null) {
    reply.error('ERR hash value is not a float');
    return;
  }
  replyValue(keyspace, reply, addToField(call, key, field, change, true));
}

/** `field`: its record, 0 when it is not visible. Returns where it is afterwards. */
function addToField(call: Call, key: KeyRef, field: number, change: ExactNumber, asDecimal = false): number {
  const { args, database } = call;
  if (field === 0) clearHiddenField(call, key, 2);
  database.writer.addField(key, args.bytes, args.starts[2]!, args.lengths[2]!, change, asDecimal);
  // An increment never moves the record that it adds to.
  return field === 0 ? findVisible(database.keyspace, hashOf(database.keyspace, key), args, 2) : field;
}

export const HASH_COUNTER_COMMANDS = [
  {
    name: 'HINCRBY',
    summary: 'Adds an integer to a field, 0 if it is not there.',
    group: 'hash',
    since: '2.0.0',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: hincrby,
  },
  {
    name: 'HINCRBYFLOAT',
    summary: 'Adds a number with decimals to a field, 0 if it is not there.',
    group: 'hash',
    since: '2.6.0',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: 'Decimals are summed exactly, so that concurrent increments add up, and shown with 17 decimals at most.',
    run: hincrbyfloat,
  },
] as const satisfies readonly CommandSpec[];
