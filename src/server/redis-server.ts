/**
 * The Redis endpoint of an instance: its connections, and what commands may ask of the process.
 *
 * One object per process stands for everything that commands share: parser, reply writer, dispatcher. A readable event is a client's turn: the
 * clock is read once, requests are executed in order, the log is woken once. When the event loop has served all that was readable, the log
 * is written; then replies and pushed messages leave, one write per connection.
 *
 * Invariant: within a turn `current` is the connection whose requests run; no other connection's requests run then.
 */
import type { Database } from '../database/database.ts';
import type { Clock, Timer } from '../host/host.ts';
import type { ServerSocket } from '../host/tcp-listener.ts';
import type { AckPort, ControlPort, QueuedCommand, ServerPort, Session } from '../redis-commands/session.ts';
import { USER } from '../redis-commands/session.ts';
import type { CommandTable } from '../redis-commands/table.ts';
import type { Args } from '../resp/args.ts';
import type { RequestParser } from '../resp/parser.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import { ClientConnection, type EXECUTED, type HELD } from './client-connection.ts';
import { Dispatcher, MAX_CLIENTS } from './dispatcher.ts';
import * as limits from './limits.ts';
import type { Credentials, InstancePort } from './ports.ts';
import type { Outbox } from './outbox.ts';
import { PubSubHub } from './pubsub-hub.ts';
import { ReplyQueue } from './reply-queue.ts';
import { describeServer, formatInfo, joinSections, type ServerStats } from './server-info.ts';
import { Settings, type FixedSettings } from './settings.ts';
import { SlowLog } from './slow-log.ts';

export interface RedisServerOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** The one whose read area the listener's sockets read into. */
  readonly parser: RequestParser;
  readonly instance: InstancePort;
  /** Both stand in for what is being loaded, until `serve`. */
  readonly isLoading?: boolean;
  readonly credentials: Credentials;
  readonly settings: FixedSettings;
  /** Of one client and turn; smaller ones suit tests. */
  readonly replyBytesMax?: number;
}

const MAX_CLIENTS_REPLY = Buffer.from(`-${MAX_CLIENTS}\r\n`);

export class RedisServer implements ServerPort {
  readonly parser: RequestParser;
  readonly reply: ReplyWriter;
  readonly replies: ReplyQueue;
  /** For bytes pushed to other connections than the current one. */
  readonly pushWriter = new ReplyWriter();
  readonly table: CommandTable;
  instance: InstancePort;
  readonly pubsub: PubSubHub;
  readonly settings: Settings;
  readonly slowlog = new SlowLog();
  current: ClientConnection | null = null;
  /** Log position behind the latest write of any client; kept only where replies wait for the disk. */
  writtenPosition = 0;
  readonly #dispatcher: Dispatcher;
  #database: Database;
  readonly #clock: Clock;
  readonly #options: RedisServerOptions;
  readonly #connections = new Map<number, ClientConnection>();
  /** Messages wait for them to the end of the event loop's turn. */
  readonly #toFlush = new Set<ClientConnection>();
  #flushIsArmed = false;
  readonly #flushAtEnd = (): void => {
    this.#flushIsArmed = false;
    this.flush();
  };
  #credentials: Credentials;
  #nextId = 1;
  #stats: ServerStats;
  #pauseTimer: Timer | null = null;
  #settlingTimer: Timer | null = null;
  #rate: { readonly atMs: number; readonly commandsProcessed: number; readonly perSecond: number };
  #isClosing = false;
  #onAllClosed: () => void = () => {};

  constructor(options: RedisServerOptions) {
    const { clock, credentials, database, instance, parser, settings } = options;
    this.#options = options;
    this.reply = new ReplyWriter(options.replyBytesMax);
    this.replies = new ReplyQueue(this.reply);
    this.parser = parser;
    this.#database = database;
    this.#clock = clock;
    this.instance = instance;
    this.#credentials = credentials;
    this.pubsub = new PubSubHub((channel, message, sharded) => this.instance.publishToPeers(channel, message, sharded));
    this.settings = new Settings(settings, this.slowlog, () => this.#database.memoryBytesMax);
    this.#stats = newStats(clock.nowMs());
    this.#rate = { atMs: clock.monotonicMs(), commandsProcessed: 0, perSecond: 0 };
    const { reply, slowlog } = this;
    const { isLoading = false } = options;
    const onPutOff = (): void => this.#resumeLater();
    this.#dispatcher = new Dispatcher({ database, clock, instance, isLoading, reply, slowlog, server: this, onPutOff });
    this.table = this.#dispatcher.table;
  }

  /** The data is loaded: from here on commands see it. Clients that have connected meanwhile stay. */
  serve(database: Database, instance: InstancePort): void {
    this.flush();
    this.#database = database;
    this.instance = instance;
    this.#dispatcher.serve(database, instance);
    instance.enterTurn();
    for (const connection of this.#connections.values()) connection.onLoaded();
  }

  /** A new client. */
  accept(socket: ServerSocket): void {
    const places = this.#options.settings.maxclients - this.#connections.size;
    if (this.#isClosing || places <= -limits.RESERVED_CONNECTIONS) {
      this.#stats.connectionsRejected++;
      socket.write(MAX_CLIENTS_REPLY);
      socket.end();
      return;
    }
    this.#stats.connectionsReceived++;
    socket.setKeepAlive(limits.KEEP_ALIVE_SECONDS);
    const connection = new ClientConnection(this, socket, this.#nextId++, places <= 0);
    this.#connections.set(connection.id, connection);
    if (connection.isReserved)
      this.#clock.after(limits.RESERVED_LOGIN_MS, () => this.#refuseUnlessInternal(connection));
  }

  /** It has one of the reserved places. */
  #refuseUnlessInternal(connection: ClientConnection): void {
    if (connection.user !== '' || !this.#connections.has(connection.id)) return;
    this.#stats.connectionsRejected++;
    connection.send((reply) => reply.error(MAX_CLIENTS));
    connection.closeAfterReply();
  }

  /** Passwords changed; connections that are there stay. */
  setCredentials(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  /** Writes were held back, or clients paused, and may go on. */
  resumeHeld(): void {
    for (const connection of [...this.#connections.values()]) connection.resumeHeld();
  }

  /**
   * No more requests are executed. Resolves when all replies have left, or after half a second. The node daemon's connections stay open: they end
   * with the process, which tells it that the instance has stopped.
   */
  async closeAll(): Promise<void> {
    this.#isClosing = true;
    this.#pauseTimer?.cancel();
    this.#settlingTimer?.cancel();
    const closing = [...this.#connections.values()].filter(({ user }) => user !== USER.control);
    for (const connection of closing) connection.closeAfterReply();
    if (closing.length === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(limits.DRAIN_MS, resolve);
      this.#onAllClosed = () => {
        if (closing.some((connection) => this.#connections.has(connection.id))) return;
        timer.cancel();
        resolve();
      };
    });
  }

  /** Whoever is still there. */
  killAll(): void {
    for (const connection of this.#connections.values()) connection.kill();
  }

  // ---------------------------------------------------------------- turns

  /** `count` bytes came from that client. */
  beginTurn(connection: ClientConnection, count: number): void {
    this.instance.enterTurn();
    this.#stats.bytesIn += count;
    this.current = connection;
    this.reply.begin();
    this.reply.protocol = connection.protocol;
    connection.lastCommandMs = this.#database.nowMs;
  }

  endTurn(outbox: Outbox): void {
    this.current = null;
    this.replies.add(outbox);
    if (!this.replies.isEmpty) this.#armFlush();
    if (!this.#dispatcher.wrote) return;
    this.#dispatcher.wrote = false;
    this.#wakeLog();
  }

  /** A client's write was committed. Few bytes of commands may be gigabytes of writes: so the log is not left to the end of the turn. */
  noteWrite(): void {
    if (this.instance.replyAfterSync) this.writtenPosition = this.instance.logEnd();
    if (this.instance.unwrittenBytes() > limits.LOG_UNWRITTEN_BYTES_MAX) this.#wakeLog();
  }

  #wakeLog(): void {
    this.instance.wake();
    if (!this.#dispatcher.logIsBehind && this.instance.unwrittenBytes() > limits.LOG_UNWRITTEN_BYTES_MAX)
      this.#waitForLog();
  }

  /** Holds writes until the disk has caught up by half. */
  #waitForLog(): void {
    this.#dispatcher.logIsBehind = this.instance.unwrittenBytes() > limits.LOG_UNWRITTEN_BYTES_MAX / 2;
    if (this.#dispatcher.logIsBehind) this.#clock.after(limits.LOG_CHECK_MS, () => this.#waitForLog());
    else this.resumeHeld();
  }

  /** From now on clients' writes are refused with this; null: they are taken again. Those that wait learn of it, too. */
  refuseWrites(reason: string | null): void {
    this.#dispatcher.writeRefusal = reason;
    this.resumeHeld();
  }

  execute(session: ClientConnection, args: Args): typeof EXECUTED | typeof HELD {
    return this.#dispatcher.execute(session, args);
  }

  /** A command waits until a container is settled, which the sweep takes first. It is tried again only then: a long transaction takes long to look at. */
  #resumeLater(): void {
    this.#settlingTimer ??= this.#clock.after(limits.SETTLING_CHECK_MS, () => {
      this.#settlingTimer = null;
      if (this.#database.isWantedWaiting) this.#resumeLater();
      else this.resumeHeld();
    });
  }

  /** Messages for that connection leave at the end of the event loop's turn. */
  flushLater(connection: ClientConnection): void {
    this.#toFlush.add(connection);
    this.#armFlush();
  }

  #armFlush(): void {
    if (this.#flushIsArmed) return;
    this.#flushIsArmed = true;
    this.#clock.soon(this.#flushAtEnd);
  }

  /** Replies and messages leave now. Never within a client's turn: what it has replied is not complete. */
  flush(): void {
    this.flushReplies();
    if (this.#toFlush.size === 0) return;
    for (const connection of this.#toFlush) connection.flush();
    this.#toFlush.clear();
  }

  /** What clients wrote goes to the log, then replies leave. */
  flushReplies(): void {
    this.instance.handOver();
    this.replies.flush();
  }

  /** Calls `fn` outside of any turn. */
  soon(fn: () => void): void {
    this.#clock.soon(fn);
  }

  // ---------------------------------------------------------------- ServerPort

  nowMs(): number {
    return this.#clock.nowMs();
  }

  nowMicros(): number {
    return this.#clock.nowMs() * 1000 + (Math.floor(this.#clock.monotonicMs() * 1000) % 1000);
  }

  sessions(): Iterable<Session> {
    return this.#connections.values();
  }

  session(id: number): Session | undefined {
    return this.#connections.get(id);
  }

  runQueued(command: QueuedCommand): void {
    this.#dispatcher.runQueued(command);
  }

  forgetWatches(session: Session): void {
    session.dirty = false;
    if (session.watchedKeys.length === 0) return;
    session.watchedKeys = [];
    this.#database.watches.unwatch(session);
  }

  addMonitor(session: Session): void {
    session.isMonitor = true;
    this.#dispatcher.monitors.add(session);
  }

  authenticate(user: string, password: string): string | null {
    const { password: own, replicationSecret, controlSecret } = this.#credentials;
    if (user === USER.control) return isSecret(password, controlSecret) ? user : null;
    if (user === USER.replication) return isSecret(password, replicationSecret) ? user : null;
    return user === USER.default && (own === '' || sameText(password, own)) ? user : null;
  }

  get needsPassword(): boolean {
    return this.#credentials.password !== '';
  }

  info(sections: readonly string[]): string {
    const { keyspace, memoryBytesMax, usedMemoryBytes } = this.#database;
    const { table, commandsProcessed, errors } = this.#dispatcher;
    const connections = [...this.#connections.values()];
    const own = describeServer({
      nowMs: this.#clock.nowMs(),
      settings: this.#options.settings,
      stats: this.#stats,
      commandsProcessed,
      commandsPerSecond: this.#measureRate(commandsProcessed),
      errors,
      connected: connections.length,
      blocked: connections.filter((connection) => connection.isBlocked).length,
      pubsub: connections.filter((connection) => connection.subscriptionCount > 0).length,
      channels: [...this.pubsub.channels('channel')].length,
      patterns: this.pubsub.patternCount,
      shardChannels: [...this.pubsub.channels('shard')].length,
      keys: this.#database.keyCount,
      volatileKeys: keyspace.volatileCount,
      usedMemoryBytes,
      memoryBytesMax,
      entries: table.entries,
    });
    return formatInfo(joinSections(own, this.instance.info()), sections);
  }

  /** Commands per second since the rate was measured before, if that is long enough ago to tell. */
  #measureRate(commandsProcessed: number): number {
    const atMs = this.#clock.monotonicMs();
    const before = this.#rate;
    const elapsedMs = atMs - before.atMs;
    if (elapsedMs < limits.RATE_MS_MIN) return before.perSecond;
    const perSecond = (Math.max(0, commandsProcessed - before.commandsProcessed) * 1000) / elapsedMs;
    this.#rate = { atMs, commandsProcessed, perSecond };
    return perSecond;
  }

  resetStats(): void {
    this.#stats = newStats(this.#stats.startedAtMs);
    this.#dispatcher.resetStats();
    this.instance.resetStats();
  }

  pauseClients(untilMs: number, writesOnly: boolean): void {
    const dispatcher = this.#dispatcher;
    dispatcher.pausedUntilMs = untilMs;
    dispatcher.pausesWritesOnly = writesOnly;
    this.#pauseTimer?.cancel();
    if (untilMs === 0) {
      this.#clock.soon(() => this.resumeHeld());
      return;
    }
    this.#endPauseLater();
  }

  /** The timer runs by another clock than the pause is measured by: looked at again until it is over. */
  #endPauseLater(): void {
    const dispatcher = this.#dispatcher;
    this.#pauseTimer = this.#clock.after(Math.max(1, dispatcher.pausedUntilMs - this.#clock.nowMs()), () => {
      if (this.#clock.nowMs() < dispatcher.pausedUntilMs) return this.#endPauseLater();
      dispatcher.pausedUntilMs = 0;
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
    this.forgetWatches(connection);
    if (connection.isMonitor) this.#dispatcher.monitors.remove(connection);
    connection.isMonitor = false;
  }

  onClosed(connection: ClientConnection): void {
    if (!this.#connections.delete(connection.id)) return;
    this.forgetSession(connection);
    this.#toFlush.delete(connection);
    this.#onAllClosed();
  }
}

const newStats = (startedAtMs: number): ServerStats => ({
  startedAtMs,
  connectionsReceived: 0,
  connectionsRejected: 0,
  bytesIn: 0,
});

/** An internal user without a secret cannot log in. */
const isSecret = (given: string, secret: string): boolean => secret !== '' && sameText(given, secret);

/** Takes the same time wherever the texts differ. */
function sameText(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ (b.charCodeAt(i % Math.max(1, b.length)) || 0);
  return difference === 0;
}
