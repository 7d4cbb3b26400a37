/**
 * Commands on the fields of hashes. Counting fields is hash-counters.ts, their times to live hash-expiry.ts, choosing and scanning
 * hash-scan.ts.
 *
 * HSET learns from the hash's count whether it made a field, so the usual write looks a field up no more often than the engine
 * must. Only a hash with volatile fields is asked first: there an expired field, which counts until it is removed, is new.
 */
import type { Keyspace } from '../database/keyspace.ts';
import type { KeyRef } from '../database/key-ref.ts';
import { countVisibleFields } from '../database/visible-fields.ts';
import type { Reply } from '../resp/reply.ts';
import {
  findField,
  findVisible,
  hashKeyForWrite,
  hashOf,
  readHash,
  REFUSED,
  replyName,
  replyValue,
  valueLength,
} from './hash-access.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { wrongArity } from './texts.ts';

/** Writes the fields and values from argument `from` on. Returns how many fields are new; -1: another type, replied. */
function setFields(call: Call, from: number): number {
  const key = hashKeyForWrite(call);
  if (key === null) return REFUSED;
  const { args } = call;
  let created = 0;
  for (let i = from; i < args.count; i += 2) created += setField(call, key, i);
  return created;
}

function setField(call: Call, key: KeyRef, index: number): number {
  const { args, database } = call;
  const { keyspace, writer } = database;
  const { bytes, starts, lengths } = args;
  const hash = hashOf(keyspace, key);
  if (hash !== 0 && keyspace.containers.hashes.isStaged(hash)) {
    // Counting would have all of a large hash settled first (database/stages.ts).
    const isNew = findVisible(keyspace, hash, args, index) === 0;
    writer.setField(key, bytes, starts[index]!, lengths[index]!, bytes, starts[index + 1]!, lengths[index + 1]!);
    return isNew ? 1 : 0;
  }
  const before = keyspace.containers.fieldCount(hash);
  const isExpired = hash !== 0 && keyspace.containers.volatileCount(hash) > 0 && isHidden(keyspace, hash, call, index);
  writer.setField(key, bytes, starts[index]!, lengths[index]!, bytes, starts[index + 1]!, lengths[index + 1]!);
  return isExpired ? 1 : keyspace.containers.fieldCount(keyspace.containers.hash(key.record)) - before;
}

/** Whether the field counts in the hash although no client sees it any more. */
function isHidden(keyspace: Keyspace, hash: number, call: Call, index: number): boolean {
  const field = findField(keyspace, hash, call.args, index);
  if (field === 0 || keyspace.isFieldVisible(field)) return false;
  return keyspace.cells.hasRegister(field) || keyspace.cells.hasCounter(field);
}

function hset(call: Call): void {
  if (call.args.count % 2 !== 0) {
    call.reply.error(wrongArity('hset'));
    return;
  }
  const created = setFields(call, 2);
  if (created !== REFUSED) call.reply.integer(created);
}

function hmset(call: Call): void {
  if (call.args.count % 2 !== 0) {
    call.reply.error(wrongArity('hmset'));
    return;
  }
  if (setFields(call, 2) !== REFUSED) call.reply.ok();
}

function hsetnx(call: Call): void {
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const { keyspace } = call.database;
  const isThere = findVisible(keyspace, hashOf(keyspace, key), call.args, 2) !== 0;
  if (!isThere) setField(call, key, 2);
  call.reply.integer(isThere ? 0 : 1);
}

function hget(call: Call): void {
  const hash = readHash(call);
  if (hash !== REFUSED) replyField(call, hash, 2);
}

function hmget(call: Call): void {
  const hash = readHash(call);
  if (hash === REFUSED) return;
  const { count } = call.args;
  call.reply.array(count - 2);
  for (let i = 2; i < count; i++) replyField(call, hash, i);
}

function replyField(call: Call, hash: number, index: number): void {
  const { keyspace } = call.database;
  const field = findVisible(keyspace, hash, call.args, index);
  if (field === 0) call.reply.nil();
  else replyValue(keyspace, call.reply, field);
}

function hexists(call: Call): void {
  const hash = readHash(call);
  if (hash !== REFUSED) call.reply.integer(findVisible(call.database.keyspace, hash, call.args, 2) === 0 ? 0 : 1);
}

function hstrlen(call: Call): void {
  const hash = readHash(call);
  if (hash === REFUSED) return;
  const { keyspace } = call.database;
  const field = findVisible(keyspace, hash, call.args, 2);
  call.reply.integer(field === 0 ? 0 : valueLength(keyspace, field));
}

function hlen(call: Call): void {
  const hash = readHash(call);
  if (hash !== REFUSED) call.reply.integer(countVisibleFields(call.database.keyspace, hash));
}

/** Which halves of each field a listing replies. */
const NAMES = 1;
const VALUES = 2;

function list(call: Call, halves: number): void {
  const hash = readHash(call);
  if (hash === REFUSED) return;
  const { reply } = call;
  const { keyspace } = call.database;
  const count = countVisibleFields(keyspace, hash);
  if (halves === (NAMES | VALUES)) reply.map(count);
  else reply.array(count);
  keyspace.containers.eachField(hash, (field) => {
    if (keyspace.isFieldVisible(field)) replyHalves(keyspace, reply, field, halves);
  });
}

function replyHalves(keyspace: Keyspace, reply: Reply, field: number, halves: number): void {
  if ((halves & NAMES) !== 0) replyName(keyspace, reply, field);
  if ((halves & VALUES) !== 0) replyValue(keyspace, reply, field);
}

function hdel(call: Call): void {
  const key = hashKeyForWrite(call);
  if (key === null) return;
  const { args } = call;
  const { keyspace, writer } = call.database;
  let removed = 0;
  for (let i = 2; i < args.count; i++) {
    const hash = hashOf(keyspace, key);
    const field = findField(keyspace, hash, args, i);
    if (field === 0) continue;
    if (keyspace.isFieldVisible(field)) removed++;
    else if (!keyspace.isExpired(field)) continue;
    writer.removeField(key, args.bytes, args.starts[i]!, args.lengths[i]!);
  }
  call.reply.integer(removed);
}

export const HASH_COMMANDS = [
  {
    name: 'HSET',
    summary: 'Sets fields of a hash, which is made if the key is not there.',
    group: 'hash',
    since: '2.0.0',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: hset,
  },
  {
    name: 'HMSET',
    summary: 'Sets fields of a hash and replies OK; HSET says how many are new.',
    group: 'hash',
    since: '2.0.0',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: hmset,
  },
  {
    name: 'HSETNX',
    summary: 'Sets a field of a hash if that field is not there.',
    group: 'hash',
    since: '2.0.0',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: hsetnx,
  },
  {
    name: 'HGET',
    summary: 'The value of a field.',
    group: 'hash',
    since: '2.0.0',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: hget,
  },
  {
    name: 'HMGET',
    summary: 'The values of several fields.',
    group: 'hash',
    since: '2.0.0',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: hmget,
  },
  {
    name: 'HGETALL',
    summary: 'All fields and values of a hash.',
    group: 'hash',
    since: '2.0.0',
    arity: 2,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: (call) => list(call, NAMES | VALUES),
  },
  {
    name: 'HKEYS',
    summary: 'All field names of a hash.',
    group: 'hash',
    since: '2.0.0',
    arity: 2,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: (call) => list(call, NAMES),
  },
  {
    name: 'HVALS',
    summary: 'All values of a hash.',
    group: 'hash',
    since: '2.0.0',
    arity: 2,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: (call) => list(call, VALUES),
  },
  {
    name: 'HLEN',
    summary: 'The number of fields of a hash.',
    group: 'hash',
    since: '2.0.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    deviation: 'Fields whose time is over are not counted, also before they are removed.',
    run: hlen,
  },
  {
    name: 'HEXISTS',
    summary: 'Whether a hash has a field.',
    group: 'hash',
    since: '2.0.0',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: hexists,
  },
  {
    name: 'HSTRLEN',
    summary: 'The length in bytes of the value of a field.',
    group: 'hash',
    since: '3.2.0',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: hstrlen,
  },
  {
    name: 'HDEL',
    summary: 'Removes fields; a hash without fields is gone.',
    group: 'hash',
    since: '2.0.0',
    arity: -3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: hdel,
  },
] as const satisfies readonly CommandSpec[];
