/**
 * One client: its input until it is a whole request, its replies until they have left, and its session.
 *
 *   readable -> parse in the shared buffer -> execute each request -> replies queued, written at the end of the event loop's turn
 *
 * A request that has not arrived whole is kept in the client's `Input`, sized by what has come. Replies go out in order; under
 * `appendfsync-always` they wait for the log position behind them. Requests stop being executed while one of them blocks, may not run now, or
 * replies pile up unread; a little is read ahead meanwhile, so that a client that went away is noticed.
 *
 * Invariants: requests are executed in the order in which they came; one client's requests are never executed inside another's.
 */
import type { ServerSocket } from '../host/tcp-listener.ts';
import { Input } from '../resp/input.ts';
import { REPLY_BYTES_MAX } from '../resp/limits.ts';
import { NEED_MORE, PROTOCOL_ERROR } from '../resp/parser.ts';
import type { Reply } from '../resp/reply.ts';
import { USER, type ChannelKind, type Session, type Transaction, type WatchedKey } from '../redis-commands/session.ts';
import type { TableEntry } from '../redis-commands/table.ts';
import { FeedConnection } from './feed-connection.ts';
import * as limits from './limits.ts';
import { Outbox } from './outbox.ts';
import type { RedisServer } from './redis-server.ts';

/** What executing a request came to. */
export const EXECUTED = 0;
/** It may not run now (the disk is behind, clients are paused): try again after `resumeHeld`. */
export const HELD = 1;

/** Why requests are not executed. */
const STOP = { held: 1, blocked: 2, full: 4 } as const;

export class ClientConnection implements Session {
  readonly id: number;
  readonly isReserved: boolean;
  readonly createdAtMs: number;
  lastCommandMs: number;
  lastEntry: TableEntry | null = null;
  name = '';
  libraryName = '';
  libraryVersion = '';
  transaction: Transaction | null = null;
  isExecuting = false;
  watchedKeys: WatchedKey[] = [];
  dirty = false;
  replyMode: 'on' | 'off' | 'skip' | 'skip-next' = 'on';
  noEvict = false;
  isMonitor = false;
  lastWriteSeq = 0;
  subscriptionCount = 0;
  readonly subscriptions: Record<ChannelKind, Set<string>> = {
    channel: new Set(),
    pattern: new Set(),
    shard: new Set(),
  };
  readonly #server: RedisServer;
  readonly #socket: ServerSocket;
  readonly #outbox: Outbox;
  /** What came of a request that is not whole, or may not run yet. */
  readonly #input = new Input();
  #user = '';
  #protocol: 2 | 3 = 2;
  #stop = 0;
  #cancelBlock: ((how: 'gone' | 'timeout' | 'error') => void) | null = null;
  /** What it waits for will be answered with nothing: CLIENT REPLY. */
  #isBlockedInSilence = false;
  /** Messages that came while a command of this client ran, from itself: they follow the command's reply. */
  #messages: Buffer[] = [];
  #messageBytes = 0;
  #isReadingPaused = false;
  #isClosing = false;
  #isClosed = false;
  #takeOverRequest: string | null = null;

  /** `isReserved`: all ordinary places are taken; it must log in as another instance or the daemon. */
  constructor(server: RedisServer, socket: ServerSocket, id: number, isReserved: boolean) {
    this.#server = server;
    this.#socket = socket;
    this.#outbox = new Outbox(socket, server, () => this.#onOutboxMoved());
    this.id = id;
    this.isReserved = isReserved;
    this.createdAtMs = server.nowMs();
    this.lastCommandMs = this.createdAtMs;
    this.user = server.needsPassword ? '' : USER.default;
    socket.onData = (count) => this.#onData(count);
    socket.onDrain = () => this.#onOutboxMoved();
    socket.onClose = () => this.#onClose();
  }

  get user(): string {
    return this.#user;
  }

  /** What a client may send depends on who it is. Nobody is an ordinary client in a reserved place. */
  set user(user: string) {
    if (this.isReserved && user === USER.default) user = '';
    this.#user = user;
    this.#chooseWaiting();
    if (user === '') this.#input.distrust();
    else this.#input.trust();
  }

  /** The daemon asks how the instance is doing, a disk that hangs included. */
  #chooseWaiting(): void {
    this.#outbox.waits = this.#server.instance.replyAfterSync && this.#user !== USER.control;
  }

  get protocol(): 2 | 3 {
    return this.#protocol;
  }

  /** Holds from the next byte of the reply on. */
  set protocol(protocol: 2 | 3) {
    this.#protocol = protocol;
    if (this.#server.current === this) this.#server.reply.protocol = protocol;
  }

  get remote(): string {
    return this.#socket.remote;
  }

  get local(): string {
    return this.#socket.local;
  }

  get lastCommand(): string {
    return this.lastEntry?.lowerName ?? '';
  }

  get queuedBytes(): number {
    return this.#outbox.waitingBytes;
  }

  get inputBytes(): number {
    return this.#input.length;
  }

  get isBlocked(): boolean {
    return this.#cancelBlock !== null;
  }

  /** It waits for writes or clients to be let go on. */
  get isHeld(): boolean {
    return (this.#stop & STOP.held) !== 0;
  }

  // ---------------------------------------------------------------- input

  /** `count` bytes stand in the parser's read area. */
  #onData(count: number): void {
    if (this.#isClosing) return;
    const { parser } = this.#server;
    if (this.#outbox.waitingBytes > limits.REPLY_WAITING_BYTES_MAX) this.#stop |= STOP.full;
    if (this.#stop !== 0) {
      this.#input.append(parser.readArea, 0, count);
      if (this.#input.length > limits.READ_AHEAD_BYTES_MAX) this.#pauseReading();
      return;
    }
    this.#execute(count);
  }

  #execute(count: number): void {
    const server = this.#server;
    if (this.#outbox.hasPushes) server.flush();
    server.beginTurn(this, count);
    server.parser.begin(this.#input, count);
    this.#run();
    server.endTurn(this.#outbox);
    if (this.#isClosing) this.#end();
  }

  /** Executes whole requests until they end, or one must wait. */
  #run(): void {
    const { parser, reply } = this.#server;
    for (;;) {
      const state = parser.next();
      if (state === NEED_MORE) return parser.end();
      if (state === PROTOCOL_ERROR) {
        reply.error(parser.error);
        this.#isClosing = true;
        return parser.end();
      }
      if (this.#server.execute(this, parser.args) === HELD) {
        this.#stop |= STOP.held;
        return parser.end(true);
      }
      if (reply.isOverfull) return this.#dropReplies();
      if (reply.length > limits.REPLY_FLUSH_BYTES) this.#flushEarly();
      if (this.#isClosing) parser.discard();
      if (this.#takeOverRequest !== null) return this.#handOver(this.#takeOverRequest);
      if (this.#stop !== 0) return parser.end();
    }
  }

  /** A request asked for more than may be put together for one client. It was executed; nobody could be told. */
  #dropReplies(): void {
    const { instance, parser, replies } = this.#server;
    replies.drop();
    parser.discard();
    parser.end();
    instance.log('info', `client ${this.id} closed: its replies came to more than ${REPLY_BYTES_MAX} bytes at once`);
    this.kill();
  }

  /** A request asked for much: what follows it waits until the client has read. */
  #flushEarly(): void {
    this.#server.replies.add(this.#outbox);
    this.#server.flushReplies();
    if (this.#outbox.waitingBytes > limits.REPLY_WAITING_BYTES_MAX) this.#stop |= STOP.full;
  }

  /** Requests that waited are executed; never inside another client's. */
  #go(reason: number): void {
    this.#stop &= ~reason;
    if (this.#stop !== 0 || this.#isClosing) return;
    if (this.#server.current !== null) {
      this.#server.soon(() => this.#go(reason));
      return;
    }
    if (this.#input.length > 0) this.#execute(0);
    if (this.#stop === 0) this.#resumeReading();
  }

  /** What it watches was not there, and may be. Its replies wait for the disk from here on, where replies do. */
  onLoaded(): void {
    this.dirty ||= this.watchedKeys.length > 0;
    this.#chooseWaiting();
  }

  /** Writes are possible again, or clients no longer paused. */
  resumeHeld(): void {
    if (this.isHeld) this.#go(STOP.held);
  }

  #pauseReading(): void {
    if (this.#isReadingPaused) return;
    this.#isReadingPaused = true;
    this.#socket.pause();
  }

  #resumeReading(): void {
    if (!this.#isReadingPaused) return;
    this.#isReadingPaused = false;
    this.#socket.resume();
  }

  // ---------------------------------------------------------------- output

  /** A write of this client was committed. */
  noteWrite(seq: number): void {
    this.lastWriteSeq = seq;
    this.#server.noteWrite();
  }

  #onOutboxMoved(): void {
    if ((this.#stop & STOP.full) !== 0 && this.#outbox.waitingBytes <= limits.REPLY_WAITING_BYTES_MAX) {
      this.#go(STOP.full);
    }
  }

  send(write: (reply: Reply) => void): void {
    if (this.#isClosing) return;
    const { current, pushWriter } = this.#server;
    pushWriter.protocol = this.protocol;
    write(pushWriter);
    if (current === this) {
      this.#messages.push(Buffer.from(pushWriter.peek()));
      this.#messageBytes += pushWriter.length;
      pushWriter.truncate();
    } else {
      this.#outbox.push(pushWriter);
      this.#server.flushLater(this);
    }
    const waiting = this.queuedBytes + this.#messageBytes;
    if (waiting > limits.PUSH_WAITING_BYTES_MAX) this.#refuseToWait(waiting);
  }

  confirm(write: (reply: Reply) => void): void {
    if (this.replyMode === 'on') write(this.#server.reply);
    else this.send(write);
  }

  get hasMessages(): boolean {
    return this.#messages.length > 0;
  }

  /** The command that ran has replied. */
  releaseMessages(): void {
    for (const bytes of this.#messages) this.#server.reply.raw(bytes);
    this.#messages = [];
    this.#messageBytes = 0;
  }

  #refuseToWait(waitingBytes: number): void {
    this.#server.instance.log('info', `client ${this.id} closed: it does not read, ${waitingBytes} bytes wait for it`);
    this.kill();
  }

  /** Messages pushed in this turn leave together. */
  flush(): void {
    this.#outbox.flushPushes();
  }

  // ---------------------------------------------------------------- life

  block(cancel: (how: 'gone' | 'timeout' | 'error') => void): void {
    this.#cancelBlock = cancel;
    this.#isBlockedInSilence = this.replyMode !== 'on';
    this.#stop |= STOP.blocked;
  }

  unblock(reply: (reply: Reply) => void): void {
    this.#cancelBlock = null;
    if (this.#isClosed) return;
    if (this.#server.current === this) {
      reply(this.#server.reply);
      this.#stop &= ~STOP.blocked;
      return;
    }
    if (!this.#isBlockedInSilence) this.send(reply);
    this.#go(STOP.blocked);
  }

  cancelBlock(how: 'timeout' | 'error'): void {
    this.#cancelBlock?.(how);
  }

  closeAfterReply(): void {
    this.#isClosing = true;
    if (this.#server.current !== this) this.#end();
  }

  /** Closes after what was replied has left. */
  #end(): void {
    this.#server.flush();
    this.#outbox.end();
  }

  kill(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }

  reset(): void {
    this.#server.forgetSession(this);
    this.transaction = null;
    this.dirty = false;
    this.name = '';
    this.protocol = 2;
    this.replyMode = 'on';
    this.noEvict = false;
    this.user = this.#server.needsPassword ? '' : USER.default;
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#isClosing = true;
    const cancel = this.#cancelBlock;
    this.#cancelBlock = null;
    cancel?.('gone');
    this.#input.clear();
    this.#outbox.clear();
    this.#server.onClosed(this);
  }

  takeOver(request: string): void {
    this.#takeOverRequest = request;
  }

  #handOver(request: string): void {
    const { parser, instance } = this.#server;
    const rest = parser.takeRest();
    parser.end();
    this.#server.replies.add(this.#outbox);
    this.#server.flushReplies();
    this.#server.onClosed(this);
    this.#isClosed = true;
    instance.acceptFeed(new FeedConnection(this.#socket, parser.readArea), request, rest);
  }
}
