/** What a server takes from its clients, each with its unit. */
export const CLIENTS_MAX = 10_000;
/** Connections beyond that, for other instances and the node's daemon: clients must not be able to lock them out. */
export const RESERVED_CONNECTIONS = 32;
/** Time in which one of those has to say who it is, ms. */
export const RESERVED_LOGIN_MS = 250;
/** Replies collected before they are given to the socket although requests are left, bytes. */
export const REPLY_FLUSH_BYTES = 256 * 1024;
/** Requests of a client are not executed while more than so many bytes of replies wait for it. */
export const REPLY_WAITING_BYTES_MAX = 1024 * 1024;
/** What is read ahead from a client whose requests must wait, bytes: enough to notice that it has gone. */
export const READ_AHEAD_BYTES_MAX = 64 * 1024;
/** A subscriber for which so many bytes wait is disconnected: Redis's hard limit for pub/sub clients. */
export const PUSH_WAITING_BYTES_MAX = 32 * 1024 * 1024;
/** Commands of one transaction, bytes of their arguments. */
export const TRANSACTION_BYTES_MAX = 512 * 1024 * 1024;
/** After so long without a word the system asks whether the client is still there, seconds. */
export const KEEP_ALIVE_SECONDS = 300;

export const SLOWLOG_ENTRIES = 128;
export const SLOWLOG_MICROS = 10_000;
/** What a slow log entry keeps. */
export const SLOWLOG_WORDS = 32;
export const SLOWLOG_WORD_CHARS = 128;
/** Time that replies get to leave when the server stops, ms. */
export const DRAIN_MS = 500;
/** Error codes that INFO errorstats counts; further ones are not told apart. */
export const ERROR_CODES_MAX = 64;
/** Writes wait while so many bytes of the log are in memory only. */
export const LOG_UNWRITTEN_BYTES_MAX = 4 * 1024 * 1024;
/** How often it is looked whether the disk has caught up, ms. */
export const LOG_CHECK_MS = 1;
/** How often it is looked whether the large container is settled that a command was put off for, ms. */
export const SETTLING_CHECK_MS = 5;
/** INFO's commands per second are measured over this time at least, ms. */
export const RATE_MS_MIN = 100;
