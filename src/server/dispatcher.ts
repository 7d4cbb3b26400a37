/**
 * One request: which command, may it run, run it, commit what it wrote.
 *
 * The order of the checks is Redis's: unknown, arity, authentication, permission, memory, subscriber mode, loading, transaction. The usual client (one that
 * is authenticated, in no transaction and no subscriber) passes them with a few comparisons; nothing is allocated.
 *
 * Invariant: between two requests the database has no open batch, whatever a command did, an exception included.
 */
import type { Database } from '../database/database.ts';
import { BatchTooLargeError } from '../database/effects.ts';
import { PutOffError } from '../database/put-off.ts';
import type { Clock } from '../host/host.ts';
import { demandRoom } from '../redis-commands/demand-room.ts';
import type { QueuedCommand, ServerPort, Session } from '../redis-commands/session.ts';
import { USER } from '../redis-commands/session.ts';
import type { Call } from '../redis-commands/spec.ts';
import { CommandTable, lookupSubcommand, type TableEntry } from '../redis-commands/table.ts';
import { unknownSubcommand, wrongArity } from '../redis-commands/texts.ts';
import { ArenaFullError } from '../memory/arena.ts';
import { copyArgs, type Args } from '../resp/args.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import { EXECUTED, HELD, type ClientConnection } from './client-connection.ts';
import * as limits from './limits.ts';
import { Monitors } from './monitors.ts';
import type { InstancePort } from './ports.ts';
import type { SlowLog } from './slow-log.ts';

export const MAX_CLIENTS = 'ERR max number of clients reached';
const OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";
const OUT_OF_SPACE = 'OOM command not allowed: the instance holds as much data as it can address';
const LOADING = 'LOADING Redis is loading the dataset in memory';
const NOT_AUTHENTICATED = 'NOAUTH Authentication required.';
const UNKNOWN_ARGUMENTS_CHARS = 128;

/** What the replication user, that is another instance, may do besides CRDT.SYNC. */
const FOR_REPLICATION = new Set(['CRDT.SYNC', 'AUTH', 'HELLO', 'PING', 'QUIT']);
/** What a browser that was lured here sends first: nothing of it may be executed. */
const FROM_BROWSERS = new Set(['post', 'host:']);

export interface DispatcherOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly instance: InstancePort;
  readonly isLoading: boolean;
  readonly reply: ReplyWriter;
  readonly slowlog: SlowLog;
  readonly server: ServerPort;
  /** A command is HELD until a container is settled. */
  readonly onPutOff: () => void;
}

export class Dispatcher {
  readonly table = new CommandTable();
  readonly monitors = new Monitors();
  commandsProcessed = 0;
  /** Errors replied, by code. */
  readonly errors = new Map<string, number>();
  /** Something was committed in this turn. */
  wrote = false;
  /** Until then no command (or no write) of a client runs, ms since 1970; 0: they do. */
  pausedUntilMs = 0;
  /** The disk takes the log more slowly than clients write it: writes wait. */
  logIsBehind = false;
  /** Why no client may write; null: they may. */
  writeRefusal: string | null = null;
  pausesWritesOnly = false;
  #database: Database;
  readonly #clock: Clock;
  #instance: InstancePort;
  #isLoading: boolean;
  readonly #reply: ReplyWriter;
  readonly #slowlog: SlowLog;
  readonly #call: { -readonly [K in keyof Call]: Call[K] };
  readonly #onPutOff: () => void;
  #errorCount = 0;
  /** The command that runs is to be run again later. */
  #isPutOff = false;

  constructor(options: DispatcherOptions) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#instance = options.instance;
    this.#isLoading = options.isLoading;
    this.#reply = options.reply;
    this.#slowlog = options.slowlog;
    this.#onPutOff = options.onPutOff;
    this.#call = {
      database: options.database,
      args: null as unknown as Args,
      reply: options.reply,
      session: null as unknown as Session,
      server: options.server,
    };
  }

  /** The data is loaded. */
  serve(database: Database, instance: InstancePort): void {
    this.#database = database;
    this.#call.database = database;
    this.#instance = instance;
    this.#isLoading = false;
  }

  resetStats(): void {
    this.commandsProcessed = 0;
    this.errors.clear();
    for (const entry of this.table.entries) {
      for (const each of [entry, ...entry.subcommands]) each.calls = each.failed = each.rejected = each.micros = 0;
    }
  }

  /** Executes one request of a client and replies. HELD: it was not executed, try again when writes go on. */
  execute(session: ClientConnection, args: Args): typeof EXECUTED | typeof HELD {
    let entry = this.table.lookup(args);
    if (entry === null) return this.#refuseUnknown(session, args);
    if (entry.subcommands.length > 0 && args.count > 1) {
      const sub = lookupSubcommand(entry, args);
      if (sub === null) return this.#refuseSubcommand(session, entry, args);
      entry = sub;
    }
    const { arity } = entry.spec;
    if (arity > 0 ? args.count !== arity : args.count < -arity) {
      return this.#refuse(session, entry, wrongArity(entry.lowerName));
    }
    if (session.user !== USER.default) {
      const problem = explainForbidden(session, entry);
      if (problem !== null) return this.#refuse(session, entry, problem);
    }
    if (this.#database.memoryBytesMax > 0 && this.#database.isFull && needsMemory(session, entry)) {
      return this.#refuse(session, entry, OUT_OF_MEMORY);
    }
    if (this.writeRefusal !== null && writes(session, entry)) return this.#refuse(session, entry, this.writeRefusal);
    if (session.protocol === 2 && !entry.runsWhileSubscribed && session.subscriptionCount > 0) {
      return this.#refuse(session, entry, onlyWhileSubscribed(entry.lowerName));
    }
    if (this.#isLoading && !entry.runsWhileLoading) return this.#refuse(session, entry, LOADING);
    if (session.transaction !== null && !entry.runsInMulti) return this.#queue(session, entry, args);
    if (this.#mustWait(session, entry)) return HELD;
    return this.#run(session, entry, args);
  }

  #run(session: ClientConnection, entry: TableEntry, args: Args): typeof EXECUTED | typeof HELD {
    const call = this.#call;
    const reply = this.#reply;
    const before = reply.length;
    const { replyMode } = session;
    call.session = session;
    call.args = args;
    this.commandsProcessed++;
    entry.calls++;
    session.lastEntry = entry;
    const { keyspace } = this.#database;
    keyspace.mayPutOff = true;
    if (entry.isTimed) {
      this.#runTimed(session, entry, args);
    } else {
      try {
        if (entry.writesSeveral) demandRoom(this.#database, args, entry);
        entry.spec.run(call);
      } catch (error) {
        this.#fail(entry, error, before);
      }
    }
    keyspace.mayPutOff = false;
    if (this.#isPutOff) return this.#putOff(entry);
    this.#commit(session);
    if (reply.errorCount !== this.#errorCount) this.#countErrors(entry);
    if (session.replyMode !== 'on') this.#applyReplyMode(session, before, replyMode);
    if (this.monitors.count > 0) this.#tellMonitors(session, entry, args);
    if (session.hasMessages) session.releaseMessages();
    return EXECUTED;
  }

  /** The command has changed nothing: it is as if it had never run. */
  #putOff(entry: TableEntry): typeof HELD {
    this.#isPutOff = false;
    this.commandsProcessed--;
    entry.calls--;
    this.#onPutOff();
    return HELD;
  }

  #tellMonitors(session: ClientConnection, entry: TableEntry, args: Args): void {
    this.monitors.note(session, entry, args, this.#call.server.nowMicros());
  }

  /** Also after an exception: what the command had done by then is done and encoded, and peers must hear of it. */
  #commit(session: ClientConnection): void {
    const seq = this.#database.commit();
    if (seq === 0) return;
    this.wrote = true;
    session.noteWrite(seq);
  }

  #runTimed(session: ClientConnection, entry: TableEntry, args: Args): void {
    const before = this.#reply.length;
    const started = this.#clock.monotonicMs();
    try {
      if (entry.writesSeveral) demandRoom(this.#database, args, entry);
      entry.spec.run(this.#call);
    } catch (error) {
      this.#fail(entry, error, before);
    }
    if (this.#isPutOff) return;
    const micros = Math.round((this.#clock.monotonicMs() - started) * 1000);
    entry.micros += micros;
    const { thresholdMicros } = this.#slowlog;
    if (thresholdMicros >= 0 && micros >= thresholdMicros && !entry.spec.flags.includes('skip_slowlog')) {
      this.#slowlog.note(session, args, micros, this.#database.nowMs);
    }
  }

  /**
   * CLIENT REPLY OFF and SKIP: the command ran, its reply is dropped. `mode`: before it ran; a transaction that turns replies off has
   * replied until then.
   */
  #applyReplyMode(session: ClientConnection, before: number, mode = session.replyMode): void {
    if (session.replyMode === 'skip-next') {
      session.replyMode = 'skip';
      return;
    }
    if (mode !== 'on') this.#reply.truncate(before);
    if (session.replyMode === 'skip') session.replyMode = 'on';
  }

  /**
   * A command that is put off has changed nothing, nor has one that cannot be replicated or has no room in memory. All else is a bug in a command: its client gets
   * an error, the log a line, everybody else nothing.
   */
  #fail(entry: TableEntry, error: unknown, before: number): void {
    this.#reply.truncate(before);
    if (error instanceof PutOffError) {
      this.#isPutOff = true;
      return;
    }
    if (error instanceof BatchTooLargeError)
      return this.#reply.error(`ERR '${entry.lowerName}' is refused: ${error.message}`);
    if (error instanceof ArenaFullError) return this.#reply.error(OUT_OF_SPACE);
    this.#reply.error(`ERR internal error in '${entry.lowerName}'; the instance's log has the details`);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#instance.log('error', `command failed: ${entry.lowerName}: ${text}`);
  }

  #refuse(session: ClientConnection, entry: TableEntry | null, text: string): typeof EXECUTED {
    if (entry !== null) entry.rejected++;
    const { transaction } = session;
    if (entry?.spec.name === 'EXEC') {
      session.transaction = null;
      this.#call.server.forgetWatches(session);
      text = `EXECABORT Transaction discarded because of: ${text.replace(/^ERR /, '')}`;
    } else if (transaction !== null) {
      transaction.failed = true;
    }
    const before = this.#reply.length;
    this.#reply.error(text);
    this.#countErrors(null);
    if (session.replyMode !== 'on') this.#applyReplyMode(session, before);
    return EXECUTED;
  }

  #refuseUnknown(session: ClientConnection, args: Args): typeof EXECUTED {
    const name = args.echo(0, UNKNOWN_ARGUMENTS_CHARS);
    if (FROM_BROWSERS.has(name.toLowerCase())) {
      this.#instance.log('info', `client ${session.id} closed: ${session.remote} speaks HTTP`);
      session.kill();
      return EXECUTED;
    }
    let shown = '';
    for (let i = 1; i < args.count && shown.length < UNKNOWN_ARGUMENTS_CHARS; i++) {
      shown += `'${args.echo(i, UNKNOWN_ARGUMENTS_CHARS - shown.length)}' `;
    }
    return this.#refuse(session, null, `ERR unknown command '${name}', with args beginning with: ${shown}`);
  }

  #refuseSubcommand(session: ClientConnection, entry: TableEntry, args: Args): typeof EXECUTED {
    return this.#refuse(session, entry, unknownSubcommand(args.echo(1), entry.spec.name));
  }

  #queue(session: ClientConnection, entry: TableEntry, args: Args): typeof EXECUTED {
    if (entry.refusedInMulti) return this.#refuse(session, entry, 'ERR Command not allowed inside a transaction');
    const transaction = session.transaction!;
    const copy = copyArgs(args);
    transaction.bytes += copy.bytes.length;
    if (transaction.bytes > limits.TRANSACTION_BYTES_MAX) {
      transaction.queue.length = 0;
      return this.#refuse(session, entry, `ERR a transaction may hold ${limits.TRANSACTION_BYTES_MAX} bytes at most`);
    }
    transaction.queue.push({ spec: entry.spec, args: copy });
    const before = this.#reply.length;
    this.#reply.simple('QUEUED');
    if (session.replyMode !== 'on') this.#applyReplyMode(session, before);
    return EXECUTED;
  }

  /** One command of a transaction, whose EXEC commits. */
  runQueued({ spec, args }: QueuedCommand): void {
    const call = this.#call;
    // The transaction has begun.
    this.#database.keyspace.mayPutOff = false;
    const entry = this.#entryOf(args);
    const before = this.#reply.length;
    const { session } = call;
    const { replyMode } = session;
    call.args = args;
    entry.calls++;
    try {
      if (entry.writesSeveral) demandRoom(this.#database, args, entry);
      spec.run(call);
    } catch (error) {
      this.#fail(entry, error, before);
    }
    if (this.#reply.errorCount !== this.#errorCount) this.#countErrors(entry);
    if (replyMode === 'off' && session.replyMode === 'off') this.#reply.truncate(before);
    if (this.monitors.count > 0) this.monitors.note(session, entry, args, call.server.nowMicros());
  }

  #entryOf(args: Args): TableEntry {
    const entry = this.table.lookup(args)!;
    return (entry.subcommands.length > 0 && args.count > 1 && lookupSubcommand(entry, args)) || entry;
  }

  #countErrors(entry: TableEntry | null): void {
    this.#errorCount = this.#reply.errorCount;
    if (entry !== null) entry.failed++;
    const text = this.#reply.lastError;
    const end = text.indexOf(' ');
    const code = end < 0 ? text : text.slice(0, end);
    if (this.errors.size < limits.ERROR_CODES_MAX || this.errors.has(code)) {
      this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
    }
  }

  #mustWait(session: ClientConnection, entry: TableEntry): boolean {
    const held = this.logIsBehind;
    if (!held && this.pausedUntilMs === 0) return false;
    if (session.user === USER.control || session.user === USER.replication) return false;
    const isWrite = writes(session, entry);
    if (held && isWrite) return true;
    if (this.pausedUntilMs === 0 || this.#database.nowMs >= this.pausedUntilMs) return false;
    return isWrite || entry.spec.name === 'PUBLISH' || entry.spec.name === 'SPUBLISH' || !this.pausesWritesOnly;
  }
}

const hasQueued = (session: Session, flag: 'write' | 'denyoom'): boolean =>
  session.transaction?.queue.some(({ spec }) => spec.flags.includes(flag)) ?? false;

const writes = (session: Session, entry: TableEntry): boolean =>
  entry.isWrite || (entry.spec.name === 'EXEC' && hasQueued(session, 'write'));

const needsMemory = (session: Session, entry: TableEntry): boolean =>
  entry.deniedWhenFull || (entry.spec.name === 'EXEC' && hasQueued(session, 'denyoom'));

/** For others than the default user. null: the command may run. */
function explainForbidden(session: ClientConnection, entry: TableEntry): string | null {
  if (session.user === '' && session.isReserved && entry.spec.name !== 'AUTH') return MAX_CLIENTS;
  if (session.user === '') return entry.needsNoAuth ? null : NOT_AUTHENTICATED;
  if (session.user !== USER.replication || FOR_REPLICATION.has(entry.spec.name)) return null;
  return `NOPERM this user has no permissions to run the '${entry.lowerName}' command`;
}

const onlyWhileSubscribed = (command: string): string =>
  `ERR Can't execute '${command}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`;
