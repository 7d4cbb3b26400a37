/**
 * Runs of free pages: taken from the lowest segment that has one, given back with coalescing.
 *
 * Boundary tags: the first and the last page of a free run hold its length (as positive numbers in `#lengths`), every other
 * page 0, so both neighbours of a run given back are found in O(1). Each segment lists its runs up to `BINS - 1` pages by exact length, longer
 * ones together, and notes which of its bins hold any; a run is taken from the shortest bin that fits (first fit within the last one).
 *
 * Why the lowest segment, and not the best fit of all: what is allocated anew gathers at the bottom, so the segments above empty and can be
 * given back to the system.
 *
 * Invariant: two free runs never touch within a segment, and the first page of a segment is never in a run.
 */
const BINS = 129;
const LAST_BIN = BINS - 1;
/** Words of a segment's bit set of the bins that hold runs. */
const SET_WORDS = Math.ceil(BINS / 32);

export class PageRuns {
  readonly #segmentPages: number;
  #lengths = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  /** Per segment: the first run of each bin, the bins that hold any, and the last of those (0: no run at all). */
  #bins = new Int32Array(0);
  #holding = new Int32Array(0);
  #longest = new Uint8Array(0);

  /** `segmentPages`: pages of address space per segment. */
  constructor(segmentPages: number) {
    this.#segmentPages = segmentPages;
  }

  /** Makes room for that many segments in all. */
  grow(segments: number): void {
    const pages = segments * this.#segmentPages;
    this.#lengths = grown(this.#lengths, pages + 1);
    this.#next = grown(this.#next, pages + 1);
    this.#previous = grown(this.#previous, pages + 1);
    this.#bins = grown(this.#bins, segments * BINS);
    this.#holding = grown(this.#holding, segments * SET_WORDS);
    const longest = new Uint8Array(segments);
    longest.set(this.#longest);
    this.#longest = longest;
  }

  /** First page of a run of `count` pages; 0 when there is none. */
  take(count: number): number {
    const wanted = count < LAST_BIN ? count : LAST_BIN;
    const longest = this.#longest;
    for (let segment = 0; segment < longest.length; segment++) {
      if (longest[segment]! < wanted) continue;
      const page = this.#find(segment, wanted, count);
      if (page === 0) continue;
      const length = this.#lengths[page]!;
      this.#remove(page, length);
      if (length > count) this.#insert(page + count, length - count);
      return page;
    }
    return 0;
  }

  /** Returns a run. It merges with the free runs before and after it. */
  give(page: number, count: number): void {
    const after = this.#lengths[page + count]!;
    if (after > 0) {
      this.#remove(page + count, after);
      count += after;
    }
    const before = this.#lengths[page - 1]!;
    if (before > 0) {
      page -= before;
      this.#remove(page, before);
      count += before;
    }
    this.#insert(page, count);
  }

  /** Takes away the one run that a segment consists of. */
  withdraw(page: number, count: number): void {
    this.#remove(page, count);
  }

  /** A run of at least `count` pages in the segment; 0: none. */
  #find(segment: number, wanted: number, count: number): number {
    let word = wanted >>> 5;
    let bits = this.#holding[segment * SET_WORDS + word]! & (-1 << (wanted & 31));
    for (;;) {
      if (bits === 0) {
        if (++word === SET_WORDS) return 0;
        bits = this.#holding[segment * SET_WORDS + word]!;
        continue;
      }
      const bin = (word << 5) + 31 - Math.clz32(bits & -bits);
      let page = this.#bins[segment * BINS + bin]!;
      if (bin === LAST_BIN) while (page !== 0 && this.#lengths[page]! < count) page = this.#next[page]!;
      return page;
    }
  }

  #insert(page: number, length: number): void {
    this.#lengths[page] = length;
    this.#lengths[page + length - 1] = length;
    const segment = Math.floor(page / this.#segmentPages);
    const bin = length < LAST_BIN ? length : LAST_BIN;
    const at = segment * BINS + bin;
    const next = this.#bins[at]!;
    this.#next[page] = next;
    this.#previous[page] = 0;
    if (next !== 0) this.#previous[next] = page;
    this.#bins[at] = page;
    this.#holding[segment * SET_WORDS + (bin >>> 5)]! |= 1 << (bin & 31);
    if (bin > this.#longest[segment]!) this.#longest[segment] = bin;
  }

  #remove(page: number, length: number): void {
    this.#lengths[page] = 0;
    this.#lengths[page + length - 1] = 0;
    const next = this.#next[page]!;
    const previous = this.#previous[page]!;
    if (next !== 0) this.#previous[next] = previous;
    if (previous !== 0) {
      this.#next[previous] = next;
      return;
    }
    const segment = Math.floor(page / this.#segmentPages);
    const bin = length < LAST_BIN ? length : LAST_BIN;
    this.#bins[segment * BINS + bin] = next;
    if (next !== 0) return;
    this.#holding[segment * SET_WORDS + (bin >>> 5)]! &= ~(1 << (bin & 31));
    if (bin === this.#longest[segment]) this.#longest[segment] = this.#longestBin(segment);
  }

  #longestBin(segment: number): number {
    for (let word = SET_WORDS - 1; word >= 0; word--) {
      const bits = this.#holding[segment * SET_WORDS + word]!;
      if (bits !== 0) return (word << 5) + 31 - Math.clz32(bits);
    }
    return 0;
  }
}

export function grown(old: Int32Array<ArrayBuffer>, count: number): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(count);
  bigger.set(old);
  return bigger;
}
