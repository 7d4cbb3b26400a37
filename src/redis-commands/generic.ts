/** Keys of any type: whether they are there, removing them, and the database as a whole. */
import { KeyRef, TYPE, TYPE_NAMES } from '../database/key-ref.ts';
import { ALL_KEYS, NO_KEYS, ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { ONE_DATABASE, SYNTAX_ERROR } from './texts.ts';

const OBSERVED = 'Removes what this instance has seen: a write made elsewhere at the same time survives.';

function del(call: Call): void {
  const { args, database } = call;
  let removed = 0;
  for (let i = 1; i < args.count; i++) {
    const key = database.lookupWrite(args, i);
    if (key.type === TYPE.none) continue;
    database.writer.remove(key);
    removed++;
  }
  call.reply.integer(removed);
}

function exists(call: Call): void {
  const { args, database } = call;
  let count = 0;
  for (let i = 1; i < args.count; i++) if (database.lookup(args, i).type !== TYPE.none) count++;
  call.reply.integer(count);
}

function type(call: Call): void {
  call.reply.simple(TYPE_NAMES[call.database.lookup(call.args, 1).type]!);
}

function dbsize(call: Call): void {
  call.reply.integer(call.database.keyCount);
}

function flush(call: Call): void {
  const { args, database, reply } = call;
  const isPlain = args.count === 1 || (args.count === 2 && (args.isWord(1, 'SYNC') || args.isWord(1, 'ASYNC')));
  if (!isPlain) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  if (database.keyCount > 0) database.writer.flush(new KeyRef());
  reply.ok();
}

const refuse = (call: Call): void => call.reply.error(`ERR ${ONE_DATABASE}`);

export const GENERIC_COMMANDS = [
  {
    name: 'DEL',
    summary: 'Removes keys.',
    group: 'generic',
    since: '1.0.0',
    arity: -2,
    flags: ['write'],
    keys: ALL_KEYS,
    deviation: OBSERVED,
    run: del,
  },
  {
    name: 'UNLINK',
    summary: 'Removes keys; the same as DEL, which blocks no longer here.',
    group: 'generic',
    since: '4.0.0',
    arity: -2,
    flags: ['write', 'fast'],
    keys: ALL_KEYS,
    deviation: OBSERVED,
    run: del,
  },
  {
    name: 'EXISTS',
    summary: 'Counts how many of the keys are there.',
    group: 'generic',
    since: '1.0.0',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: ALL_KEYS,
    run: exists,
  },
  {
    name: 'TOUCH',
    summary: 'Counts how many of the keys are there.',
    group: 'generic',
    since: '3.2.1',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: ALL_KEYS,
    deviation: 'Access times are not kept.',
    run: exists,
  },
  {
    name: 'TYPE',
    summary: 'Returns the type of what a key holds.',
    group: 'generic',
    since: '1.0.0',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    run: type,
  },
  {
    name: 'DBSIZE',
    summary: 'Returns the number of keys.',
    group: 'server',
    since: '1.0.0',
    arity: 1,
    flags: ['readonly', 'fast'],
    keys: NO_KEYS,
    run: dbsize,
  },
  {
    name: 'FLUSHALL',
    summary: 'Removes all keys.',
    group: 'server',
    since: '1.0.0',
    arity: -1,
    flags: ['write'],
    keys: NO_KEYS,
    deviation: `${OBSERVED} SYNC and ASYNC are the same.`,
    run: flush,
  },
  {
    name: 'FLUSHDB',
    summary: 'Removes all keys.',
    group: 'server',
    since: '1.0.0',
    arity: -1,
    flags: ['write'],
    keys: NO_KEYS,
    deviation: `${OBSERVED} SYNC and ASYNC are the same.`,
    run: flush,
  },
  {
    name: 'MOVE',
    summary: 'Would move a key to another database: there is only one.',
    group: 'generic',
    since: '1.0.0',
    arity: 3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    deviation: 'Refused: an Active-Active database has database 0 only.',
    run: refuse,
  },
  {
    name: 'SWAPDB',
    summary: 'Would swap two databases: there is only one.',
    group: 'server',
    since: '4.0.0',
    arity: 3,
    flags: ['write', 'fast'],
    keys: NO_KEYS,
    deviation: 'Refused: an Active-Active database has database 0 only.',
    run: refuse,
  },
] as const satisfies readonly CommandSpec[];
