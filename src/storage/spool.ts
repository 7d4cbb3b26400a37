/**
 * Holds a full sync while it is being received: it is merged only when it is complete, and again by a recovery that finds its MERGE
 * frame in the log. A file where there is a data directory, else memory.
 *
 *   append ... append, finish()  -> complete and durable under its final name
 *   next() ... null              -> read back, in slices, as often as one likes to open it
 *   discard()                    -> at any time: the bytes go
 *
 * Chunks never exceed what a slice of a merge should be. `append` copies, so the sender's bytes may be reused at once; it returns false
 * when the sender should wait for `onDrain`.
 */
import { assert } from '../base/assert.ts';
import type { Disk } from '../host/host.ts';
import { ChunkFileReader, ChunkFileWriter } from './chunk-file.ts';
import { spoolName } from './file-names.ts';
import { storageLimits, STORAGE_LIMITS, type StorageLimits } from './limits.ts';

export interface Spool {
  /** Name of the file in the data directory, for the MERGE frame; empty when there is none. */
  readonly file: string;
  readonly receivedBytes: number;
  append(bytes: Uint8Array): boolean;
  /** Rejects when anything could not be written; then the spool is to be discarded. */
  finish(): Promise<void>;
  /** The next slice, from the beginning on; null at the end. After `finish`. */
  next(): Promise<Uint8Array | null>;
  discard(): Promise<void>;
  onDrain: () => void;
}

/** Cuts what comes in into chunks of one size. */
class Chunks {
  #filling: Buffer;
  #used = 0;
  readonly #onChunk: (chunk: Buffer) => void;

  constructor(chunkBytes: number, onChunk: (chunk: Buffer) => void) {
    this.#filling = Buffer.allocUnsafe(chunkBytes);
    this.#onChunk = onChunk;
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(bytes.length - at, this.#filling.length - this.#used);
      this.#filling.set(bytes.subarray(at, at + count), this.#used);
      this.#used += count;
      at += count;
      if (this.#used === this.#filling.length) this.flush();
    }
  }

  flush(): void {
    if (this.#used === 0) return;
    const chunk = this.#filling.subarray(0, this.#used);
    this.#filling = Buffer.allocUnsafe(this.#filling.length);
    this.#used = 0;
    this.#onChunk(chunk);
  }
}

export class FileSpool implements Spool {
  readonly file: string;
  readonly #disk: Disk;
  readonly #path: string;
  readonly #chunks: Chunks;
  readonly #limits: StorageLimits;
  readonly #writer: Promise<ChunkFileWriter>;
  #writes: Promise<void>;
  #reader: ChunkFileReader | null = null;
  #receivedBytes = 0;
  #unwrittenBytes = 0;
  #waiting = false;
  #state: 'open' | 'finished' | 'discarded' = 'open';
  onDrain: () => void = () => {};

  /** A full sync from instance `from`, begun when the log stood at `position`. */
  constructor(options: {
    readonly disk: Disk;
    readonly directory: string;
    readonly position: number;
    readonly from: number;
    readonly limits?: Partial<StorageLimits>;
  }) {
    const { disk, directory, position, from } = options;
    this.#limits = storageLimits(options.limits);
    this.#chunks = new Chunks(this.#limits.chunkBytesMax, (chunk) => this.#queue(chunk));
    this.#disk = disk;
    this.file = spoolName(position, from);
    this.#path = `${directory}/${this.file}`;
    this.#writer = ChunkFileWriter.create(disk, this.#path, position, this.#limits.chunkBytesMax);
    this.#writes = this.#writer.then(() => {});
    // Whoever awaits `finish` learns of a failure; until then it must not count as unhandled.
    this.#writes.catch(() => {});
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  append(bytes: Uint8Array): boolean {
    assert(this.#state === 'open', 'a spool takes bytes until it is finished');
    this.#receivedBytes += bytes.length;
    this.#chunks.add(bytes);
    this.#waiting = this.#unwrittenBytes > this.#limits.spoolUnwrittenBytesMax;
    return !this.#waiting;
  }

  async finish(): Promise<void> {
    assert(this.#state === 'open', 'a spool is finished once');
    this.#chunks.flush();
    await this.#writes;
    if (this.#state !== 'open') throw new Error('the spool was discarded');
    await (await this.#writer).finish();
    this.#state = 'finished';
  }

  async next(): Promise<Uint8Array | null> {
    assert(this.#state === 'finished', 'a spool is read when it is finished');
    this.#reader ??= await ChunkFileReader.open(this.#disk, this.#path);
    const bytes = await this.#reader.next();
    if (bytes === null) await this.#closeReader();
    return bytes;
  }

  async discard(): Promise<void> {
    if (this.#state === 'discarded') return;
    const incomplete = this.#state === 'open';
    this.#state = 'discarded';
    await this.#writes.catch(() => {});
    if (incomplete) await this.#writer.then((file) => file.abort()).catch(() => {});
    await this.#closeReader();
    await this.#disk.remove(this.#path);
  }

  #queue(chunk: Buffer): void {
    this.#unwrittenBytes += chunk.length;
    this.#writes = this.#writes
      .then(async () => {
        if (this.#state === 'open') await (await this.#writer).append(chunk);
      })
      .finally(() => this.#onWritten(chunk.length));
    this.#writes.catch(() => {});
  }

  /** Also after a failure: a sender that waits must go on to learn of it from `finish`. */
  #onWritten(bytes: number): void {
    this.#unwrittenBytes -= bytes;
    if (!this.#waiting || this.#unwrittenBytes > this.#limits.spoolUnwrittenBytesMax / 2) return;
    this.#waiting = false;
    this.onDrain();
  }

  async #closeReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }
}

export class MemorySpool implements Spool {
  readonly file = '';
  readonly #held: Buffer[] = [];
  readonly #chunks = new Chunks(STORAGE_LIMITS.chunkBytesMax, (chunk) => void this.#held.push(chunk));
  #receivedBytes = 0;
  #next = 0;
  onDrain: () => void = () => {};

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  append(bytes: Uint8Array): boolean {
    this.#receivedBytes += bytes.length;
    this.#chunks.add(bytes);
    return true;
  }

  finish(): Promise<void> {
    this.#chunks.flush();
    return Promise.resolve();
  }

  next(): Promise<Uint8Array | null> {
    return Promise.resolve(this.#held[this.#next++] ?? null);
  }

  discard(): Promise<void> {
    this.#held.length = 0;
    return Promise.resolve();
  }
}
