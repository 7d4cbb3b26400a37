/**
 * The pulling side of a full sync: pieces of a snapshot -> spool on disk -> merge into the live data -> MERGE in the log.
 *
 * Why a spool: a merge holds writes, so it must not depend on a peer that may vanish half-way; and recovery needs the bytes, since the log
 * only names them. Until MERGE is in the log, a crash or a broken connection leaves nothing behind: the spool is removed, and a merge half
 * done was in memory only. From then on recovery repeats the merge at that place in the log.
 *
 * Invariant: between the beginning of the merge and MERGE nothing is applied, by nobody; MERGE is noted in the turn in which the merge becomes
 * complete.
 */
import type { Clock } from '../host/host.ts';
import type { ReplicationLimits } from './limits.ts';
import type { DatabasePort, LogPort, MergePort, SnapshotCheck, SpoolFile, SpoolPort } from './ports.ts';

export interface FullSyncDependencies {
  readonly clock: Clock;
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly spool: SpoolPort;
  readonly limits: ReplicationLimits;
}

export interface FullSyncEvents {
  /** The disk has caught up: reading may go on. */
  onRoom(): void;
  /** All of it is on disk. */
  onSpooled(): void;
  onMerged(): void;
  /** The spool could not be written: nothing has happened yet. */
  onFailed(message: string): void;
  /** The merge cannot be finished; only a restart, from the state before it, helps. */
  onFatal(message: string): void;
}

export class FullSync {
  readonly #deps: FullSyncDependencies;
  readonly #events: FullSyncEvents;
  readonly #file: SpoolFile;
  readonly #check: SnapshotCheck;
  #isAborted = false;
  #isMerging = false;
  #isMerged = false;

  constructor(from: number, deps: FullSyncDependencies, events: FullSyncEvents) {
    this.#deps = deps;
    this.#events = events;
    this.#file = deps.spool.create(from);
    this.#check = deps.database.checkSnapshot();
    this.#file.onDrain = () => {
      if (!this.#isAborted) events.onRoom();
    };
  }

  get isMerging(): boolean {
    return this.#isMerging;
  }

  /** All of the snapshot was received. */
  get isComplete(): boolean {
    return this.#check.complete;
  }

  /**
   * Takes a piece (copied). False: the disk is behind, wait for `onRoom`. Throws when it is no part of a snapshot: a merge that has begun
   * cannot be undone, so what cannot be read must not get that far.
   */
  receive(piece: Uint8Array): boolean {
    this.#check.feed(piece);
    return this.#file.append(piece);
  }

  /** The snapshot is complete: makes it durable. */
  finish(): void {
    this.#file.finish().then(
      () => {
        if (!this.#isAborted) this.#events.onSpooled();
      },
      (error: unknown) => {
        if (!this.#isAborted) this.#events.onFailed(`the snapshot cannot be kept: ${describeError(error)}`);
      },
    );
  }

  /** Begins the merge at once; from here on it cannot be aborted. To be called once, after `onSpooled`. */
  merge(): void {
    this.#isMerging = true;
    this.#merge().catch((error: unknown) =>
      this.#events.onFatal(`the snapshot ${this.#file.file} cannot be merged: ${describeError(error)}`),
    );
  }

  /** Leaves nothing behind. Without effect once the merge has begun. */
  abort(): void {
    if (this.#isAborted || this.#isMerging) return;
    this.#isAborted = true;
    this.#file.discard().catch(() => undefined);
  }

  async #merge(): Promise<void> {
    const { database, log } = this.#deps;
    const vectorBefore = database.vector.clone();
    const merge = database.beginMerge();
    for (let bytes = await this.#file.next(); bytes !== null; bytes = await this.#file.next()) {
      await this.#feed(merge, bytes);
    }
    while (!this.#isMerged) {
      this.#stepUntilTurnEnds(merge);
      if (!this.#isMerged) await this.#nextTurn();
    }
    log.noteMerge({ file: this.#file.file, vectorBefore, snapshotVector: merge.vector ?? vectorBefore });
    this.#isMerging = false;
    this.#events.onMerged();
  }

  /** Joins a slice of the stream. The sweep that completes the merge comes after all of it. */
  async #feed(merge: MergePort, bytes: Uint8Array): Promise<void> {
    const { clock, database, limits } = this.#deps;
    let turnEndsAtMs = 0;
    for (let at = 0; at < bytes.length; at += limits.mergePieceBytes) {
      if (clock.monotonicMs() >= turnEndsAtMs) {
        await this.#nextTurn();
        database.setTime(clock.nowMs());
        turnEndsAtMs = clock.monotonicMs() + limits.mergeTurnMs;
      }
      merge.feed(bytes.subarray(at, at + limits.mergePieceBytes));
    }
  }

  #stepUntilTurnEnds(merge: MergePort): void {
    const { clock, database, limits } = this.#deps;
    database.setTime(clock.nowMs());
    const turnEndsAtMs = clock.monotonicMs() + limits.mergeTurnMs;
    do {
      this.#isMerged = merge.step(limits.mergeRecordsPerStep);
    } while (!this.#isMerged && clock.monotonicMs() < turnEndsAtMs);
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.soon(resolve));
  }
}

const describeError = (error: unknown): string => (error instanceof Error ? error.message : String(error));
