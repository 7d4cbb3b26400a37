/**
 * Stability: what may be forgotten. Metadata that exists only to resolve conflicts is freed when no conflict can come any more.
 *
 * *Covered* is what every configured instance has applied; one never heard of has nothing. What a peer acknowledged counts only once the local vector
 * covers it (acks.ts holds it aside until then): only then has everything arrived here that the peer had when it said so.
 *
 * Covered is not enough for what belongs to an origin, such as the cut of its counter. An operation of that origin may still be on its way that has not seen the
 * reset: the origin's instance made it, sent it to one peer and lost it in a crash; that peer acknowledged the reset before it read it, and relays it later. It
 * takes part in no acknowledgement, and no vector shows it. So a reset is *final* for an origin when it is covered and
 *
 * - the origin is the current generation of its instance, which acknowledged the reset under that generation: all it made before that is in the acknowledgement
 *   and so here, all it makes from then on has seen the reset; or
 * - the origin is retired, and all acknowledgements that count were made by instances that agree on the newest generation of every instance. An instance names a
 *   generation only when no connection of its own leads to an earlier process of that instance any more (`listKnownGenerations`): what such a connection
 *   still held was sent before a crash, by somebody who may have lost it. Then whatever exists of a retired origin was applied by somebody when it
 *   acknowledged, and so is here.
 *
 * Why agreement on *all* generations, and not only on the one that retired: whoever relays may itself crash and lose what it relayed, and then nobody's
 * acknowledgement has it; but then it has begun a new generation, and the connection that it was sent over leads to an earlier process.
 */
import { VersionVector, type OriginTable } from '../crdt/version-vector.ts';
import type { Stability } from './ports.ts';

/** Instance -> its newest generation. */
export type Generations = ReadonlyMap<number, number>;

/** What an instance has applied and knows of generations, at one moment. */
export interface Statement {
  readonly applied: VersionVector;
  readonly generations: Generations;
}

export class StableState implements Stability {
  readonly #origins: OriginTable;
  readonly #local: Statement & { readonly instance: number };
  readonly #peers: ReadonlyMap<number, Statement | null>;
  /** Entrywise the least that any instance has; null: one was never heard of. */
  readonly #least: VersionVector | null;
  /** All agree on the newest generation of every instance. */
  readonly #isAgreed: boolean;

  constructor(options: {
    readonly local: Statement & { readonly instance: number };
    /** What counts of every other instance; null: nothing yet. */
    readonly peers: ReadonlyMap<number, Statement | null>;
    readonly origins: OriginTable;
  }) {
    this.#origins = options.origins;
    this.#local = options.local;
    this.#peers = options.peers;
    this.#least = leastOf(options.local.applied, options.peers.values());
    this.#isAgreed = this.#agree();
  }

  /** Entrywise the least that any instance has. */
  get least(): VersionVector {
    return this.#least ?? new VersionVector();
  }

  covers(origin: number, seq: number): boolean {
    return this.#least !== null && this.#least.coversDot(origin, seq);
  }

  isFinal(origin: number, reset: { readonly origin: number; readonly seq: number }): boolean {
    if (!this.covers(reset.origin, reset.seq)) return false;
    const { instance, generation } = this.#origins.at(origin);
    const statement = instance === this.#local.instance ? this.#local : this.#peers.get(instance);
    if (statement?.generations.get(instance) === generation && this.#isNewest(instance, generation)) return true;
    return this.#isAgreed && generation < (this.#local.generations.get(instance) ?? -1);
  }

  #isNewest(instance: number, generation: number): boolean {
    return this.#local.generations.get(instance) === generation;
  }

  #agree(): boolean {
    const { generations } = this.#local;
    for (const peer of this.#peers.values()) {
      if (peer === null) return false;
      for (const instance of [this.#local.instance, ...this.#peers.keys()]) {
        const generation = generations.get(instance);
        if (generation === undefined || peer.generations.get(instance) !== generation) return false;
      }
    }
    return true;
  }
}

function leastOf(local: VersionVector, peers: Iterable<Statement | null>): VersionVector | null {
  const least = local.clone();
  for (const peer of peers) {
    if (peer === null) return null;
    least.lowerAll(peer.applied);
  }
  return least;
}
