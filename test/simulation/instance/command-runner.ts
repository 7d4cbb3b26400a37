/** Runs commands on a database as the server does, without a connection: look up, check the arity, ask for room, run. */
import type { Database } from '../../../src/database/database.ts';
import { demandRoom } from '../../../src/redis-commands/demand-room.ts';
import { CommandTable } from '../../../src/redis-commands/table.ts';
import type { Call } from '../../../src/redis-commands/spec.ts';
import { makeArgs } from '../../../src/resp/args.ts';
import { RecordingReply, type ReplyValue } from '../recording-reply.ts';

const COMMANDS = new Map(new CommandTable().entries.map((entry) => [entry.spec.name, entry]));

export const isKnownCommand = (name: string): boolean => COMMANDS.has(name);

export class CommandRunner {
  readonly #database: Database;
  #reply = new RecordingReply();
  readonly #server: Call['server'];

  constructor(database: Database) {
    this.#database = database;
    this.#server = {
      nowMs: () => database.nowMs,
      nowMicros: () => database.nowMs * 1000,
    } as unknown as Call['server'];
  }

  /** Strings hold one char per byte. The database's time is the caller's to set. `mayPutOff`: throws PutOffError rather than settle much. */
  run(argv: readonly string[], mayPutOff = false): ReplyValue {
    const entry = COMMANDS.get(argv[0]!)!;
    const { spec } = entry;
    if (spec.arity >= 0 ? argv.length !== spec.arity : argv.length < -spec.arity) {
      throw new Error(`${argv.join(' ')} has the wrong number of arguments`);
    }
    const args = makeArgs(argv.map((text) => Buffer.from(text, 'latin1')));
    const { keyspace } = this.#database;
    keyspace.mayPutOff = mayPutOff;
    try {
      demandRoom(this.#database, args, entry);
      spec.run({ database: this.#database, args, reply: this.#reply, session: SESSION, server: this.#server });
      return this.#reply.take();
    } catch (error) {
      this.#reply = new RecordingReply();
      throw error;
    } finally {
      keyspace.mayPutOff = false;
    }
  }
}

/** Data commands ask nothing of their session, and only the time of the server. */
const SESSION = { id: 1, user: 'default', protocol: 3 } as unknown as Call['session'];
