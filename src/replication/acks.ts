/**
 * What the other instances say they have applied and have on disk: for WAIT, for stability, for the log's retention.
 *
 * WAIT counts an acknowledgement at once. Stability counts it only when the local version vector covers it (see stability.ts), together with what
 * the peer knew then of generations. An acknowledgement that is not covered is held aside, and so is the latest one behind it; were it replaced by each newer one, a busy database would never
 * have a covered one.
 *
 * Invariant: nobody waiting costs nothing.
 */
import { VersionVector } from '../crdt/version-vector.ts';
import { StableState, type Generations, type Statement } from './stability.ts';
import type { DatabasePort } from './ports.ts';

interface PeerAcks {
  applied: VersionVector | null;
  durable: VersionVector | null;
  /** Counted for stability. */
  counted: Statement | null;
  /** Held aside until the local vector covers it; the latest takes its place then. */
  aside: Statement | null;
  latest: Statement | null;
}

export interface AckWish {
  /** Index of the own origin that numbered the operation. */
  readonly origin: number;
  readonly seq: number;
  /** Other instances that must have it. */
  readonly count: number;
  /** On disk, not only applied. */
  readonly durable: boolean;
}

type AckDatabase = Pick<DatabasePort, 'vector' | 'origins' | 'self'>;

const NONE: Generations = new Map();

interface Waiter {
  readonly wish: AckWish;
  readonly done: () => void;
}

export class Acks {
  readonly #database: AckDatabase;
  readonly #peers = new Map<number, PeerAcks>();
  readonly #waiters = new Set<Waiter>();
  /** Somebody began to wait: the peers are to be asked. */
  onWaiting: () => void = () => undefined;

  constructor(database: AckDatabase) {
    this.#database = database;
  }

  /** The other instances of the database; what others say does not count. */
  configure(peers: readonly number[]): void {
    for (const id of this.#peers.keys()) if (!peers.includes(id)) this.#peers.delete(id);
    for (const id of peers) {
      if (!this.#peers.has(id))
        this.#peers.set(id, { applied: null, durable: null, counted: null, aside: null, latest: null });
    }
    this.#notifyWaiters();
  }

  /** An ACK, or a HELLO (which says nothing of durability). A restarted peer may have less than before. */
  note(
    instance: number,
    ack: {
      readonly applied: VersionVector;
      readonly durable: VersionVector | null;
      readonly generations: Generations | null;
    },
  ): void {
    const peer = this.#peers.get(instance);
    if (!peer) return;
    peer.applied = ack.applied;
    if (ack.durable) peer.durable = ack.durable;
    const statement: Statement = { applied: ack.applied, generations: ack.generations ?? NONE };
    if (peer.aside && ack.applied.covers(peer.aside.applied)) {
      peer.latest = statement;
    } else {
      // Nothing aside; or the peer lost what it had said, which then may never come here either.
      peer.aside = statement;
      peer.latest = null;
    }
    this.#countCovered(peer);
    if (this.#waiters.size > 0) this.#notifyWaiters();
  }

  /** The local version vector moved. */
  noteLocalMoved(): void {
    for (const peer of this.#peers.values()) if (peer.aside) this.#countCovered(peer);
  }

  /** What may be forgotten as of now. `known`: what this instance knows of generations. */
  stability(known: Generations): StableState {
    this.noteLocalMoved();
    const { vector, origins } = this.#database;
    const peers = new Map([...this.#peers].map(([id, peer]) => [id, peer.counted] as const));
    const local = { instance: this.#database.self.instance, applied: vector, generations: known };
    return new StableState({ local, peers, origins });
  }

  /** What the peer last said it has applied; null: never heard of. */
  appliedBy(instance: number): VersionVector | null {
    return this.#peers.get(instance)?.applied ?? null;
  }

  /** How many other instances have the operation `seq` of the own current origin. */
  acked(seq: number, options: { readonly durable?: boolean; readonly origin?: number } = {}): number {
    const origin = options.origin ?? this.#database.self.index;
    let count = 0;
    for (const peer of this.#peers.values()) {
      const vector = options.durable ? peer.durable : peer.applied;
      if (vector?.coversDot(origin, seq)) count++;
    }
    return count;
  }

  /**
   * Calls `done` once when enough instances have it, at once if they do. Returns a function that gives up.
   */
  whenAcked(wish: AckWish, done: () => void): () => void {
    if (this.#isFulfilled(wish)) {
      done();
      return () => undefined;
    }
    const waiter: Waiter = { wish, done };
    this.#waiters.add(waiter);
    this.onWaiting();
    return () => this.#waiters.delete(waiter);
  }

  #countCovered(peer: PeerAcks): void {
    while (peer.aside && this.#database.vector.covers(peer.aside.applied)) {
      peer.counted = peer.aside;
      peer.aside = peer.latest;
      peer.latest = null;
    }
  }

  #notifyWaiters(): void {
    for (const waiter of this.#waiters) {
      if (!this.#isFulfilled(waiter.wish)) continue;
      this.#waiters.delete(waiter);
      waiter.done();
    }
  }

  #isFulfilled({ origin, seq, count, durable }: AckWish): boolean {
    return this.acked(seq, { durable, origin }) >= count;
  }
}
