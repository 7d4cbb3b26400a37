/**
 * Holds a full sync while it is being received, for the recovery that will find its MERGE frame in the log.
 *
 *   append ... append, finish()  -> complete and durable under its final name
 *   noteMerged(position)         -> a MERGE frame names it: needed until a snapshot is taken behind that frame
 *   discard()                    -> at any time before: the bytes go
 *
 * `append` copies, so the sender's bytes may be reused at once; it returns false when the sender should wait for `onDrain`.
 *
 * Invariants: a name is used once in a run, so what is discarded late takes nothing else with it. A spool that is, or may still be, named by a MERGE
 * frame behind a snapshot outlasts that snapshot, though its own name tells an earlier position: the full sync began earlier.
 */
import { assert } from '../base/assert.ts';
import type { Disk } from '../host/host.ts';
import { ChunkFileWriter } from './chunk-file.ts';
import { spoolName } from './file-names.ts';
import { storageLimits, type StorageLimits } from './limits.ts';

export interface SpoolsOptions {
  readonly disk: Disk;
  readonly directory: string;
  /** Where the log ends now. */
  readonly endPosition: () => number;
  readonly limits?: Partial<StorageLimits>;
}

/** The spools of one run. */
export class Spools {
  readonly #options: SpoolsOptions;
  readonly #limits: StorageLimits;
  #count = 0;
  #held: Spool[] = [];

  constructor(options: SpoolsOptions) {
    this.#options = options;
    this.#limits = storageLimits(options.limits);
  }

  /** For a full sync from that instance. */
  create(from: number): Spool {
    const { disk, directory, endPosition } = this.#options;
    const position = endPosition();
    const spool = new Spool({ disk, directory, position, from, number: ++this.#count, limits: this.#limits });
    this.#held.push(spool);
    return spool;
  }

  /** Whether the file must outlast the snapshot of that position. */
  isNeeded(file: string, position: number): boolean {
    this.#held = this.#held.filter(({ isDiscarded, mergedAt }) => !isDiscarded && mergedAt > position);
    return this.#held.some((spool) => spool.file === file);
  }
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

export class Spool {
  /** Its name in the data directory, for the MERGE frame. */
  readonly file: string;
  onDrain: () => void = () => {};
  readonly #path: string;
  readonly #disk: Disk;
  readonly #chunks: Chunks;
  readonly #limits: StorageLimits;
  readonly #writer: Promise<ChunkFileWriter>;
  #writes: Promise<void>;
  #unwrittenBytes = 0;
  #waiting = false;
  #state: 'open' | 'finished' | 'discarded' = 'open';
  #mergedAt = Infinity;

  constructor(options: {
    readonly disk: Disk;
    readonly directory: string;
    readonly position: number;
    readonly from: number;
    readonly number: number;
    readonly limits: StorageLimits;
  }) {
    const { disk, directory, position, from, number, limits } = options;
    this.#limits = limits;
    this.#chunks = new Chunks(limits.chunkBytesMax, (chunk) => this.#queue(chunk));
    this.#disk = disk;
    this.file = spoolName(position, from, number);
    this.#path = `${directory}/${this.file}`;
    this.#writer = ChunkFileWriter.create(disk, this.#path, position, limits.chunkBytesMax);
    this.#writes = this.#writer.then(() => {});
    // Whoever awaits `finish` learns of a failure; until then it must not count as unhandled.
    this.#writes.catch(() => {});
  }

  /** Where the MERGE frame ends that names it; Infinity: there is none yet. */
  get mergedAt(): number {
    return this.#mergedAt;
  }

  get isDiscarded(): boolean {
    return this.#state === 'discarded';
  }

  /** False: the disk is behind. */
  append(bytes: Uint8Array): boolean {
    assert(this.#state === 'open', 'a spool takes bytes until it is finished');
    this.#chunks.add(bytes);
    this.#waiting = this.#unwrittenBytes > this.#limits.spoolUnwrittenBytesMax;
    return !this.#waiting;
  }

  /** Rejects when anything could not be written; then the spool is to be discarded. */
  async finish(): Promise<void> {
    assert(this.#state === 'open', 'a spool is finished once');
    this.#chunks.flush();
    await this.#writes;
    if (this.#state !== 'open') throw new Error('the spool was discarded');
    await (await this.#writer).finish();
    this.#state = 'finished';
  }

  /** A MERGE frame names it that ends at `position`. */
  noteMerged(position: number): void {
    assert(this.#state === 'finished', 'what is merged can be read back');
    this.#mergedAt = position;
  }

  async discard(): Promise<void> {
    if (this.#state === 'discarded') return;
    assert(this.#mergedAt === Infinity, 'a spool that the log names stays');
    const incomplete = this.#state === 'open';
    this.#state = 'discarded';
    await this.#writes.catch(() => {});
    if (incomplete) await this.#writer.then((file) => file.abort()).catch(() => {});
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
}
