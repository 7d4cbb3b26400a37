/**
 * Times to live of keys. A time is kept absolute, ms since 1970; one that is over already removes the key at once.
 */
import { TYPE } from '../database/key-ref.ts';
import { expiryOf } from './key-access.ts';
import { EX, EXAT, PX, PXAT, readExpiryOrReply, type ExpiryUnit } from './parse-expiry.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';

const LONGER_WINS =
  'Of times to live set at several instances at the same time the longest wins, and PERSIST over all.';
const LATEST = `${LONGER_WINS} Times after 2^53 - 1 ms (in the year 287396) are refused.`;

/** Conditions of EXPIRE and its kin; bits. */
const NX = 1;
const XX = 2;
const GT = 4;
const LT = 8;

function expire(call: Call, unit: ExpiryUnit, name: string): void {
  const { args, database, reply } = call;
  const conditions = args.count > 3 ? readConditionsOrReply(call) : 0;
  if (conditions < 0) return;
  const atMs = readExpiryOrReply(call, 2, unit, name, false);
  if (Number.isNaN(atMs)) return;
  const key = database.lookupWrite(args, 1);
  if (key.type === TYPE.none || !holds(conditions, atMs, expiryOf(database.keyspace, key.record))) {
    reply.integer(0);
    return;
  }
  if (atMs <= database.nowMs) database.writer.remove(key);
  else database.writer.expire(key, atMs);
  reply.integer(1);
}

/** A key that never expires counts as one with an infinite time to live. */
function holds(conditions: number, atMs: number, currentMs: number): boolean {
  if (conditions === 0) return true;
  const isVolatile = currentMs >= 0;
  if ((conditions & NX) !== 0 && isVolatile) return false;
  if ((conditions & XX) !== 0 && !isVolatile) return false;
  if ((conditions & GT) !== 0 && (!isVolatile || atMs <= currentMs)) return false;
  return (conditions & LT) === 0 || !isVolatile || atMs < currentMs;
}

/** Bits of the conditions; -1: an error was replied. */
function readConditionsOrReply({ args, reply }: Call): number {
  let conditions = 0;
  for (let i = 3; i < args.count; i++) {
    if (args.isWord(i, 'NX')) conditions |= NX;
    else if (args.isWord(i, 'XX')) conditions |= XX;
    else if (args.isWord(i, 'GT')) conditions |= GT;
    else if (args.isWord(i, 'LT')) conditions |= LT;
    else {
      reply.error(`ERR Unsupported option ${args.echo(i)}`);
      return -1;
    }
  }
  if ((conditions & NX) !== 0 && conditions !== NX) {
    reply.error('ERR NX and XX, GT or LT options at the same time are not compatible');
    return -1;
  }
  if ((conditions & GT) !== 0 && (conditions & LT) !== 0) {
    reply.error('ERR GT and LT options at the same time are not compatible');
    return -1;
  }
  return conditions;
}

/** -2: no key; -1: it never expires. */
function ttl(call: Call, unit: ExpiryUnit): void {
  const { database, reply } = call;
  const key = database.lookup(call.args, 1);
  const atMs = key.type === TYPE.none ? -2 : expiryOf(database.keyspace, key.record);
  if (atMs < 0) {
    reply.integer(atMs);
    return;
  }
  const ms = unit.isRelative ? atMs - database.nowMs : atMs;
  const value = unit.scale === 1 ? ms : Math.floor((ms + 500) / 1000);
  reply.integer(value);
}

function persist(call: Call): void {
  const { database, reply } = call;
  const key = database.lookupWrite(call.args, 1);
  if (key.type === TYPE.none || expiryOf(database.keyspace, key.record) < 0) {
    reply.integer(0);
    return;
  }
  database.writer.expire(key, Infinity);
  reply.integer(1);
}

export const EXPIRY_COMMANDS = [
  {
    name: 'EXPIRE',
    summary: 'Gives a key a time to live in seconds.',
    group: 'generic',
    since: '1.0.0',
    arity: -3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    deviation: LATEST,
    run: (call) => expire(call, EX, 'expire'),
  },
  {
    name: 'PEXPIRE',
    summary: 'Gives a key a time to live in milliseconds.',
    group: 'generic',
    since: '2.6.0',
    arity: -3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    deviation: LATEST,
    run: (call) => expire(call, PX, 'pexpire'),
  },
  {
    name: 'EXPIREAT',
    summary: 'Lets a key expire at a time in seconds since 1970.',
    group: 'generic',
    since: '1.2.0',
    arity: -3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    deviation: LATEST,
    run: (call) => expire(call, EXAT, 'expireat'),
  },
  {
    name: 'PEXPIREAT',
    summary: 'Lets a key expire at a time in milliseconds since 1970.',
    group: 'generic',
    since: '2.6.0',
    arity: -3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    deviation: LATEST,
    run: (call) => expire(call, PXAT, 'pexpireat'),
  },
  {
    name: 'TTL',
    summary: 'Returns how long a key lives on, in seconds.',
    group: 'generic',
    since: '1.0.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => ttl(call, EX),
  },
  {
    name: 'PTTL',
    summary: 'Returns how long a key lives on, in milliseconds.',
    group: 'generic',
    since: '2.6.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => ttl(call, PX),
  },
  {
    name: 'EXPIRETIME',
    summary: 'Returns when a key expires, in seconds since 1970.',
    group: 'generic',
    since: '7.0.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => ttl(call, EXAT),
  },
  {
    name: 'PEXPIRETIME',
    summary: 'Returns when a key expires, in milliseconds since 1970.',
    group: 'generic',
    since: '7.0.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: (call) => ttl(call, PXAT),
  },
  {
    name: 'PERSIST',
    summary: 'Takes the time to live from a key.',
    group: 'generic',
    since: '2.2.0',
    arity: 2,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    deviation: LONGER_WINS,
    run: persist,
  },
] as const satisfies readonly CommandSpec[];
