/**
 * Decides when a snapshot is due, takes it, and clears away what it replaces.
 *
 *   new segment + reader of the database in one turn -> file -> log durable up to there -> manifest names it -> old files go
 *
 * The order is what makes a crash harmless at any point: until the manifest names the new snapshot, the old one and all of the log
 * behind it are there.
 */
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Disk } from '../host/host.ts';
import { segmentPosition, snapshotName, snapshotPosition, spoolPosition } from './file-names.ts';
import { SNAPSHOT_LOG_BYTES_MIN } from './limits.ts';
import type { Log } from './log.ts';
import type { ManifestStore } from './manifest.ts';
import { writeSnapshotFile, type SnapshotReaderPort } from './snapshot-file.ts';

export type SnapshotPolicy =
  { readonly kind: 'aof' } | { readonly kind: 'snapshot'; readonly afterSeconds: number; readonly afterWrites: number };

export interface SnapshotterOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly log: Log;
  readonly manifest: ManifestStore;
  readonly policy: SnapshotPolicy;
  /** The database's live version vector. */
  readonly vector: () => VersionVector;
  /** A reader of exactly the database's present state. Never called while a merge is under way: see `run`. */
  readonly beginSnapshot: () => SnapshotReaderPort;
}

export class Snapshotter {
  readonly #options: SnapshotterOptions;
  #running: Promise<void> | null = null;
  #lastVector: VersionVector;
  #lastMs: number;

  constructor(options: SnapshotterOptions) {
    this.#options = options;
    this.#lastVector = options.vector().clone();
    this.#lastMs = options.clock.monotonicMs();
  }

  get running(): boolean {
    return this.#running !== null;
  }

  /** Whether it is time. Cheap; ask about once per second, and not while a merge runs. */
  wanted(): boolean {
    const { log, manifest, policy, clock, vector } = this.#options;
    if (this.#running !== null) return false;
    if (policy.kind === 'aof') {
      const last = manifest.current.snapshot;
      return log.endPosition - log.snapshotPosition > Math.max(SNAPSHOT_LOG_BYTES_MIN, last?.bytes ?? 0);
    }
    const writes = vector().countBeyond(this.#lastVector);
    return (
      writes >= policy.afterWrites && writes > 0 && clock.monotonicMs() - this.#lastMs >= policy.afterSeconds * 1000
    );
  }

  /**
   * Takes a snapshot of this moment; resolves when it counts. Joins one that is being taken. Must not be called while a merge runs: half
   * a merge is no state. Rejects when the disk fails; the previous snapshot then still counts, and `wanted` stays true.
   */
  run(): Promise<void> {
    this.#running ??= this.#take().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #take(): Promise<void> {
    const { disk, clock, directory, log, manifest, beginSnapshot } = this.#options;
    const position = log.markSnapshot();
    const reader = beginSnapshot();
    const vector = reader.vector.clone();
    const file = snapshotName(position);
    const bytes = await writeSnapshotFile({ disk, clock, path: `${directory}/${file}`, position }, reader);
    await new Promise<void>((resolve) => log.whenDurable(position, resolve));
    await manifest.update({ snapshot: { file, position, bytes } });
    this.#lastVector = vector;
    this.#lastMs = clock.monotonicMs();
    await log.snapshotTaken(position, vector);
    await this.#removeReplaced(position);
  }

  async #removeReplaced(position: number): Promise<void> {
    const { disk, directory, policy } = this.#options;
    for (const name of await disk.list(directory)) {
      const replaced =
        isBefore(snapshotPosition(name), position) ||
        isBefore(spoolPosition(name), position) ||
        // Without a log file, segments are what an earlier run with one has left.
        (policy.kind === 'snapshot' && isBefore(segmentPosition(name), position));
      if (replaced) await disk.remove(`${directory}/${name}`);
    }
  }
}

const isBefore = (candidate: number | null, position: number): boolean => candidate !== null && candidate < position;
