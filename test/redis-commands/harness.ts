/** Commands run in process, as the server runs them: one database, replies as bytes. */
import { Database } from '../../src/database/database.ts';
import type { CommandSpec, ServerPort, Session } from '../../src/redis-commands/spec.ts';
import { unknownSubcommand } from '../../src/redis-commands/texts.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { ReplyWriter } from '../../src/resp/reply-writer.ts';
import { seededRandom, START_MS } from '../database/cluster.ts';

export type Word = string | Buffer;

/** A client of a database. The time stands still at START_MS until `database.setTime`. */
export class Client {
  readonly database: Database;
  readonly reply = new ReplyWriter();
  readonly #commands: ReadonlyMap<string, CommandSpec>;

  constructor(
    commands: readonly CommandSpec[],
    options: { readonly database?: Database; readonly protocol?: 2 | 3 } = {},
  ) {
    this.#commands = new Map(commands.map((spec) => [spec.name, spec]));
    this.reply.protocol = options.protocol ?? 3;
    this.database = options.database ?? makeDatabase(1);
  }

  /** Runs one command and returns the bytes of its reply, one char per byte. */
  run(...words: Word[]): string {
    const args = makeArgs(words);
    const command = this.#commands.get(args.latin1(0).toUpperCase());
    if (command === undefined) throw new Error(`no command ${args.latin1(0)}`);
    const subcommand = args.count > 1 ? `${command.name} ${args.latin1(1).toUpperCase()}` : '';
    const spec = command.subcommands?.find(({ name }) => name === subcommand) ?? command;
    const { database, reply } = this;
    if (spec === command && subcommand !== '' && command.subcommands !== undefined) {
      reply.error(unknownSubcommand(args.echo(1), command.name));
      return this.#take();
    }
    const fits = spec.arity > 0 ? args.count === spec.arity : args.count >= -spec.arity;
    if (fits) spec.run({ database, args, reply, session: NO_SESSION, server: NO_SERVER });
    else reply.error(`ERR wrong number of arguments for '${spec.name.toLowerCase().replace(' ', '|')}' command`);
    database.commit();
    return this.#take();
  }

  #take(): string {
    const text = this.reply.peek().toString('latin1');
    this.reply.truncate();
    return text;
  }

  /** The same for a command line split at spaces, as an operator would type it. */
  type(line: string): string {
    return this.run(...line.split(' '));
  }
}

export function makeDatabase(instance: number, seed = instance): Database {
  const database = new Database({
    instance,
    generation: 1_764_000_000,
    random: seededRandom(seed),
    segmentBytes: 1 << 20,
    logChunkBytes: 1 << 12,
  });
  database.setTime(START_MS);
  return database;
}

const NO_SESSION = null as unknown as Session;
const NO_SERVER = null as unknown as ServerPort;
