/**
 * Runs of free pages: taken from the front of the best bin, given back with coalescing.
 *
 * Boundary tags: the first and the last page of a free run hold its length (as positive numbers in `#lengths`), every other
 * page 0, so both neighbours of a run given back are found in O(1). Runs up to `BINS - 1` pages long are listed by exact length, longer ones
 * together; a run is taken from the shortest bin that fits (first fit within the last one).
 *
 * Invariant: two free runs never touch within a segment, and page 0 is never in a run.
 */
const BINS = 129;

export class PageRuns {
  #lengths = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  readonly #bins = new Int32Array(BINS);

  grow(pageCount: number): void {
    this.#lengths = grown(this.#lengths, pageCount + 1);
    this.#next = grown(this.#next, pageCount + 1);
    this.#previous = grown(this.#previous, pageCount + 1);
  }

  /** First page of a run of `count` pages; 0 when there is none. */
  take(count: number): number {
    for (let bin = Math.min(count, BINS - 1); bin < BINS; bin++) {
      let page = this.#bins[bin]!;
      while (page !== 0 && this.#lengths[page]! < count) page = this.#next[page]!;
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

  #insert(page: number, length: number): void {
    this.#lengths[page] = length;
    this.#lengths[page + length - 1] = length;
    const bin = Math.min(length, BINS - 1);
    const next = this.#bins[bin]!;
    this.#next[page] = next;
    this.#previous[page] = 0;
    if (next !== 0) this.#previous[next] = page;
    this.#bins[bin] = page;
  }

  #remove(page: number, length: number): void {
    this.#lengths[page] = 0;
    this.#lengths[page + length - 1] = 0;
    const next = this.#next[page]!;
    const previous = this.#previous[page]!;
    if (previous === 0) this.#bins[Math.min(length, BINS - 1)] = next;
    else this.#next[previous] = next;
    if (next !== 0) this.#previous[next] = previous;
  }
}

function grown(old: Int32Array<ArrayBuffer>, count: number): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(count);
  bigger.set(old);
  return bigger;
}
