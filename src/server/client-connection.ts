/**
 * One client: its input until it is a whole request, its replies until they have left, and its session.
 *
 *   readable -> parse in the shared buffer -> execute each request -> one write
 *
 * A request that has not arrived whole is kept in the client's `Input`, sized by what has come. Replies go
 * out in order; under `appendfsync-always` they wait for the log position behind them.
 *
 * Invariant: requests are executed in the order in which they came; while the client is blocked or held, nothing of it is read.
 */
import type { ServerSocket } from '../host/tcp-listener.ts';
import { Input } from '../resp/input.ts';
import { NEED_MORE, PROTOCOL_ERROR } from '../resp/parser.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { Reply } from '../resp/reply.ts';
import type { ChannelKind, Session, Transaction } from '../redis-commands/session.ts';
import { FeedConnection } from './feed-connection.ts';
import { PUSH_BYTES_MAX, REPLY_BYTES_MAX } from './limits.ts';
import type { RedisServer } from './redis-server.ts';

/** What executing a request came to. */
export const EXECUTED = 0;
/** It may not run now (writes are held, clients are paused): try again after `resume`. */
export const HELD = 1;

export class ClientConnection implements Session {
  readonly id: number;
  readonly createdAtMs: number;
  lastCommandMs: number;
  lastCommand = '';
  name = '';
  libraryName = '';
  libraryVersion = '';
  #user = '';
  protocol: 2 | 3 = 2;
  transaction: Transaction | null = null;
  isWatching = false;
  dirty = false;
  replyMode: 'on' | 'off' | 'skip' | 'skip-next' = 'on';
  noEvict = false;
  lastWriteSeq = 0;
  readonly subscriptions: Record<ChannelKind, Set<string>> = {
    channel: new Set(),
    pattern: new Set(),
    shard: new Set(),
  };
  readonly #server: RedisServer;
  readonly #socket: ServerSocket;
  /** What came of a request that is not whole, or may not run yet. */
  readonly #input = new Input();
  #isHeld = false;
  #cancelBlock: ((how: 'gone' | 'timeout' | 'error') => void) | null = null;
  #isPaused = false;
  #isClosing = false;
  #isClosed = false;
  #takeOverRequest: string | null = null;
  /** Replies that wait for the disk. */
  #waiting: { readonly position: number; readonly bytes: Buffer }[] = [];
  /** The log position behind this client's latest write. */
  #writePosition = 0;
  readonly #release = (): void => this.#releaseWaiting();

  constructor(server: RedisServer, socket: ServerSocket, id: number) {
    this.#server = server;
    this.#socket = socket;
    this.id = id;
    this.createdAtMs = server.nowMs();
    this.lastCommandMs = this.createdAtMs;
    this.user = server.needsPassword ? '' : 'default';
    socket.onData = (count) => this.#onData(count);
    socket.onDrain = () => this.#onDrain();
    socket.onClose = () => this.#onClose();
  }

  get user(): string {
    return this.#user;
  }

  /** What a client may send depends on who it is. */
  set user(user: string) {
    this.#user = user;
    if (user === '') this.#input.distrust();
    else this.#input.trust();
  }

  get remote(): string {
    return this.#socket.remote;
  }

  get local(): string {
    return this.#socket.local;
  }

  get subscriptionCount(): number {
    const { channel, pattern, shard } = this.subscriptions;
    return channel.size + pattern.size + shard.size;
  }

  get queuedBytes(): number {
    return this.#socket.waitingBytes;
  }

  get isBlocked(): boolean {
    return this.#cancelBlock !== null;
  }

  /** It waits for writes or clients to be let go on. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  // ---------------------------------------------------------------- input

  /** `count` bytes stand in the parser's read area. */
  #onData(count: number): void {
    if (this.#isClosing) return;
    const { parser } = this.#server;
    if (this.#isHeld || this.#cancelBlock !== null) {
      this.#input.append(parser.readArea, 0, count);
      return;
    }
    this.#server.beginTurn(this, count);
    parser.begin(this.#input, count);
    this.#run();
    this.#endTurn();
  }

  /** Executes whole requests until they end, or one must wait. */
  #run(): void {
    const { parser } = this.#server;
    for (;;) {
      const state = parser.next();
      if (state === NEED_MORE) return parser.end();
      if (state === PROTOCOL_ERROR) {
        this.#server.reply.error(`ERR ${parser.error}`);
        this.closeAfterReply();
        parser.discard();
        return parser.end();
      }
      if (this.#server.execute(this, parser.args) === HELD) {
        this.#isHeld = true;
        this.#pauseReading();
        return parser.end(true);
      }
      if (this.#takeOverRequest !== null) {
        const rest = parser.takeRest();
        parser.end();
        return this.#handOver(this.#takeOverRequest, rest);
      }
      if (this.#cancelBlock !== null) return parser.end();
      if (this.#isClosing) {
        parser.discard();
        return parser.end();
      }
    }
  }

  /** Goes on after `HELD` or a block. */
  resume(): void {
    if (this.#isClosing || this.#cancelBlock !== null) return;
    this.#isHeld = false;
    this.#server.beginTurn(this, 0);
    this.#server.parser.begin(this.#input, 0);
    this.#run();
    this.#endTurn();
    if (!this.#isHeld && this.#cancelBlock === null) this.#resumeReading();
  }

  // ---------------------------------------------------------------- output

  #endTurn(): void {
    const { reply } = this.#server;
    this.#server.endTurn();
    if (reply.length > 0) this.#send(reply);
    if (this.#isClosing && this.#waiting.length === 0) this.#socket.end();
  }

  /** A write of this client was committed. */
  noteWrite(seq: number): void {
    this.lastWriteSeq = seq;
    if (this.#server.instance.replyAfterSync) this.#writePosition = this.#server.instance.logEnd();
  }

  /** Takes what the writer holds: to the socket, or to those that wait for the disk. */
  #send(writer: ReplyWriter): void {
    const { instance } = this.#server;
    const bytes = writer.peek();
    if (this.#isClosed) {
      writer.truncate();
    } else if (instance.replyAfterSync && (this.#waiting.length > 0 || !instance.isDurable(this.#writePosition))) {
      this.#waiting.push({ position: this.#writePosition, bytes: Buffer.from(bytes) });
      writer.truncate();
      instance.whenDurable(this.#writePosition, this.#release);
    } else if (this.#write(bytes)) {
      writer.truncate();
    } else {
      writer.surrender();
    }
  }

  /** Returns whether the bytes may be reused. */
  #write(bytes: Buffer): boolean {
    const waiting = this.#socket.write(bytes);
    if (waiting > REPLY_BYTES_MAX) this.#pauseReading();
    return waiting === 0;
  }

  #releaseWaiting(): void {
    const { instance } = this.#server;
    while (this.#waiting.length > 0 && instance.isDurable(this.#waiting[0]!.position)) {
      this.#write(this.#waiting.shift()!.bytes);
    }
    if (this.#isClosing && this.#waiting.length === 0) this.#socket.end();
  }

  #onDrain(): void {
    if (!this.#isHeld && this.#cancelBlock === null) this.#resumeReading();
  }

  send(write: (reply: Reply) => void): void {
    if (this.#isClosing) return;
    if (this.#server.current === this) {
      write(this.#server.reply);
      return;
    }
    const { pushWriter, instance } = this.#server;
    pushWriter.protocol = this.protocol;
    write(pushWriter);
    this.#send(pushWriter);
    if (this.queuedBytes <= PUSH_BYTES_MAX) return;
    instance.log('info', `client ${this.id} closed: it does not read, ${this.queuedBytes} bytes wait for it`);
    this.kill();
  }

  #pauseReading(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  #resumeReading(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  // ---------------------------------------------------------------- life

  block(cancel: (how: 'gone' | 'timeout' | 'error') => void): void {
    this.#cancelBlock = cancel;
    this.#pauseReading();
  }

  unblock(reply: (reply: Reply) => void): void {
    this.#cancelBlock = null;
    if (this.#isClosed) return;
    this.send(reply);
    if (this.#server.current !== this) this.resume();
  }

  cancelBlock(how: 'timeout' | 'error'): void {
    this.#cancelBlock?.(how);
  }

  closeAfterReply(): void {
    this.#isClosing = true;
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
    this.user = this.#server.needsPassword ? '' : 'default';
    this.#server.reply.protocol = 2;
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#isClosing = true;
    const cancel = this.#cancelBlock;
    this.#cancelBlock = null;
    cancel?.('gone');
    this.#input.clear();
    this.#waiting = [];
    this.#server.onClosed(this);
  }

  takeOver(request: string): void {
    this.#takeOverRequest = request;
  }

  #handOver(request: string, rest: Buffer): void {
    const { reply, instance } = this.#server;
    if (reply.length > 0) {
      this.#socket.write(Buffer.from(reply.peek()));
      reply.truncate();
    }
    this.#server.onClosed(this);
    this.#isClosed = true;
    const connection = new FeedConnection(this.#socket, this.#server.parser.readArea);
    instance.acceptFeed(connection, request, rest);
  }
}
