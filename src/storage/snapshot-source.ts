/**
 * Snapshots for peers that need a full sync: complete files, shared by all feeds that want one, never a walk of the live database.
 *
 * A peer reads as slowly as its line lets it. From a file that costs nobody anything: the database keeps no pre-images for it, a second
 * peer reads the same bytes, and the log behind the file is what brings both up to date. The file in hand is good enough while the
 * log behind it is no larger than itself; otherwise a new one is taken first. Where nothing is persisted the file is temporary.
 *
 * Invariant: from `acquire` until `release` the log is retained from the snapshot's position (up to the log's own limits), and the file
 * can be read to its end, whatever replaces it meanwhile.
 */
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Disk } from '../host/host.ts';
import { ChunkFileReader } from './chunk-file.ts';
import { feedSnapshotPosition } from './file-names.ts';
import { storageLimits, type StorageLimits } from './limits.ts';
import type { Log } from './log.ts';
import type { Snapshotter, TakenSnapshot } from './snapshotter.ts';

export interface SnapshotHandle {
  /** What the snapshot contains. */
  readonly vector: VersionVector;
  /** Of the log: what is not in the snapshot follows from there. */
  readonly position: number;
  /** Of the file, for progress: a little more than the stream has. */
  readonly bytes: number;
  /** The next bytes, not empty, one call at a time; null: complete. Rejects when the file cannot be read, or after `release`. */
  next(): Promise<Buffer | null>;
  release(): void;
}

export interface SnapshotSourceOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly log: Log;
  readonly snapshotter: Snapshotter;
  /** Whether the database can begin a snapshot now. */
  readonly maySnapshot: () => boolean;
  /** What the data takes in memory now: about what a snapshot of it would, or more. */
  readonly dataBytes: () => number;
  readonly limits?: Partial<StorageLimits>;
}

export class SnapshotSource {
  readonly #options: SnapshotSourceOptions;
  readonly #limits: StorageLimits;
  #acquired = 0;
  /** Readers per file: a temporary one goes with the last. */
  readonly #readers = new Map<string, number>();
  #isClosed = false;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
    this.#limits = storageLimits(options.limits);
  }

  /**
   * The newest snapshot if it is fresh enough, else a new one, as soon as the database can begin one. Rejects when none can be had: the disk
   * is full, the instance stops.
   */
  async acquire(): Promise<SnapshotHandle> {
    const { log } = this.#options;
    if (this.#isClosed) throw new Error(STOPPING);
    const holder = `full sync ${++this.#acquired}`;
    try {
      for (let unreadable = 0; ;) {
        const snapshot = this.#freshOne() ?? (await this.#takeOne());
        // A full sync that came in while it was being taken has left a gap in the log behind it.
        if (!this.#isFollowed(snapshot)) continue;
        log.retain(holder, snapshot.position);
        this.#count(snapshot, 1);
        const handle = await this.#open(snapshot, holder);
        if (handle !== null) return handle;
        this.#count(snapshot, -1);
        if (++unreadable > 1) throw new Error(`the snapshot ${snapshot.file} cannot be read`);
      }
    } catch (error) {
      log.release(holder);
      throw error;
    }
  }

  /** No more snapshots; whoever has one may read on. */
  close(): void {
    this.#isClosed = true;
  }

  #freshOne(): TakenSnapshot | null {
    const { log, snapshotter, dataBytes } = this.#options;
    const { newest } = snapshotter;
    if (newest === null || !this.#isFollowed(newest)) return null;
    const behindBytes = log.endPosition - newest.position;
    // Much was deleted since: a receiver that has room for what is left may have none for what was there.
    if (newest.bytes > SHRINKAGE * dataBytes() + this.#limits.snapshotLogBytesMin) return null;
    return behindBytes < Math.max(this.#limits.snapshotLogBytesMin, newest.bytes) ? newest : null;
  }

  /** The log holds everything that the snapshot does not; what came by a full sync stands in no log. */
  #isFollowed({ position, vector }: TakenSnapshot): boolean {
    const { log } = this.#options;
    return position >= log.startPosition && vector.covers(log.floor);
  }

  async #takeOne(): Promise<TakenSnapshot> {
    const { clock, maySnapshot, snapshotter } = this.#options;
    while (!snapshotter.running && !maySnapshot()) {
      if (this.#isClosed) throw new Error(STOPPING);
      await new Promise<void>((resolve) => clock.after(this.#limits.snapshotRetryMs, resolve));
    }
    if (this.#isClosed) throw new Error(STOPPING);
    return snapshotter.run();
  }

  /** null: the file is not there, or is not what it should be; nobody will be sent to it any more. */
  async #open(snapshot: TakenSnapshot, holder: string): Promise<SnapshotHandle | null> {
    const { disk, directory, log, snapshotter } = this.#options;
    let reader: ChunkFileReader;
    try {
      reader = await ChunkFileReader.open(disk, `${directory}/${snapshot.file}`);
    } catch {
      snapshotter.forget(snapshot);
      return null;
    }
    return new OpenSnapshot(snapshot, reader, this.#limits.snapshotReadBytes, {
      onDamaged: () => snapshotter.forget(snapshot),
      onReleased: () => {
        log.release(holder);
        this.#count(snapshot, -1);
      },
    });
  }

  #count(snapshot: TakenSnapshot, change: 1 | -1): void {
    const readers = (this.#readers.get(snapshot.file) ?? 0) + change;
    if (readers > 0) {
      this.#readers.set(snapshot.file, readers);
      return;
    }
    this.#readers.delete(snapshot.file);
    if (feedSnapshotPosition(snapshot.file) === null) return;
    const { disk, directory, snapshotter } = this.#options;
    snapshotter.forget(snapshot);
    // What cannot be removed now is removed by the next start.
    disk.remove(`${directory}/${snapshot.file}`).catch(() => {});
  }
}

/** A file so many times as large as the data is too old to be sent. */
const SHRINKAGE = 2;
const STOPPING = 'the instance is stopping';

class OpenSnapshot implements SnapshotHandle {
  readonly vector: VersionVector;
  readonly position: number;
  readonly bytes: number;
  readonly #reader: ChunkFileReader;
  readonly #readBytes: number;
  readonly #events: { readonly onDamaged: () => void; readonly onReleased: () => void };
  #chunk: Buffer | null = Buffer.alloc(0);
  #at = 0;
  #reading: Promise<unknown> = Promise.resolve();
  #isReleased = false;

  constructor(
    snapshot: TakenSnapshot,
    reader: ChunkFileReader,
    readBytes: number,
    events: { readonly onDamaged: () => void; readonly onReleased: () => void },
  ) {
    this.vector = snapshot.vector.clone();
    this.position = snapshot.position;
    this.bytes = snapshot.bytes;
    this.#reader = reader;
    this.#readBytes = readBytes;
    this.#events = events;
  }

  async next(): Promise<Buffer | null> {
    if (this.#isReleased) throw new Error('the snapshot was released');
    if (this.#chunk !== null && this.#at === this.#chunk.length) {
      const reading = this.#reader.next();
      this.#reading = reading;
      try {
        this.#chunk = await reading;
        this.#at = 0;
      } catch (error) {
        this.#events.onDamaged();
        throw error;
      }
    }
    if (this.#chunk === null) return null;
    const piece = this.#chunk.subarray(this.#at, this.#at + this.#readBytes);
    this.#at += piece.length;
    return piece;
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const close = (): void => void this.#reader.close().catch(() => {});
    this.#reading.then(close, close);
    this.#events.onReleased();
  }
}
