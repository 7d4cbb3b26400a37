/**
 * One feed's I/O on the serving side: answers HELLO, then sends a snapshot where needed, and the log (log-stream.ts).
 *
 * Back-pressure, not buffering: when the connection says "wait", the feed stops reading until `onDrain`; a slow peer is overrun by one read
 * at most (`feedReadBytes`), and goes on later from wherever it is, on disk if need be. Frames that are not batches wait for a frame's end,
 * since a batch may be sent in pieces.
 *
 * Invariant: a peer is sent nothing before HELLO has been answered, and nothing that a power failure here could still undo where the log
 * promises that: a snapshot too waits for the publish position.
 */
import { FRAME, FRAME_HEADER_BYTES } from '../crdt/frame.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Connection } from '../host/host.ts';
import type { Acks } from './acks.ts';
import { decideSync } from './decide-sync.ts';
import { INITIAL_FEED, stepFeed, type FeedAction, type FeedEvent, type FeedMachine } from './feed.ts';
import { FrameSplitter, frameSizesFromPuller } from './frame-splitter.ts';
import { REPLICATION_PROTOCOL, type ReplicationLimits } from './limits.ts';
import { LogStream, type LogStreamOwner } from './log-stream.ts';
import * as messages from './messages.ts';
import type { Generations } from './origins.ts';
import type { DatabasePort, LogPort, ReplicationEvents, SnapshotPort } from './ports.ts';

export interface FeedDependencies {
  readonly guid: string;
  readonly clock: Clock;
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly limits: ReplicationLimits;
  readonly events: ReplicationEvents;
  readonly acks: Acks;
  readonly generations: Generations;
  /** The peer's vector, from HELLO or ACK: it may show that we lost own data. */
  readonly onPeerVector: (vector: VersionVector) => void;
  readonly feeds: FeedOwner;
}

/** What a feed asks of, and tells, all feeds together. */
export interface FeedOwner {
  /** `snapshot-turn` follows when it is this feed's turn. */
  queueSnapshot(feed: FeedDriver): void;
  freeSnapshot(feed: FeedDriver): void;
  /** More to send in the next turn. */
  schedulePump(): void;
  onClosed(feed: FeedDriver): void;
}

export class FeedDriver implements LogStreamOwner {
  readonly peer: number;
  machine: FeedMachine = INITIAL_FEED;
  /** Client messages dropped because the peer was slow. */
  publishDropped = 0;
  readonly holder: string;

  readonly #deps: FeedDependencies;
  readonly #connection: Connection;
  readonly #splitter: FrameSplitter;
  readonly #stream: LogStream;
  #snapshot: SnapshotPort | null = null;
  #snapshotReason: string | null = null;
  #snapshotPosition = 0;

  #isBlocked = false;
  #isPumping = false;
  #heardAtMs: number;
  #movedAtMs: number;
  /** A HEARTBEAT is due now. */
  #heartbeatDue = false;
  /** The peer asked for a HEARTBEAT after all that there is. */
  #heartbeatAfterDrain = false;
  /** We ask for an ACK after all that there is. */
  #askAfterDrain = false;
  readonly #publishes: Buffer[] = [];
  #publishBytes = 0;

  constructor(connection: Connection, peer: number, deps: FeedDependencies) {
    this.#connection = connection;
    this.peer = peer;
    this.#deps = deps;
    this.#splitter = new FrameSplitter(frameSizesFromPuller(deps.limits));
    this.holder = `feed to instance ${peer}`;
    this.#stream = new LogStream(deps, this);
    this.#heardAtMs = this.#movedAtMs = deps.clock.monotonicMs();
    connection.onData = (bytes) => this.receive(bytes);
    connection.onDrain = () => this.#onDrain();
    connection.onClose = () => this.step({ type: 'closed' });
  }

  /** Where in the log this feed is. */
  get position(): number {
    return this.#stream.position;
  }

  step(event: FeedEvent): void {
    const { guid } = this.#deps;
    const { state, actions } = stepFeed(this.machine, event, { guid, peer: this.peer });
    this.machine = state;
    for (const action of actions) this.#perform(action);
  }

  receive(bytes: Uint8Array): void {
    this.#heardAtMs = this.#deps.clock.monotonicMs();
    const splitter = this.#splitter;
    splitter.push(bytes);
    while (this.machine.stage !== 'closed' && splitter.next()) {
      const payload = splitter.bytes.subarray(splitter.start + FRAME_HEADER_BYTES, splitter.end);
      const problem = this.#handleMessage(splitter.kind, payload);
      if (problem !== null) this.step({ type: 'failed', code: 'PROTOCOL', message: problem });
    }
    splitter.detach();
    if (splitter.error !== null) this.step({ type: 'failed', code: 'PROTOCOL', message: splitter.error });
  }

  /** Sends what there is, as far as the connection takes it and the turn allows. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    if (this.machine.stage === 'snapshot') this.#pumpSnapshot();
    if (this.machine.stage === 'streaming') this.#stream.pump();
    if (this.machine.stage === 'queued') this.onBoundary();
    this.#isPumping = false;
  }

  /** A client's message; dropped when the peer is too slow for it. `frame` is a PUBLISH frame. */
  publish(frame: Buffer): void {
    if (this.machine.stage !== 'streaming') return;
    if (this.#publishBytes + frame.length > this.#deps.limits.publishQueuedBytesMax) {
      this.publishDropped++;
      return;
    }
    this.#publishes.push(frame);
    this.#publishBytes += frame.length;
  }

  /** Asks for an ACK of everything that is in the log now. */
  ask(): void {
    this.#askAfterDrain = true;
  }

  /** Every second. */
  tick(): void {
    const { clock, limits } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#heardAtMs >= limits.feedSilenceMs) {
      return this.step({
        type: 'failed',
        code: 'SILENT',
        message: `nothing was received for ${limits.feedSilenceMs} ms`,
      });
    }
    if (this.machine.stage === 'snapshot' && nowMs - this.#movedAtMs >= limits.snapshotStallMs) {
      return this.step({
        type: 'failed',
        code: 'STALLED',
        message: `no byte of the snapshot was taken for ${limits.snapshotStallMs} ms`,
      });
    }
    this.#heartbeatDue = this.machine.stage !== 'hello';
    this.pump();
  }

  // --- what the peer says ---------------------------------------------------------------------------------------------

  /** Returns what is wrong with the message, null if nothing. */
  #handleMessage(kind: number, payload: Uint8Array): string | null {
    const { database } = this.#deps;
    if (this.machine.stage === 'hello' && kind !== FRAME.hello && kind !== FRAME.error) return 'HELLO must come first';
    switch (kind) {
      case FRAME.hello: {
        const hello = messages.decodeHello(payload, database.origins);
        if (typeof hello === 'string') return hello;
        this.#onHello(hello);
        return null;
      }
      case FRAME.ack: {
        const ack = messages.decodeAck(payload, database.origins);
        if (typeof ack === 'string') return ack;
        this.#stream.raiseSent(ack.applied);
        this.#deps.acks.note(this.peer, ack);
        this.#deps.onPeerVector(ack.applied);
        return null;
      }
      case FRAME.want: {
        const want = messages.decodeWant(payload, database.origins);
        if (typeof want === 'string') return want;
        database.origins.indexOf(this.peer, want.generation);
        this.#stream.want(want.origins);
        this.#deps.feeds.schedulePump();
        return null;
      }
      case FRAME.ask:
        this.#heartbeatAfterDrain = true;
        this.#deps.feeds.schedulePump();
        return null;
      default: {
        const error = messages.decodeError(payload);
        if (typeof error === 'string') return error;
        this.#deps.events.onLog('info', `feed to instance ${this.peer} ended by it: ${error.message}`);
        this.step({ type: 'closed' });
        return null;
      }
    }
  }

  #onHello(hello: messages.Hello): void {
    const { database, acks, onPeerVector } = this.#deps;
    this.#stream.raiseSent(hello.vector);
    this.#stream.want(hello.want);
    this.step({ type: 'hello', hello });
    if (this.machine.stage === 'closed') return;
    database.origins.indexOf(hello.instance, hello.generation);
    acks.note(this.peer, { applied: hello.vector, durable: null });
    onPeerVector(hello.vector);
    this.#deps.feeds.schedulePump();
  }

  // --- what the machine says ------------------------------------------------------------------------------------------

  #perform(action: FeedAction): void {
    const { database, log, events, feeds } = this.#deps;
    switch (action.do) {
      case 'send-hello':
        return this.#sendHello();
      case 'decide':
        return this.#decide();
      case 'send-continue':
        events.onLog('info', `feed to instance ${this.peer}: ${action.reason}`);
        return this.write(messages.encodeContinue(action.reason));
      case 'seek':
        this.#stream.seek(action.position);
        return feeds.schedulePump();
      case 'queue-snapshot':
        return feeds.queueSnapshot(this);
      case 'begin-snapshot':
        this.#snapshot = database.beginSnapshot();
        this.#snapshotReason = action.reason;
        this.#snapshotPosition = log.endPosition;
        this.#movedAtMs = this.#deps.clock.monotonicMs();
        log.retain(this.holder, this.#snapshotPosition);
        events.onLog('info', `feed to instance ${this.peer}: ${action.reason}`);
        return feeds.schedulePump();
      case 'send-error':
        events.onLog('info', `feed to instance ${this.peer} refused: ${action.message}`);
        if (this.#stream.isBetweenFrames) this.write(messages.encodeError(action));
        return;
      case 'close':
        return this.#close();
    }
  }

  #sendHello(): void {
    const { database, guid, log } = this.#deps;
    const { instance, generation } = database.self;
    const { vector, origins } = database;
    const hello = {
      protocol: REPLICATION_PROTOCOL,
      guid,
      instance,
      generation,
      vector,
      floor: log.floor,
      want: [],
      compression: 0,
    };
    this.write(messages.encodeHello(hello, origins));
  }

  /** Where to go on from what the peer has, or that this is impossible. */
  #decide(): void {
    const { database, log, guid } = this.#deps;
    const location = this.#stream.locate();
    const decision = decideSync({
      guid,
      origins: database.origins,
      self: database.self.index,
      vector: database.vector,
      floor: log.floor,
      peer: this.peer,
      peerVector: this.#stream.sent,
      location,
    });
    this.step({ type: 'decided', decision });
  }

  #close(): void {
    const { log, feeds } = this.#deps;
    this.#snapshot?.abort();
    this.#snapshot = null;
    this.#publishes.length = 0;
    log.release(this.holder);
    feeds.freeSnapshot(this);
    feeds.onClosed(this);
    this.#connection.close();
  }

  // --- sending --------------------------------------------------------------------------------------------------------

  mayWrite(): boolean {
    return !this.#isBlocked && this.machine.stage === 'streaming';
  }

  get waitingBytes(): number {
    return this.#connection.waitingBytes;
  }

  write(bytes: Uint8Array): void {
    if (!this.#connection.write(bytes)) this.#isBlocked = true;
  }

  /** Frames that are not batches. */
  onBoundary(): void {
    if (this.#isBlocked) return;
    if (this.#publishes.length > 0) {
      const frames = this.#publishes.splice(0);
      this.#publishBytes = 0;
      this.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
    }
    if (this.#heartbeatDue) {
      this.#heartbeatDue = false;
      const { database, log, clock } = this.#deps;
      const { vector, origins, self } = database;
      const wallClockMs = clock.nowMs();
      const { endPosition: position, floor } = log;
      this.write(
        messages.encodeHeartbeat({ vector, wallClockMs, position, floor, generation: self.generation }, origins),
      );
    }
  }

  onDrained(): void {
    if (this.#heartbeatAfterDrain) {
      this.#heartbeatAfterDrain = false;
      this.#heartbeatDue = true;
    }
    if (this.#askAfterDrain) {
      this.#askAfterDrain = false;
      this.write(messages.encodeAsk());
    }
    this.onBoundary();
  }

  onMore(): void {
    this.#deps.feeds.schedulePump();
  }

  /** Decides anew, on the same connection; the peer may have to be sent a snapshot now. */
  onLost(): void {
    if (this.machine.stage !== 'streaming') return;
    if (this.#stream.isBetweenFrames) return this.#decide();
    this.step({ type: 'failed', code: 'LOST', message: 'the log moved on within a batch that was being sent' });
  }

  onHole(reason: string): void {
    this.step({ type: 'decided', decision: { kind: 'full', reason: `full: ${reason}` } });
  }

  onFailed(message: string): void {
    this.step({ type: 'failed', code: 'LOG', message });
  }

  #pumpSnapshot(): void {
    const { log, limits, feeds } = this.#deps;
    if (log.publishPosition < this.#snapshotPosition || !this.#snapshot) return;
    this.#announceSnapshot(this.#snapshot);
    for (let bytesLeft = limits.feedPumpBytesMax; !this.#isBlocked && this.#snapshot;) {
      this.onBoundary();
      if (bytesLeft <= 0) return feeds.schedulePump();
      const piece = this.#snapshot.next(limits.snapshotPieceBytes);
      if (piece === null) return this.#endSnapshot(this.#snapshot);
      this.write(messages.encodeSnapshotHeader(piece.length));
      this.write(piece);
      bytesLeft -= piece.length;
      this.#movedAtMs = this.#deps.clock.monotonicMs();
    }
  }

  #announceSnapshot(snapshot: SnapshotPort): void {
    if (this.#snapshotReason === null) return;
    const { vector, bytesEstimate } = snapshot;
    const message = { reason: this.#snapshotReason, vector, bytesEstimate };
    this.#snapshotReason = null;
    this.write(messages.encodeFullResync(message, this.#deps.database.origins));
  }

  #endSnapshot(snapshot: SnapshotPort): void {
    this.write(messages.encodeSnapshotEnd());
    this.#snapshot = null;
    this.#stream.seekAfter(snapshot.vector, this.#snapshotPosition);
    this.#deps.feeds.freeSnapshot(this);
    this.step({ type: 'snapshot-sent' });
  }

  #onDrain(): void {
    this.#isBlocked = false;
    this.#movedAtMs = this.#deps.clock.monotonicMs();
    this.pump();
  }
}
