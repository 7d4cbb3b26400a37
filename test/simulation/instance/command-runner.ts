/** Runs commands on a database as the server does, without a connection: look up, check the arity, run. */
import type { Database } from '../../../src/database/database.ts';
import { COUNTER_COMMANDS } from '../../../src/redis-commands/counters.ts';
import { EXPIRY_COMMANDS } from '../../../src/redis-commands/expiry.ts';
import { GENERIC_COMMANDS } from '../../../src/redis-commands/generic.ts';
import { HASH_COUNTER_COMMANDS } from '../../../src/redis-commands/hash-counters.ts';
import { HASH_COMMANDS } from '../../../src/redis-commands/hashes.ts';
import { SET_COMMANDS } from '../../../src/redis-commands/sets.ts';
import type { CommandSpec, ServerPort, Session } from '../../../src/redis-commands/spec.ts';
import { STRING_COMMANDS } from '../../../src/redis-commands/strings.ts';
import { makeArgs } from '../../../src/resp/args.ts';
import { RecordingReply, type ReplyValue } from '../recording-reply.ts';

const GROUPS: readonly (readonly CommandSpec[])[] = [
  STRING_COMMANDS,
  COUNTER_COMMANDS,
  GENERIC_COMMANDS,
  EXPIRY_COMMANDS,
  HASH_COMMANDS,
  HASH_COUNTER_COMMANDS,
  SET_COMMANDS,
];

const COMMANDS = new Map(GROUPS.flat().map((spec) => [spec.name, spec]));

export const isKnownCommand = (name: string): boolean => COMMANDS.has(name);

export class CommandRunner {
  readonly #database: Database;
  readonly #reply = new RecordingReply();
  readonly #server: ServerPort;

  constructor(database: Database) {
    this.#database = database;
    this.#server = { nowMicros: () => database.nowMs * 1000 };
  }

  /** Strings hold one char per byte. The database's time is the caller's to set. */
  run(argv: readonly string[]): ReplyValue {
    const spec = COMMANDS.get(argv[0]!)!;
    if (spec.arity >= 0 ? argv.length !== spec.arity : argv.length < -spec.arity) {
      throw new Error(`${argv.join(' ')} has the wrong number of arguments`);
    }
    const args = makeArgs(argv.map((text) => Buffer.from(text, 'latin1')));
    spec.run({ database: this.#database, args, reply: this.#reply, session: SESSION, server: this.#server });
    return this.#reply.take();
  }
}

const SESSION: Session = {
  id: 1,
  name: '',
  libraryName: '',
  libraryVersion: '',
  user: 'default',
  protocol: 3,
  inTransaction: false,
  lastWriteSeq: 0,
};
