/**
 * What replication needs of the log, the database, the disk and its surroundings: the narrow side of src/storage and
 * src/database, so that two databases can be replicated in one process, on a virtual clock, without a file or a socket.
 */
import type { OriginTable, VersionVector } from '../crdt/version-vector.ts';

/** An origin's batches from `have + 1` on are asked for, the log begins after `floor`. */
export interface MissingOrigin {
  /** Index in the OriginTable. */
  readonly origin: number;
  readonly have: number;
  readonly floor: number;
}

export type LogLocation = { readonly position: number } | { readonly missing: MissingOrigin };

export interface LogPort {
  /** Position after the last batch that was applied. On a frame's boundary. */
  readonly endPosition: number;
  /** Bytes before it may leave the process. On a frame's boundary. */
  readonly publishPosition: number;
  /** Committed bytes that only memory holds: it grows when the disk is too slow. */
  readonly unwrittenBytes: number;
  /** What survives a power failure. Live: not kept without a copy. */
  readonly durableVector: VersionVector;
  /** Per origin the highest seq whose batch the log may no longer hold: everything above it is there. Live. */
  readonly floor: VersionVector;
  /** Something was applied; to be called once per turn. */
  wake(): void;
  /**
   * Frames from `position`, which is a frame's beginning or inside a frame that an earlier read cut. At most `bytesMax` bytes, at least one; a
   * frame's first 32 bytes are never cut except by `bytesMax`. null: no longer held. The bytes stay unchanged as long as somebody holds them.
   */
  read(position: number, bytesMax: number): Buffer | null | Promise<Buffer | null>;
  /** Where to begin so that every batch of these origins above `have` follows; maybe earlier. */
  locate(have: VersionVector, origins: readonly number[]): LogLocation;
  /** Asks that bytes from `position` on be kept for this holder, as far as the limits allow. Replaces the holder's earlier wish. */
  retain(holder: string, position: number): void;
  release(holder: string): void;
  /**
   * A merge is complete; called in the turn in which it became so, before anything else is applied. `file`: the spool's name. Returns the position behind the
   * frame that tells it.
   */
  noteMerge(merge: {
    readonly file: string;
    readonly vectorBefore: VersionVector;
    readonly snapshotVector: VersionVector;
  }): number;
}

/** Snapshots as files: a feed streams one, and then the log from its position. */
export interface SnapshotSource {
  /**
   * A complete snapshot, the newest one where that is fresh enough; several feeds share one. Rejects when none can be had. From then on, until `release`, the
   * log is kept from its position on, as far as the limits allow.
   */
  acquire(): Promise<SnapshotHandle>;
}

export interface SnapshotHandle {
  readonly vector: VersionVector;
  /** Where the log goes on. On a frame's boundary. */
  readonly position: number;
  readonly bytes: number;
  /** The next bytes; null: complete. Rejects when they cannot be read. */
  next(): Promise<Buffer | null>;
  release(): void;
}

/** A full sync on its way in: loaded beside the live data, which it touches only in `join`. */
export interface Incoming {
  /** What the snapshot contains; null until its header was fed. */
  readonly vector: VersionVector | null;
  /** Keys loaded so far. */
  readonly keys: number;
  /** The end record was fed. */
  readonly complete: boolean;
  /**
   * Loads the bytes, which are used before it returns. Throws when they are no snapshot, when there is no room, and ClockAheadError; then it is to be
   * abandoned.
   */
  feed(bytes: Uint8Array): void;
  /** When complete: in this one turn the state becomes the join of both. Never throws. */
  join(): void;
  /** Forgets it. */
  abandon(): void;
}

/**
 * What may be forgotten (see stability.ts). Origins are indexes in the OriginTable.
 */
export interface Stability {
  /** Every configured instance has applied it. */
  covers(origin: number, seq: number): boolean;
  /** The reset is stable, and no operation of `origin` that has not seen it can come any more. */
  isFinal(origin: number, reset: { readonly origin: number; readonly seq: number }): boolean;
}

export interface DatabasePort {
  readonly origins: OriginTable;
  readonly vector: VersionVector;
  readonly self: { readonly instance: number; readonly generation: number; readonly index: number };
  /** The latest value that its clock has handed out or observed. */
  readonly hlc: number;
  /** Names of what it understands: effects and records of snapshots. */
  readonly capabilities: readonly string[];
  /** Those that its data needs: a snapshot of it needs no others. */
  readonly features: readonly string[];
  setTime(nowMs: number): void;
  /**
   * Throws on bytes that are no batch, on effects it does not know, when there is no room, and ClockAheadError; nothing has changed then, and the same batch may
   * be tried again. `clockAheadMsMax`: how far ahead of the time here its clock may be.
   */
  applyBatch(bytes: Uint8Array, start: number, end: number, clockAheadMsMax: number): 'applied' | 'covered' | 'early';
  /** Which capabilities the whole BATCH frame needs. */
  needsOf(bytes: Uint8Array, start: number, end: number): ReadonlySet<string>;
  beginIncoming(clockAheadMsMax: number): Incoming;
}

/** A snapshot that is being received. Until the log's MERGE names it, it does not exist: a restart removes it. */
export interface SpoolFile {
  /** Its name for the MERGE frame; empty when it is in memory only. */
  readonly file: string;
  /** Copies the bytes. False: the disk is behind, wait for `onDrain`. */
  append(bytes: Uint8Array): boolean;
  /** Settles when all of it is on disk; rejects when any of it could not be written. */
  finish(): Promise<void>;
  /** The log names it: it stays until a snapshot is taken behind that position. */
  noteMerged(position: number): void;
  /** Nothing stays. */
  discard(): Promise<void>;
  onDrain: () => void;
}

export interface SpoolPort {
  /** For a full sync from this instance. */
  create(from: number): SpoolFile;
}

/** What replication tells its instance. */
export interface ReplicationEvents {
  /**
   * A peer has `seq` of our own current generation, we have less: we were restored from an old copy. The instance starts a new generation
   * before this returns; the old one is then pulled like any retired generation.
   */
  onOwnLoss(seqSeen: number): void;
  /**
   * A peer knows a generation of this instance that is newer than its current one: an older state of it was put back. The instance starts one newer than
   * all before this returns; the unknown one is then pulled like any retired generation.
   */
  onNewerGeneration(generation: number): void;
  /** A client's message from another instance. The bytes are valid during the call only. */
  onPublish(message: { readonly sharded: boolean; readonly channel: Uint8Array; readonly message: Uint8Array }): void;
  /** A full sync was joined and is in the log. */
  onMerged(): void;
  /** Only a restart helps: the process must stop with this reason. Recovery finishes what had begun. */
  onFatal(reason: string): void;
  /** One line for the log, event first. */
  onLog(level: 'error' | 'info' | 'debug', line: string): void;
}
