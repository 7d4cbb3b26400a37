/**
 * Database and log as replication sees them, with the one thing that concerns both: a full sync's MERGE frame is appended in the very turn in which
 * its merge completes.
 *
 * Until then writes are held and no batch is applied, so nothing can come between; a crash before it leaves the state without the merge, and the
 * next connection asks for the full sync again.
 */
import type { OriginTable, VersionVector } from '../crdt/version-vector.ts';
import type { Applied } from '../database/applier.ts';
import type { Database } from '../database/database.ts';
import type { DatabasePort, LogLocation, LogPort, MergePort, SnapshotPort } from '../replication/ports.ts';
import type { Log } from '../storage/log.ts';

export class ReplicationDatabase implements DatabasePort {
  readonly #database: Database;
  readonly #onMerged: (vectorBefore: VersionVector, snapshotVector: VersionVector) => void;

  constructor(database: Database, onMerged: (vectorBefore: VersionVector, snapshotVector: VersionVector) => void) {
    this.#database = database;
    this.#onMerged = onMerged;
  }

  get origins(): OriginTable {
    return this.#database.origins;
  }

  get vector(): VersionVector {
    return this.#database.vector;
  }

  get self(): { readonly instance: number; readonly generation: number; readonly index: number } {
    return this.#database.self;
  }

  get writesHeld(): boolean {
    return this.#database.writesHeld;
  }

  /** Another snapshot, or a merge, is under way. */
  get isSnapshotBusy(): boolean {
    return this.#database.isSnapshotting || this.#database.writesHeld;
  }

  setTime(nowMs: number): void {
    this.#database.setTime(nowMs);
  }

  applyBatch(bytes: Uint8Array, start: number, end: number): Applied {
    return this.#database.applyBatch(bytes, start, end);
  }

  beginSnapshot(): SnapshotPort {
    return this.#database.beginSnapshot();
  }

  beginMerge(): MergePort {
    const vectorBefore = this.#database.vector.clone();
    const merger = this.#database.beginMerge();
    return {
      feed: (bytes) => merger.feed(bytes),
      step: (recordsMax) => {
        if (!merger.step(recordsMax)) return false;
        this.#onMerged(vectorBefore, merger.vector!);
        return true;
      },
    };
  }
}

export class ReplicationLog implements LogPort {
  readonly #log: Log;
  /** Name of the spool that is being merged. */
  mergingFile = '';

  constructor(log: Log) {
    this.#log = log;
  }

  get endPosition(): number {
    return this.#log.endPosition;
  }

  get publishPosition(): number {
    return this.#log.publishPosition;
  }

  get durablePosition(): number {
    return this.#log.durablePosition;
  }

  get floor(): VersionVector {
    return this.#log.floor;
  }

  read(position: number, bytesMax: number): Buffer | null | Promise<Buffer | null> {
    return this.#log.read(position, bytesMax);
  }

  locate(have: VersionVector, origins: readonly number[]): LogLocation {
    return this.#log.locate(have, origins);
  }

  retain(holder: string, position: number): void {
    this.#log.retain(holder, position);
  }

  release(holder: string): void {
    this.#log.release(holder);
  }

  noteMerge(spoolName: string): void {
    this.mergingFile = spoolName;
  }
}
