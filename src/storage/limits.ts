/** Every limit and period of the log, the snapshots and the spools. */

/** A segment file is closed, and the next one begun, when it has reached this size. */
export const SEGMENT_BYTES = 64 * 1024 * 1024;
/** A group is sealed at this size even while an earlier one is still being written, so that segments keep their size on a slow disk. */
export const GROUP_BYTES_MAX = 4 * 1024 * 1024;
/** Distance between the positions at which the version vector is remembered: what a feed may have to skip when it starts. */
export const CHECKPOINT_BYTES = 1024 * 1024;
/** What stays in memory for feeds that are almost level, when there are files for the others. */
export const MEMORY_WINDOW_BYTES = 2 * 1024 * 1024;
/** The backlog when the configuration leaves it to the instance (0). */
export const BACKLOG_BYTES = 64 * 1024 * 1024;
/** A peer that lags more than this no longer keeps segments from being deleted: it will need a full sync. */
export const RETAIN_BYTES_MAX = 1024 * 1024 * 1024;

/** How long commits are gathered before feeds send them, unless every one waits for the disk. */
export const PUBLISH_DELAY_MS = 2;
export const SYNC_PERIOD_MS = 1_000;
/** How often it is looked for segments that nobody needs. */
export const RETENTION_PERIOD_MS = 1_000;
/** An fsync that takes longer is reported. */
export const SLOW_SYNC_MS = 2_000;

/** Bytes of a snapshot that are encoded and written in one turn of the event loop, and the time after which a turn ends anyway. */
export const SNAPSHOT_SLICE_BYTES = 256 * 1024;
export const SNAPSHOT_PIECE_BYTES = 64 * 1024;
export const SNAPSHOT_TURN_MS = 1;
/** A new snapshot is due when the log since the last one is larger than this and than that snapshot. */
export const SNAPSHOT_LOG_BYTES_MIN = 64 * 1024 * 1024;

/** Largest chunk of a snapshot or spool file: a larger length is damage. */
export const CHUNK_BYTES_MAX = 16 * 1024 * 1024;
/** A spool asks its sender to wait when more than this has not been written yet. */
export const SPOOL_UNWRITTEN_BYTES_MAX = 4 * 1024 * 1024;
