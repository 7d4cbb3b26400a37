/**
 * Every limit and period of the log, the snapshots, the spools and recovery, as values: tests and the simulation scale them down, so
 * that a run of seconds meets all of them.
 *
 * Limits bind whoever writes. What a reader accepts follows from the format alone (chunk-file.ts), so that files of an instance with other
 * limits can be read.
 */
export interface StorageLimits {
  /** A segment file is closed, and the next one begun, when it has reached this size. */
  readonly segmentBytes: number;
  /** A group is sealed at this size even while an earlier one is still being written, so that segments keep their size on a slow disk. */
  readonly groupBytesMax: number;
  /** Distance between the positions at which the version vector is remembered: what a feed may have to skip when it starts. */
  readonly checkpointBytes: number;
  /** What stays in memory for feeds that are almost level, when there are files for the others. */
  readonly memoryWindowBytes: number;
  /** The backlog when the configuration leaves it to the instance (0). */
  readonly backlogBytes: number;
  /** A peer that lags more than this no longer keeps segments from being deleted: it will need a full sync. */
  readonly retainBytesMax: number;
  /** The same where the log is in memory only: what is kept beyond the backlog for a full sync that is being sent. */
  readonly memoryRetainBytesMax: number;

  /** How long commits are gathered before feeds send them, unless every one waits for the disk. */
  readonly publishDelayMs: number;
  readonly syncPeriodMs: number;
  /** How often it is looked for segments that nobody needs. */
  readonly retentionPeriodMs: number;
  /** An fsync that takes longer is reported. */
  readonly slowSyncMs: number;
  /** How often a write is tried again that found no room on the disk. */
  readonly roomRetryMs: number;
  /** What may wait in memory for room on the disk; beyond it the instance ends. */
  readonly roomUnwrittenBytesMax: number;

  /** Bytes of a snapshot that are encoded in one turn of the event loop, and the time after which a turn ends anyway. */
  readonly snapshotSliceBytes: number;
  readonly snapshotPieceBytes: number;
  readonly snapshotTurnMs: number;
  /** A new snapshot is due when the log since the last one is larger than this and than that snapshot. */
  readonly snapshotLogBytesMin: number;
  /** How often it is looked whether the database can begin a snapshot that a peer waits for. */
  readonly snapshotRetryMs: number;
  /** After a snapshot that failed, none is due for so long. */
  readonly snapshotFailurePauseMs: number;
  /** Of a snapshot file that is read for a feed: bytes of one piece at most. */
  readonly snapshotReadBytes: number;

  /** Snapshot and spool files are written in chunks of at most this size, whatever the size of what is put in. */
  readonly chunkBytesMax: number;
  /** A spool asks its sender to wait when more than this has not been written yet. */
  readonly spoolUnwrittenBytesMax: number;

  /** Recovery reads segments in pieces of this size; a group that is larger is held whole. */
  readonly recoveryReadBytes: number;
  /** Bytes that recovery hands over between looks at the clock, and the time after which it lets others have their turn. */
  readonly recoverySliceBytes: number;
  readonly recoveryTurnMs: number;
}

export const STORAGE_LIMITS: StorageLimits = {
  segmentBytes: 64 * 1024 * 1024,
  groupBytesMax: 4 * 1024 * 1024,
  checkpointBytes: 1024 * 1024,
  memoryWindowBytes: 2 * 1024 * 1024,
  backlogBytes: 64 * 1024 * 1024,
  retainBytesMax: 1024 * 1024 * 1024,
  memoryRetainBytesMax: 256 * 1024 * 1024,
  publishDelayMs: 2,
  syncPeriodMs: 1_000,
  retentionPeriodMs: 1_000,
  slowSyncMs: 2_000,
  roomRetryMs: 1_000,
  roomUnwrittenBytesMax: 64 * 1024 * 1024,
  snapshotSliceBytes: 256 * 1024,
  snapshotPieceBytes: 64 * 1024,
  snapshotTurnMs: 1,
  snapshotLogBytesMin: 64 * 1024 * 1024,
  snapshotRetryMs: 50,
  snapshotFailurePauseMs: 60_000,
  snapshotReadBytes: 64 * 1024,
  chunkBytesMax: 256 * 1024,
  spoolUnwrittenBytesMax: 4 * 1024 * 1024,
  recoveryReadBytes: 1024 * 1024,
  recoverySliceBytes: 16 * 1024,
  recoveryTurnMs: 10,
};

/** The defaults, except for what is given. */
export const storageLimits = (given: Partial<StorageLimits> = {}): StorageLimits => ({ ...STORAGE_LIMITS, ...given });
