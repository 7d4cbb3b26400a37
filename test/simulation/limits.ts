/**
 * The product's limits, scaled down so far that a run of minutes meets all of them: what takes a gigabyte there takes a few kilobytes here.
 *
 * Invariant: the order of the limits is the product's (a piece fits a frame, a frame fits a chunk), only the sizes are not.
 */
import { REPLICATION_LIMITS, type ReplicationLimits } from '../../src/replication/limits.ts';

const KIB = 1024;

export const BATCH_BYTES_MAX = 64 * KIB;
export const CHUNK_BYTES_MAX = 16 * KIB;
export const CONTROL_BYTES_MAX = 4 * KIB;

/** Sizes of values that lie next to a limit, or to what the surroundings of a value leave of it. */
export const EDGES: readonly number[] = [CONTROL_BYTES_MAX, 2 * CONTROL_BYTES_MAX, CHUNK_BYTES_MAX, BATCH_BYTES_MAX];

const REPLICATION: ReplicationLimits = {
  ...REPLICATION_LIMITS,
  batchFrameBytesMax: BATCH_BYTES_MAX,
  controlFrameBytesMax: CONTROL_BYTES_MAX,
  applyFramesPerClockReading: 4,
  earlyBytesMax: 2 * BATCH_BYTES_MAX,
  earlyCountMax: 100,
  feedReadBytes: 8 * KIB,
  feedPumpBytesMax: 32 * KIB,
  publishQueuedBytesMax: 16 * KIB,
  snapshotPieceBytes: 2 * KIB,
  mergePieceBytes: KIB,
  mergeRecordsPerStep: 32,
};

const STORAGE = {
  groupBytesMax: 32 * KIB,
  checkpointBytes: 4 * KIB,
  memoryWindowBytes: 8 * KIB,
  retainBytesMax: 256 * KIB,
  snapshotSliceBytes: 8 * KIB,
  snapshotPieceBytes: 2 * KIB,
  snapshotLogBytesMin: 64 * KIB,
  chunkBytesMax: CHUNK_BYTES_MAX,
  spoolUnwrittenBytesMax: 32 * KIB,
} as const;

/** For Engine.open. */
export const SCALED_DOWN = { replicationLimits: REPLICATION, storageLimits: STORAGE };
