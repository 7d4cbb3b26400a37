/**
 * Replication of one instance, composed: pulling (syncer), serving (feeds), acknowledgements. This is what src/instance uses; nothing in here
 * knows a socket, a file or a timer other than through what it is given.
 */
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Connection, Network, Random } from '../host/host.ts';
import type { LinkStatus, PeerConfig } from '../instance/config.ts';
import { Acks } from './acks.ts';
import { Feeds } from './feeds.ts';
import { REPLICATION_LIMITS, type ReplicationLimits } from './limits.ts';
import type { Publish } from './messages.ts';
import { Generations } from './origins.ts';
import type { DatabasePort, LogPort, ReplicationEvents, SpoolPort } from './ports.ts';
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
  readonly events: ReplicationEvents;
  readonly limits?: ReplicationLimits;
}

export class Replication {
  readonly acks: Acks;
  readonly #feeds: Feeds;
  readonly #syncer: Syncer;
  readonly #deps: ReplicationDependencies;
  /** Generation whose loss was reported. */
  #lostGeneration = -1;

  constructor(dependencies: ReplicationDependencies) {
    const deps = { ...dependencies, limits: dependencies.limits ?? REPLICATION_LIMITS };
    const { database, log } = deps;
    this.#deps = deps;
    this.acks = new Acks(database);
    this.#feeds = new Feeds({
      ...deps,
      acks: this.acks,
      generations: new Generations(database.origins),
      onPeerVector: (vector) => {
        if (this.#checkOwnLoss(vector)) this.#syncer.announceGeneration();
      },
    });
    this.#syncer = new Syncer({
      ...deps,
      readAck: () => ({ applied: database.vector, durable: log.durableVector }),
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

  /** Closes all links and feeds. A merge under way is left to recovery. */
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

  /** What every configured instance has applied. */
  stableVector(): VersionVector {
    return this.acks.stable();
  }

  status(): LinkStatus[] {
    return this.#syncer.status();
  }

  /** Peers that pull from here. */
  feeds(): {
    readonly peer: number;
    readonly stage: string;
    readonly position: number;
    readonly publishDropped: number;
  }[] {
    return this.#feeds.list().map(({ peer, machine, position, publishDropped }) => {
      return { peer, stage: machine.stage, position, publishDropped };
    });
  }

  #checkOwnLoss(vector: VersionVector): boolean {
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
