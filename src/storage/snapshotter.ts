/**
 * Decides when a snapshot is due, takes it, and clears away what it replaces.
 *
 *   new segment + reader of the database in one turn -> file -> log durable up to there -> manifest names it -> old files go
 *
 * The order is what makes a crash harmless at any point: until the manifest names the new snapshot, the old one and all of the log
 * behind it are there. Where nothing is persisted, snapshots are taken for peers alone: no manifest names them, and they go with the
 * last who reads them.
 *
 * Invariant: `newest` is complete and durable, and the log holds everything after it. The last snapshot of a run with persistence `snapshot` has
 * its last write.
 */
import { assert } from '../base/assert.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Disk } from '../host/host.ts';
import { feedSnapshotName, segmentPosition, snapshotName, snapshotPosition, spoolPosition } from './file-names.ts';
import { storageLimits, type StorageLimits } from './limits.ts';
import type { Log } from './log.ts';
import type { ManifestStore } from './manifest.ts';
import { SnapshotAbandoned, writeSnapshotFile, type SnapshotReaderPort } from './snapshot-file.ts';

export type SnapshotPolicy =
  | { readonly kind: 'aof' }
  | { readonly kind: 'snapshot'; readonly afterSeconds: number; readonly afterWrites: number }
  /** Never by itself; a file is temporary. */
  | { readonly kind: 'disabled' };

/** A complete snapshot file. */
export interface TakenSnapshot {
  /** Its name in the data directory. */
  readonly file: string;
  /** Of the log: everything after the snapshot follows from there. */
  readonly position: number;
  /** Of the file. */
  readonly bytes: number;
  /** What it contains. */
  readonly vector: VersionVector;
}

export interface SnapshotterOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly log: Log;
  readonly manifest: ManifestStore;
  readonly policy: SnapshotPolicy;
  /** What recovery started from. */
  readonly recovered?: TakenSnapshot | null;
  /** The database's live version vector. */
  readonly vector: () => VersionVector;
  /** Whether the database can begin a snapshot now: none runs, and no flush or join is unsettled. */
  readonly maySnapshot: () => boolean;
  /** A reader of exactly the database's present state. */
  readonly beginSnapshot: () => SnapshotReaderPort;
  /** Whether a received full sync must outlast a snapshot of that position. */
  readonly isSpoolNeeded: (file: string, position: number) => boolean;
  readonly limits?: Partial<StorageLimits>;
}

export class Snapshotter {
  readonly #options: SnapshotterOptions;
  readonly #limits: StorageLimits;
  #running: Promise<TakenSnapshot> | null = null;
  #newest: TakenSnapshot | null;
  #lastVector: VersionVector;
  #lastMs: number;
  #progress: { writtenBytes: number; estimatedBytes: number } | null = null;
  #isEnding = false;
  /** None is due before: the disk is full, say. */
  #pausedUntilMs = 0;

  constructor(options: SnapshotterOptions) {
    this.#options = options;
    this.#limits = storageLimits(options.limits);
    this.#newest = options.recovered ?? null;
    this.#lastVector = options.vector().clone();
    this.#lastMs = options.clock.monotonicMs();
  }

  get running(): boolean {
    return this.#running !== null;
  }

  /** How far the running one is; null: none runs. */
  get progress(): { readonly writtenBytes: number; readonly estimatedBytes: number } | null {
    return this.#progress;
  }

  get newest(): TakenSnapshot | null {
    return this.#newest;
  }

  /** Its file cannot be read, or is gone: nobody shall start from it. */
  forget(snapshot: TakenSnapshot): void {
    if (this.#newest === snapshot) this.#newest = null;
  }

  /** Whether it is time. Cheap; ask about once per second. */
  wanted(): boolean {
    const { log, manifest, policy, clock, vector } = this.#options;
    if (this.#running !== null || policy.kind === 'disabled') return false;
    if (clock.monotonicMs() < this.#pausedUntilMs) return false;
    if (policy.kind === 'aof') {
      const last = manifest.current.snapshot;
      return log.endPosition - log.snapshotPosition > Math.max(this.#limits.snapshotLogBytesMin, last?.bytes ?? 0);
    }
    const writes = vector().countBeyond(this.#lastVector);
    return (
      writes >= policy.afterWrites && writes > 0 && clock.monotonicMs() - this.#lastMs >= policy.afterSeconds * 1000
    );
  }

  /**
   * Takes a snapshot of this moment; resolves when it counts. Joins one that is being taken. To be called when the database may be
   * snapshotted, or when one is running. Rejects when the disk fails; the previous snapshot then still counts, and
   * the next one is `wanted` after a pause.
   */
  run(): Promise<TakenSnapshot> {
    if (this.#isEnding) return Promise.reject(new SnapshotAbandoned());
    return this.#start();
  }

  /**
   * The end of a run: gives up a snapshot that is being taken, it would be of an earlier moment, and takes the last one, unless the newest
   * already has everything. To be called when nothing changes any more; `settle` is called in turns of its own until the database may be
   * snapshotted. Afterwards `run` is refused.
   */
  async finish(settle: () => void): Promise<void> {
    const { clock, maySnapshot, policy, vector } = this.#options;
    this.#isEnding = true;
    await this.#running?.catch(() => {});
    if (policy.kind !== 'snapshot') return;
    if (this.#newest !== null && vector().countBeyond(this.#newest.vector) === 0) return;
    while (!maySnapshot()) {
      settle();
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    await this.#start({ isLast: true });
  }

  #start(options: { readonly isLast?: boolean } = {}): Promise<TakenSnapshot> {
    this.#running ??= this.#take(options.isLast === true).finally(() => {
      this.#running = null;
      this.#progress = null;
    });
    return this.#running;
  }

  async #take(isLast: boolean): Promise<TakenSnapshot> {
    const { disk, clock, directory, log, policy, beginSnapshot, maySnapshot } = this.#options;
    assert(maySnapshot(), 'a snapshot is begun when the database may be snapshotted');
    const position = log.markSnapshot();
    log.retain(HOLDER, position);
    try {
      const reader = beginSnapshot();
      const vector = reader.vector.clone();
      this.#progress = { writtenBytes: 0, estimatedBytes: reader.bytesEstimate ?? 0 };
      const file = policy.kind === 'disabled' ? feedSnapshotName(position) : snapshotName(position);
      const bytes = await writeSnapshotFile(
        {
          disk,
          clock,
          path: `${directory}/${file}`,
          position,
          limits: this.#limits,
          isAbandoned: () => this.#isEnding && !isLast,
          onWritten: (writtenBytes) => {
            this.#progress!.writtenBytes = writtenBytes;
          },
        },
        reader,
      );
      const taken = { file, position, bytes, vector };
      if (policy.kind !== 'disabled') await this.#makeCount(taken);
      this.#newest = taken;
      return taken;
    } catch (error) {
      this.#pausedUntilMs = clock.monotonicMs() + this.#limits.snapshotFailurePauseMs;
      throw error;
    } finally {
      log.release(HOLDER);
    }
  }

  async #makeCount(taken: TakenSnapshot): Promise<void> {
    const { clock, log, manifest } = this.#options;
    const { file, position, bytes, vector } = taken;
    // Recovery goes on in the segment that begins there: it must exist before the manifest sends anybody to it.
    await new Promise<void>((resolve) => log.whenBegun(position, resolve));
    await manifest.update({ snapshot: { file, position, bytes } });
    this.#lastVector = vector;
    this.#lastMs = clock.monotonicMs();
    await log.snapshotTaken(position, vector);
    await this.#removeReplaced(position);
  }

  /** Whoever reads an older snapshot has its file open, and reads it to its end. */
  async #removeReplaced(position: number): Promise<void> {
    const { disk, directory, policy, isSpoolNeeded } = this.#options;
    for (const name of await disk.list(directory)) {
      const replaced =
        isBefore(snapshotPosition(name), position) ||
        (isBefore(spoolPosition(name), position) && !isSpoolNeeded(name, position)) ||
        // Without a log file, segments are what an earlier run with one has left.
        (policy.kind === 'snapshot' && isBefore(segmentPosition(name), position));
      if (replaced) await disk.remove(`${directory}/${name}`);
    }
  }
}

/** Keeps the log behind a snapshot that is being taken. */
const HOLDER = 'snapshot';

const isBefore = (candidate: number | null, position: number): boolean => candidate !== null && candidate < position;
