/**
 * One feed's I/O on the serving side: answers HELLO, then sends a snapshot where needed, and the log.
 *
 * Back-pressure, not buffering: when the connection says "wait", the feed stops reading the log until `onDrain`; a slow peer is overrun
 * by one read at most (`feedReadBytes`), and goes on later from wherever it is, on disk if need be. Frames that are not batches wait for
 * a frame's end, since a batch may be sent in pieces.
 *
 * Invariant: nothing beyond the log's publish position leaves; a batch is sent at most once per connection, in the order of the log,
 * and per origin without a hole.
 */
import { FRAME, FRAME_HEADER_BYTES } from '../crdt/frame.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Connection } from '../host/host.ts';
import type { Acks } from './acks.ts';
import { decideSync } from './decide-sync.ts';
import { INITIAL_FEED, stepFeed, type FeedAction, type FeedEvent, type FeedMachine } from './feed.ts';
import { FrameSplitter, frameSizesFromPuller } from './frame-splitter.ts';
import { REPLICATION_PROTOCOL, type ReplicationLimits } from './limits.ts';
import { LogWalker } from './log-walker.ts';
import * as messages from './messages.ts';
import { listWantedOrigins, type Generations } from './origins.ts';
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

export class FeedDriver {
  readonly peer: number;
  machine: FeedMachine = INITIAL_FEED;
  /** Client messages dropped because the peer was slow. */
  publishDropped = 0;
  /** Where in the log this feed is. */
  position = 0;

  readonly #deps: FeedDependencies;
  readonly #connection: Connection;
  readonly #splitter: FrameSplitter;
  readonly #walker: LogWalker;
  readonly #holder: string;
  #asked: ReadonlySet<number> = new Set();
  #wanted: readonly number[] = [];
  #originsKnown = -1;
  #snapshot: SnapshotPort | null = null;
  #snapshotReason: string | null = null;
  #snapshotPosition = 0;

  #isBlocked = false;
  #isReading = false;
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
  readonly #gathered: Buffer;
  #gatheredBytes = 0;
  /** Where a hole was met. */
  #gapPosition = -1;

  constructor(connection: Connection, peer: number, deps: FeedDependencies) {
    this.#connection = connection;
    this.peer = peer;
    this.#deps = deps;
    this.#splitter = new FrameSplitter(frameSizesFromPuller(deps.limits));
    this.#walker = new LogWalker(deps.database.origins);
    this.#holder = `feed to instance ${peer}`;
    this.#gathered = Buffer.allocUnsafeSlow(deps.limits.feedReadBytes);
    this.#heardAtMs = this.#movedAtMs = deps.clock.monotonicMs();
    connection.onData = (bytes) => this.receive(bytes);
    connection.onDrain = () => this.#onDrain();
    connection.onClose = () => this.step({ type: 'closed' });
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
    if (this.machine.stage === 'streaming') this.#pumpLog();
    if (this.machine.stage === 'queued') this.#sendDue();
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
        this.#walker.sent.raiseAll(ack.applied);
        this.#deps.acks.note(this.peer, ack);
        this.#deps.onPeerVector(ack.applied);
        return null;
      }
      case FRAME.want: {
        const want = messages.decodeWant(payload, database.origins);
        if (typeof want === 'string') return want;
        database.origins.indexOf(this.peer, want.generation);
        this.#asked = new Set(want.origins);
        this.#originsKnown = -1;
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
    this.#walker.sent.copyFrom(hello.vector);
    this.#asked = new Set(hello.want);
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
        return this.#write(messages.encodeContinue(action.reason));
      case 'seek':
        this.position = action.position;
        log.retain(this.#holder, this.position);
        return feeds.schedulePump();
      case 'queue-snapshot':
        return feeds.queueSnapshot(this);
      case 'begin-snapshot':
        this.#snapshot = database.beginSnapshot();
        this.#snapshotReason = action.reason;
        this.#snapshotPosition = log.endPosition;
        this.#movedAtMs = this.#deps.clock.monotonicMs();
        log.retain(this.#holder, this.#snapshotPosition);
        events.onLog('info', `feed to instance ${this.peer}: ${action.reason}`);
        return feeds.schedulePump();
      case 'stream-after-snapshot':
        this.position = this.#snapshotPosition;
        return;
      case 'send-error':
        events.onLog('info', `feed to instance ${this.peer} refused: ${action.message}`);
        if (this.#walker.frameBytesLeft === 0) this.#write(messages.encodeError(action));
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
    this.#write(messages.encodeHello(hello, origins));
  }

  /** Where to go on from what the peer has, or that this is impossible. */
  #decide(): void {
    const { database, log, guid } = this.#deps;
    this.#listWanted();
    const decision = decideSync({
      guid,
      origins: database.origins,
      self: database.self.index,
      vector: database.vector,
      floor: log.floor,
      peer: this.peer,
      peerVector: this.#walker.sent,
      location: log.locate(this.#walker.sent, this.#wanted),
    });
    this.step({ type: 'decided', decision });
  }

  /** The log no longer has what is next: decide anew, on the same connection. */
  #startOver(): void {
    if (this.#walker.frameBytesLeft === 0) return this.#decide();
    this.step({ type: 'failed', code: 'LOST', message: 'the log moved on within a batch that was being sent' });
  }

  #close(): void {
    const { log, feeds } = this.#deps;
    this.#snapshot?.abort();
    this.#snapshot = null;
    this.#publishes.length = 0;
    log.release(this.#holder);
    feeds.freeSnapshot(this);
    feeds.onClosed(this);
    this.#connection.close();
  }

  // --- sending --------------------------------------------------------------------------------------------------------

  #pumpLog(): void {
    const { log, limits, feeds } = this.#deps;
    let bytesLeft = limits.feedPumpBytesMax;
    while (!this.#isBlocked && !this.#isReading && this.machine.stage === 'streaming') {
      if (this.#walker.frameBytesLeft === 0) {
        this.#sendDue();
        if (this.#originsKnown !== this.#deps.database.origins.count) {
          this.#renewWanted();
          continue;
        }
      }
      const available = log.publishPosition - this.position;
      if (available <= 0) return this.#onDrained();
      if (bytesLeft <= 0) return feeds.schedulePump();
      const bytes = log.read(this.position, Math.min(available, limits.feedReadBytes));
      if (bytes instanceof Promise) return this.#awaitRead(bytes);
      bytesLeft -= bytes?.length ?? 0;
      this.#consume(bytes);
    }
  }

  #awaitRead(bytes: Promise<Buffer | null>): void {
    this.#isReading = true;
    bytes.then(
      (slice) => {
        this.#isReading = false;
        if (this.machine.stage !== 'streaming') return;
        this.#consume(slice);
        this.#deps.feeds.schedulePump();
      },
      (error: unknown) => {
        this.#isReading = false;
        const message = `the log cannot be read: ${error instanceof Error ? error.message : String(error)}`;
        this.step({ type: 'failed', code: 'LOG', message });
      },
    );
  }

  #consume(bytes: Buffer | null): void {
    const { log } = this.#deps;
    if (bytes === null) return this.#startOver();
    const walker = this.#walker;
    const count = walker.walk(bytes, this.#sendRun);
    this.#flushGathered();
    this.position += count;
    log.retain(this.#holder, this.position);
    if (walker.gap >= 0) return this.#onGap();
    if (count === 0)
      this.step({ type: 'failed', code: 'LOG', message: `the log ends within a frame at position ${this.position}` });
  }

  /** A merge lies between: what the peer lacks of this origin may be in no batch. Looking twice at the same place does not help. */
  #onGap(): void {
    const origin = this.#walker.gap;
    this.#walker.gap = -1;
    if (this.position !== this.#gapPosition) {
      this.#gapPosition = this.position;
      return this.#startOver();
    }
    const { origins, vector } = this.#deps.database;
    const { instance } = origins.at(origin);
    const has = this.#walker.sent.get(origin);
    const reason = `full: batches of instance ${instance} after offset ${has} came by full sync, of ${vector.get(origin)}`;
    this.step({ type: 'decided', decision: { kind: 'full', reason } });
  }

  /** Short runs are copied together, long ones are written where they lie. */
  readonly #sendRun = (bytes: Buffer, start: number, end: number): void => {
    const length = end - start;
    if (length > this.#deps.limits.feedGatherBytesMax) {
      this.#flushGathered();
      this.#write(bytes.subarray(start, end));
      return;
    }
    if (this.#gatheredBytes + length > this.#gathered.length) this.#flushGathered();
    bytes.copy(this.#gathered, this.#gatheredBytes, start, end);
    this.#gatheredBytes += length;
  };

  #flushGathered(): void {
    if (this.#gatheredBytes === 0) return;
    this.#write(Buffer.from(this.#gathered.subarray(0, this.#gatheredBytes)));
    this.#gatheredBytes = 0;
  }

  #pumpSnapshot(): void {
    const { log, limits, feeds } = this.#deps;
    if (log.publishPosition < this.#snapshotPosition || !this.#snapshot) return;
    this.#announceSnapshot(this.#snapshot);
    for (let bytesLeft = limits.feedPumpBytesMax; !this.#isBlocked && this.#snapshot;) {
      this.#sendDue();
      if (bytesLeft <= 0) return feeds.schedulePump();
      const piece = this.#snapshot.next(limits.snapshotPieceBytes);
      if (piece === null) return this.#endSnapshot(this.#snapshot);
      this.#write(messages.encodeSnapshotHeader(piece.length));
      this.#write(piece);
      bytesLeft -= piece.length;
      this.#movedAtMs = this.#deps.clock.monotonicMs();
    }
  }

  #announceSnapshot(snapshot: SnapshotPort): void {
    if (this.#snapshotReason === null) return;
    const { vector, bytesEstimate } = snapshot;
    const message = { reason: this.#snapshotReason, vector, bytesEstimate };
    this.#snapshotReason = null;
    this.#write(messages.encodeFullResync(message, this.#deps.database.origins));
  }

  #endSnapshot(snapshot: SnapshotPort): void {
    this.#write(messages.encodeSnapshotEnd());
    this.#walker.sent.raiseAll(snapshot.vector);
    this.#snapshot = null;
    this.#listWanted();
    this.#deps.feeds.freeSnapshot(this);
    this.step({ type: 'snapshot-sent' });
  }

  #listWanted(): void {
    const { database, generations } = this.#deps;
    const { origins } = database;
    this.#wanted = listWantedOrigins({ server: database.self.instance, asked: this.#asked, origins, generations });
    this.#walker.setWanted(this.#wanted);
    this.#originsKnown = origins.count;
  }

  /** Takes in further origins; goes back in the log when the peer lacks something of them. */
  #renewWanted(): void {
    const { log, database } = this.#deps;
    const before = new Set(this.#wanted);
    this.#listWanted();
    const { sent } = this.#walker;
    const lacksSome = this.#wanted.some(
      (origin) => !before.has(origin) && database.vector.get(origin) > sent.get(origin),
    );
    if (!lacksSome) return;
    const location = log.locate(sent, this.#wanted);
    if ('missing' in location) return this.#decide();
    this.position = Math.min(this.position, location.position);
    log.retain(this.#holder, this.position);
  }

  /** Everything that may be sent is sent. */
  #onDrained(): void {
    if (this.#heartbeatAfterDrain) {
      this.#heartbeatAfterDrain = false;
      this.#heartbeatDue = true;
    }
    if (this.#askAfterDrain) {
      this.#askAfterDrain = false;
      this.#write(messages.encodeAsk());
    }
    this.#sendDue();
  }

  /** Frames that are not batches; only between frames. */
  #sendDue(): void {
    if (this.#isBlocked) return;
    if (this.#publishes.length > 0) {
      const frames = this.#publishes.splice(0);
      this.#publishBytes = 0;
      this.#write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
    }
    if (this.#heartbeatDue) {
      this.#heartbeatDue = false;
      const { database, log, clock } = this.#deps;
      const { vector, origins, self } = database;
      const wallClockMs = clock.nowMs();
      const heartbeat = {
        vector,
        wallClockMs,
        position: log.endPosition,
        floor: log.floor,
        generation: self.generation,
      };
      this.#write(messages.encodeHeartbeat(heartbeat, origins));
    }
  }

  #write(bytes: Uint8Array): void {
    if (!this.#connection.write(bytes)) this.#isBlocked = true;
  }

  #onDrain(): void {
    this.#isBlocked = false;
    this.#movedAtMs = this.#deps.clock.monotonicMs();
    this.pump();
  }
}
