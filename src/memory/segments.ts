/**
 * The address space of an arena: slots of 32 MiB, and the ArrayBuffers that lie in them.
 *
 * Why 32 MiB: small enough that a segment really empties after much was removed, and exactly so large that the C library maps each one by itself
 * (it never raises its threshold beyond 32 MiB), so a buffer that V8 frees goes back to the system at once, and a fresh one is zero without
 * having been touched. V8 frees the buffers of dropped segments when it collects garbage; an idle process may not do that for hours, so
 * `droppedBytes` says how much is waiting for it and the composition may ask for a collection. (Detaching a buffer
 * frees it at once on Node.js 20, but not on 22: docs/decisions/0013-memory-given-back.md.)
 *
 * A segment larger than a slot takes several; their views are empty, its own reach over them. Slots that were never used have no views.
 *
 * Invariant: a slot belongs to at most one segment; a failure changes nothing.
 */
import { assert } from '../base/assert.ts';

export const SEGMENT_SHIFT = 22;
export const SEGMENT_MASK = (1 << SEGMENT_SHIFT) - 1;
export const SEGMENT_BYTES_MAX = 8 * (SEGMENT_MASK + 1);
/** Addresses have 31 bits. */
export const SEGMENTS_MAX = 1 << (31 - SEGMENT_SHIFT);

export class ArenaFullError extends Error {
  constructor(bytes: number) {
    super(`no room for ${bytes} more bytes: the arena's address space is used up`);
    this.name = 'ArenaFullError';
  }
}

export class Segments {
  readonly words: Int32Array[] = [];
  readonly floats: Float64Array[] = [];
  readonly bytes: Buffer[] = [];
  /** Of an ordinary segment. */
  readonly segmentBytes: number;
  /** How many ordinary segments there may be; a larger one counts as several. */
  readonly #segmentsMax: number;
  #segmentsUsed = 0;
  #longestFreeSlots = SEGMENTS_MAX;
  /** Dropped segments that V8 may not have freed yet. Asked when somebody wants to know: the calls of a FinalizationRegistry may come late, or never. */
  #dropped: { readonly buffer: WeakRef<ArrayBufferLike>; readonly bytes: number }[] = [];

  constructor(options: { readonly segmentBytes: number; readonly bytesMax: number }) {
    this.segmentBytes = options.segmentBytes;
    this.#segmentsMax = Math.min(Math.floor(options.bytesMax / options.segmentBytes), SEGMENTS_MAX);
    assert(this.#segmentsMax >= 1, 'an arena has room for a segment at least');
  }

  /** Bytes of dropped segments that V8 has not freed yet. What is asked for stays until the present job ends: a collection is for another one. */
  get droppedBytes(): number {
    this.#dropped = this.#dropped.filter(({ buffer }) => buffer.deref() !== undefined);
    return this.#dropped.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Ordinary segments that may still be opened. */
  get unopened(): number {
    return this.#segmentsMax - this.#segmentsUsed;
  }

  /** Slots in the longest run of free ones. */
  get longestFreeSlots(): number {
    return this.#longestFreeSlots;
  }

  /** Opens a segment of that size, all zero, in the lowest slots that fit, and returns the first of them. Throws ArenaFullError. */
  open(byteCount: number): number {
    const slots = slotsOf(byteCount);
    const cost = Math.ceil(byteCount / this.segmentBytes);
    const seg = this.#findSlots(slots);
    if (seg + slots > SEGMENTS_MAX || cost > this.unopened) throw new ArenaFullError(byteCount);
    const buffer = newBuffer(byteCount);
    this.#segmentsUsed += cost;
    for (let i = 0; i < slots; i++) {
      this.words[seg + i] = i === 0 ? new Int32Array(buffer) : EMPTY_WORDS;
      this.floats[seg + i] = i === 0 ? new Float64Array(buffer) : EMPTY_FLOATS;
      this.bytes[seg + i] = i === 0 ? Buffer.from(buffer) : TAKEN;
    }
    this.#longestFreeSlots = this.#findLongestFreeSlots();
    return seg;
  }

  /** Drops the segment that begins in that slot. */
  close(seg: number): void {
    const { buffer } = this.bytes[seg]!;
    const { byteLength } = buffer;
    this.#dropped.push({ buffer: new WeakRef(buffer), bytes: byteLength });
    this.#segmentsUsed -= Math.ceil(byteLength / this.segmentBytes);
    for (let i = slotsOf(byteLength) - 1; i >= 0; i--) {
      this.words[seg + i] = EMPTY_WORDS;
      this.floats[seg + i] = EMPTY_FLOATS;
      this.bytes[seg + i] = FREED;
    }
    this.#longestFreeSlots = this.#findLongestFreeSlots();
  }

  /** The lowest run of that many free slots; it may reach beyond the last slot. */
  #findSlots(slots: number): number {
    let free = 0;
    for (let seg = 0; ; seg++) {
      free = this.#isFree(seg) ? free + 1 : 0;
      if (free === slots) return seg - slots + 1;
    }
  }

  #findLongestFreeSlots(): number {
    let longest = 0;
    let free = 0;
    for (let seg = 0; seg < SEGMENTS_MAX; seg++) {
      free = this.#isFree(seg) ? free + 1 : 0;
      if (free > longest) longest = free;
    }
    return longest;
  }

  #isFree(seg: number): boolean {
    return seg >= this.bytes.length || this.bytes[seg] === FREED;
  }
}

function newBuffer(byteCount: number): ArrayBuffer {
  try {
    return new ArrayBuffer(byteCount);
  } catch {
    throw new ArenaFullError(byteCount);
  }
}

const slotsOf = (byteCount: number): number => Math.ceil(byteCount / SEGMENT_BYTES_MAX);

const EMPTY_WORDS = new Int32Array(0);
const EMPTY_FLOATS = new Float64Array(0);
/** Marks slots that the segment before them reaches into, and slots that may be used again. */
const TAKEN = Buffer.alloc(0);
const FREED = Buffer.alloc(0);
