/** What a stage is (stages.ts), and how its maps are walked in steps. */
import type { Context } from '../crdt/cell.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import type { JoinVectors } from './container-type.ts';

/** Takes away what the context covers; null: all that is there. */
export interface Removal {
  readonly context: Context;
  /** Dot of the batch that removes: by then all of its origin's own increments before it, and none after it, are here. */
  readonly origin: number;
  readonly seq: number;
  /** The cuts of counters are ours to announce. */
  readonly owes: boolean;
}

/** The same, kept for later: the context of a remote batch goes on changing. */
export const keepRemoval = ({ context, origin, seq, owes }: Removal): Removal => ({
  context: context === null ? null : context.clone(),
  origin,
  seq,
  owes,
});

export type StageOperation =
  | { readonly kind: 'removal'; readonly removal: Removal }
  /** `keepsWhole`: what came alone may be taken as it is, if nothing of it needs a look. */
  | { readonly kind: 'join'; readonly vectors: JoinVectors; readonly keepsWhole: boolean };

/** Everything that was there, and all that stages before it would leave, is gone for clients at once. */
export const isHiddenRemoval = (operation: StageOperation): boolean =>
  operation.kind === 'removal' && operation.removal.context === null;

export interface Stage {
  /** A map of keys, or a container. */
  readonly main: number;
  /** 0: none. */
  readonly incoming: number;
  readonly operation: StageOperation;
  /** Of the walk through the one and then the other. */
  cursor: number;
}

/** How much of a walk is left to do in one step: entries, and buckets, so that an empty table costs no more than a full one. */
export class StepBudget {
  #entries: number;
  #buckets: number;

  constructor(entries: number, bucketsPerEntry: number) {
    this.#entries = entries;
    this.#buckets = entries * bucketsPerEntry;
  }

  /** A bucket with that many entries is done. */
  spend(entries: number): void {
    this.#entries -= entries;
    this.#buckets--;
  }

  get isSpent(): boolean {
    return this.#entries <= 0 || this.#buckets <= 0;
  }
}

/** Lists one bucket into `bucket`, to be worked on between the steps of the walk, so that tables can grow. Returns the next cursor. */
export function listBucket(maps: ByteMap, map: number, cursor: number, bucket: number[]): number {
  bucket.length = 0;
  return maps.scan(map, cursor, (entry) => {
    bucket.push(entry);
  });
}
