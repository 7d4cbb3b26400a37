/** Every bound of the admin API, with its unit. */

/** A create request for five clusters with their certificates is under 20 KB. */
export const API_BODY_BYTES_MAX = 1_048_576;

/** How long the server waits for a request to arrive completely. */
export const API_REQUEST_MS_MAX = 30_000;

/** How long a connection may take for its TLS handshake. */
export const API_HANDSHAKE_MS_MAX = 5_000;

/** How long a client waits for a connection, TLS included. */
export const API_CONNECT_MS_MAX = 5_000;

/** How long a client waits for the answer of an ordinary call. */
export const API_CALL_MS_MAX = 15_000;

/** How long a client waits for a call that starts or stops an instance: more than the node's own limits for that. */
export const API_LOCAL_CHANGE_MS_MAX = 60_000;

/** An answer larger than this is refused. */
export const API_ANSWER_BYTES_MAX = 16_777_216;
