/**
 * Replication of one instance, composed: pulling (syncer), serving (feeds), acknowledgements. This is what src/instance uses; nothing in here
 * knows a socket, a file or a timer other than through what it is given.
 */
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Connection, Network, Random } from '../host/host.ts';
import type { LinkStatus, PeerConfig } from '../instance/config.ts';
import { Acks } from './acks.ts';
import type { FeedCounters } from './feed-driver.ts';
import { Feeds, type FeedStatus } from './feeds.ts';
import { REPLICATION_LIMITS, type ReplicationLimits } from './limits.ts';
import type { Publish } from './messages.ts';
import { Generations } from './origins.ts';
import type { DatabasePort, LogPort, ReplicationEvents, SnapshotSource, SpoolPort } from './ports.ts';
import type { StableState } from './stability.ts';
import { Syncer } from './syncer.ts';

export interface ReplicationDependencies {
  readonly guid: string;
  /** Asked at every connection, since it may be changed. */
  readonly secret: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly spool: SpoolPort;
  readonly snapshots: SnapshotSource;
  readonly events: ReplicationEvents;
  /** What differs from REPLICATION_LIMITS. */
  readonly limits?: Partial<ReplicationLimits>;
}

export class Replication {
  readonly acks: Acks;
  readonly #feeds: Feeds;
  readonly #syncer: Syncer;
  readonly #deps: ReplicationDependencies;
  readonly #generations: Generations;
  #clockAheadMaxMs: number;
  /** Generation whose loss was reported. */
  #lostGeneration = -1;

  constructor(dependencies: ReplicationDependencies) {
    const limits = { ...REPLICATION_LIMITS, ...dependencies.limits };
    const deps = { ...dependencies, limits };
    const { database, log } = deps;
    this.#deps = deps;
    this.#generations = new Generations(database.origins);
    this.#clockAheadMaxMs = limits.clockAheadMaxMs;
    this.acks = new Acks(database);
    this.#feeds = new Feeds({
      ...deps,
      acks: this.acks,
      generations: this.#generations,
      onPeerVector: (vector) => {
        if (this.#checkOwnLoss(vector)) this.#syncer.announceGeneration();
      },
    });
    this.#syncer = new Syncer({
      ...deps,
      readAck: () => ({
        applied: database.vector,
        durable: log.durableVector,
        generations: this.#syncer.knownGenerations(),
      }),
      clockAheadMaxMs: () => this.#clockAheadMaxMs,
      checkOwnLoss: (vector) => this.#checkOwnLoss(vector),
      onMoved: () => {
        this.acks.noteLocalMoved();
        log.wake();
      },
    });
    this.acks.onWaiting = () => this.#feeds.ask();
  }

  start(peers: readonly PeerConfig[]): void {
    this.configure(peers);
    this.#feeds.start();
    this.#syncer.start();
  }

  /** Closes all links and feeds. */
  stop(): void {
    this.#syncer.stop();
    this.#feeds.stop();
  }

  configure(peers: readonly PeerConfig[]): void {
    const ids = peers.map((peer) => peer.id);
    this.acks.configure(ids);
    this.#feeds.configure(ids);
    this.#syncer.configure(peers);
  }

  pause(from?: number): void {
    this.#syncer.pause(from);
  }

  resume(from?: number): void {
    this.#syncer.resume(from);
  }

  /** A peer's connection after `CRDT.SYNC <request>`; see Feeds.accept. */
  accept(connection: Connection, request: string, rest: Uint8Array): void {
    this.#feeds.accept(connection, request, rest);
  }

  publish(message: Publish): void {
    this.#feeds.publish(message);
  }

  /** The log's `onPublishable`: feeds read on, and more may be durable. Cheap. */
  notePublishable(): void {
    this.#feeds.schedulePump();
    this.#syncer.noteDurable();
  }

  /** Asks every peer for its newest version vector, so that `status` is up to date a round trip later. */
  ask(): void {
    this.#syncer.ask();
  }

  /** What may be forgotten as of now; to be asked anew for every step of collecting. */
  stability(): StableState {
    return this.acks.stability(this.#syncer.knownGenerations());
  }

  /** The operator's resync, partial or full, of one link or all. null: ordered; else why it cannot be. */
  resync(order: { readonly from?: number | undefined; readonly full: boolean }): string | null {
    return this.#syncer.resync(order);
  }

  /** The operator takes in what a link brings although its clock is ahead. null: done; else why not. */
  acceptClock(from: number | undefined): string | null {
    return this.#syncer.acceptClock(from);
  }

  /** How far ahead a clock may be. */
  setClockAheadMax(ms: number): void {
    this.#clockAheadMaxMs = ms;
  }

  /** Syncs served, and client messages dropped. */
  get counters(): Readonly<FeedCounters> {
    return this.#feeds.counters;
  }

  resetCounters(): void {
    this.#feeds.resetCounters();
    this.#syncer.resetCounters();
  }

  status(): LinkStatus[] {
    return this.#syncer.status();
  }

  /** Peers that pull from here. */
  feeds(): FeedStatus[] {
    return this.#feeds.status();
  }

  /** A peer's vector may show that we were restored from an older state. True: a new generation began. */
  #checkOwnLoss(vector: VersionVector): boolean {
    return this.#checkNewerGeneration() || this.#checkLostTail(vector);
  }

  #checkNewerGeneration(): boolean {
    const { database, events } = this.#deps;
    const { instance, generation } = database.self;
    const newest = this.#generations.newestOf(instance);
    if (newest <= generation) return false;
    const text = `an older state was put back: a peer knows generation ${newest} of this instance, it is in ${generation}`;
    events.onLog('error', `${text}; a new generation begins and the missing part is fetched`);
    events.onNewerGeneration(newest);
    return true;
  }

  #checkLostTail(vector: VersionVector): boolean {
    const { database, events } = this.#deps;
    const { index, generation } = database.self;
    const seqSeen = vector.get(index);
    if (generation === this.#lostGeneration || seqSeen <= database.vector.get(index)) return false;
    this.#lostGeneration = generation;
    const text = `own data lost: a peer has offset ${seqSeen} of this instance, it has ${database.vector.get(index)} itself`;
    events.onLog('error', `${text}; a new generation begins and the missing part is fetched`);
    events.onOwnLoss(seqSeen);
    return true;
  }
}
