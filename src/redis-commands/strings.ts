/**
 * Strings: values read and written whole or in ranges.
 *
 * SET writes the register of a cell; whatever changes part of a value (APPEND, SETRANGE) writes the whole of it, since concurrent
 * changes of a string are resolved by the last writer. GET and plain SET are the hot path: no option is parsed, nothing is allocated.
 */
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import { CLEAR_TTL, KEEP_TTL } from '../database/writer.ts';
import { copyBytes } from '../memory/arena.ts';
import { expiryOf } from './key-access.ts';
import { STRING_BYTES_MAX } from './limits.ts';
import { EX, PX, readExpiryOrReply, type ExpiryUnit } from './parse-expiry.ts';
import { parseInteger } from './parse-number.ts';
import { parseSetOptions, type SetOptions } from './parse-set-options.ts';
import { scratch } from './scratch.ts';
import { ALL_KEYS, ONE_KEY, type Call, type CommandSpec, type KeySpec } from './spec.ts';
import { isStringOrReply, readValue, replyValue, writeChanged } from './string-access.ts';
import { NOT_AN_INTEGER, STRING_TOO_LONG, SYNTAX_ERROR, wrongArity } from './texts.ts';

const KEYS_AND_VALUES: KeySpec = { first: 1, last: -1, step: 2 };
const WHOLE_VALUE = 'The whole value is replicated: of concurrent changes the last writer wins.';

function get(call: Call): void {
  const key = call.database.lookup(call.args, 1);
  if (key.type === TYPE.none) call.reply.nil();
  else if (isStringOrReply(call, key)) replyValue(call, readValue(call, key));
}

function set(call: Call): void {
  const { args, database } = call;
  if (args.count > 3) {
    setWithOptions(call);
    return;
  }
  const key = database.lookupWrite(args, 1);
  database.writer.set(key, args.bytes, args.starts[2]!, args.lengths[2]!);
  call.reply.ok();
}

function setWithOptions(call: Call): void {
  const { args, database, reply } = call;
  const options = parseSetOptions(args, 3, 'set');
  if (options === null) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const ttl = timeToLive(call, options);
  if (Number.isNaN(ttl)) return;
  const key = database.lookupWrite(args, 1);
  if (options.get && !isStringOrReply(call, key)) return;
  if (options.get) replyValueOrNil(call, key);
  if (key.type === TYPE.none ? options.onlyIfThere : options.onlyIfMissing) {
    if (!options.get) reply.nil();
    return;
  }
  if (ttl >= 0 && ttl <= database.nowMs) database.writer.remove(key);
  else database.writer.set(key, args.bytes, args.starts[2]!, args.lengths[2]!, ttl);
  if (!options.get) reply.ok();
}

/** What the options make of the time to live; NaN: an error was replied. */
function timeToLive(call: Call, options: SetOptions): number {
  if (options.unit !== null) return readExpiryOrReply(call, options.expiryIndex, options.unit, 'set', true);
  return options.keepTtl ? KEEP_TTL : CLEAR_TTL;
}

/** The key's type was checked. */
function replyValueOrNil(call: Call, key: KeyRef): void {
  if (key.type === TYPE.none) call.reply.nil();
  else replyValue(call, readValue(call, key));
}

function setnx(call: Call): void {
  const { args, database, reply } = call;
  const key = database.lookupWrite(args, 1);
  if (key.type !== TYPE.none) {
    reply.integer(0);
    return;
  }
  database.writer.set(key, args.bytes, args.starts[2]!, args.lengths[2]!);
  reply.integer(1);
}

function setWithTtl(call: Call, unit: ExpiryUnit, name: string): void {
  const { args, database } = call;
  const ttl = readExpiryOrReply(call, 2, unit, name, true);
  if (Number.isNaN(ttl)) return;
  database.writer.set(database.lookupWrite(args, 1), args.bytes, args.starts[3]!, args.lengths[3]!, ttl);
  call.reply.ok();
}

function getset(call: Call): void {
  const { args, database } = call;
  const key = database.lookupWrite(args, 1);
  if (!isStringOrReply(call, key)) return;
  replyValueOrNil(call, key);
  database.writer.set(key, args.bytes, args.starts[2]!, args.lengths[2]!);
}

function getdel(call: Call): void {
  const { args, database } = call;
  const key = database.lookupWrite(args, 1);
  if (key.type === TYPE.none) {
    call.reply.nil();
  } else if (isStringOrReply(call, key)) {
    replyValue(call, readValue(call, key));
    database.writer.remove(key);
  }
}

function getex(call: Call): void {
  const { args, database, reply } = call;
  const options = parseSetOptions(args, 2, 'getex');
  if (options === null) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const key = database.lookupWrite(args, 1);
  if (key.type === TYPE.none) {
    reply.nil();
    return;
  }
  if (!isStringOrReply(call, key)) return;
  const { unit } = options;
  const ttl = unit === null ? 0 : readExpiryOrReply(call, options.expiryIndex, unit, 'getex', true);
  if (Number.isNaN(ttl)) return;
  replyValue(call, readValue(call, key));
  if (unit !== null && ttl <= database.nowMs) database.writer.remove(key);
  else if (unit !== null) database.writer.expire(key, ttl);
  else if (options.persist && expiryOf(database.keyspace, key.record) >= 0) database.writer.expire(key, Infinity);
}

function mget(call: Call): void {
  const { args, database, reply } = call;
  reply.array(args.count - 1);
  for (let i = 1; i < args.count; i++) {
    const key = database.lookup(args, i);
    if (key.type === TYPE.string) replyValue(call, readValue(call, key));
    else reply.nil();
  }
}

function mset(call: Call): void {
  if (call.args.count % 2 === 0) {
    call.reply.error(wrongArity('mset'));
    return;
  }
  setPairs(call);
  call.reply.ok();
}

function msetnx(call: Call): void {
  const { args, database, reply } = call;
  if (args.count % 2 === 0) {
    reply.error(wrongArity('msetnx'));
    return;
  }
  for (let i = 1; i < args.count; i += 2) {
    if (database.lookupWrite(args, i).type === TYPE.none) continue;
    reply.integer(0);
    return;
  }
  setPairs(call);
  reply.integer(1);
}

function setPairs({ args, database }: Call): void {
  for (let i = 1; i < args.count; i += 2) {
    database.writer.set(database.lookupWrite(args, i), args.bytes, args.starts[i + 1]!, args.lengths[i + 1]!);
  }
}

function append(call: Call): void {
  const { args, database, reply } = call;
  const key = database.lookupWrite(args, 1);
  if (!isStringOrReply(call, key)) return;
  const old = readValue(call, key);
  const added = args.lengths[2]!;
  const oldLength = old.length;
  if (oldLength + added > STRING_BYTES_MAX) {
    reply.error(STRING_TOO_LONG);
    return;
  }
  if (added > 0 || key.type === TYPE.none) {
    const value = scratch(oldLength + added);
    copyBytes(value, 0, old.bytes, old.start, oldLength);
    copyBytes(value, oldLength, args.bytes, args.starts[2]!, added);
    writeChanged(call, key, value, oldLength + added, oldLength);
  }
  reply.integer(oldLength + added);
}

function strlen(call: Call): void {
  const key = call.database.lookup(call.args, 1);
  if (isStringOrReply(call, key)) call.reply.integer(readValue(call, key).length);
}

function setrange(call: Call): void {
  const { args, database, reply } = call;
  const offset = parseInteger(args, 2);
  if (Number.isNaN(offset) || offset < 0) {
    reply.error(Number.isNaN(offset) ? NOT_AN_INTEGER : 'ERR offset is out of range');
    return;
  }
  const key = database.lookupWrite(args, 1);
  if (!isStringOrReply(call, key)) return;
  const old = readValue(call, key);
  const oldLength = old.length;
  const added = args.lengths[3]!;
  if (added === 0) {
    reply.integer(oldLength);
    return;
  }
  if (offset + added > STRING_BYTES_MAX) {
    reply.error(STRING_TOO_LONG);
    return;
  }
  const length = Math.max(oldLength, offset + added);
  const value = scratch(length);
  copyBytes(value, 0, old.bytes, old.start, oldLength);
  if (offset > oldLength) value.fill(0, oldLength, offset);
  copyBytes(value, offset, args.bytes, args.starts[3]!, added);
  writeChanged(call, key, value, length, oldLength);
  reply.integer(length);
}

function getrange(call: Call): void {
  const { args, database, reply } = call;
  let start = parseInteger(args, 2);
  let end = parseInteger(args, 3);
  if (Number.isNaN(start) || Number.isNaN(end)) {
    reply.error(NOT_AN_INTEGER);
    return;
  }
  const key = database.lookup(args, 1);
  if (!isStringOrReply(call, key)) return;
  const value = readValue(call, key);
  const { length } = value;
  const isReversed = start < 0 && end < 0 && start > end;
  if (start < 0) start = Math.max(0, length + start);
  if (end < 0) end = Math.max(0, length + end);
  end = Math.min(end, length - 1);
  if (isReversed || start > end) reply.bulk(value.bytes, 0, 0);
  else reply.bulk(value.bytes, value.start + start, end - start + 1);
}

export const STRING_COMMANDS = [
  {
    name: 'GET',
    summary: 'Returns the value of a string.',
    group: 'string',
    since: '1.0.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: get,
  },
  {
    name: 'SET',
    summary: 'Sets a string, whatever the key held before, with an optional time to live or condition.',
    group: 'string',
    since: '1.0.0',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: ONE_KEY,
    run: set,
  },
  {
    name: 'SETNX',
    summary: 'Sets a string where there is no key.',
    group: 'string',
    since: '1.0.0',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: 'Decided by what this instance has seen: two instances may both succeed at the same time.',
    run: setnx,
  },
  {
    name: 'SETEX',
    summary: 'Sets a string with a time to live in seconds.',
    group: 'string',
    since: '2.0.0',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: ONE_KEY,
    run: (call) => setWithTtl(call, EX, 'setex'),
  },
  {
    name: 'PSETEX',
    summary: 'Sets a string with a time to live in milliseconds.',
    group: 'string',
    since: '2.6.0',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: ONE_KEY,
    run: (call) => setWithTtl(call, PX, 'psetex'),
  },
  {
    name: 'GETSET',
    summary: 'Sets a string and returns what it was.',
    group: 'string',
    since: '1.0.0',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    run: getset,
  },
  {
    name: 'GETDEL',
    summary: 'Returns a string and removes its key.',
    group: 'string',
    since: '6.2.0',
    arity: 2,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: getdel,
  },
  {
    name: 'GETEX',
    summary: 'Returns a string and changes its time to live.',
    group: 'string',
    since: '6.2.0',
    arity: -2,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    run: getex,
  },
  {
    name: 'MGET',
    summary: 'Returns the values of several strings.',
    group: 'string',
    since: '1.0.0',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: ALL_KEYS,
    run: mget,
  },
  {
    name: 'MSET',
    summary: 'Sets several strings in one step.',
    group: 'string',
    since: '1.0.1',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: KEYS_AND_VALUES,
    run: mset,
  },
  {
    name: 'MSETNX',
    summary: 'Sets several strings where none of the keys is there.',
    group: 'string',
    since: '1.0.1',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: KEYS_AND_VALUES,
    deviation: 'Decided by what this instance has seen: two instances may both succeed at the same time.',
    run: msetnx,
  },
  {
    name: 'APPEND',
    summary: 'Adds bytes to the end of a string.',
    group: 'string',
    since: '2.0.0',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: ONE_KEY,
    deviation: WHOLE_VALUE,
    run: append,
  },
  {
    name: 'STRLEN',
    summary: 'Returns the length of a string in bytes.',
    group: 'string',
    since: '2.2.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: strlen,
  },
  {
    name: 'SETRANGE',
    summary: 'Overwrites part of a string from an offset on.',
    group: 'string',
    since: '2.2.0',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: ONE_KEY,
    deviation: WHOLE_VALUE,
    run: setrange,
  },
  {
    name: 'GETRANGE',
    summary: 'Returns part of a string.',
    group: 'string',
    since: '2.4.0',
    arity: 4,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: getrange,
  },
  {
    name: 'SUBSTR',
    summary: 'Returns part of a string; the old name of GETRANGE.',
    group: 'string',
    since: '1.0.0',
    arity: 4,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: getrange,
  },
] as const satisfies readonly CommandSpec[];
