/**
 * Several sets at once: intersections, unions, differences, their *STORE forms and SINTERCARD.
 *
 * A result is a list of members' addresses in the source sets: nothing is copied to answer a read. To store it the members are copied first,
 * since the destination, which may be a source, is removed as observed before they are added.
 *
 * All sets share one hash seed, so a member is looked for in another set with the hash that its record carries.
 */
import type { Keyspace } from '../database/keyspace.ts';
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import { ENTRY } from '../memory/byte-map.ts';
import { parseInteger } from './parse-number.ts';
import { memberBytes, readSet, REFUSED, replyMember } from './set-access.ts';
import { ALL_KEYS, NO_KEYS, type Call, type CommandSpec } from './spec.ts';
import { SYNTAX_ERROR } from './texts.ts';

/** Of the sets in the order of the arguments (0: no such key), the members of the result: at most `countMax`. */
type Operation = (keyspace: Keyspace, sets: readonly number[], countMax: number) => readonly number[];

/** The sets under the arguments from `first` to before `end`; null: one is of another type, replied. */
function readSets(call: Call, first: number, end: number): number[] | null {
  const sets: number[] = [];
  for (let i = first; i < end; i++) {
    const set = readSet(call, i);
    if (set === REFUSED) return null;
    sets.push(set);
  }
  return sets;
}

/** Whether a set has a member equal to that member of another set. */
function contains(keyspace: Keyspace, set: number, member: number): boolean {
  if (set === 0) return false;
  const { containers, elements, arena } = keyspace;
  const hash = arena.words[member >>> SEGMENT_SHIFT]![((member & SEGMENT_MASK) << 1) + ENTRY.hash]!;
  const bytes = memberBytes(keyspace, member);
  const length = containers.nameLength(member);
  return containers.members.find(containers.map(set), hash, bytes, elements.keyOffset(member), length) !== 0;
}

/** Lists the members of a set that `accepts` takes; stops, a bucket at a time, at `countMax`. */
function select(
  keyspace: Keyspace,
  set: number,
  found: number[],
  countMax: number,
  accepts: (member: number) => boolean,
): void {
  if (set === 0) return;
  const { containers } = keyspace;
  const visit = (member: number): void => {
    if (found.length < countMax && accepts(member)) found.push(member);
  };
  let cursor = 0;
  do cursor = containers.members.scan(containers.map(set), cursor, visit);
  while (cursor !== 0 && found.length < countMax);
}

/** Walks through the smallest set and asks the others, the next larger one first. */
const intersect: Operation = (keyspace, sets, countMax) => {
  const found: number[] = [];
  const { containers } = keyspace;
  const [smallest, ...others] = [...sets].sort((a, b) => containers.memberCount(a) - containers.memberCount(b));
  select(keyspace, smallest!, found, countMax, (member) => others.every((set) => contains(keyspace, set, member)));
  return found;
};

const unite: Operation = (keyspace, sets, countMax) => {
  const found: number[] = [];
  sets.forEach((set, i) => {
    const earlier = sets.slice(0, i);
    select(keyspace, set, found, countMax, (member) => !earlier.some((other) => contains(keyspace, other, member)));
  });
  return found;
};

const subtract: Operation = (keyspace, sets, countMax) => {
  const found: number[] = [];
  const [first, ...others] = sets;
  select(keyspace, first!, found, countMax, (member) => !others.some((set) => contains(keyspace, set, member)));
  return found;
};

function answer(call: Call, operation: Operation): void {
  const sets = readSets(call, 1, call.args.count);
  if (sets === null) return;
  const { keyspace } = call.database;
  const members = operation(keyspace, sets, Infinity);
  call.reply.set(members.length);
  for (const member of members) replyMember(keyspace, call.reply, member);
}

function store(call: Call, operation: Operation): void {
  const { args, database, reply } = call;
  const sets = readSets(call, 2, args.count);
  if (sets === null) return;
  const copies = copyMembers(database.keyspace, operation(database.keyspace, sets, Infinity));
  const target = database.lookupWrite(args, 1);
  const { writer } = database;
  writer.demandRoom(copies.lengths.length, copies.bytes.length + target.length + writer.removalBytes(target));
  if (target.type !== TYPE.none) database.writer.remove(target);
  addCopies(call, target, copies);
  reply.integer(copies.lengths.length);
}

/** Members out of the arena: their bytes one after the other. */
interface MemberCopies {
  readonly bytes: Buffer;
  readonly lengths: readonly number[];
}

function copyMembers(keyspace: Keyspace, members: readonly number[]): MemberCopies {
  const { containers, elements } = keyspace;
  const lengths = members.map((member) => containers.nameLength(member));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const member of members) {
    const start = elements.keyOffset(member);
    at += memberBytes(keyspace, member).copy(bytes, at, start, start + containers.nameLength(member));
  }
  return { bytes, lengths };
}

function addCopies(call: Call, target: KeyRef, { bytes, lengths }: MemberCopies): void {
  let at = 0;
  for (const length of lengths) {
    call.database.writer.addMember(target, bytes, at, length);
    at += length;
  }
}

function sintercard(call: Call): void {
  const { args, reply } = call;
  const keyCount = parseInteger(args, 1);
  if (!(keyCount > 0)) {
    reply.error('ERR numkeys should be greater than 0');
    return;
  }
  if (keyCount > args.count - 2) {
    reply.error("ERR Number of keys can't be greater than number of args");
    return;
  }
  let limit = 0;
  for (let i = 2 + keyCount; i < args.count; i += 2) {
    if (!args.isWord(i, 'LIMIT') || i + 1 === args.count) {
      reply.error(SYNTAX_ERROR);
      return;
    }
    limit = parseInteger(args, i + 1);
    if (!(limit >= 0)) {
      reply.error("ERR LIMIT can't be negative");
      return;
    }
  }
  const sets = readSets(call, 2, 2 + keyCount);
  if (sets !== null) reply.integer(intersect(call.database.keyspace, sets, limit === 0 ? Infinity : limit).length);
}

export const SET_ALGEBRA_COMMANDS = [
  {
    name: 'SINTER',
    summary: 'The members that all of several sets have.',
    group: 'set',
    since: '1.0.0',
    arity: -2,
    flags: ['readonly'],
    keys: ALL_KEYS,
    run: (call) => answer(call, intersect),
  },
  {
    name: 'SINTERSTORE',
    summary: 'Makes a set of the members that all of several sets have.',
    group: 'set',
    since: '1.0.0',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: ALL_KEYS,
    run: (call) => store(call, intersect),
  },
  {
    name: 'SINTERCARD',
    summary: 'How many members all of several sets have, counted up to a limit.',
    group: 'set',
    since: '7.0.0',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: NO_KEYS,
    run: sintercard,
  },
  {
    name: 'SUNION',
    summary: 'The members that any of several sets has.',
    group: 'set',
    since: '1.0.0',
    arity: -2,
    flags: ['readonly'],
    keys: ALL_KEYS,
    run: (call) => answer(call, unite),
  },
  {
    name: 'SUNIONSTORE',
    summary: 'Makes a set of the members that any of several sets has.',
    group: 'set',
    since: '1.0.0',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: ALL_KEYS,
    run: (call) => store(call, unite),
  },
  {
    name: 'SDIFF',
    summary: 'The members of the first set that no other one has.',
    group: 'set',
    since: '1.0.0',
    arity: -2,
    flags: ['readonly'],
    keys: ALL_KEYS,
    run: (call) => answer(call, subtract),
  },
  {
    name: 'SDIFFSTORE',
    summary: 'Makes a set of the members of the first set that no other one has.',
    group: 'set',
    since: '1.0.0',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: ALL_KEYS,
    run: (call) => store(call, subtract),
  },
] as const satisfies readonly CommandSpec[];
