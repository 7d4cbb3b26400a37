/**
 * A heap outside V8's heap: all data of a database lives in here, as bytes in large ArrayBuffers.
 *
 * Why: no garbage-collection pauses however many keys there are, memory known to the byte, records that copy at memcpy speed.
 * An **address** is a positive integer below 2^31 in units of 8 bytes; its upper bits name a segment (256 MiB of address
 * space each, so 16 GiB in all), the rest is the offset. 0 is no address. The system commits a segment's pages as they are touched.
 *
 * Structure (that of tcmalloc: http://goog-perftools.sourceforge.net/doc/tcmalloc.html): segments are cut into pages of 8 KiB; runs of
 * free pages coalesce and are binned by length (page-runs.ts); a *span* is a run of pages that serves one size class, with a
 * free list of its own, so that a span whose blocks are all free returns its pages to every other class. Blocks above 32 KiB are
 * spans of one block; a block larger than a segment gets a segment of its own.
 *
 * Hot code reads and writes through the views: `words[seg]` (Int32), `floats[seg]` (Float64), `bytes[seg]` (Buffer), with
 * `seg = address >>> SEGMENT_SHIFT` and `(address & SEGMENT_MASK)` as the index of a float, `<< 1` of a word, `<< 3` of a byte.
 *
 * Invariant: every block handed out is 8-byte aligned, lies in one ArrayBuffer and keeps its address until freed; contents of a new
 * block are arbitrary.
 */
import { assert } from '../base/assert.ts';
import { PageRuns } from './page-runs.ts';

export { copyBytes } from '../base/copy-bytes.ts';

export const SEGMENT_SHIFT = 25;
export const SEGMENT_MASK = (1 << SEGMENT_SHIFT) - 1;
const SEGMENT_BYTES_MAX = 8 * (SEGMENT_MASK + 1);
const SEGMENTS_MAX = 64;

const PAGE_SHIFT = 10;
const PAGE_UNITS = 1 << PAGE_SHIFT;
const PAGE_BYTES = 8 * PAGE_UNITS;
const PAGES_PER_SEGMENT = 1 << (SEGMENT_SHIFT - PAGE_SHIFT);

/** Classes up to 512 bytes are exact multiples of 8; above, eight per doubling. */
const EXACT_UNITS_MAX = 64;
const CLASS_UNITS_MAX = 4096;
/** A span wastes at most this part of itself at its end. */
const SPAN_WASTE_MAX = 1 / 16;

const LARGE = 0xffff;

/** Units of each class, by class number (0 is unused). */
const CLASS_UNITS: number[] = [0];
for (let units = 1; units <= EXACT_UNITS_MAX; units++) CLASS_UNITS.push(units);
for (let base = EXACT_UNITS_MAX; base < CLASS_UNITS_MAX; base *= 2) {
  for (let step = 1; step <= 8; step++) CLASS_UNITS.push(base + (base / 8) * step);
}
const CLASS_PAGES = CLASS_UNITS.map((units) => {
  if (units === 0) return 0;
  let pages = Math.ceil(units / PAGE_UNITS);
  while ((pages * PAGE_UNITS) % units > pages * PAGE_UNITS * SPAN_WASTE_MAX) pages++;
  return pages;
});

function classOf(units: number): number {
  if (units <= EXACT_UNITS_MAX) return units;
  const log = 31 - Math.clz32(units - 1);
  const step = ((units - 1) >>> (log - 3)) & 7;
  return EXACT_UNITS_MAX + (log - 6) * 8 + step + 1;
}

export class ArenaFullError extends Error {
  constructor(bytes: number) {
    super(`no room for ${bytes} more bytes: the arena's address space is used up`);
    this.name = 'ArenaFullError';
  }
}

export class Arena {
  readonly words: Int32Array[] = [];
  readonly floats: Float64Array[] = [];
  readonly bytes: Buffer[] = [];

  readonly #segmentBytes: number;
  readonly #runPagesMax: number;
  readonly #runs = new PageRuns();
  /** Per page, by page number (address >>> PAGE_SHIFT). The head of a span describes it; every page names its head. */
  #spanHead = new Int32Array(0);
  #spanClass = new Uint16Array(0);
  #spanPages = new Int32Array(0);
  #spanUsed = new Int32Array(0);
  #spanFree = new Int32Array(0);
  #spanBump = new Int32Array(0);
  #spanNext = new Int32Array(0);
  #spanPrevious = new Int32Array(0);
  /** Head page of the first span with room, per class; 0: none. */
  readonly #partial = new Int32Array(CLASS_UNITS.length);
  #usedBytes = 0;

  /** `segmentBytes`: size of each ordinary segment, at most 256 MiB; smaller ones suit tests. */
  constructor(options: { readonly segmentBytes?: number } = {}) {
    this.#segmentBytes = Math.min(options.segmentBytes ?? SEGMENT_BYTES_MAX, SEGMENT_BYTES_MAX);
    assert(this.#segmentBytes % PAGE_BYTES === 0, 'a segment is a whole number of pages');
    this.#runPagesMax = this.#segmentBytes / PAGE_BYTES - 2;
    this.#addSegment();
  }

  /** Bytes in blocks handed out, rounded up to their classes. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Address of a block of at least `byteCount` bytes (at least 1). Throws ArenaFullError. */
  allocate(byteCount: number): number {
    const units = (byteCount + 7) >>> 3;
    if (units > CLASS_UNITS_MAX) return this.#allocateLarge(byteCount);
    const sizeClass = classOf(units);
    const head = this.#partial[sizeClass]! || this.#openSpan(sizeClass);
    const classUnits = CLASS_UNITS[sizeClass]!;
    this.#usedBytes += classUnits * 8;
    this.#spanUsed[head]!++;
    const free = this.#spanFree[head]!;
    if (free !== 0) {
      const next = this.words[free >>> SEGMENT_SHIFT]![(free & SEGMENT_MASK) << 1]!;
      this.#spanFree[head] = next;
      if (next === 0 && this.#bumpIsSpent(head, classUnits)) this.#unlinkPartial(head, sizeClass);
      return free;
    }
    const address = this.#spanBump[head]!;
    this.#spanBump[head] = address + classUnits;
    if (this.#bumpIsSpent(head, classUnits)) this.#unlinkPartial(head, sizeClass);
    return address;
  }

  free(address: number): void {
    const head = this.#spanHead[address >>> PAGE_SHIFT]!;
    const sizeClass = this.#spanClass[head]!;
    if (sizeClass === LARGE) {
      this.#freeLarge(head);
      return;
    }
    const classUnits = CLASS_UNITS[sizeClass]!;
    this.#usedBytes -= classUnits * 8;
    const free = this.#spanFree[head]!;
    const wasFull = free === 0 && this.#bumpIsSpent(head, classUnits);
    this.words[address >>> SEGMENT_SHIFT]![(address & SEGMENT_MASK) << 1] = free;
    this.#spanFree[head] = address;
    if (wasFull) this.#linkPartial(head, sizeClass);
    if (--this.#spanUsed[head]! === 0 && (this.#spanNext[head] !== 0 || this.#partial[sizeClass] !== head)) {
      this.#unlinkPartial(head, sizeClass);
      this.#releasePages(head, this.#spanPages[head]!);
    }
  }

  /** Bytes that the block can hold: at least what was asked for. */
  capacity(address: number): number {
    const head = this.#spanHead[address >>> PAGE_SHIFT]!;
    const sizeClass = this.#spanClass[head]!;
    return sizeClass === LARGE ? this.#spanPages[head]! * PAGE_BYTES : CLASS_UNITS[sizeClass]! * 8;
  }

  #bumpIsSpent(head: number, classUnits: number): boolean {
    return this.#spanBump[head]! + classUnits > (head + this.#spanPages[head]!) * PAGE_UNITS;
  }

  #openSpan(sizeClass: number): number {
    const pages = CLASS_PAGES[sizeClass]!;
    const head = this.#takePages(pages);
    this.#spanHead.fill(head, head, head + pages);
    this.#spanClass[head] = sizeClass;
    this.#spanPages[head] = pages;
    this.#spanUsed[head] = 0;
    this.#spanFree[head] = 0;
    this.#spanBump[head] = head * PAGE_UNITS;
    this.#linkPartial(head, sizeClass);
    return head;
  }

  #linkPartial(head: number, sizeClass: number): void {
    const next = this.#partial[sizeClass]!;
    this.#spanNext[head] = next;
    this.#spanPrevious[head] = 0;
    if (next !== 0) this.#spanPrevious[next] = head;
    this.#partial[sizeClass] = head;
  }

  #unlinkPartial(head: number, sizeClass: number): void {
    const next = this.#spanNext[head]!;
    const previous = this.#spanPrevious[head]!;
    if (previous === 0) this.#partial[sizeClass] = next;
    else this.#spanNext[previous] = next;
    if (next !== 0) this.#spanPrevious[next] = previous;
    this.#spanNext[head] = 0;
    this.#spanPrevious[head] = 0;
  }

  #allocateLarge(byteCount: number): number {
    const pages = Math.ceil(byteCount / PAGE_BYTES);
    const head = pages > this.#runPagesMax ? this.#openSegment(pages * PAGE_BYTES) : this.#takePages(pages);
    // Only the head is ever looked up: a large block is named by its first address.
    this.#spanHead[head] = head;
    this.#spanClass[head] = LARGE;
    this.#spanPages[head] = pages;
    this.#usedBytes += pages * PAGE_BYTES;
    return head * PAGE_UNITS;
  }

  #freeLarge(head: number): void {
    const pages = this.#spanPages[head]!;
    this.#usedBytes -= pages * PAGE_BYTES;
    if (pages > this.#runPagesMax) this.#closeSegment(head);
    else this.#releasePages(head, pages);
  }

  #takePages(pages: number): number {
    const found = this.#runs.take(pages);
    if (found !== 0) return found;
    this.#addSegment();
    const page = this.#runs.take(pages);
    assert(page !== 0, 'a fresh segment holds any run that fits a segment');
    return page;
  }

  /**
   * The first and the last page of a segment stay unused (and uncommitted): no address is 0, and runs of two segments never touch.
   */
  #addSegment(): void {
    const first = this.#openSegment(this.#segmentBytes);
    this.#runs.give(first + 1, this.#runPagesMax);
  }

  #releasePages(head: number, pages: number): void {
    this.#spanClass[head] = 0;
    this.#runs.give(head, pages);
  }

  /** A new segment of the given size; returns its first page. A larger one than usual takes several slots of address space. */
  #openSegment(byteCount: number): number {
    const slots = Math.ceil(byteCount / SEGMENT_BYTES_MAX);
    let seg = 0;
    while (seg < this.bytes.length && !this.#slotsAreFree(seg, slots)) seg++;
    if (seg + slots > SEGMENTS_MAX) throw new ArenaFullError(byteCount);
    const buffer = new ArrayBuffer(byteCount);
    for (let i = 0; i < slots; i++) {
      this.words[seg + i] = i === 0 ? new Int32Array(buffer) : EMPTY_WORDS;
      this.floats[seg + i] = i === 0 ? new Float64Array(buffer) : EMPTY_FLOATS;
      this.bytes[seg + i] = i === 0 ? Buffer.from(buffer) : TAKEN;
    }
    this.#growPages((seg + slots) * PAGES_PER_SEGMENT);
    return seg * PAGES_PER_SEGMENT;
  }

  #slotsAreFree(seg: number, slots: number): boolean {
    for (let i = 0; i < slots; i++) {
      const bytes = this.bytes[seg + i];
      if (bytes !== undefined && bytes !== FREED) return false;
    }
    return true;
  }

  #closeSegment(head: number): void {
    const first = Math.floor(head / PAGES_PER_SEGMENT);
    const slots = Math.ceil((this.#spanPages[head]! * PAGE_BYTES) / SEGMENT_BYTES_MAX);
    this.#spanClass[head] = 0;
    for (let i = 0; i < slots; i++) {
      this.words[first + i] = EMPTY_WORDS;
      this.floats[first + i] = EMPTY_FLOATS;
      this.bytes[first + i] = FREED;
    }
  }

  #growPages(count: number): void {
    if (count <= this.#spanHead.length) return;
    this.#spanHead = grown(this.#spanHead, count);
    this.#spanPages = grown(this.#spanPages, count);
    this.#spanUsed = grown(this.#spanUsed, count);
    this.#spanFree = grown(this.#spanFree, count);
    this.#spanBump = grown(this.#spanBump, count);
    this.#spanNext = grown(this.#spanNext, count);
    this.#spanPrevious = grown(this.#spanPrevious, count);
    const classes = new Uint16Array(count);
    classes.set(this.#spanClass);
    this.#spanClass = classes;
    this.#runs.grow(count);
  }
}

const EMPTY_WORDS = new Int32Array(0);
const EMPTY_FLOATS = new Float64Array(0);
/** Marks slots of address space that the segment before them reaches into, and slots that may be used again. */
const TAKEN = Buffer.alloc(0);
const FREED = Buffer.alloc(0);

function grown(old: Int32Array<ArrayBuffer>, count: number): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(count);
  bigger.set(old);
  return bigger;
}
