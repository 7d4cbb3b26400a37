/**
 * The pulling side of a full sync: pieces of a snapshot go to the disk (spool) and into a second keyspace (`Incoming`) as they arrive; when both are
 * complete, one turn makes them part of the live data. Nobody waits: writes go on, and so do the other links.
 *
 * Why a spool: recovery needs the bytes, since the log only names them. Until MERGE is in the log, a crash or a broken connection leaves nothing behind: the
 * spool is removed, what was loaded is forgotten. From then on recovery repeats the join at that place in the log.
 *
 * Invariant: the join and its MERGE happen in one turn, with nothing applied in between.
 */
import type { DatabasePort, Incoming, LogPort, SpoolFile, SpoolPort } from './ports.ts';

export interface FullSyncDependencies {
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly spool: SpoolPort;
}

export interface FullSyncEvents {
  /** The disk has caught up: reading may go on. */
  onRoom(): void;
  /** All of it is on disk: `join` may be called. */
  onSpooled(): void;
  /** The spool could not be written. */
  onFailed(message: string): void;
}

export interface FullSyncProgress {
  readonly keys: number;
  readonly bytes: number;
  readonly totalBytes: number;
  /** 0 .. 100 */
  readonly percent: number;
}

export class FullSync {
  readonly #deps: FullSyncDependencies;
  readonly #events: FullSyncEvents;
  readonly #file: SpoolFile;
  readonly #incoming: Incoming;
  readonly #totalBytes: number;
  #bytes = 0;
  #isOver = false;

  /** `bytes`: of the whole snapshot, as the source announced. */
  constructor(
    source: { readonly instance: number; readonly bytes: number; readonly clockAheadMsMax: number },
    deps: FullSyncDependencies,
    events: FullSyncEvents,
  ) {
    this.#deps = deps;
    this.#events = events;
    this.#totalBytes = source.bytes;
    this.#incoming = deps.database.beginIncoming(source.clockAheadMsMax);
    this.#file = deps.spool.create(source.instance);
    this.#file.onDrain = () => {
      if (!this.#isOver) events.onRoom();
    };
  }

  /** All of the snapshot was received. */
  get isComplete(): boolean {
    return this.#incoming.complete;
  }

  get progress(): FullSyncProgress {
    const totalBytes = Math.max(this.#totalBytes, this.#bytes);
    return {
      keys: this.#incoming.keys,
      bytes: this.#bytes,
      totalBytes,
      percent: totalBytes === 0 ? 0 : Math.floor((100 * this.#bytes) / totalBytes),
    };
  }

  /** Takes a piece (copied). False: the disk is behind, wait for `onRoom`. Throws when it is no part of a snapshot, or when there is no room for it. */
  receive(piece: Uint8Array): boolean {
    this.#incoming.feed(piece);
    this.#bytes += piece.length;
    return this.#file.append(piece);
  }

  /** The snapshot is complete: makes it durable. */
  finish(): void {
    this.#file.finish().then(
      () => {
        if (!this.#isOver) this.#events.onSpooled();
      },
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        if (!this.#isOver) this.#events.onFailed(`the snapshot cannot be kept: ${text}`);
      },
    );
  }

  /** After `onSpooled`, once. */
  join(): void {
    const { database, log } = this.#deps;
    this.#isOver = true;
    const vectorBefore = database.vector.clone();
    const snapshotVector = this.#incoming.vector ?? vectorBefore;
    this.#incoming.join();
    this.#file.noteMerged(log.noteMerge({ file: this.#file.file, vectorBefore, snapshotVector }));
  }

  /** Leaves nothing behind. Without effect after `join`. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#incoming.abandon();
    this.#file.discard().catch(() => undefined);
  }
}
