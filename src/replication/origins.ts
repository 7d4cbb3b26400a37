/**
 * Questions about origins that several parts of replication ask: which generations are retired, which origins a peer is to be sent,
 * and what an operator calls an origin.
 *
 * A generation is *retired* as soon as a newer one of the same instance is known. Its own instance may have lost part of it, so it comes
 * from whoever has it: every feed carries all retired generations.
 */
import { createHash } from 'node:crypto';
import type { Origin } from '../crdt/frame.ts';
import type { OriginTable } from '../crdt/version-vector.ts';

/** The newest generation of every instance, as far as it is known. Looks at the table anew only when that has grown. */
export class Generations {
  readonly #origins: OriginTable;
  readonly #newest = new Float64Array(256).fill(-1);
  #seen = 0;

  constructor(origins: OriginTable) {
    this.#origins = origins;
  }

  isRetired(index: number): boolean {
    const { instance, generation } = this.#origins.at(index);
    return generation < this.newestOf(instance);
  }

  /** -1: nothing is known of the instance. */
  newestOf(instance: number): number {
    for (; this.#seen < this.#origins.count; this.#seen++) {
      const origin = this.#origins.at(this.#seen);
      this.#newest[origin.instance] = Math.max(this.#newest[origin.instance]!, origin.generation);
    }
    return this.#newest[instance]!;
  }
}

/**
 * Origins that a feed of `server` to `puller` carries: its own, retired ones, those of the puller that are not its current one (it may have forgotten a
 * newer one), and what was asked for.
 */
export function listWantedOrigins(options: {
  readonly server: number;
  /** The generation as the puller says it; -1: it has not said. */
  readonly puller: { readonly instance: number; readonly generation: number };
  readonly asked: ReadonlySet<number>;
  readonly origins: OriginTable;
  readonly generations: Generations;
}): number[] {
  const { server, puller, asked, origins, generations } = options;
  const wanted: number[] = [];
  for (let index = 0; index < origins.count; index++) {
    const { instance, generation } = origins.at(index);
    const isForgotten = instance === puller.instance && puller.generation >= 0 && generation !== puller.generation;
    if (instance === server || isForgotten || asked.has(index) || generations.isRetired(index)) wanted.push(index);
  }
  return wanted;
}

/**
 * Instance -> the newest generation of it behind which this instance takes in nothing any more. What a connection to an earlier process of a peer still holds
 * unread could bring operations that nobody else has, so while there is one, only its generation counts.
 *
 * `connectedTo`: the generation of the process that a connection of ours leads to, -1: not known yet; undefined: there is none.
 */
export function listKnownGenerations(
  origins: OriginTable,
  generations: Generations,
  connectedTo: (instance: number) => number | undefined,
): Map<number, number> {
  const known = new Map<number, number>();
  for (let index = 0; index < origins.count; index++) {
    const { instance } = origins.at(index);
    const newest = generations.newestOf(instance);
    const generation = Math.min(newest, connectedTo(instance) ?? newest);
    if (generation >= 0) known.set(instance, generation);
  }
  return known;
}

/** 40 hex digits; nobody has to be told them. */
export const replicationIdOf = (guid: string, origin: Origin): string =>
  createHash('sha256').update(`${guid}/${origin.instance}/${origin.generation}`).digest('hex').slice(0, 40);
