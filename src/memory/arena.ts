/**
 * A heap outside V8's heap: all data of a database lives in here, as bytes in large ArrayBuffers.
 *
 * Why: no garbage-collection pauses however many keys there are, memory known to the byte, records that copy at memcpy speed.
 * An **address** is a positive integer below 2^31 in units of 8 bytes; its upper bits name a segment (32 MiB of address
 * space each, so 16 GiB in all; segments.ts), the rest is the offset. 0 is no address. The system commits a segment's pages as they are touched.
 *
 * Structure (that of tcmalloc: http://goog-perftools.sourceforge.net/doc/tcmalloc.html): segments are cut into pages of 8 KiB; runs of
 * free pages coalesce and are binned by length (page-runs.ts); a *span* is a run of pages that serves one size class (size-classes.ts), with a
 * free list of its own, so that a span whose blocks are all free returns its pages to every other class. Blocks above 32 KiB are
 * spans of one block; a block that does not fit a segment gets a segment of its own.
 *
 * Memory goes back: new blocks come from the lowest segment that has room, so that the upper ones empty; of the segments that are wholly free one
 * is kept, the lowest, and every other one is dropped.
 *
 * Hot code reads and writes through the views: `words[seg]` (Int32), `floats[seg]` (Float64), `bytes[seg]` (Buffer), with
 * `seg = address >>> SEGMENT_SHIFT` and `(address & SEGMENT_MASK)` as the index of a float, `<< 1` of a word, `<< 3` of a byte.
 *
 * Invariant: every block handed out is 8-byte aligned, lies in one ArrayBuffer and keeps its address until freed; contents of a new
 * block are arbitrary. ArenaFullError changes nothing.
 */
import { assert } from '../base/assert.ts';
import { grown, PageRuns } from './page-runs.ts';
import { SEGMENT_BYTES_MAX, SEGMENT_SHIFT, SEGMENT_MASK, SEGMENTS_MAX, Segments } from './segments.ts';
import {
  ALL_CLASSES_BYTES,
  CLASS_PAGES,
  CLASS_PAGES_MAX,
  CLASS_UNITS,
  CLASS_UNITS_MAX,
  CLASSES,
  classOf,
  PAGE_BYTES,
  PAGE_SHIFT,
  PAGE_UNITS,
} from './size-classes.ts';

export { copyBytes } from '../base/copy-bytes.ts';
export { ArenaFullError, SEGMENT_MASK, SEGMENT_SHIFT } from './segments.ts';

const SEGMENT_PAGES_SHIFT = SEGMENT_SHIFT - PAGE_SHIFT;
const SEGMENT_PAGES = 1 << SEGMENT_PAGES_SHIFT;

const LARGE = 0xffff;
/** No segment. */
const NONE = -1;

/** Words of a set of segments. */
const SET_WORDS = SEGMENTS_MAX / 32;

/**
 * What blocks may take more than was asked for: rounding (up to 39 bytes for 33, or an eighth, or part of a page), and the end of a span. Holds
 * for blocks of 32 bytes and more.
 */
const ROUNDING = 1.3125;
/** Blocks up to this part of a segment fill it but for that part. */
const SMALL_PART = 1 / 8;

/** The first segment, and its size, bytes. */
const HOME = 0;
const HOME_BYTES = 1024 * 1024;

export class Arena {
  readonly words: Int32Array[];
  readonly floats: Float64Array[];
  readonly bytes: Buffer[];

  readonly #segments: Segments;
  /** Pages of an ordinary segment that hold blocks. */
  readonly #segmentPagesMax: number;
  readonly #runs = new PageRuns(SEGMENT_PAGES);
  /** Per segment: pages of spans that hold a block. */
  readonly #usedPages = new Int32Array(SEGMENTS_MAX);
  /** The segment that is wholly free and kept. */
  #spare = NONE;
  /** The same at the last `trim`; not what has been used since. */
  #spareAtTrim = NONE;
  /** Segments that the tables by page are made for. */
  #segmentsKnown = 0;
  /** Per page, by page number (address >>> PAGE_SHIFT). The head of a span describes it; every page names its head. */
  #spanHead = new Int32Array(0);
  #spanClass = new Uint16Array(0);
  #spanPages = new Int32Array(0);
  #spanUsed = new Int32Array(0);
  #spanFree = new Int32Array(0);
  #spanBump = new Int32Array(0);
  #spanNext = new Int32Array(0);
  #spanPrevious = new Int32Array(0);
  /** Per class: the head page of the span that serves next; 0: none has room. Only this one is kept when its last block is freed. */
  readonly #serving = new Int32Array(CLASSES);
  /** Head page of the first span with room, per segment and class; 0: none. Beside it, per class, the set of segments that have one. */
  #partial = new Int32Array(0);
  readonly #partialSegments = new Int32Array(CLASSES * SET_WORDS);
  #usedBytes = 0;
  #reservedBytes = 0;
  #reservedLargest = 0;

  /**
   * `segmentBytes`: size of each ordinary segment, at most 32 MiB; smaller ones suit tests. `bytesMax`: of all segments; at most, and unless
   * given, 512 of them.
   */
  constructor(options: { readonly segmentBytes?: number; readonly bytesMax?: number } = {}) {
    const segmentBytes = Math.min(options.segmentBytes ?? SEGMENT_BYTES_MAX, SEGMENT_BYTES_MAX);
    assert(segmentBytes % PAGE_BYTES === 0, 'a segment is a whole number of pages');
    this.#segments = new Segments({ segmentBytes, bytesMax: options.bytesMax ?? segmentBytes * SEGMENTS_MAX });
    this.words = this.#segments.words;
    this.floats = this.#segments.floats;
    this.bytes = this.#segments.bytes;
    this.#segmentPagesMax = segmentBytes / PAGE_BYTES - 2;
    const homeBytes = Math.min(segmentBytes, HOME_BYTES);
    const home = this.#openSegment(homeBytes);
    this.#runs.give((home << SEGMENT_PAGES_SHIFT) + 1, homeBytes / PAGE_BYTES - 2);
  }

  /** Bytes in blocks handed out, rounded up to their classes. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Bytes of segments given up that V8 has not freed yet: it does when it next collects garbage, which an idle process may never do. */
  get droppedBytes(): number {
    return this.#segments.droppedBytes;
  }

  /** Blocks of altogether that many bytes can be allocated for sure, none larger than an eighth of a segment (4 MiB). Counts as `hasRoomFor`. */
  get freeBytes(): number {
    const usable = this.#segmentPagesMax * PAGE_BYTES;
    const filled = usable - Math.max(usable * SMALL_PART, CLASS_PAGES_MAX * PAGE_BYTES);
    return Math.max(0, Math.floor((this.#freeSegments * filled - ALL_CLASSES_BYTES) / ROUNDING));
  }

  /**
   * Whether blocks of altogether that many bytes can be allocated for sure, whatever their sizes, the largest having `largestBytes`. A block of
   * less than 32 bytes counts as 32. Asks for more than is needed, since it counts only segments that are wholly free: a full arena still
   * takes what fits between.
   */
  hasRoomFor(bytes: number, largestBytes = bytes): boolean {
    const { segmentBytes, longestFreeSlots, unopened } = this.#segments;
    const usable = this.#segmentPagesMax * PAGE_BYTES;
    if (largestBytes <= usable * SMALL_PART) return bytes <= this.freeBytes;
    // At most one of the segments that such blocks open is less than half full.
    const needed = Math.ceil((2 * ROUNDING * bytes + ALL_CLASSES_BYTES) / usable) + 1;
    if (largestBytes <= usable) return needed <= this.#freeSegments;
    return needed <= unopened && needed * segmentBytes <= longestFreeSlots * SEGMENT_BYTES_MAX;
  }

  /**
   * Whether there is room for those blocks, as `hasRoomFor`; if so, what may do without memory (a table that would like to grow) leaves them
   * that room until the next call.
   */
  reserve(bytes: number, largestBytes = bytes): boolean {
    if (!this.hasRoomFor(bytes, largestBytes)) return false;
    this.#reservedBytes = bytes;
    this.#reservedLargest = largestBytes;
    return true;
  }

  /** Whether there is room for a block beside what is reserved. */
  hasRoomBeside(bytes: number): boolean {
    return this.hasRoomFor(bytes + this.#reservedBytes, Math.max(bytes, this.#reservedLargest));
  }

  /** Address of a block of at least `byteCount` bytes (at least 1). Throws ArenaFullError. */
  allocate(byteCount: number): number {
    const units = (byteCount + 7) >>> 3;
    if (units > CLASS_UNITS_MAX) return this.#allocateLarge(byteCount);
    const sizeClass = classOf(units);
    const head = this.#serving[sizeClass]! || this.#openSpan(sizeClass);
    const classUnits = CLASS_UNITS[sizeClass]!;
    this.#usedBytes += classUnits * 8;
    if (this.#spanUsed[head]!++ === 0) this.#occupy(head, this.#spanPages[head]!);
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

  /** The same, and all bytes are 0. Pages of a segment that is opened for the block are not touched. Throws ArenaFullError. */
  allocateZeroed(byteCount: number): number {
    const address = this.allocate(byteCount);
    if (byteCount > this.#segmentPagesMax * PAGE_BYTES) return address;
    const start = (address & SEGMENT_MASK) << 3;
    this.bytes[address >>> SEGMENT_SHIFT]!.fill(0, start, start + byteCount);
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
    if (--this.#spanUsed[head]! === 0) {
      if (this.#serving[sizeClass] !== head) this.#closeSpan(head, sizeClass);
      this.#vacate(head, CLASS_PAGES[sizeClass]!);
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

  #closeSpan(head: number, sizeClass: number): void {
    this.#unlinkPartial(head, sizeClass);
    this.#spanClass[head] = 0;
    this.#runs.give(head, CLASS_PAGES[sizeClass]!);
  }

  /** The span has room from now on. It serves next if it lies in a lower segment than the one that does. */
  #linkPartial(head: number, sizeClass: number): void {
    const segment = head >>> SEGMENT_PAGES_SHIFT;
    const list = segment * CLASSES + sizeClass;
    const next = this.#partial[list]!;
    this.#spanNext[head] = next;
    this.#spanPrevious[head] = 0;
    if (next !== 0) this.#spanPrevious[next] = head;
    else this.#partialSegments[sizeClass * SET_WORDS + (segment >>> 5)]! |= 1 << (segment & 31);
    this.#partial[list] = head;
    const serving = this.#serving[sizeClass]!;
    if (serving !== 0 && serving >>> SEGMENT_PAGES_SHIFT <= segment) return;
    this.#serving[sizeClass] = head;
    if (serving !== 0 && this.#spanUsed[serving] === 0) this.#closeSpan(serving, sizeClass);
  }

  #unlinkPartial(head: number, sizeClass: number): void {
    const next = this.#spanNext[head]!;
    const previous = this.#spanPrevious[head]!;
    if (next !== 0) this.#spanPrevious[next] = previous;
    if (previous !== 0) {
      this.#spanNext[previous] = next;
    } else {
      const segment = head >>> SEGMENT_PAGES_SHIFT;
      this.#partial[segment * CLASSES + sizeClass] = next;
      if (next === 0) this.#partialSegments[sizeClass * SET_WORDS + (segment >>> 5)]! &= ~(1 << (segment & 31));
    }
    if (this.#serving[sizeClass] === head) this.#serving[sizeClass] = this.#lowestPartial(sizeClass);
  }

  #lowestPartial(sizeClass: number): number {
    const from = sizeClass * SET_WORDS;
    for (let word = 0; word < SET_WORDS; word++) {
      const bits = this.#partialSegments[from + word]!;
      if (bits === 0) continue;
      const segment = (word << 5) + 31 - Math.clz32(bits & -bits);
      return this.#partial[segment * CLASSES + sizeClass]!;
    }
    return 0;
  }

  #allocateLarge(byteCount: number): number {
    const pages = Math.ceil(byteCount / PAGE_BYTES);
    const hasOwnSegment = pages > this.#segmentPagesMax;
    const head = hasOwnSegment ? this.#openSegment(pages * PAGE_BYTES) << SEGMENT_PAGES_SHIFT : this.#takePages(pages);
    // Only the head is ever looked up: a large block is named by its first address.
    this.#spanHead[head] = head;
    this.#spanClass[head] = LARGE;
    this.#spanPages[head] = pages;
    this.#usedBytes += pages * PAGE_BYTES;
    if (!hasOwnSegment) this.#occupy(head, pages);
    return head * PAGE_UNITS;
  }

  #freeLarge(head: number): void {
    const pages = this.#spanPages[head]!;
    this.#usedBytes -= pages * PAGE_BYTES;
    this.#spanClass[head] = 0;
    if (pages > this.#segmentPagesMax) {
      this.#segments.close(head >>> SEGMENT_PAGES_SHIFT);
      return;
    }
    this.#runs.give(head, pages);
    this.#vacate(head, pages);
  }

  #takePages(pages: number): number {
    const found = this.#runs.take(pages);
    if (found !== 0) return found;
    this.#addSegment();
    const page = this.#runs.take(pages);
    assert(page !== 0, 'a fresh segment holds any run that fits a segment');
    return page;
  }

  #occupy(head: number, pages: number): void {
    const segment = head >>> SEGMENT_PAGES_SHIFT;
    this.#usedPages[segment]! += pages;
    if (segment === this.#spare) this.#spare = this.#spareAtTrim = NONE;
  }

  #vacate(head: number, pages: number): void {
    const segment = head >>> SEGMENT_PAGES_SHIFT;
    if ((this.#usedPages[segment]! -= pages) > 0 || segment === HOME) return;
    for (let sizeClass = 1; sizeClass < CLASSES; sizeClass++) {
      const serving = this.#serving[sizeClass]!;
      if (serving !== 0 && serving >>> SEGMENT_PAGES_SHIFT === segment) this.#closeSpan(serving, sizeClass);
    }
    if (this.#spare === NONE) {
      this.#spare = segment;
      return;
    }
    const dropped = Math.max(this.#spare, segment);
    this.#spare = Math.min(this.#spare, segment);
    this.#drop(dropped);
  }

  #drop(segment: number): void {
    this.#runs.withdraw((segment << SEGMENT_PAGES_SHIFT) + 1, this.#segmentPagesMax);
    this.#segments.close(segment);
  }

  /**
   * To be called from time to time: gives up the segment that is wholly free and kept, if it was so at the last call already. It is kept lest a load that comes
   * and goes opens one each time; but its pages stay in memory.
   */
  trim(): void {
    if (this.#spare !== NONE && this.#spare === this.#spareAtTrim) {
      this.#drop(this.#spare);
      this.#spare = NONE;
    }
    this.#spareAtTrim = this.#spare;
  }

  get #freeSegments(): number {
    return this.#segments.unopened + (this.#spare === NONE ? 0 : 1);
  }

  /**
   * The first and the last page of a segment stay unused (and uncommitted): no address is 0, and runs of two segments never touch.
   * Segment 0, the home, is never dropped; it is small, and holds what is made first and stays for ever, so that nothing of that keeps a large one.
   */
  #addSegment(): number {
    const segment = this.#openSegment(this.#segments.segmentBytes);
    this.#runs.give((segment << SEGMENT_PAGES_SHIFT) + 1, this.#segmentPagesMax);
    return segment;
  }

  #openSegment(byteCount: number): number {
    const segment = this.#segments.open(byteCount);
    this.#knowSegments(this.bytes.length);
    return segment;
  }

  #knowSegments(count: number): void {
    if (count <= this.#segmentsKnown) return;
    // Doubling: each table is copied as often as it doubles, not once per segment.
    const known = Math.min(Math.max(count, 2 * this.#segmentsKnown), SEGMENTS_MAX);
    const pages = known * SEGMENT_PAGES;
    this.#segmentsKnown = known;
    this.#spanHead = grown(this.#spanHead, pages);
    this.#spanPages = grown(this.#spanPages, pages);
    this.#spanUsed = grown(this.#spanUsed, pages);
    this.#spanFree = grown(this.#spanFree, pages);
    this.#spanBump = grown(this.#spanBump, pages);
    this.#spanNext = grown(this.#spanNext, pages);
    this.#spanPrevious = grown(this.#spanPrevious, pages);
    this.#partial = grown(this.#partial, known * CLASSES);
    const classes = new Uint16Array(pages);
    classes.set(this.#spanClass);
    this.#spanClass = classes;
    this.#runs.grow(known);
  }
}
