/** RENAME and COPY: the removal of what was seen under the one name, fresh state under the other. */
import { TYPE } from '../database/key-ref.ts';
import { copyContents } from './copy-key.ts';
import { parseInteger } from './parse-number.ts';
import type { Args } from '../resp/args.ts';
import type { Call, CommandSpec, KeySpec } from './spec.ts';
import { NO_SUCH_KEY, NOT_AN_INTEGER, ONE_DATABASE, SYNTAX_ERROR } from './texts.ts';

const SOURCE_AND_TARGET: KeySpec = { first: 1, last: 2, step: 1 };
const FRESH =
  'The new key is fresh state: changes of the old one made elsewhere at the same time stay under its old name.';

/** Whether the target came to be what the source was. Otherwise (it is there, and must not be) nothing changed. */
function rename(call: Call, replaces: boolean): boolean | null {
  const { args, database } = call;
  const source = database.lookupWrite(args, 1, 0);
  if (source.type === TYPE.none) {
    call.reply.error(NO_SUCH_KEY);
    return null;
  }
  if (areEqual(args, 1, 2)) return replaces;
  const target = database.lookupWrite(args, 2, 1);
  if (target.type !== TYPE.none && !replaces) return false;
  copyContents(database, source, target);
  database.writer.remove(source);
  return true;
}

function copy(call: Call): void {
  const { args, database, reply } = call;
  const replaces = readCopyOptionsOrReply(call);
  if (replaces === null) return;
  if (areEqual(args, 1, 2)) {
    reply.error('ERR source and destination objects are the same');
    return;
  }
  const source = database.lookup(args, 1, 0);
  const target = source.type === TYPE.none ? null : database.lookupWrite(args, 2, 1);
  if (target === null || (target.type !== TYPE.none && !replaces)) {
    reply.integer(0);
    return;
  }
  copyContents(database, source, target);
  reply.integer(1);
}

/** Whether REPLACE was given; null: an error was replied. */
function readCopyOptionsOrReply({ args, reply }: Call): boolean | null {
  let replaces = false;
  for (let i = 3; i < args.count; i++) {
    if (args.isWord(i, 'REPLACE')) {
      replaces = true;
    } else if (args.isWord(i, 'DB') && i + 1 < args.count) {
      const index = parseInteger(args, ++i);
      if (index === 0) continue;
      const isInteger = Math.abs(index) < 2 ** 31;
      reply.error(isInteger ? `ERR DB index is out of range: ${ONE_DATABASE}` : NOT_AN_INTEGER);
      return null;
    } else {
      reply.error(SYNTAX_ERROR);
      return null;
    }
  }
  return replaces;
}

function areEqual({ bytes, starts, lengths }: Args, one: number, other: number): boolean {
  const start = starts[one]!;
  const otherStart = starts[other]!;
  return bytes.compare(bytes, otherStart, otherStart + lengths[other]!, start, start + lengths[one]!) === 0;
}

export const RENAME_COMMANDS = [
  {
    name: 'RENAME',
    summary: 'Gives what a key holds another name, over what was there.',
    group: 'generic',
    since: '1.0.0',
    arity: 3,
    flags: ['write'],
    keys: SOURCE_AND_TARGET,
    deviation: FRESH,
    run: (call) => {
      if (rename(call, true) !== null) call.reply.ok();
    },
  },
  {
    name: 'RENAMENX',
    summary: 'Gives what a key holds another name, unless that is taken.',
    group: 'generic',
    since: '1.0.0',
    arity: 3,
    flags: ['write', 'fast'],
    keys: SOURCE_AND_TARGET,
    deviation: FRESH,
    run: (call) => {
      const done = rename(call, false);
      if (done !== null) call.reply.integer(done ? 1 : 0);
    },
  },
  {
    name: 'COPY',
    summary: 'Copies what a key holds to another key.',
    group: 'generic',
    since: '6.2.0',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: SOURCE_AND_TARGET,
    deviation: 'DB 0 is the only database.',
    run: copy,
  },
] as const satisfies readonly CommandSpec[];
