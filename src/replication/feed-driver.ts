/**
 * One feed's I/O on the serving side: answers HELLO, then sends a snapshot where needed, and the log (log-stream.ts).
 *
 * Back-pressure, not buffering: when the connection says "wait", the feed stops reading until `onDrain`; a slow peer is overrun by one read
 * at most (`feedReadBytes`), and goes on later from wherever it is, on disk if need be. Frames that are not batches wait for a frame's end,
 * since a batch may be sent in pieces.
 *
 * A full sync is a snapshot file (`SnapshotSource`) and then the log from the file's position: nothing of it is live, so a slow peer costs the source no memory.
 *
 * Invariant: a peer is sent nothing before HELLO has been answered, and nothing that a power failure here could still undo where the log
 * promises that: a snapshot too waits for the publish position.
 */
import { FRAME, FRAME_HEADER_BYTES } from '../crdt/frame.ts';
import { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Connection } from '../host/host.ts';
import type { Acks } from './acks.ts';
import { decideSync } from './decide-sync.ts';
import { INITIAL_FEED, stepFeed, type FeedAction, type FeedEvent, type FeedMachine } from './feed.ts';
import { FrameSplitter, frameSizesFromPuller } from './frame-splitter.ts';
import { REPLICATION_PROTOCOL, type ReplicationLimits } from './limits.ts';
import { LogStream, type LogStreamOwner, type Refusal } from './log-stream.ts';
import * as messages from './messages.ts';
import type { Generations } from './origins.ts';
import type { DatabasePort, LogPort, ReplicationEvents, SnapshotHandle, SnapshotSource } from './ports.ts';

export interface FeedDependencies {
  readonly guid: string;
  readonly clock: Clock;
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly limits: ReplicationLimits;
  readonly events: ReplicationEvents;
  readonly acks: Acks;
  readonly generations: Generations;
  readonly snapshots: SnapshotSource;
  /** The peer's vector, from HELLO or ACK: it may show that we lost own data. */
  readonly onPeerVector: (vector: VersionVector) => void;
  readonly feeds: FeedOwner;
}

/** Counted since the start or the last reset, all feeds together. */
export interface FeedCounters {
  /** Full syncs that were begun; partial ones granted; partial ones that could not be granted. */
  full: number;
  partialOk: number;
  partialErr: number;
  /** Client messages that were not sent: the peer was slow, or they were too large. */
  publishDropped: number;
}

/** What a feed asks of, and tells, all feeds together. */
export interface FeedOwner {
  readonly counters: FeedCounters;
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
  /** What the peer has applied, as it last said. */
  #peerVector = new VersionVector();
  /** The peer's operator wants a full sync. */
  #fullOrdered = false;
  /** Features that the peer knows. */
  #known: ReadonlySet<string> = new Set();
  #snapshot: SnapshotHandle | null = null;
  #snapshotBytes = 0;
  #isReadingSnapshot = false;
  /** Why this feed ended, if it did. */
  lastError: string | null = null;

  #isBlocked = false;
  #isPumping = false;
  #heardAtMs: number;
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
    this.#splitter = new FrameSplitter(frameSizesFromPuller(deps.limits), deps.limits);
    this.holder = `feed to instance ${peer}`;
    this.#stream = new LogStream(deps, this);
    this.#heardAtMs = deps.clock.monotonicMs();
    connection.onData = (bytes) => this.receive(bytes);
    connection.onDrain = () => this.#onDrain();
    connection.onClose = () => this.step({ type: 'closed' });
  }

  /** Where in the log this feed is. */
  get position(): number {
    return this.#stream.position;
  }

  /** Of the full sync that is being sent. */
  get fullSyncProgress(): { readonly bytes: number; readonly totalBytes: number; readonly percent: number } | null {
    if (this.machine.stage !== 'snapshot' || !this.#snapshot) return null;
    const totalBytes = Math.max(this.#snapshot.bytes, this.#snapshotBytes);
    const percent = totalBytes === 0 ? 0 : Math.floor((100 * this.#snapshotBytes) / totalBytes);
    return { bytes: this.#snapshotBytes, totalBytes, percent };
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
    if (this.machine.stage === 'preparing') this.onBoundary();
    this.#isPumping = false;
  }

  /** A client's message; dropped when the peer is too slow for it. `frame` is a PUBLISH frame. */
  publish(frame: Buffer): void {
    if (this.machine.stage !== 'streaming') return;
    if (this.#publishBytes + frame.length > this.#deps.limits.publishQueuedBytesMax) {
      this.publishDropped++;
      this.#deps.feeds.counters.publishDropped++;
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
        this.#peerVector = ack.applied;
        this.#stream.raiseSent(ack.applied);
        this.#deps.acks.note(this.peer, ack);
        this.#deps.onPeerVector(ack.applied);
        return null;
      }
      case FRAME.want: {
        const want = messages.decodeWant(payload, database.origins);
        if (typeof want === 'string') return want;
        database.origins.indexOf(this.peer, want.generation);
        this.#stream.setPuller({ instance: this.peer, generation: want.generation });
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
    database.origins.indexOf(hello.instance, hello.generation);
    this.#peerVector = hello.vector;
    this.#fullOrdered = hello.full;
    this.#known = new Set(hello.capabilities);
    const knowsAll = database.capabilities.every((capability) => this.#known.has(capability));
    this.#stream.restrictTo(knowsAll ? null : this.#known);
    this.#stream.raiseSent(hello.vector);
    this.#stream.setPuller({ instance: this.peer, generation: hello.generation });
    this.#stream.want(hello.want);
    this.step({ type: 'hello', hello });
    if (this.machine.stage === 'closed') return;
    acks.note(this.peer, { applied: hello.vector, durable: null, generations: null });
    onPeerVector(hello.vector);
    this.#deps.feeds.schedulePump();
  }

  // --- what the machine says ------------------------------------------------------------------------------------------

  #perform(action: FeedAction): void {
    const { events, feeds } = this.#deps;
    switch (action.do) {
      case 'send-hello':
        return this.#sendHello();
      case 'decide':
        return this.#decide();
      case 'send-continue':
        events.onLog('info', `feed to instance ${this.peer}: ${action.reason}`);
        feeds.counters.partialOk++;
        return this.#sendMessage(messages.encodeContinue(action.reason));
      case 'seek':
        this.#stream.seek(action.position);
        return feeds.schedulePump();
      case 'acquire-snapshot':
        return this.#acquireSnapshot();
      case 'begin-snapshot':
        return this.#beginSnapshot(action.reason);
      case 'send-error':
        this.lastError = action.message;
        events.onLog('info', `feed to instance ${this.peer} ended: ${messages.shorten(action.message)}`);
        if (this.#stream.isBetweenFrames) this.#sendMessage(messages.encodeError(action));
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
      full: false,
      capabilities: database.capabilities,
      compression: 0,
    };
    this.#sendMessage(messages.encodeHello(hello, origins));
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
      ordered: this.#fullOrdered,
      location,
    });
    const isAnswer = this.machine.stage === 'deciding';
    if (isAnswer && decision.kind === 'full' && decision.wasPartialAsked) this.#deps.feeds.counters.partialErr++;
    this.step({ type: 'decided', decision });
  }

  #close(): void {
    const { log, feeds } = this.#deps;
    this.#releaseSnapshot();
    this.#publishes.length = 0;
    log.release(this.holder);
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

  /** Between two frames only. */
  #sendMessage(message: Buffer): void {
    for (const frame of messages.splitMessage(message, this.#deps.limits)) this.write(frame);
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
      this.#sendMessage(
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
      this.#sendMessage(messages.encodeAsk());
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
    this.step({ type: 'decided', decision: { kind: 'full', reason: `full: ${reason}`, wasPartialAsked: false } });
  }

  onFailed(message: string): void {
    this.step({ type: 'failed', code: 'LOG', message });
  }

  onRefused({ instance, needs }: Refusal): void {
    this.#failUnsupported(needs, `an operation of instance ${instance}`);
  }

  // --- the snapshot ---------------------------------------------------------------------------------------------------

  #acquireSnapshot(): void {
    const { snapshots } = this.#deps;
    snapshots.acquire().then(
      (handle) => {
        if (this.machine.stage !== 'preparing' || this.#snapshot) return handle.release();
        this.#snapshot = handle;
        this.step({ type: 'snapshot-ready' });
      },
      (error: unknown) => {
        if (this.machine.stage !== 'preparing') return;
        this.step({ type: 'failed', code: 'SNAPSHOT', message: `no snapshot can be sent: ${describeError(error)}` });
      },
    );
  }

  #beginSnapshot(reason: string): void {
    const snapshot = this.#snapshot!;
    const { database, log, events, feeds } = this.#deps;
    const unknown = database.features.filter((need) => !this.#known.has(need));
    if (unknown.length > 0) return this.#failUnsupported(unknown, 'the snapshot');
    this.#snapshotBytes = 0;
    this.#fullOrdered = false;
    log.retain(this.holder, snapshot.position);
    events.onLog('info', `feed to instance ${this.peer}: ${reason}`);
    feeds.counters.full++;
    const { vector, bytes } = snapshot;
    this.#sendMessage(messages.encodeFullResync({ reason, vector, bytes }, database.origins));
    feeds.schedulePump();
  }

  /** One read at a time; what it brings is sent in pieces that the peer can load in one go. */
  #pumpSnapshot(): void {
    const snapshot = this.#snapshot;
    if (!snapshot || this.#isReadingSnapshot) return;
    this.onBoundary();
    if (this.#isBlocked || this.#deps.log.publishPosition < snapshot.position) return;
    this.#isReadingSnapshot = true;
    snapshot.next().then(
      (bytes) => {
        this.#isReadingSnapshot = false;
        if (snapshot !== this.#snapshot) return;
        if (bytes === null) this.#endSnapshot(snapshot);
        else this.#sendPieces(bytes);
        this.#deps.feeds.schedulePump();
      },
      (error: unknown) => {
        this.#isReadingSnapshot = false;
        if (snapshot !== this.#snapshot) return;
        this.step({
          type: 'failed',
          code: 'SNAPSHOT',
          message: `the snapshot cannot be read: ${describeError(error)}`,
        });
      },
    );
  }

  #sendPieces(bytes: Buffer): void {
    const { snapshotPieceBytes } = this.#deps.limits;
    for (let at = 0; at < bytes.length; at += snapshotPieceBytes) {
      const piece = bytes.subarray(at, at + snapshotPieceBytes);
      this.write(messages.encodeSnapshotHeader(piece.length));
      this.write(piece);
    }
    this.#snapshotBytes += bytes.length;
  }

  /** The peer has the snapshot and what it had applied; whatever else was sent before it has thrown away. */
  #endSnapshot(snapshot: SnapshotHandle): void {
    this.#sendMessage(messages.encodeSnapshotEnd());
    const vector = snapshot.vector.clone();
    vector.raiseAll(this.#peerVector);
    this.#stream.seekAfter(vector, snapshot.position);
    this.#releaseSnapshot();
    this.step({ type: 'snapshot-sent' });
  }

  #releaseSnapshot(): void {
    this.#snapshot?.release();
    this.#snapshot = null;
  }

  #failUnsupported(needs: readonly string[], what: string): void {
    const message = `instance ${this.peer} does not know ${needs.join(', ')}, which ${what} needs: upgrade it to the release of instance ${this.#deps.database.self.instance}`;
    this.step({ type: 'failed', code: 'UNSUPPORTED', message });
  }

  #onDrain(): void {
    this.#isBlocked = false;
    this.pump();
  }
}

const describeError = (error: unknown): string => (error instanceof Error ? error.message : String(error));
