/**
 * Commands that choose or walk through members of a set: SPOP, SRANDMEMBER, SSCAN.
 *
 * SPOP chooses here and replicates the removal of what it chose, so that all instances lose the same members; a concurrent SADD of one of
 * them survives, as with SREM.
 */
import { matchGlob } from '../base/glob.ts';
import type { KeyRef } from '../database/key-ref.ts';
import { TYPE } from '../database/key-ref.ts';
import { chooseDistinct, scanEntries } from './choose.ts';
import { RANDOM_REPETITIONS_MAX } from './limits.ts';
import { parseExactInteger, parseInteger } from './parse-number.ts';
import { parseScanOptionsOrReply, readCursorOrReply } from './parse-scan.ts';
import { memberBytes, readSet, REFUSED, replyMember, setKeyForWrite } from './set-access.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { NOT_AN_INTEGER, OUT_OF_RANGE, SYNTAX_ERROR } from './texts.ts';

const INT64_MIN = '-9223372036854775808';
/** Its absolute value would be none. */
const NOT_A_COUNT = 'ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807';

function spop(call: Call): void {
  const { args, database, reply } = call;
  if (args.count > 3) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  if (args.count === 3) {
    popSeveral(call);
    return;
  }
  const key = setKeyForWrite(call);
  if (key === null) return;
  if (key.type === TYPE.none) {
    reply.nil();
    return;
  }
  const { containers } = database.keyspace;
  pop(call, key, containers.members.random(containers.map(containers.set(key.record)), database.random));
}

function popSeveral(call: Call): void {
  const { args, database, reply } = call;
  const count = parseInteger(args, 2);
  if (!(count >= 0)) {
    reply.error('ERR value is out of range, must be positive');
    return;
  }
  const key = setKeyForWrite(call);
  if (key === null) return;
  if (key.type === TYPE.none || count === 0) {
    reply.set(0);
    return;
  }
  const { containers } = database.keyspace;
  const map = containers.map(containers.set(key.record));
  const chosen = chooseDistinct(containers.members, map, count, database.random);
  const bytes = chosen.reduce((sum, member) => sum + containers.nameLength(member), 0);
  database.writer.demandRoom(chosen.length, bytes + key.length, { removes: true });
  reply.set(chosen.length);
  for (const member of chosen) pop(call, key, member);
}

/** Replies the member, then removes it. */
function pop(call: Call, key: KeyRef, member: number): void {
  const { keyspace, writer } = call.database;
  replyMember(keyspace, call.reply, member);
  const bytes = memberBytes(keyspace, member);
  writer.removeMember(key, bytes, keyspace.elements.keyOffset(member), keyspace.containers.nameLength(member));
}

function srandmember(call: Call): void {
  const { args, database, reply } = call;
  if (args.count > 3) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const count = args.count === 3 ? readCountOrReply(call, 2) : 1;
  if (Number.isNaN(count)) return;
  const set = readSet(call, 1);
  if (set === REFUSED) return;
  const { keyspace } = database;
  const { containers } = keyspace;
  const { members } = containers;
  const map = containers.map(set);
  if (args.count === 2) {
    if (set === 0) reply.nil();
    else replyMember(keyspace, reply, members.random(map, database.random));
    return;
  }
  if (set === 0 || count === 0) {
    reply.array(0);
  } else if (count < 0) {
    reply.array(-count);
    for (let i = 0; i < -count; i++) replyMember(keyspace, reply, members.random(map, database.random));
  } else {
    const chosen = chooseDistinct(members, map, count, database.random);
    reply.array(chosen.length);
    for (const member of chosen) replyMember(keyspace, reply, member);
  }
}

/** The count of a command that repeats elements when it is negative; NaN: an error has been replied. */
export function readCountOrReply(call: Call, index: number): number {
  const count = parseExactInteger(call.args, index);
  if (count === null) call.reply.error(NOT_AN_INTEGER);
  else if (typeof count !== 'number' && count.toFixed() === INT64_MIN) call.reply.error(NOT_A_COUNT);
  else if (Number(count) < -RANDOM_REPETITIONS_MAX) call.reply.error(OUT_OF_RANGE);
  else return Number(count);
  return NaN;
}

function sscan(call: Call): void {
  const { database, reply } = call;
  const start = readCursorOrReply(call, 2);
  if (start === null) return;
  const set = readSet(call, 1);
  if (set === REFUSED) return;
  const options = set === 0 ? null : parseScanOptionsOrReply(call, 3, false);
  if (set !== 0 && options === null) return;
  const { keyspace } = database;
  const { containers, elements } = keyspace;
  const found: number[] = [];
  let cursor = 0;
  if (options !== null) {
    const { count, pattern } = options;
    const visit = (member: number): void => {
      const at = elements.keyOffset(member);
      const length = containers.nameLength(member);
      if (pattern === null || matchGlob(pattern, memberBytes(keyspace, member), at, length)) found.push(member);
    };
    cursor = scanEntries(containers.members, containers.map(set), start, count, visit);
  }
  reply.array(2);
  reply.text(String(cursor >>> 0));
  reply.array(found.length);
  for (const member of found) replyMember(keyspace, reply, member);
}

export const SET_SCAN_COMMANDS = [
  {
    name: 'SPOP',
    summary: 'Removes and returns members chosen at random.',
    group: 'set',
    since: '1.0.0',
    arity: -2,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: spop,
  },
  {
    name: 'SRANDMEMBER',
    summary: 'Members chosen at random; with a negative count the same one may come again.',
    group: 'set',
    since: '1.0.0',
    arity: -2,
    flags: ['readonly'],
    keys: ONE_KEY,
    deviation: `A negative count repeats members up to ${RANDOM_REPETITIONS_MAX} times.`,
    run: srandmember,
  },
  {
    name: 'SSCAN',
    summary: 'Some members of a set, and where to go on.',
    group: 'set',
    since: '2.8.0',
    arity: -3,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: sscan,
  },
] as const satisfies readonly CommandSpec[];
