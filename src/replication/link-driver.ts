/**
 * One link's I/O on the pulling side: connects, speaks RESP and then frames, feeds what it reads to the state machine (link.ts) and does
 * what that says. Batches do not pass through the machine: while it is streaming they go straight to the database.
 *
 * Back-pressure has one form: a *hold*. Whoever cannot take more (the event-loop turn is over, early batches are full, the disk is
 * behind) holds the link; it stops reading its connection, and what is already here waits in the splitter.
 *
 * Invariant: frames of a link are handled strictly in order, and none after its connection was given up.
 */
import { FRAME, FRAME_HEADER_BYTES } from '../crdt/frame.ts';
import { VersionVector } from '../crdt/version-vector.ts';
import type { Connection, Timer } from '../host/host.ts';
import type { PeerConfig } from '../instance/config.ts';
import { AckSender } from './ack-sender.ts';
import type { EarlyBatches } from './early-batches.ts';
import { FrameSplitter, frameSizesFromPeer } from './frame-splitter.ts';
import { FullSync, type FullSyncProgress } from './full-sync.ts';
import { Intake } from './intake.ts';
import { REPLICATION_PROTOCOL } from './limits.ts';
import { INITIAL_LINK, isPermanentCode, stepLink, type LinkAction, type LinkEvent, type LinkMachine } from './link.ts';
import * as messages from './messages.ts';
import type { LinkDependencies } from './link-owner.ts';
import { encodeCommand, ReplyLines } from './resp-handshake.ts';

/** Why a link does not read on. */
export const HOLD = { turn: 1, early: 2, spool: 4, snapshotEnd: 8 } as const;

export class LinkDriver {
  peer: PeerConfig;
  machine: LinkMachine = INITIAL_LINK;
  /** What the peer has and what its log may no longer hold, as it last said. */
  peerVector: VersionVector | null = null;
  peerFloor: VersionVector | null = null;
  peerGeneration = -1;
  /** What was last said of its errors in the log, numbers left out. */
  loggedError: string | null = null;
  /** Origins the peer is asked to relay; the syncer decides. */
  want: readonly number[] = [];
  /** Full and partial syncs on this link, and those that were asked for partially and became full. */
  readonly syncs = { full: 0, partialOk: 0, partialErr: 0 };

  readonly #deps: LinkDependencies;
  readonly #intake: Intake;
  #connection: Connection | null = null;
  #replies = new ReplyLines(0);
  #splitter: FrameSplitter;
  #holds = 0;
  #isReading = false;
  #retryTimer: Timer | null = null;
  /** Of the stage; asked for with every batch. */
  isStreaming = false;
  #heardAtMs = 0;
  #stageSinceMs = 0;
  #earlyFullAtMs = 0;
  #joinsAtHello = 0;
  /** The last HELLO asked for a partial sync. */
  #askedPartial = false;
  #fullSync: FullSync | null = null;
  #announcedBytes = 0;
  #acks: AckSender | null = null;
  readonly #resumeTurn = (): void => this.release(HOLD.turn);

  constructor(peer: PeerConfig, deps: LinkDependencies) {
    this.peer = peer;
    this.#deps = deps;
    this.#intake = new Intake({
      ...deps,
      from: peer.id,
      events: {
        onEarly: () => deps.syncer.onEarly(this),
        onEarlyFull: () => {
          this.#earlyFullAtMs = deps.clock.monotonicMs();
          this.hold(HOLD.early);
        },
        onFailed: (message, permanent) => this.step({ type: 'failed', message, permanent }),
        onClockAhead: (message) => this.step({ type: 'clock-ahead', message }),
      },
    });
    this.#splitter = new FrameSplitter(frameSizesFromPeer(deps.limits), deps.limits);
  }

  /** Batches that came before something they depend on. */
  get early(): EarlyBatches {
    return this.#intake.early;
  }

  /** Milliseconds in the present stage. */
  get stageMs(): number {
    return this.#deps.clock.monotonicMs() - this.#stageSinceMs;
  }

  /** Milliseconds since early batches stopped this link; 0 when they do not. */
  get earlyStallMs(): number {
    return (this.#holds & HOLD.early) === 0 ? 0 : this.#deps.clock.monotonicMs() - this.#earlyFullAtMs;
  }

  /** Of the full sync that runs. */
  get fullSyncProgress(): FullSyncProgress | null {
    return this.#fullSync?.progress ?? null;
  }

  /** It waits for time to catch up with somebody's clock. */
  get awaitsClock(): boolean {
    return this.machine.stage === 'waiting' && this.machine.awaitsClock;
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** The operator accepts what this link brings although its clock is ahead. */
  acceptClock(): void {
    this.#intake.acceptClock();
    this.step({ type: 'clock-ready' });
  }

  step(event: LinkEvent): void {
    const { guid, limits, random } = this.#deps;
    const before = this.machine;
    const { state, actions } = stepLink(before, event, {
      guid,
      peer: this.peer.id,
      limits,
      random: () => random.uint32() / 0x1_0000_0000,
    });
    this.machine = state;
    this.isStreaming = state.stage === 'streaming';
    if (state.stage !== before.stage) this.#stageSinceMs = this.#deps.clock.monotonicMs();
    for (const action of actions) this.#perform(action);
    if (state.stage !== before.stage) this.#deps.syncer.onStageChanged(this, before);
  }

  /** Tries what came early. Returns how many batches left the buffer. */
  retryEarly(isOver: () => boolean): number {
    return this.#intake.retry(isOver);
  }

  hold(reason: number): void {
    if (this.#holds === 0) this.#connection?.pause();
    this.#holds |= reason;
  }

  release(reason: number): void {
    if ((this.#holds & reason) === 0) return;
    this.#holds &= ~reason;
    if (this.#holds !== 0 || !this.#connection) return;
    this.#read();
    if (this.#holds === 0) {
      this.#heardAtMs = this.#deps.clock.monotonicMs();
      this.#connection?.resume();
    }
  }

  /** Tells the peer which origins to relay and which generation is ours. */
  sendWant(): void {
    const { database } = this.#deps;
    if (!this.#acks) return;
    this.#send(messages.encodeWant({ generation: database.self.generation, origins: this.want }, database.origins));
  }

  /** Asks for a HEARTBEAT as soon as the peer has sent all it has. */
  ask(): void {
    if (this.#acks) this.#send(messages.encodeAsk());
  }

  noteDurable(): void {
    this.#acks?.noteDurable();
  }

  /** Batches of this link were applied, directly or after waiting. */
  noteApplied(): void {
    this.#acks?.noteApplied();
  }

  /** About every second: acknowledgements that are due, a peer that fell silent. */
  tick(): void {
    const { clock, limits } = this.#deps;
    this.#acks?.tick();
    if (this.machine.stage === 'streaming' && this.stageMs >= 2 * limits.heartbeatMs) this.step({ type: 'steady' });
    if (this.awaitsClock && clock.nowMs() >= this.#intake.clockReadyAtMs) this.step({ type: 'clock-ready' });
    if (!this.#connection || this.#holds !== 0) return;
    const isHandshake = ['auth', 'sync', 'hello', 'decision'].includes(this.machine.stage);
    const silentMs = clock.monotonicMs() - this.#heardAtMs;
    if (silentMs >= (isHandshake ? limits.handshakeTimeoutMs : limits.linkSilenceMs)) {
      this.step({ type: 'failed', message: `the peer was silent for ${Math.round(silentMs)} ms` });
    }
  }

  #perform(action: LinkAction): void {
    const { database, secret, guid, clock } = this.#deps;
    switch (action.do) {
      case 'connect':
        return this.#connect();
      case 'send-auth':
        this.#connection?.write(encodeCommand(['AUTH', '__replication', secret()]));
        return;
      case 'send-sync': {
        const request = { protocol: REPLICATION_PROTOCOL, guid, instance: database.self.instance };
        this.#connection?.write(encodeCommand(['CRDT.SYNC', JSON.stringify(request)]));
        return;
      }
      case 'send-hello':
        return this.#sendHello();
      case 'open-spool':
        return this.#openSpool();
      case 'join':
        return this.#join();
      case 'stream':
        return this.#stream();
      case 'close':
        return this.#close();
      case 'retry-after':
        this.#retryTimer?.cancel();
        this.#retryTimer = clock.after(action.delayMs, () => this.step({ type: 'retry' }));
        return;
    }
  }

  #connect(): void {
    const { network, limits } = this.#deps;
    const { host, port } = this.peer;
    let isCurrent = true;
    this.#cancelConnect = () => (isCurrent = false);
    network.connect({ host, port, timeoutMs: limits.connectTimeoutMs }, (error, connection) => {
      if (!isCurrent) return connection?.close();
      if (!connection) return this.step({ type: 'failed', message: error?.message ?? 'no connection' });
      this.#attach(connection);
      this.step({ type: 'connected' });
    });
  }

  #cancelConnect: () => void = () => undefined;

  #attach(connection: Connection): void {
    const { limits, clock } = this.#deps;
    this.#connection = connection;
    this.#replies = new ReplyLines(limits.handshakeLineBytesMax);
    this.#splitter = new FrameSplitter(frameSizesFromPeer(limits), limits);
    this.#holds = 0;
    this.#heardAtMs = clock.monotonicMs();
    connection.onData = (bytes) => {
      if (connection === this.#connection) this.#onData(bytes);
    };
    connection.onClose = (error) => {
      if (connection !== this.#connection) return;
      this.#forgetConnection();
      this.step({ type: 'closed', message: error?.message ?? null });
    };
  }

  #onData(bytes: Uint8Array): void {
    this.#heardAtMs = this.#deps.clock.monotonicMs();
    const { stage } = this.machine;
    if (stage !== 'auth' && stage !== 'sync') this.#splitter.push(bytes);
    else if (!this.#readReplies(bytes)) return;
    this.#read();
    this.#splitter.detach();
  }

  /** RESP replies; whatever follows the last of them is frames. False when no frame is to be read. */
  #readReplies(bytes: Uint8Array): boolean {
    this.#replies.push(bytes);
    while (this.machine.stage === 'auth' || this.machine.stage === 'sync') {
      const line = this.#replies.next();
      if (line === null) return false;
      this.step(line.error ? { type: 'failed', message: line.text } : { type: 'reply', text: line.text });
    }
    if (!this.#connection) return false;
    this.#splitter.push(this.#replies.rest());
    return true;
  }

  /** Handles frames until there are no more, somebody holds the link, or it is given up. */
  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    const splitter = this.#splitter;
    let moved = false;
    while (this.#holds === 0 && splitter === this.#splitter && this.#connection && splitter.next()) {
      if (splitter.kind === FRAME.batch) moved = this.#applyBatch(splitter) || moved;
      else this.#handleFrame(splitter);
    }
    this.#isReading = false;
    if (moved) {
      this.noteApplied();
      this.#deps.syncer.onVectorMoved(this);
    }
    if (splitter.error !== null && splitter === this.#splitter && this.#connection) {
      this.step({ type: 'failed', message: splitter.error, permanent: splitter.isTooLarge });
    }
  }

  /** Whether the database changed. */
  #applyBatch({ bytes, start, end }: FrameSplitter): boolean {
    const { turns } = this.#deps;
    if (!this.isStreaming) {
      this.step({ type: 'failed', message: `a batch was not expected in stage ${this.machine.stage}` });
      return false;
    }
    turns.enter();
    if (turns.isOver()) this.#holdUntilNextTurn();
    return this.#intake.take(bytes, start, end);
  }

  #holdUntilNextTurn(): void {
    this.hold(HOLD.turn);
    this.#deps.turns.wait(this.#resumeTurn);
  }

  #handleFrame({ kind, bytes, start, end }: FrameSplitter): void {
    const problem = this.#handleMessage(kind, bytes.subarray(start + FRAME_HEADER_BYTES, end));
    if (problem !== null) this.step({ type: 'failed', message: problem });
  }

  /** Returns what is wrong with the message, null if nothing. */
  #handleMessage(kind: number, payload: Uint8Array): string | null {
    const { database, syncer, events } = this.#deps;
    switch (kind) {
      case FRAME.hello: {
        const hello = messages.decodeHello(payload, database.origins);
        return typeof hello === 'string' ? hello : this.#onHello(hello);
      }
      case FRAME.continue: {
        const message = messages.decodeContinue(payload);
        if (typeof message === 'string') return message;
        if (this.machine.stage === 'decision') this.syncs.partialOk++;
        this.step({ type: 'continue', reason: message.reason, nowMs: this.#deps.clock.nowMs() });
        return null;
      }
      case FRAME.fullResync: {
        const message = messages.decodeFullResync(payload, database.origins);
        return typeof message === 'string' ? message : this.#onFullResync(message);
      }
      case FRAME.snapshot:
        if (this.machine.stage !== 'full-sync' || !this.#fullSync) return 'a SNAPSHOT that was not announced';
        return this.#receive(this.#fullSync, payload);
      case FRAME.snapshotEnd:
        if (this.machine.stage !== 'full-sync' || !this.#fullSync) return 'a SNAPSHOT_END that was not announced';
        if (!this.#fullSync.isComplete) return 'a SNAPSHOT_END in the middle of the snapshot';
        this.hold(HOLD.snapshotEnd);
        this.#fullSync.finish();
        return null;
      case FRAME.heartbeat: {
        const heartbeat = messages.decodeHeartbeat(payload, database.origins);
        if (typeof heartbeat === 'string') return heartbeat;
        this.#learn(heartbeat.generation, heartbeat.vector, heartbeat.floor);
        syncer.onHeartbeat(this, heartbeat);
        return null;
      }
      case FRAME.publish: {
        const message = messages.decodePublish(payload);
        if (typeof message === 'string') return message;
        events.onPublish(message);
        return null;
      }
      case FRAME.ask:
        this.#acks?.noteAsked();
        return null;
      default: {
        const error = messages.decodeError(payload);
        if (typeof error === 'string') return error;
        this.step({ type: 'failed', message: error.message, permanent: isPermanentCode(error.code) });
        return null;
      }
    }
  }

  #receive(fullSync: FullSync, piece: Uint8Array): null {
    const { turns } = this.#deps;
    try {
      turns.enter();
      if (!fullSync.receive(piece)) this.hold(HOLD.spool);
      if (turns.look()) this.#holdUntilNextTurn();
    } catch (error) {
      this.#intake.fail(error, 'the snapshot cannot be loaded');
    }
    return null;
  }

  #onHello(hello: messages.Hello): null {
    this.step({ type: 'hello', hello });
    if (this.machine.stage === 'decision') this.#learn(hello.generation, hello.vector, hello.floor);
    return null;
  }

  #learn(generation: number, vector: VersionVector, floor: VersionVector | null): void {
    this.#deps.database.origins.indexOf(this.peer.id, generation);
    this.peerGeneration = generation;
    this.peerVector = vector;
    this.peerFloor = floor ?? this.peerFloor;
    this.#deps.syncer.onPeerVector(this, vector);
  }

  #onFullResync(message: messages.FullResync): null {
    const { syncer, clock } = this.#deps;
    this.peerVector = message.vector;
    if (this.machine.stage === 'decision' && this.#joinsAtHello !== syncer.joinCount) {
      // Decided before another link's full sync was joined: with that, partial may do.
      this.step({ type: 'restart' });
      return null;
    }
    const slotFree = syncer.takeFullSyncSlot(this);
    if (slotFree) this.syncs.full++;
    if (slotFree && this.#askedPartial && this.machine.stage === 'decision') this.syncs.partialErr++;
    this.#announcedBytes = message.bytes;
    this.step({ type: 'full-resync', reason: message.reason, nowMs: clock.nowMs(), slotFree });
    if (slotFree && this.machine.stage !== 'full-sync') syncer.freeFullSyncSlot(this);
    return null;
  }

  #openSpool(): void {
    // The source sends them again after the snapshot.
    this.early.clear();
    this.release(HOLD.early);
    this.#deps.turns.enter();
    const { clockAheadMsMax } = this.#intake;
    const source = { instance: this.peer.id, bytes: this.#announcedBytes, clockAheadMsMax };
    const fullSync = new FullSync(source, this.#deps, {
      onRoom: () => {
        if (fullSync === this.#fullSync && this.machine.stage === 'full-sync') this.release(HOLD.spool);
      },
      onSpooled: () => {
        if (fullSync === this.#fullSync) this.step({ type: 'spooled' });
      },
      onFailed: (text) => {
        if (fullSync === this.#fullSync) this.step({ type: 'failed', message: text });
      },
    });
    this.#fullSync = fullSync;
  }

  #join(): void {
    const { syncer, events } = this.#deps;
    this.#fullSync?.join();
    this.#fullSync = null;
    events.onMerged();
    syncer.onJoined(this);
  }

  #stream(): void {
    this.noteApplied();
    this.ask();
    this.release(HOLD.spool | HOLD.snapshotEnd);
  }

  #sendHello(): void {
    const { database, guid, clock, limits, readAck } = this.#deps;
    const { instance, generation } = database.self;
    const hello: messages.Hello = {
      protocol: REPLICATION_PROTOCOL,
      guid,
      instance,
      generation,
      vector: database.vector,
      floor: null,
      want: this.want,
      full: this.machine.wantsFull,
      capabilities: database.capabilities,
      compression: 0,
    };
    this.#joinsAtHello = this.#deps.syncer.joinCount;
    this.#askedPartial = !hello.full && !database.vector.entries().next().done;
    this.#send(messages.encodeHello(hello, database.origins));
    const send = (ack: messages.Ack): void => this.#send(messages.encodeAck(ack, database.origins));
    this.#acks = new AckSender({ clock, limits, read: readAck, send });
  }

  #send(bytes: Buffer): void {
    for (const frame of messages.splitMessage(bytes, this.#deps.limits)) this.#connection?.write(frame);
  }

  #close(): void {
    const connection = this.#connection;
    this.#cancelConnect();
    this.#retryTimer?.cancel();
    // A link that is left politely says once more what it has.
    if (connection && this.machine.stage !== 'waiting') this.#acks?.sendNow();
    this.#forgetConnection();
    connection?.close();
    if (this.#fullSync) {
      this.#fullSync.abort();
      this.#fullSync = null;
      this.#deps.syncer.freeFullSyncSlot(this);
    }
  }

  #forgetConnection(): void {
    this.peerGeneration = -1;
    this.#acks?.stop();
    this.#acks = null;
    this.#connection = null;
    this.#holds = 0;
    this.early.clear();
  }
}
