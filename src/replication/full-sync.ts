/**
 * The pulling side of a full sync: pieces of a snapshot -> spool on disk -> MERGE in the log -> merge into the live data.
 *
 * Why a spool: a merge holds writes, so it must not depend on a peer that may vanish half-way; and recovery needs the bytes, since the log
 * only names them. Until MERGE is in the log a crash or a broken connection leaves nothing behind; from then on the merge is finished, by this
 * process or by recovery.
 *
 * Invariant: MERGE is appended and the merge begins in one event-loop turn, so no batch lies between them.
 */
import type { Clock } from '../host/host.ts';
import type { ReplicationLimits } from './limits.ts';
import type { DatabasePort, LogPort, MergePort, SpoolFile, SpoolPort } from './ports.ts';

export interface FullSyncDependencies {
  readonly clock: Clock;
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly spool: SpoolPort;
  readonly limits: ReplicationLimits;
}

export interface FullSyncEvents {
  /** Less than half of the limit is on its way to the disk: reading may go on. */
  onRoom(): void;
  /** All of it is on disk. */
  onSpooled(): void;
  onMerged(): void;
  /** The spool could not be written: nothing has happened yet. */
  onFailed(message: string): void;
  /** The spool could not be read back: the merge stands still, only a restart can finish it. */
  onFatal(message: string): void;
}

export class FullSync {
  readonly #deps: FullSyncDependencies;
  readonly #events: FullSyncEvents;
  readonly #file: Promise<SpoolFile>;
  #writing: Promise<void>;
  #pendingBytes = 0;
  #isAborted = false;
  #isMerging = false;
  #isMerged = false;

  constructor(deps: FullSyncDependencies, events: FullSyncEvents) {
    this.#deps = deps;
    this.#events = events;
    this.#file = deps.spool.create();
    this.#writing = this.#file.then(
      () => undefined,
      (error: unknown) => this.#fail(error),
    );
  }

  get isMerging(): boolean {
    return this.#isMerging;
  }

  /** Takes a piece (copied). False: the disk is behind, wait for `onRoom`. */
  receive(piece: Uint8Array): boolean {
    const { limits } = this.#deps;
    const bytes = piece.slice();
    this.#pendingBytes += bytes.length;
    this.#write(async (file) => {
      await file.append(bytes);
      const wasFull = this.#pendingBytes >= limits.spoolPendingBytesMax / 2;
      this.#pendingBytes -= bytes.length;
      if (wasFull && this.#pendingBytes < limits.spoolPendingBytesMax / 2) this.#events.onRoom();
    });
    return this.#pendingBytes < limits.spoolPendingBytesMax;
  }

  /** The snapshot is complete: makes it durable. */
  finish(): void {
    this.#write(async (file) => {
      await file.finish();
      if (!this.#isAborted) this.#events.onSpooled();
    });
  }

  /** Begins the merge; from here on it cannot be aborted. To be called once, after `onSpooled`. */
  merge(): void {
    this.#isMerging = true;
    this.#write((file) => this.#merge(file));
  }

  /** Leaves nothing behind. Without effect once the merge has begun. */
  abort(): void {
    if (this.#isAborted || this.#isMerging) return;
    this.#isAborted = true;
    this.#writing = this.#writing
      .then(() => this.#file)
      .then((file) => file.discard())
      .catch(() => undefined);
  }

  #write(job: (file: SpoolFile) => Promise<void>): void {
    this.#writing = this.#writing
      .then(() => this.#file)
      .then((file) => (this.#isAborted ? undefined : job(file)))
      .catch((error: unknown) => this.#fail(error));
  }

  async #merge(file: SpoolFile): Promise<void> {
    const { database, log, limits } = this.#deps;
    log.noteMerge(file.name);
    const merge = database.beginMerge();
    let position = 0;
    for (;;) {
      const bytes = await file.read(position, limits.spoolReadBytes);
      if (bytes.length === 0) break;
      position += bytes.length;
      await this.#feed(merge, bytes);
    }
    while (!this.#isMerged) {
      this.#stepUntilTurnEnds(merge);
      if (!this.#isMerged) await this.#nextTurn();
    }
    await file.close();
    this.#isMerging = false;
    this.#events.onMerged();
  }

  async #feed(merge: MergePort, bytes: Uint8Array): Promise<void> {
    const { clock, database, limits } = this.#deps;
    let turnEndsAtMs = 0;
    for (let at = 0; at < bytes.length; at += limits.mergePieceBytes) {
      if (clock.monotonicMs() >= turnEndsAtMs) {
        if (at > 0) await this.#nextTurn();
        database.setTime(clock.nowMs());
        turnEndsAtMs = clock.monotonicMs() + limits.mergeTurnMs;
      }
      merge.feed(bytes.subarray(at, at + limits.mergePieceBytes));
      this.#isMerged = merge.step(limits.mergeRecordsPerStep);
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

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (this.#isMerging) this.#events.onFatal(`the snapshot that is being merged cannot be read: ${message}`);
    else if (!this.#isAborted) this.#events.onFailed(`the snapshot cannot be kept: ${message}`);
  }
}
