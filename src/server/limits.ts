/** What a server takes from its clients, each with its unit. */
export const CLIENTS_MAX = 10_000;
/** A client that does not read its replies is not read from while so many bytes wait for it. */
export const REPLY_BYTES_MAX = 64 * 1024 * 1024;
/** A subscriber for which so many bytes wait is disconnected. */
export const PUSH_BYTES_MAX = 32 * 1024 * 1024;

export const SLOWLOG_ENTRIES = 128;
export const SLOWLOG_MICROS = 10_000;
/** What a slow log entry keeps. */
export const SLOWLOG_WORDS = 32;
export const SLOWLOG_WORD_CHARS = 128;
/** Time that replies get to leave when the server stops, ms. */
export const DRAIN_MS = 500;
