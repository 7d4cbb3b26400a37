/**
 * The element of an add-wins set (an optimized OR-set, Bieniusa et al., "An Optimized Conflict-free Replicated Set", 2012).
 *
 * An element is there while it has a dot. An add drops the dots its context covers and adds its own, so a remove that did not
 * observe this very add leaves it; a remove drops the dots it covers. Nearly every element has one dot, which lies in the record; further
 * ones, from concurrent adds, hang off it.
 *
 *   record     0 next | 1 hash | 2 key length | 3 flags, origin << 16 | seq f64 | 6 more dots | key
 *   more dots  0 next | 1 tag, origin << 16 | seq f64
 *
 * Invariant: an element in a map has at least one dot; without dots it must be unlinked by the caller.
 */
import { copyBytes, SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import type { VersionVector } from './version-vector.ts';
import { EPOCH_MASK, TAG, type Context, type Dot } from './cell-record.ts';

export const ELEMENT_KEY_OFFSET = 28;
const ELEMENT = { keyLength: 2, meta: 3, more: 6 } as const;
const SEQ = 2;
const DOT_BYTES = 16;

export class Elements {
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** A new element with that dot, linked into the map. */
  create(
    maps: ByteMap,
    map: number,
    hash: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    dot: Dot,
    flags: number,
  ): number {
    const element = this.#arena.allocate(ELEMENT_KEY_OFFSET + length);
    const seg = element >>> SEGMENT_SHIFT;
    const words = this.#arena.words[seg]!;
    const at = (element & SEGMENT_MASK) << 1;
    words[at + 1] = hash;
    words[at + ELEMENT.keyLength] = length;
    words[at + ELEMENT.meta] = flags | (dot.origin << 16);
    words[at + ELEMENT.more] = 0;
    this.#arena.floats[seg]![(element & SEGMENT_MASK) + SEQ] = dot.seq;
    copyBytes(this.#arena.bytes[seg]!, (at << 2) + ELEMENT_KEY_OFFSET, bytes, start, length);
    maps.add(map, element);
    return element;
  }

  /** Frees an unlinked element. */
  destroy(element: number): void {
    let more = this.#word(element, ELEMENT.more);
    while (more !== 0) {
      const next = this.#word(more, 0);
      this.#arena.free(more);
      more = next;
    }
    this.#arena.free(element);
  }

  flags(element: number): number {
    return this.#word(element, ELEMENT.meta) & 0xffff;
  }

  setEpoch(element: number, epoch: number): void {
    this.#setWord(element, ELEMENT.meta, (this.#word(element, ELEMENT.meta) & ~EPOCH_MASK) | epoch);
  }

  /** An add of an element that exists: the covered dots go, this one comes. */
  addDot(element: number, dot: Dot, context: Context): void {
    const meta = this.#word(element, ELEMENT.meta);
    const single = this.#word(element, ELEMENT.more) === 0;
    if (single && (context === null || context.coversDot(meta >>> 16, this.#ownSeq(element)))) {
      this.#setOwnDot(element, dot.origin, dot.seq);
      return;
    }
    if (!this.removeDots(element, context)) {
      this.#setOwnDot(element, dot.origin, dot.seq);
      return;
    }
    if (this.hasDot(element, dot.origin, dot.seq)) return;
    const more = this.#arena.allocate(DOT_BYTES);
    this.#setWord(more, 0, this.#word(element, ELEMENT.more));
    this.#setWord(more, 1, TAG.dot | (dot.origin << 16));
    this.#arena.floats[more >>> SEGMENT_SHIFT]![(more & SEGMENT_MASK) + 1] = dot.seq;
    this.#setWord(element, ELEMENT.more, more);
  }

  /** Drops the dots that the context covers. Returns whether any is left; if not, the element must be unlinked or given a dot. */
  removeDots(element: number, context: Context): boolean {
    return this.keepDots(element, (origin, seq) => context !== null && !context.coversDot(origin, seq));
  }

  /** Drops the dots for which `keep` says no. Returns whether any is left. */
  keepDots(element: number, keep: (origin: number, seq: number) => boolean): boolean {
    let previous = 0;
    let more = this.#word(element, ELEMENT.more);
    while (more !== 0) {
      const next = this.#word(more, 0);
      if (keep(this.#word(more, 1) >>> 16, this.#moreSeq(more))) {
        previous = more;
      } else {
        if (previous === 0) this.#setWord(element, ELEMENT.more, next);
        else this.#setWord(previous, 0, next);
        this.#arena.free(more);
      }
      more = next;
    }
    if (keep(this.#word(element, ELEMENT.meta) >>> 16, this.#ownSeq(element))) return true;
    const first = this.#word(element, ELEMENT.more);
    if (first === 0) return false;
    this.#setOwnDot(element, this.#word(first, 1) >>> 16, this.#moreSeq(first));
    this.#setWord(element, ELEMENT.more, this.#word(first, 0));
    this.#arena.free(first);
    return true;
  }

  /** Whether the context covers every dot. */
  isCovered(element: number, context: VersionVector): boolean {
    if (!context.coversDot(this.#word(element, ELEMENT.meta) >>> 16, this.#ownSeq(element))) return false;
    for (let more = this.#word(element, ELEMENT.more); more !== 0; more = this.#word(more, 0)) {
      if (!context.coversDot(this.#word(more, 1) >>> 16, this.#moreSeq(more))) return false;
    }
    return true;
  }

  hasDot(element: number, origin: number, seq: number): boolean {
    let found = false;
    this.eachDot(element, (o, s) => {
      found ||= o === origin && s === seq;
    });
    return found;
  }

  eachDot(element: number, visit: (origin: number, seq: number) => void): void {
    visit(this.#word(element, ELEMENT.meta) >>> 16, this.#ownSeq(element));
    for (let more = this.#word(element, ELEMENT.more); more !== 0; more = this.#word(more, 0)) {
      visit(this.#word(more, 1) >>> 16, this.#moreSeq(more));
    }
  }

  /** Offset of the element's bytes in its segment. */
  keyOffset(element: number): number {
    return ((element & SEGMENT_MASK) << 3) + ELEMENT_KEY_OFFSET;
  }

  #setOwnDot(element: number, origin: number, seq: number): void {
    this.#setWord(element, ELEMENT.meta, (this.#word(element, ELEMENT.meta) & 0xffff) | (origin << 16));
    this.#arena.floats[element >>> SEGMENT_SHIFT]![(element & SEGMENT_MASK) + SEQ] = seq;
  }

  #ownSeq(element: number): number {
    return this.#arena.floats[element >>> SEGMENT_SHIFT]![(element & SEGMENT_MASK) + SEQ]!;
  }

  #moreSeq(more: number): number {
    return this.#arena.floats[more >>> SEGMENT_SHIFT]![(more & SEGMENT_MASK) + 1]!;
  }

  #word(address: number, index: number): number {
    return this.#arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index]!;
  }

  #setWord(address: number, index: number, value: number): void {
    this.#arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index] = value;
  }
}
