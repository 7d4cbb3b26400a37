/** Limits of the data commands. */

/** Longest string, bytes: Redis's default for proto-max-bulk-len. */
export const STRING_BYTES_MAX = 512 * 1024 * 1024;
/** Growing a string by APPEND or SETRANGE keeps as much room again behind it, at most this many bytes. */
export const SPARE_BYTES_MAX = 1024 * 1024;
/** The buffer in which new values are put together is kept between commands up to this size, bytes. */
export const SCRATCH_KEPT_BYTES = 1024 * 1024;
/** Table of LCS, bytes: four for each pair of bytes. */
export const LCS_TABLE_BYTES_MAX = STRING_BYTES_MAX;
/** Random picks before RANDOMKEY looks for a key in order, when all it meets are expired. */
export const RANDOM_TRIES_MAX = 100;
/** SCAN looks at this many buckets for each key asked for, as Redis does, before it returns with fewer. */
export const SCAN_BUCKETS_PER_KEY = 10;
/** Elements of a hash or set that MEMORY USAGE measures by default; the rest is estimated from them. */
export const MEMORY_SAMPLES = 5;
/** HSCAN and SSCAN return a collection of up to this many entries at once, whatever COUNT says. */
export const SCAN_WHOLE_MAX = 128;
/** Most elements, repetitions included, that SRANDMEMBER and HRANDFIELD reply for a negative count. */
export const RANDOM_REPETITIONS_MAX = 2 ** 24;

/** Keys and entries that DEBUG DIGEST looks at between two looks at other clients, and how often it begins anew. */
export const DIGEST_RECORDS_PER_STEP = 1000;
export const DIGEST_ATTEMPTS_MAX = 8;
