/** Limits of the wire format, as Redis has them. */

/** Longest inline request or length header, bytes. */
export const LINE_BYTES_MAX = 64 * 1024;
/** Most arguments of a command. */
export const ARGUMENTS_MAX = 0x7fff_ffff;
/** Longest argument, bytes: Redis's default for proto-max-bulk-len. */
export const BULK_BYTES_MAX = 512 * 1024 * 1024;
/** Most arguments of a command from a client that has yet to authenticate. */
export const UNAUTHENTICATED_ARGUMENTS_MAX = 10;
/** Longest argument from a client that has yet to authenticate, bytes. */
export const UNAUTHENTICATED_BULK_BYTES_MAX = 16 * 1024;
/** Longest command, bytes: Redis's client-query-buffer-limit. */
export const COMMAND_BYTES_MAX = 1024 * 1024 * 1024;
/** What one read may bring, bytes. */
export const READ_BYTES = 64 * 1024;
/** Unfinished commands up to this size are parsed in front of the bytes that come next, bytes; longer ones grow a buffer of their own. */
export const HEADROOM_BYTES = 64 * 1024;
/** First size of a connection's carry buffer, bytes. */
export const CARRY_BYTES_MIN = 256;
/** A carry buffer up to this size is kept by a connection that needs it no more, bytes. */
export const CARRY_KEPT_BYTES = 1024;
/** An `Args` with more places than this is not used again. */
export const ARGS_KEPT_PLACES = 4096;
/** Spare `Args` kept. */
export const ARGS_SPARE_MAX = 32;
/** The reply buffer's usual size, bytes; a larger one is given up after use. */
export const REPLY_BUFFER_BYTES = 256 * 1024;
/** Replies to one client that are put together before any of them leaves, bytes; a transaction may come to more than one command. */
export const REPLY_BYTES_MAX = 1024 * 1024 * 1024;
/** Nesting of arrays that the decoder of replies follows. */
export const REPLY_DEPTH_MAX = 32;
/** Longest line in a reply, bytes. */
export const REPLY_LINE_BYTES_MAX = 64 * 1024;
