/**
 * The Redis endpoint of an instance: connections, dispatch, transactions, pub/sub, and what commands may ask of the process.
 *
 * One object per process stands for everything that commands share: parser, reply writer, call. A readable event is a turn: the clock is read once,
 * requests are executed in order, the log is woken once, one write per connection goes out.
 *
 * Invariant: between two commands the database has no open batch; within a turn `current` is the connection whose requests run.
 */
import type { Database } from '../database/database.ts';
import type { Clock } from '../host/host.ts';
import type { ServerSocket } from '../host/tcp-listener.ts';
import type { AckPort, ControlPort, QueuedCommand, ServerPort, Session, SlowEntry } from '../redis-commands/session.ts';
import { USER } from '../redis-commands/session.ts';
import type { Call } from '../redis-commands/spec.ts';
import { CommandTable, lookupSubcommand, type TableEntry } from '../redis-commands/table.ts';
import { wrongArity } from '../redis-commands/texts.ts';
import { copyArgs, type Args } from '../resp/args.ts';
import type { RequestParser } from '../resp/parser.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import { ClientConnection, EXECUTED, HELD } from './client-connection.ts';
import * as limits from './limits.ts';
import type { Credentials, InstancePort } from './ports.ts';
import { PubSubHub } from './pubsub-hub.ts';
import { describeServer, formatInfo, type ServerStats } from './server-info.ts';
import { Settings, type FixedSettings } from './settings.ts';
import { SlowLog } from './slow-log.ts';

export interface RedisServerOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** The one whose read area the listener's sockets read into. */
  readonly parser: RequestParser;
  readonly instance: InstancePort;
  readonly credentials: Credentials;
  readonly settings: FixedSettings;
}

const OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";
const MAX_CLIENTS = Buffer.from('-ERR max number of clients reached\r\n');

export class RedisServer implements ServerPort {
  readonly parser: RequestParser;
  readonly reply = new ReplyWriter();
  /** For bytes pushed to other connections than the current one. */
  readonly pushWriter = new ReplyWriter();
  readonly table = new CommandTable();
  readonly instance: InstancePort;
  readonly pubsub: PubSubHub;
  readonly settings: Settings;
  readonly slowlog: ServerPort['slowlog'] & { readonly log: SlowLog };
  current: ClientConnection | null = null;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #options: RedisServerOptions;
  #credentials: Credentials;
  readonly #connections = new Map<number, ClientConnection>();
  readonly #call: { -readonly [K in keyof Call]: Call[K] };
  #nextId = 1;
  #wrote = false;
  #stats: ServerStats;
  #pausedUntilMs = 0;
  #pausesWritesOnly = false;

  constructor(options: RedisServerOptions) {
    this.#options = options;
    this.parser = options.parser;
    this.#database = options.database;
    this.#clock = options.clock;
    this.instance = options.instance;
    this.#credentials = options.credentials;
    this.pubsub = new PubSubHub((channel, message, sharded) => this.instance.publishToPeers(channel, message, sharded));
    const log = new SlowLog();
    this.slowlog = {
      log,
      list: (count): readonly SlowEntry[] => log.list(count),
      get length() {
        return log.length;
      },
      clear: () => log.clear(),
    };
    this.settings = new Settings(options.settings, log);
    this.#stats = this.#newStats(options.clock.nowMs());
    this.#call = {
      database: this.#database,
      args: this.parser.args,
      reply: this.reply,
      session: null as unknown as Session,
      server: this,
    };
  }

  /** A new client. */
  accept(socket: ServerSocket): void {
    if (this.#connections.size >= limits.CLIENTS_MAX) {
      this.#stats.connectionsRejected++;
      socket.write(MAX_CLIENTS);
      socket.end();
      return;
    }
    this.#stats.connectionsReceived++;
    const connection = new ClientConnection(this, socket, this.#nextId++);
    this.#connections.set(connection.id, connection);
  }

  /** Passwords changed; connections that are there stay. */
  setCredentials(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  /** Writes were held back, or clients paused, and may go on. */
  resumeHeld(): void {
    for (const connection of [...this.#connections.values()]) if (connection.isHeld) connection.resume();
  }

  /** Ends all connections after what was replied has left. */
  closeAll(): void {
    for (const connection of this.#connections.values()) connection.kill();
  }

  // ---------------------------------------------------------------- turns

  /** `count` bytes came from that client. */
  beginTurn(connection: ClientConnection, count: number): void {
    this.instance.enterTurn();
    this.#stats.bytesIn += count;
    this.current = connection;
    this.reply.protocol = connection.protocol;
    connection.lastCommandMs = this.#database.nowMs;
  }

  endTurn(): void {
    this.current = null;
    if (!this.#wrote) return;
    this.#wrote = false;
    this.instance.wake();
  }

  // ---------------------------------------------------------------- dispatch

  /** Executes one request of a client and replies. HELD: it was not executed, try again when writes go on. */
  execute(session: ClientConnection, args: Args): typeof EXECUTED | typeof HELD {
    let entry = this.table.lookup(args);
    if (entry === null) return this.#refuse(session, unknownCommand(args));
    if (entry.subcommands.length > 0 && args.count > 1) {
      const sub = lookupSubcommand(entry, args);
      if (sub === null) return this.#refuse(session, unknownSubcommand(entry, args));
      entry = sub;
    }
    const { arity } = entry.spec;
    if (arity > 0 ? args.count !== arity : args.count < -arity) {
      return this.#refuse(session, wrongArity(entry.lowerName));
    }
    if (session.user === '' && !entry.needsNoAuth) return this.#refuse(session, 'NOAUTH Authentication required.');
    if (session.protocol === 2 && !entry.runsWhileSubscribed && session.subscriptionCount > 0) {
      return this.#refuse(
        session,
        `ERR Can't execute '${entry.lowerName}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
      );
    }
    if (entry.deniedWhenFull && this.#database.isFull) return this.#refuse(session, OUT_OF_MEMORY);
    if (session.transaction !== null && !entry.runsInMulti) return this.#queue(session, entry, args);
    if (this.#mustWait(session, entry)) return HELD;
    this.#run(session, entry, args);
    return EXECUTED;
  }

  #run(session: ClientConnection, entry: TableEntry, args: Args): void {
    const call = this.#call;
    call.session = session;
    call.args = args;
    entry.calls++;
    this.#stats.commandsProcessed++;
    const before = this.reply.length;
    if (entry.isFast && session.replyMode === 'on') {
      try {
        entry.spec.run(call);
      } catch (error) {
        this.#fail(entry, error, before);
      }
    } else {
      this.#runSlow(session, entry, args, before);
    }
    const seq = this.#database.commit();
    if (seq !== 0) {
      this.#wrote = true;
      session.noteWrite(seq);
    }
    if (session.protocol !== this.reply.protocol) this.reply.protocol = session.protocol;
  }

  /** Timed for the slow log, and with an eye on CLIENT REPLY. */
  #runSlow(session: ClientConnection, entry: TableEntry, args: Args, before: number): void {
    const started = this.#clock.monotonicMs();
    session.lastCommand = entry.lowerName;
    try {
      entry.spec.run(this.#call);
    } catch (error) {
      this.#fail(entry, error, before);
    }
    const { log } = this.slowlog;
    const micros = Math.round((this.#clock.monotonicMs() - started) * 1000);
    if (log.thresholdMicros >= 0 && micros >= log.thresholdMicros && !entry.spec.flags.includes('skip_slowlog')) {
      log.note(session, args, micros, this.#database.nowMs);
    }
    if (session.replyMode === 'on') return;
    if (session.replyMode === 'skip-next') {
      session.replyMode = 'skip';
      return;
    }
    this.reply.truncate(before);
    if (session.replyMode === 'skip') session.replyMode = 'on';
  }

  /** A bug in a command: its client gets an error, the log a line, everybody else nothing. */
  #fail(entry: TableEntry, error: unknown, before: number): void {
    this.reply.truncate(before);
    this.reply.error(`ERR internal error in '${entry.lowerName}'; the instance's log has the details`);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.instance.log('error', `command failed: ${entry.lowerName}: ${text}`);
  }

  #refuse(session: ClientConnection, text: string): typeof EXECUTED {
    if (session.transaction !== null) session.transaction.failed = true;
    if (session.replyMode === 'on') this.reply.error(text);
    return EXECUTED;
  }

  #queue(session: ClientConnection, entry: TableEntry, args: Args): typeof EXECUTED {
    if (entry.refusedInMulti) return this.#refuse(session, `ERR ${entry.lowerName} is not allowed in transactions`);
    session.transaction!.queue.push({ spec: entry.spec, args: copyArgs(args) });
    this.reply.simple('QUEUED');
    return EXECUTED;
  }

  runQueued(_session: Session, command: QueuedCommand): void {
    this.#call.args = command.args;
    command.spec.run(this.#call);
  }

  #mustWait(session: ClientConnection, entry: TableEntry): boolean {
    const held = this.#database.writesHeld;
    if (!held && this.#pausedUntilMs === 0) return false;
    if (session.user === USER.control || session.user === USER.replication) return false;
    const writes =
      entry.isWrite || (entry.spec.name === 'EXEC' && (session.transaction?.queue.some(isWriting) ?? false));
    if (held && writes) return true;
    if (this.#database.nowMs >= this.#pausedUntilMs) return false;
    return writes || !this.#pausesWritesOnly;
  }

  // ---------------------------------------------------------------- ServerPort

  nowMs(): number {
    return this.#clock.nowMs();
  }

  nowMicros(): number {
    return Math.floor(this.#clock.nowMs() * 1000 + ((this.#clock.monotonicMs() * 1000) % 1000));
  }

  sessions(): Iterable<Session> {
    return this.#connections.values();
  }

  session(id: number): Session | undefined {
    return this.#connections.get(id);
  }

  authenticate(user: string, password: string): string | null {
    const { password: own, replicationSecret, controlSecret } = this.#credentials;
    if (user === USER.control) return sameText(password, controlSecret) ? user : null;
    if (user === USER.replication) return sameText(password, replicationSecret) ? user : null;
    return user === USER.default && (own === '' || sameText(password, own)) ? user : null;
  }

  get needsPassword(): boolean {
    return this.#credentials.password !== '';
  }

  info(sections: readonly string[]): string {
    const { keyspace, memoryBytesMax, usedMemoryBytes } = this.#database;
    const connections = [...this.#connections.values()];
    const own = describeServer({
      nowMs: this.#clock.nowMs(),
      port: this.#options.settings.port,
      stats: this.#stats,
      connected: connections.length,
      blocked: connections.filter((connection) => connection.isBlocked).length,
      keys: this.#database.keyCount,
      volatileKeys: keyspace.expiries.count,
      usedMemoryBytes,
      memoryBytesMax,
      entries: this.table.entries,
    });
    return formatInfo({ ...own, ...this.instance.info() }, sections);
  }

  resetStats(): void {
    this.#stats = this.#newStats(this.#stats.startedAtMs);
    for (const entry of this.table.entries) for (const each of [entry, ...entry.subcommands]) each.calls = 0;
  }

  pauseClients(untilMs: number, writesOnly: boolean): void {
    this.#pausedUntilMs = untilMs;
    this.#pausesWritesOnly = writesOnly;
    if (untilMs === 0) {
      this.#clock.soon(() => this.resumeHeld());
      return;
    }
    this.#clock.after(Math.max(1, untilMs - this.#clock.nowMs()), () => {
      if (this.#clock.nowMs() < this.#pausedUntilMs) return;
      this.#pausedUntilMs = 0;
      this.resumeHeld();
    });
  }

  sleep(ms: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  }

  after(delayMs: number, fn: () => void): { cancel(): void } {
    return this.#clock.after(delayMs, fn);
  }

  get acks(): AckPort {
    return this.instance.acks;
  }

  get control(): ControlPort {
    return this.instance.control;
  }

  takeOver(session: Session, request: string): void {
    this.#connections.get(session.id)?.takeOver(request);
  }

  // ---------------------------------------------------------------- connections

  /** Unsubscribes and unwatches. */
  forgetSession(connection: ClientConnection): void {
    this.pubsub.unsubscribeAll(connection);
    if (connection.isWatching) this.#database.watches.unwatch(connection);
    connection.isWatching = false;
  }

  onClosed(connection: ClientConnection): void {
    if (this.#connections.delete(connection.id)) this.forgetSession(connection);
  }

  #newStats(startedAtMs: number): ServerStats {
    return { startedAtMs, connectionsReceived: 0, connectionsRejected: 0, commandsProcessed: 0, bytesIn: 0 };
  }
}

const isWriting = (command: QueuedCommand): boolean => command.spec.flags.includes('write');

function unknownCommand(args: Args): string {
  let shown = '';
  for (let i = 1; i < args.count && shown.length < 128; i++)
    shown += `'${args.latin1(i).slice(0, 128 - shown.length)}' `;
  return `ERR unknown command '${args.latin1(0).slice(0, 128)}', with args beginning with: ${shown}`;
}

function unknownSubcommand(entry: TableEntry, args: Args): string {
  return `ERR unknown subcommand '${args.latin1(1).slice(0, 128)}'. Try ${entry.spec.name} HELP.`;
}

/** Takes the same time wherever the texts differ. */
function sameText(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ (b.charCodeAt(i % Math.max(1, b.length)) || 0);
  return difference === 0;
}
