/**
 * Commands on the members of one set. Choosing and scanning members is set-scan.ts, several sets at once set-algebra.ts.
 *
 * SADD writes every member it is given, also those that are there: the new dot keeps them alive against a concurrent remove that has
 * not seen this add (semantics.md, sets). The reply counts the new ones, as the set's own count shows.
 */
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import type { Args } from '../resp/args.ts';
import { isMember, readSet, REFUSED, replyMember, setKeyForWrite } from './set-access.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { WRONG_TYPE } from './texts.ts';

function sadd(call: Call): void {
  const key = setKeyForWrite(call);
  if (key === null) return;
  const { args, database } = call;
  const { writer } = database;
  const { bytes, starts, lengths, count } = args;
  if (isStaged(call, key)) return addOneByOne(call, key);
  const before = memberCount(call, key);
  for (let i = 2; i < count; i++) writer.addMember(key, bytes, starts[i]!, lengths[i]!);
  call.reply.integer(memberCount(call, key) - before);
}

function memberCount(call: Call, key: KeyRef): number {
  const { containers } = call.database.keyspace;
  return key.type === TYPE.set ? containers.memberCount(containers.set(key.record)) : 0;
}

/** Whether counting the members would have all of a large set settled first (database/stages.ts). */
function isStaged(call: Call, key: KeyRef): boolean {
  const { containers } = call.database.keyspace;
  const set = key.type === TYPE.set ? containers.set(key.record) : 0;
  return set !== 0 && containers.sets.isStaged(set);
}

function addOneByOne(call: Call, key: KeyRef): void {
  const { args, database } = call;
  const { containers } = database.keyspace;
  let added = 0;
  for (let i = 2; i < args.count; i++) {
    if (!isMember(database.keyspace, containers.set(key.record), args, i)) added++;
    database.writer.addMember(key, args.bytes, args.starts[i]!, args.lengths[i]!);
  }
  call.reply.integer(added);
}

function srem(call: Call): void {
  const key = setKeyForWrite(call);
  if (key === null) return;
  let removed = 0;
  for (let i = 2; i < call.args.count; i++) if (removeMember(call, key, call.args, i)) removed++;
  call.reply.integer(removed);
}

/** Removes the member that is the argument at `index`. Returns whether it was there. */
function removeMember(call: Call, key: KeyRef, args: Args, index: number): boolean {
  const { keyspace, writer } = call.database;
  if (key.type !== TYPE.set || !isMember(keyspace, keyspace.containers.set(key.record), args, index)) return false;
  writer.removeMember(key, args.bytes, args.starts[index]!, args.lengths[index]!);
  return true;
}

function sismember(call: Call): void {
  const set = readSet(call, 1);
  if (set !== REFUSED) call.reply.integer(isMember(call.database.keyspace, set, call.args, 2) ? 1 : 0);
}

function smismember(call: Call): void {
  const set = readSet(call, 1);
  if (set === REFUSED) return;
  const { args, reply } = call;
  reply.array(args.count - 2);
  for (let i = 2; i < args.count; i++) reply.integer(isMember(call.database.keyspace, set, args, i) ? 1 : 0);
}

function smembers(call: Call): void {
  const set = readSet(call, 1);
  if (set === REFUSED) return;
  const { reply } = call;
  const { keyspace } = call.database;
  reply.set(keyspace.containers.memberCount(set));
  keyspace.containers.eachMember(set, (member) => replyMember(keyspace, reply, member));
}

function scard(call: Call): void {
  const set = readSet(call, 1);
  if (set !== REFUSED) call.reply.integer(call.database.keyspace.containers.memberCount(set));
}

function smove(call: Call): void {
  const { args, database, reply } = call;
  const source = database.lookupWrite(args, 1, 0);
  if (source.type === TYPE.none) {
    reply.integer(0);
    return;
  }
  const target = database.lookupWrite(args, 2, 1);
  if (source.type !== TYPE.set || (target.type !== TYPE.set && target.type !== TYPE.none)) {
    reply.error(WRONG_TYPE);
    return;
  }
  if (source.record === target.record) {
    reply.integer(isMember(database.keyspace, database.keyspace.containers.set(source.record), args, 3) ? 1 : 0);
    return;
  }
  database.writer.demandRoom(2, 2 * args.lengths[3]! + source.length + target.length);
  const isMoved = removeMember(call, source, args, 3);
  if (isMoved) database.writer.addMember(target, args.bytes, args.starts[3]!, args.lengths[3]!);
  reply.integer(isMoved ? 1 : 0);
}

export const SET_COMMANDS = [
  {
    name: 'SADD',
    summary: 'Adds members to a set, which is made if the key is not there.',
    group: 'set',
    since: '1.0.0',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: sadd,
  },
  {
    name: 'SREM',
    summary: 'Removes members; a set without members is gone.',
    group: 'set',
    since: '1.0.0',
    arity: -3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: srem,
  },
  {
    name: 'SISMEMBER',
    summary: 'Whether a set has a member.',
    group: 'set',
    since: '1.0.0',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: sismember,
  },
  {
    name: 'SMISMEMBER',
    summary: 'Whether a set has each of several members.',
    group: 'set',
    since: '6.2.0',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: smismember,
  },
  {
    name: 'SMEMBERS',
    summary: 'All members of a set.',
    group: 'set',
    since: '1.0.0',
    arity: 2,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: smembers,
  },
  {
    name: 'SCARD',
    summary: 'The number of members of a set.',
    group: 'set',
    since: '1.0.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: scard,
  },
  {
    name: 'SMOVE',
    summary: 'Moves a member from one set to another.',
    group: 'set',
    since: '1.0.0',
    arity: 4,
    flags: ['write', 'fast'],
    keys: { first: 1, last: 2, step: 1 },
    run: smove,
  },
] as const satisfies readonly CommandSpec[];
