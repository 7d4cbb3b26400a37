/**
 * Times to live of hash fields: HEXPIRE and its kin, HTTL and its kin, HPERSIST.
 *
 * Each field is answered on its own: -2 there is no such field, -1 it has no time to live, 0 the condition does not hold, 1 done,
 * 2 the time is over already, so the field was removed. Concurrent times to live: the longer one wins, per field (semantics.md).
 */
import type { KeyRef } from '../database/key-ref.ts';
import type { Keyspace } from '../database/keyspace.ts';
import { findVisible, hashKeyForWrite, hashOf, readHash, REFUSED } from './hash-access.ts';
import {
  findFieldsOrReply,
  POSITIVE_FIELD_COUNT,
  readFieldExpiryOrReply,
  type FieldExpiryUnit,
} from './hash-field-arguments.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';

const NO_FIELD = -2;
const NO_TTL = -1;
const CONDITION_NOT_MET = 0;
const DONE = 1;
const REMOVED = 2;

const CONDITIONS = ['NX', 'XX', 'GT', 'LT'] as const;
type Condition = (typeof CONDITIONS)[number] | null;

/** When the field expires, ms since 1970; -1: never. */
export function fieldExpiry(keyspace: Keyspace, field: number): number {
  const expiry = keyspace.attributes(field) === 0 ? -1 : keyspace.cells.expiry(field);
  return expiry === Infinity ? -1 : expiry;
}

/** Gives the visible field at that argument a time to live, ms since 1970; one that is over removes the field. Returns DONE or REMOVED. */
export function expireField(call: Call, key: KeyRef, index: number, atMs: number): number {
  const { args, database } = call;
  const { writer } = database;
  const start = args.starts[index]!;
  const length = args.lengths[index]!;
  if (atMs <= database.nowMs) {
    writer.removeField(key, args.bytes, start, length);
    return REMOVED;
  }
  writer.expireField(key, args.bytes, start, length, atMs);
  return DONE;
}

/** Takes the time to live of the visible field at that argument away. Returns whether it had one. */
export function persistField(call: Call, key: KeyRef, field: number, index: number): boolean {
  const { args, database } = call;
  if (fieldExpiry(database.keyspace, field) < 0) return false;
  database.writer.expireField(key, args.bytes, args.starts[index]!, args.lengths[index]!, Infinity);
  return true;
}

function expire(call: Call, unit: FieldExpiryUnit, command: string): void {
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const { args, database, reply } = call;
  const atMs = readFieldExpiryOrReply(call, 2, unit, command);
  if (Number.isNaN(atMs)) return;
  const condition = CONDITIONS.find((word) => args.isWord(3, word)) ?? null;
  const first = findFieldsOrReply(
    call,
    condition === null ? 3 : 4,
    'ERR Parameter `numFields` should be greater than 0',
  );
  if (first === 0) return;
  reply.array(args.count - first);
  for (let i = first; i < args.count; i++) {
    const field = findVisible(database.keyspace, hashOf(database.keyspace, key), args, i);
    if (field === 0) reply.integer(NO_FIELD);
    else if (!holds(condition, fieldExpiry(database.keyspace, field), atMs)) reply.integer(CONDITION_NOT_MET);
    else reply.integer(expireField(call, key, i, atMs));
  }
}

/** `before`: -1 when there is no time to live, which is longer than any for LT and no match for GT. */
function holds(condition: Condition, before: number, atMs: number): boolean {
  switch (condition) {
    case null:
      return true;
    case 'NX':
      return before < 0;
    case 'XX':
      return before >= 0;
    case 'GT':
      return before >= 0 && atMs > before;
    case 'LT':
      return before < 0 || atMs < before;
  }
}

/** Replies what is left, or when it ends, in the given unit; what is left of a second counts as one. */
function tell(call: Call, unit: FieldExpiryUnit): void {
  const hash = readHash(call);
  if (hash === REFUSED) return;
  const first = findFieldsOrReply(call, 2, POSITIVE_FIELD_COUNT);
  if (first === 0) return;
  const { args, database, reply } = call;
  const base = unit.isRelative ? database.nowMs : 0;
  reply.array(args.count - first);
  for (let i = first; i < args.count; i++) {
    const field = findVisible(database.keyspace, hash, args, i);
    const atMs = field === 0 ? -1 : fieldExpiry(database.keyspace, field);
    if (field === 0) reply.integer(NO_FIELD);
    else if (atMs < 0) reply.integer(NO_TTL);
    else reply.integer(Math.ceil((atMs - base) / unit.scale));
  }
}

function hpersist(call: Call): void {
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const first = findFieldsOrReply(call, 2, POSITIVE_FIELD_COUNT);
  if (first === 0) return;
  const { args, database, reply } = call;
  reply.array(args.count - first);
  for (let i = first; i < args.count; i++) {
    const field = findVisible(database.keyspace, hashOf(database.keyspace, key), args, i);
    if (field === 0) reply.integer(NO_FIELD);
    else reply.integer(persistField(call, key, field, i) ? DONE : NO_TTL);
  }
}

export const HASH_EXPIRY_COMMANDS = [
  {
    name: 'HEXPIRE',
    summary: 'Lets fields expire in that many seconds.',
    group: 'hash',
    since: '7.4.0',
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: (call) => expire(call, { scale: 1000, isRelative: true }, 'hexpire'),
  },
  {
    name: 'HPEXPIRE',
    summary: 'Lets fields expire in that many milliseconds.',
    group: 'hash',
    since: '7.4.0',
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: (call) => expire(call, { scale: 1, isRelative: true }, 'hpexpire'),
  },
  {
    name: 'HEXPIREAT',
    summary: 'Lets fields expire at a time in seconds since 1970.',
    group: 'hash',
    since: '7.4.0',
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: (call) => expire(call, { scale: 1000, isRelative: false }, 'hexpireat'),
  },
  {
    name: 'HPEXPIREAT',
    summary: 'Lets fields expire at a time in milliseconds since 1970.',
    group: 'hash',
    since: '7.4.0',
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: (call) => expire(call, { scale: 1, isRelative: false }, 'hpexpireat'),
  },
  {
    name: 'HTTL',
    summary: 'How many seconds fields have left.',
    group: 'hash',
    since: '7.4.0',
    arity: -5,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => tell(call, { scale: 1000, isRelative: true }),
  },
  {
    name: 'HPTTL',
    summary: 'How many milliseconds fields have left.',
    group: 'hash',
    since: '7.4.0',
    arity: -5,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => tell(call, { scale: 1, isRelative: true }),
  },
  {
    name: 'HEXPIRETIME',
    summary: 'When fields expire, in seconds since 1970.',
    group: 'hash',
    since: '7.4.0',
    arity: -5,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => tell(call, { scale: 1000, isRelative: false }),
  },
  {
    name: 'HPEXPIRETIME',
    summary: 'When fields expire, in milliseconds since 1970.',
    group: 'hash',
    since: '7.4.0',
    arity: -5,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => tell(call, { scale: 1, isRelative: false }),
  },
  {
    name: 'HPERSIST',
    summary: 'Takes the times to live of fields away.',
    group: 'hash',
    since: '7.4.0',
    arity: -5,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: hpersist,
  },
] as const satisfies readonly CommandSpec[];
