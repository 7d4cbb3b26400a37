/**
 * Cuts of counters that this instance owes the others: it removed a large container, or everything, without naming the counters in it, and names each
 * when it comes to settle it. The cut takes effect here at once, under the dot of the next own batch; the `Writer` announces it there.
 *
 * During recovery the log may hold the announcement already: a batch of our own that is replayed takes what is owed by then with it, as it did when it was
 * written.
 *
 * Invariant: whatever is in here is announced by the next own batch.
 */
import type { CounterCut, Dot } from '../crdt/cell.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { ContainerType } from './container-type.ts';
import type { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { Removal } from './stage.ts';

export interface OwedCut {
  readonly key: Buffer;
  /** The type of the container and the name of the entry; null: of the key itself. */
  readonly entry: { readonly type: ContainerType; readonly name: Buffer } | null;
  readonly cuts: readonly CounterCut[];
  /** Under which they are cut here. */
  readonly reset: Dot;
}

const NOTHING = { cuts: [], reset: { origin: 0, seq: 0 } } as const;

export class OwedCuts {
  readonly #keyspace: Keyspace;
  #list: OwedCut[] = [];
  /** The dot of the own batch that is open, or will be next. */
  nextDot: () => Dot = () => ({ origin: 0, seq: 0 });

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  get count(): number {
    return this.#list.length;
  }

  /**
   * Which counters a removal cuts here, of those that it meets. All of them where it is ours, and then it owes the others their names. Where it is not ours,
   * those of its own origin: that origin had observed all of its own increments that are here by then, and no more. The others' it names itself, in
   * the removal or in CUT effects that follow.
   */
  cutsOf(
    removal: Removal,
    ref: KeyRef,
    entry: { readonly type: ContainerType; readonly entry: number } | null,
    observed: readonly CounterCut[],
  ): { readonly cuts: readonly CounterCut[]; readonly reset: Dot } {
    if (observed.length === 0) return NOTHING;
    if (removal.owes) return { cuts: observed, reset: this.#add(ref, entry, observed) };
    const { origin, seq } = removal;
    return { cuts: observed.filter((cut) => cut.origin === origin), reset: { origin, seq } };
  }

  /** Returns the dot of the reset, to cut under here. */
  #add(
    ref: KeyRef,
    entry: { readonly type: ContainerType; readonly entry: number } | null,
    cuts: readonly CounterCut[],
  ): Dot {
    const reset = this.nextDot();
    this.#list.push({
      key: Buffer.from(ref.bytes.subarray(ref.start, ref.start + ref.length)),
      entry: entry === null ? null : { type: entry.type, name: this.#nameOf(entry.type, entry.entry) },
      cuts,
      reset,
    });
    return reset;
  }

  take(): readonly OwedCut[] {
    const list = this.#list;
    this.#list = [];
    return list;
  }

  #nameOf(type: ContainerType, entry: number): Buffer {
    const start = type.nameStart(entry);
    const bytes = this.#keyspace.arena.bytes[entry >>> SEGMENT_SHIFT]!;
    return Buffer.from(bytes.subarray(start, start + type.nameLength(entry)));
  }
}
