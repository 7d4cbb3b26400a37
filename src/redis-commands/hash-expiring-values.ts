/**
 * Values and times to live of fields in one command: HGETDEL, HGETEX, HSETEX.
 *
 * A value is replied before its field is removed or changed: the reply takes the bytes out of the arena.
 */
import type { KeyRef } from '../database/key-ref.ts';
import { CLEAR_TTL, KEEP_TTL } from '../database/writer.ts';
import { clearHiddenField, findVisible, hashKeyForWrite, hashOf, replyValue } from './hash-access.ts';
import { expireField, persistField } from './hash-expiry.ts';
import {
  countPairs,
  findFieldsOrReply,
  POSITIVE_FIELD_COUNT,
  readFieldExpiryOrReply,
  type FieldExpiryUnit,
} from './hash-field-arguments.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { wrongArity } from './texts.ts';

const UNITS = new Map<string, FieldExpiryUnit>([
  ['EX', { scale: 1000, isRelative: true }],
  ['PX', { scale: 1, isRelative: true }],
  ['EXAT', { scale: 1000, isRelative: false }],
  ['PXAT', { scale: 1, isRelative: false }],
]);

function hgetdel(call: Call): void {
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const first = findFieldsOrReply(call, 2, POSITIVE_FIELD_COUNT);
  if (first === 0) return;
  const { args, database } = call;
  eachValue(call, key, first, (_, i) => {
    database.writer.removeField(key, args.bytes, args.starts[i]!, args.lengths[i]!);
  });
}

/** Replies the values of the fields from argument `first` on, nil where there is none, and hands each visible field on. */
function eachValue(call: Call, key: KeyRef, first: number, then: (field: number, index: number) => void): void {
  const { args, database, reply } = call;
  const { keyspace } = database;
  reply.array(args.count - first);
  for (let i = first; i < args.count; i++) {
    const field = findVisible(keyspace, hashOf(keyspace, key), args, i);
    if (field === 0) {
      reply.nil();
    } else {
      replyValue(keyspace, reply, field);
      then(field, i);
    }
  }
}

function hgetex(call: Call): void {
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const { args } = call;
  const option = args.latin1(2).toUpperCase();
  const unit = UNITS.get(option);
  const atMs = unit === undefined ? 0 : readFieldExpiryOrReply(call, 3, unit, 'hgetex');
  if (Number.isNaN(atMs)) return;
  const fieldsAt = unit !== undefined ? 4 : option === 'PERSIST' ? 3 : 2;
  const first = findFieldsOrReply(call, fieldsAt, POSITIVE_FIELD_COUNT);
  if (first === 0) return;
  eachValue(call, key, first, (field, i) => {
    if (unit !== undefined) expireField(call, key, i, atMs);
    else if (option === 'PERSIST') persistField(call, key, field, i);
  });
}

interface SetOptions {
  /** CLEAR_TTL, KEEP_TTL or ms since 1970. */
  readonly ttl: number;
  /** Which fields must be there before: none, all; null: no matter. */
  readonly condition: 'FNX' | 'FXX' | null;
  /** Argument of the first field. */
  readonly first: number;
}

function hsetex(call: Call): void {
  const options = readSetOptionsOrReply(call);
  if (options === null) return;
  const key = hashKeyForWrite(call);
  if (key === null) return;
  if (isConditionMet(call, key, options)) {
    for (let i = options.first; i < call.args.count; i += 2) setField(call, key, i, options.ttl);
    call.reply.integer(1);
  } else {
    call.reply.integer(0);
  }
}

/** null: an error was replied. */
function readSetOptionsOrReply(call: Call): SetOptions | null {
  const { args, reply } = call;
  let ttl = NaN;
  let condition: SetOptions['condition'] = null;
  for (let i = 2; i < args.count; i++) {
    const word = args.latin1(i).toUpperCase();
    const unit = UNITS.get(word);
    if (word === 'FIELDS') {
      const pairs = i >= args.count - 3 ? 0 : countPairs(call, i + 1);
      if (pairs > 0) return { ttl: Number.isNaN(ttl) ? CLEAR_TTL : ttl, condition, first: i + 2 };
      reply.error(pairs < 0 ? 'ERR invalid number of fields' : wrongArity('hsetex'));
      return null;
    }
    if (unit !== undefined || word === 'KEEPTTL') {
      if (!Number.isNaN(ttl)) {
        reply.error('ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified');
        return null;
      }
      if (unit !== undefined && i + 1 === args.count) {
        reply.error('ERR missing expire time');
        return null;
      }
      ttl = unit === undefined ? KEEP_TTL : readFieldExpiryOrReply(call, ++i, unit, 'hsetex');
      if (Number.isNaN(ttl)) return null;
    } else if (word === 'FXX' || word === 'FNX') {
      if (condition !== null) {
        reply.error('ERR Only one of FXX or FNX arguments can be specified');
        return null;
      }
      condition = word;
    } else {
      reply.error(`ERR unknown argument: ${args.echo(i)}`);
      return null;
    }
  }
  reply.error(wrongArity('hsetex'));
  return null;
}

function isConditionMet(call: Call, key: KeyRef, { condition, first }: SetOptions): boolean {
  if (condition === null) return true;
  const { args, database } = call;
  const hash = hashOf(database.keyspace, key);
  for (let i = first; i < args.count; i += 2) {
    if ((findVisible(database.keyspace, hash, args, i) !== 0) !== (condition === 'FXX')) return false;
  }
  return true;
}

/** A time to live that is over leaves no field behind. */
function setField(call: Call, key: KeyRef, index: number, ttl: number): void {
  const { args, database } = call;
  const { bytes, starts, lengths } = args;
  const { writer } = database;
  if (ttl >= 0 && ttl <= database.nowMs) {
    writer.removeField(key, bytes, starts[index]!, lengths[index]!);
    return;
  }
  if (ttl === KEEP_TTL) clearHiddenField(call, key, index);
  const valueStart = starts[index + 1]!;
  writer.setField(key, bytes, starts[index]!, lengths[index]!, bytes, valueStart, lengths[index + 1]!, ttl);
}

export const HASH_EXPIRING_VALUE_COMMANDS = [
  {
    name: 'HGETDEL',
    summary: 'The values of fields, which are removed.',
    group: 'hash',
    since: '8.0.0',
    arity: -5,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: hgetdel,
  },
  {
    name: 'HGETEX',
    summary: 'The values of fields, whose times to live are changed.',
    group: 'hash',
    since: '8.0.0',
    arity: -5,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: hgetex,
  },
  {
    name: 'HSETEX',
    summary: 'Sets fields and their times to live, if all or none of them are there when so asked.',
    group: 'hash',
    since: '8.0.0',
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: hsetex,
  },
] as const satisfies readonly CommandSpec[];
