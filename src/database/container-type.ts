/**
 * What the database asks of a type whose keys hold many elements: one object per type stands behind this, and nothing else in the database knows which
 * types there are. A new type is a file that implements this, and a line in containers.ts.
 *
 * A container is an attribute of a key's record that embeds a byte map of *entries*. Common to all types:
 *
 *   0 next | 1 tag, flags << 8 | map (32 bytes) | 10 visible | 11 volatile | 12 residual | 13 more dots | 14 origin | 15 hash of the key |
 *   seq f64 | 18 expired, 19 -
 *
 * Origin and seq are the *summary*: per origin the highest seq that was ever written to it. A removal whose context covers the summary
 * covers every entry, so the container goes at once, whatever its size.
 *
 * Invariant: every dot in a container is at most what its summary has for that origin.
 */
import type { Context, Dot } from '../crdt/cell.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import { MAP_BYTES, type ByteMap } from '../memory/byte-map.ts';
import type { CounterCut } from '../crdt/cell.ts';
import type { Type } from './key-ref.ts';
import type { Stability } from './stability.ts';

/** Words of a container. */
export const CONTAINER = {
  tag: 1,
  visible: 10,
  volatile: 11,
  residual: 12,
  moreDots: 13,
  origin: 14,
  keyHash: 15,
  expired: 18,
} as const;
/** Float index of the summary's seq. */
const SUMMARY_SEQ = 8;
const CONTAINER_BYTES = 8 + MAP_BYTES + 40;
const MORE_DOTS_BYTES = 16;
/** Flag of a container: earlier content waits beside it (stages.ts). */
const STAGED = 1 << 8;

/** The map that a container embeds. */
export const mapOf = (container: number): number => container + 1;

/** Two sides of a join: what each had applied. */
export interface JoinVectors {
  /** Of the side that the target belongs to. */
  readonly target: VersionVector;
  readonly other: VersionVector;
}

/** What is written to a snapshot of one entry. */
export interface EntryWriter {
  varint(value: number): void;
  float(value: number): void;
  run(bytes: Uint8Array, start: number, length: number): void;
  cell(cell: number): void;
}

export abstract class ContainerType {
  abstract readonly tag: number;
  abstract readonly type: Type;
  abstract readonly name: string;
  /** Kind of its entries' records in a snapshot. */
  abstract readonly recordKind: number;
  /** The map of entries. */
  abstract readonly maps: ByteMap;
  /** Where an entry's name begins, bytes. */
  abstract readonly nameOffset: number;
  protected readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  // ---------------------------------------------------------------- entries, each linked into a container

  abstract epochOf(entry: number): number;
  abstract setEpoch(entry: number, epoch: number): void;
  /** Frees an entry that is in no map. */
  abstract destroyEntry(entry: number): void;
  /** The entry, just linked into this container, counts there. */
  abstract countEntry(container: number, entry: number): void;
  /** The entry, about to leave this container, counts no more. */
  abstract discountEntry(container: number, entry: number): void;
  /** Whether nothing would be left of the entry by a removal with that context; cheap, may say no. */
  abstract isCovered(entry: number, context: Context): boolean;
  /** Drops what the context covers; an entry with nothing left is unlinked and freed. Returns the entry, which may have moved; 0: gone. */
  abstract removeCovered(container: number, entry: number, context: Context): number;
  /** What a reset issued now would observe of the entry's counters. */
  abstract observedCuts(entry: number): readonly CounterCut[];
  /** Raises the cuts of the entry's counters. */
  abstract applyCuts(container: number, entry: number, cuts: readonly CounterCut[], reset: Dot): void;
  /**
   * Joins `other`, an entry of the same name that is in no map (0: none), into `target`, which is in the container (0: none, and one is made where
   * something of the other stays). Frees the other. Returns the entry; 0: nothing is left.
   */
  abstract joinEntry(container: number, target: number, other: number, vectors: JoinVectors): number;
  /** Adds every dot of the entry to the container's summary. */
  abstract noteDots(container: number, entry: number): void;
  /** Frees what is stable. Returns whether more will be. The entry may go. */
  abstract collectEntry(container: number, entry: number, stability: Stability): boolean;
  /** Whether nothing is left of the entry but what this instance has to remove: see collect-cell.ts. */
  abstract isOrphan(entry: number, self: number, stability: Stability): boolean;
  /** Whether a collection may find anything. */
  abstract mayHoldResidue(container: number): boolean;
  abstract encodeEntry(out: EntryWriter, entry: number): void;
  /** SHA-1 over what a client sees of the entry; null: nothing. */
  abstract digestEntry(entry: number): Buffer | null;
  /** Frees what hangs off an empty container beside its map. */
  protected abstract releaseContainer(container: number): void;

  // ---------------------------------------------------------------- containers

  /** Entries that a client sees; staged ones apart. */
  visibleCount(container: number): number {
    return this.word(container, CONTAINER.visible);
  }

  entryCount(container: number): number {
    return this.maps.count(mapOf(container));
  }

  /** Whether anything is in it that a removal does not take away by its context alone: counters above all. */
  isResidual(container: number): boolean {
    return this.word(container, CONTAINER.residual) > 0;
  }

  /** Whether anything in it has a time to live. */
  isVolatile(container: number): boolean {
    return this.word(container, CONTAINER.volatile) > 0;
  }

  /** Hash of the key that the container belongs to. */
  keyHash(container: number): number {
    return this.word(container, CONTAINER.keyHash);
  }

  /** A new, empty container for the key with that hash; no record has it yet. */
  create(keyHash: number): number {
    const container = this.arena.allocate(CONTAINER_BYTES);
    const words = this.arena.words[container >>> SEGMENT_SHIFT]!;
    const at = (container & SEGMENT_MASK) << 1;
    words.fill(0, at, at + CONTAINER_BYTES / 4);
    words[at + CONTAINER.tag] = this.tag;
    words[at + CONTAINER.keyHash] = keyHash;
    this.maps.create(mapOf(container));
    return container;
  }

  /** Frees a container without entries that no record has. */
  destroy(container: number): void {
    this.maps.destroy(mapOf(container));
    this.releaseContainer(container);
    for (let more = this.word(container, CONTAINER.moreDots); more !== 0;) {
      const next = this.word(more, 0);
      this.arena.free(more);
      more = next;
    }
    this.arena.free(container);
  }

  isStaged(container: number): boolean {
    return (this.word(container, CONTAINER.tag) & STAGED) !== 0;
  }

  setStaged(container: number, isStaged: boolean): void {
    this.setWord(container, CONTAINER.tag, isStaged ? this.tag | STAGED : this.tag);
  }

  nameLength(entry: number): number {
    return this.word(entry, 2);
  }

  hashOf(entry: number): number {
    return this.word(entry, 1);
  }

  /** Offset of the entry's name in the bytes of its segment. */
  nameStart(entry: number): number {
    return ((entry & SEGMENT_MASK) << 3) + this.nameOffset;
  }

  find(container: number, bytes: Uint8Array, start: number, length: number): number {
    return this.maps.find(mapOf(container), this.maps.hash(bytes, start, length), bytes, start, length);
  }

  // ---------------------------------------------------------------- the summary

  /** Something was written to the container under that dot. */
  noteDot(container: number, origin: number, seq: number): void {
    const floats = this.arena.floats[container >>> SEGMENT_SHIFT]!;
    const at = (container & SEGMENT_MASK) + SUMMARY_SEQ;
    const known = this.word(container, CONTAINER.origin);
    if (known === origin || floats[at] === 0) {
      this.setWord(container, CONTAINER.origin, origin);
      if (seq > floats[at]!) floats[at] = seq;
      return;
    }
    this.#noteMore(container, origin, seq);
  }

  #noteMore(container: number, origin: number, seq: number): void {
    let more = this.word(container, CONTAINER.moreDots);
    while (more !== 0 && this.word(more, 1) !== origin) more = this.word(more, 0);
    if (more === 0) {
      more = this.arena.allocate(MORE_DOTS_BYTES);
      this.setWord(more, 0, this.word(container, CONTAINER.moreDots));
      this.setWord(more, 1, origin);
      this.arena.floats[more >>> SEGMENT_SHIFT]![(more & SEGMENT_MASK) + 1] = seq;
      this.setWord(container, CONTAINER.moreDots, more);
      return;
    }
    const floats = this.arena.floats[more >>> SEGMENT_SHIFT]!;
    const at = (more & SEGMENT_MASK) + 1;
    if (seq > floats[at]!) floats[at] = seq;
  }

  /** Adds the other container's summary to this one's. */
  noteSummary(container: number, other: number): void {
    this.#eachSummary(other, (origin, seq) => {
      this.noteDot(container, origin, seq);
      return true;
    });
  }

  /** Whether the context covers all that was ever written to it; null covers everything. Counters are not asked for. */
  isSummaryCovered(container: number, context: Context): boolean {
    return context === null || this.#eachSummary(container, (origin, seq) => context.coversDot(origin, seq));
  }

  /** Whether nothing in it can be covered by the vector. */
  isSummaryUnknown(container: number, vector: VersionVector): boolean {
    return this.#eachSummary(container, (origin) => vector.get(origin) === 0);
  }

  /** Until one says false; returns whether none did. */
  #eachSummary(container: number, test: (origin: number, seq: number) => boolean): boolean {
    const seq = this.arena.floats[container >>> SEGMENT_SHIFT]![(container & SEGMENT_MASK) + SUMMARY_SEQ]!;
    if (seq > 0 && !test(this.word(container, CONTAINER.origin), seq)) return false;
    for (let more = this.word(container, CONTAINER.moreDots); more !== 0; more = this.word(more, 0)) {
      const moreSeq = this.arena.floats[more >>> SEGMENT_SHIFT]![(more & SEGMENT_MASK) + 1]!;
      if (!test(this.word(more, 1), moreSeq)) return false;
    }
    return true;
  }

  // ---------------------------------------------------------------- words

  addTo(container: number, index: number, change: number): void {
    this.arena.words[container >>> SEGMENT_SHIFT]![((container & SEGMENT_MASK) << 1) + index]! += change;
  }

  word(address: number, index: number): number {
    return this.arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index]!;
  }

  protected setWord(address: number, index: number, value: number): void {
    this.arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index] = value;
  }
}
