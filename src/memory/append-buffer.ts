/**
 * An endless, append-only run of bytes in chunks, addressed by position: the byte offset since the beginning of time.
 *
 * The batch encoder writes at its end, the log file is written from it, feeds to peers read from it: encode once, use the
 * same bytes everywhere. Old chunks are dropped by `trimBefore`; a reader that needs older bytes goes to the file.
 *
 * Why chunks: appending never copies what is there, a chunk that is trimmed is filled again later, so a busy log makes no garbage, and a single
 * reservation is always contiguous (a reservation larger than a chunk gets a chunk of its own).
 *
 * Invariant: bytes at positions below `end` never change after `commit`, except through `patch` by the writer that reserved them
 * before it commits.
 */
import { assert } from '../base/assert.ts';
import { copyBytes } from '../base/copy-bytes.ts';

interface Chunk {
  readonly start: number;
  readonly bytes: Buffer;
  used: number;
}

/** Trimmed chunks kept to be filled again. */
const SPARE_CHUNKS_MAX = 16;

export class AppendBuffer {
  readonly #chunkBytes: number;
  readonly #chunks: Chunk[] = [];
  readonly #spare: Buffer[] = [];
  /** The chunk being written: read and write it directly at `offset`, after `reserve`. */
  bytes: Buffer;
  /** Where the next byte goes in `bytes`. The writer advances it; `commit` makes it count. */
  offset = 0;
  #chunkStart: number;
  #end: number;

  constructor(options: { readonly chunkBytes: number; readonly start?: number }) {
    this.#chunkBytes = options.chunkBytes;
    this.#chunkStart = options.start ?? 0;
    this.#end = this.#chunkStart;
    this.bytes = Buffer.allocUnsafeSlow(this.#chunkBytes);
    this.#chunks.push({ start: this.#chunkStart, bytes: this.bytes, used: 0 });
  }

  /** Gives the first byte another position: recovery learns it only after the owner was built. Nothing may have been appended yet. */
  restartAt(position: number): void {
    assert(this.#end === this.start && this.offset === 0, 'an append buffer restarts only while it is empty');
    this.#chunks[0] = { start: position, bytes: this.bytes, used: 0 };
    this.#chunkStart = position;
    this.#end = position;
  }

  /** Position after the last committed byte. */
  get end(): number {
    return this.#end;
  }

  /** Position of the first byte that is still held. */
  get start(): number {
    return this.#chunks[0]!.start;
  }

  /** Bytes held in memory, committed ones only. */
  get heldBytes(): number {
    return this.#end - this.start;
  }

  /**
   * Makes room for `count` more bytes at `offset`, uncommitted bytes included: those move along when a new chunk is
   * needed, so offsets into `bytes` must be taken relative to the returned base (where the uncommitted bytes begin).
   */
  reserve(count: number): void {
    if (this.offset + count <= this.bytes.length) return;
    const committed = this.#end - this.#chunkStart;
    const pending = this.offset - committed;
    const chunk = this.#newChunk(2 * pending + count);
    this.bytes.copy(chunk, 0, committed, this.offset);
    const last = this.#chunks[this.#chunks.length - 1]!;
    if (committed === 0) this.#chunks.pop();
    else last.used = committed;
    this.#chunkStart = this.#end;
    this.bytes = chunk;
    this.offset = pending;
    this.#chunks.push({ start: this.#chunkStart, bytes: chunk, used: 0 });
  }

  /** Offset in `bytes` of the first uncommitted byte. Changes with `reserve`. */
  get pendingStart(): number {
    return this.#end - this.#chunkStart;
  }

  /** All bytes up to `offset` now count. */
  commit(): void {
    this.#end = this.#chunkStart + this.offset;
  }

  /** Forgets the uncommitted bytes. */
  rollback(): void {
    this.offset = this.#end - this.#chunkStart;
  }

  /** Copies the bytes in [start, end) in and commits them. */
  append(source: Uint8Array, start = 0, end = source.length): void {
    this.reserve(end - start);
    copyBytes(this.bytes, this.offset, source, start, end - start);
    this.offset += end - start;
    this.commit();
  }

  /**
   * Committed bytes from `position`, at most `bytesMax` and never across a chunk; null if they are no longer held. They stay as they are
   * until `trimBefore` passes them.
   */
  view(position: number, bytesMax: number): Buffer | null {
    if (position < this.start || position > this.#end) return null;
    const chunk = this.#chunkAt(position);
    const used = chunk.bytes === this.bytes ? this.#end - this.#chunkStart : chunk.used;
    const from = position - chunk.start;
    return chunk.bytes.subarray(from, Math.min(used, from + bytesMax));
  }

  /** Drops whole chunks that end at or before the position. */
  trimBefore(position: number): void {
    let count = 0;
    while (count < this.#chunks.length - 1 && this.#chunks[count + 1]!.start <= position) count++;
    if (count === 0) return;
    for (const { bytes } of this.#chunks.splice(0, count)) {
      if (bytes.length === this.#chunkBytes && this.#spare.length < SPARE_CHUNKS_MAX) this.#spare.push(bytes);
    }
  }

  #newChunk(byteCount: number): Buffer {
    if (byteCount <= this.#chunkBytes) return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#chunkBytes);
    return Buffer.allocUnsafeSlow(byteCount);
  }

  #chunkAt(position: number): Chunk {
    let index = this.#chunks.length - 1;
    while (index > 0 && this.#chunks[index]!.start > position) index--;
    return this.#chunks[index]!;
  }
}
