/** Periods and budgets of an instance's own housekeeping. */

/** How often what has expired is removed, ms. */
export const EXPIRY_PERIOD_MS = 100;
/** Time that a slice of it may take before others get their turn, ms. */
export const EXPIRY_SLICE_MS = 2;
/** Pause before the next slice while there is more to do, ms. One slice per turn of the loop, that is: so removing keeps its share beside any load. */
export const EXPIRY_PAUSE_MS = 1;
/** An instance whose link has been down that long no longer owns its expiries, ms. */
export const EXPIRY_TAKEOVER_MS = 10_000;
/** How often stable leftovers are collected and snapshots are considered, ms. */
export const HOUSEKEEPING_PERIOD_MS = 1000;
/** Records looked at per step of the collection of leftovers; its slices and rests, ms. */
export const COLLECT_STEP = 128;
export const COLLECT_SLICE_MS = 1;
export const COLLECT_PAUSE_MS = 2;
/** Entries per step of what is settled late (FLUSHALL, large removals, full syncs), and the time that a turn gives to it, ms. */
export const SETTLE_STEP = 128;
export const SETTLE_SLICE_MS = 2;
/** Type conflicts that have a line of their own in the log, per period. */
export const TYPE_CONFLICT_LINES = 10;
export const TYPE_CONFLICT_PERIOD_MS = 60_000;
/** Of a key's name, in such a line. */
export const TYPE_CONFLICT_KEY_BYTES = 100;

/** What the empty database that stands in while the data is loaded takes at once, bytes. */
export const STAND_IN_SEGMENT_BYTES = 1024 * 1024;

/** Longest time that a process rehearses before it opens its port, ms; and how much it does in that time at most. */
export const REHEARSAL_MS = 600;
export const REHEARSAL_ACTS = 4;
export const REHEARSAL_TURNS = 256;
/** Different turns that are written down for it; then they come again. */
export const REHEARSAL_SCRIPT_TURNS = 64;
export const REHEARSAL_TURNS_PER_SNAPSHOT = 64;
export const REHEARSAL_CLIENTS = 8;
/** So many that their table is a large block. */
export const REHEARSAL_KEYS = 12_000;
/** What is sent arrives in pieces of at most that many bytes, so that frames are cut. */
export const REHEARSAL_PIECE_BYTES = 4093;
/** So small that the log gets new ones. */
export const REHEARSAL_LOG_CHUNK_BYTES = 32 * 1024;
/** Requests per turn of every other client; the rest send one. */
export const REHEARSAL_PIPELINE = 64;

/** How often an instance that is loading, or writing its last snapshot, says how far it is, ms. */
export const LOADING_LINE_MS = 5_000;
export const STOPPING_LINE_MS = 5_000;

/** Memory given up by the arena that may wait for V8's next collection, bytes; more is collected within a housekeeping period. */
export const DROPPED_BYTES_MAX = 64 * 1024 * 1024;
