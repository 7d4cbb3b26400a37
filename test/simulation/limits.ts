/**
 * The product's limits, scaled down so far that a run of minutes meets all of them: what takes a gigabyte there takes a few kilobytes here.
 *
 * Invariant: the order of the limits is the product's (a piece fits a frame, a frame fits a chunk), only the sizes are not.
 */
import type { DatabaseLimits } from '../../src/database/limits.ts';
import type { ReplicationLimits } from '../../src/replication/limits.ts';
import type { StorageLimits } from '../../src/storage/limits.ts';

const KIB = 1024;

export const BATCH_BYTES_MAX = 64 * KIB;
export const CHUNK_BYTES_MAX = 16 * KIB;
export const CONTROL_BYTES_MAX = 4 * KIB;

/** Sizes of values that lie next to a limit, or to what the surroundings of a value leave of it. */
export const EDGES: readonly number[] = [CONTROL_BYTES_MAX, 2 * CONTROL_BYTES_MAX, CHUNK_BYTES_MAX, BATCH_BYTES_MAX];

const REPLICATION: Partial<ReplicationLimits> = {
  batchFrameBytesMax: BATCH_BYTES_MAX,
  controlFrameBytesMax: CONTROL_BYTES_MAX,
  applyFramesPerClockReading: 4,
  applyUnwrittenBytesMax: 16 * KIB,
  earlyBytesMax: 2 * BATCH_BYTES_MAX,
  earlyCountMax: 100,
  feedReadBytes: 8 * KIB,
  feedPumpBytesMax: 32 * KIB,
  publishQueuedBytesMax: 16 * KIB,
  snapshotPieceBytes: 2 * KIB,
};

const STORAGE: Partial<StorageLimits> = {
  groupBytesMax: 32 * KIB,
  checkpointBytes: 4 * KIB,
  memoryWindowBytes: 8 * KIB,
  retainBytesMax: 256 * KIB,
  memoryRetainBytesMax: 128 * KIB,
  snapshotSliceBytes: 8 * KIB,
  snapshotPieceBytes: 2 * KIB,
  snapshotReadBytes: 2 * KIB,
  snapshotLogBytesMin: 64 * KIB,
  chunkBytesMax: CHUNK_BYTES_MAX,
  spoolUnwrittenBytesMax: 32 * KIB,
  recoveryReadBytes: 16 * KIB,
  recoverySliceBytes: KIB,
  recoveryTurnMs: 2,
};

const DATABASE: Partial<DatabaseLimits> = {
  batchBytesMax: BATCH_BYTES_MAX,
  smallContainerEntries: 32,
  settledAtOnceEntries: 64,
  smallKeyspaceKeys: 8,
  snapshotValueBytes: 2 * KIB,
  applyReserveBytes: 64 * KIB,
};

/** For Engine.open. */
export const SCALED_DOWN = { replicationLimits: REPLICATION, storageLimits: STORAGE, databaseLimits: DATABASE };
