/** Every bound of the node daemon, with its unit. */

/** First admin port that is tried when none was given, and how many after it. */
export const ADMIN_PORT_DEFAULT = 9_443;
export const ADMIN_PORTS_TRIED_MAX = 100;

/** Ports that are searched for an endpoint when none was asked for. */
export const ENDPOINT_PORT_FIRST = 12_000;
export const ENDPOINT_PORT_LAST = 19_999;

/** How long a prepared name and port are held for a coordinator that no longer speaks. */
export const RESERVATION_MS_MAX = 60_000;

/** Restart of an instance that fails again soon: first delay and its bound. One that was ready for so long counts as healthy. */
export const RESTART_DELAY_MS_MIN = 50;
export const RESTART_DELAY_MS_MAX = 10_000;
export const RESTART_HEALTHY_AFTER_MS = 1_000;

/** Between two questions whether a starting instance is ready; one that is loading has something else to do. */
export const READY_POLL_MS = 50;
export const LOADING_POLL_MS = 200;

/** A newly created instance may take as long as it makes progress; without any it may take this long until it is ready. */
export const CREATED_STALL_MS_MAX = 30_000;

/** Between two looks at a process that is not this one's child, or that is being stopped. */
export const LIVENESS_POLL_MS = 200;
export const EXIT_POLL_MS = 20;

/** Control channel: to connect, for one answer, to close. */
export const CONTROL_CONNECT_MS_MAX = 1_000;
export const CONTROL_CALL_MS_MAX = 2_000;
export const CONTROL_CLOSE_MS_MAX = 200;

/**
 * How an instance is stopped. After CRDT.SHUTDOWN, and again after SIGTERM, it has as long as it needs while it writes (its log, its data);
 * one that has written nothing for this long is taken for stuck. SIGKILL works at once, or not at all.
 */
export const STOP_STALL_MS_MAX = 30_000;
export const STOP_LOOK_MS = 250;
export const STOP_NOTE_MS = 5_000;
export const SIGKILL_MS_MAX = 5_000;

/** Between two questions whether an instance still answers, and for how long it has to be silent to be called unresponsive. */
export const ANSWER_POLL_MS = 2_000;
export const UNRESPONSIVE_AFTER_MS = 10_000;
export const UNRESPONSIVE_MISSED_MIN = 3;

/**
 * How a daemon is stopped from outside. While its API answers it stops its instances, and it is waited for; silent for this long, or,
 * after SIGTERM, without a line in its log, it is taken for stuck.
 */
export const NODE_SILENT_MS_MAX = 20_000;
export const NODE_SIGTERM_STALL_MS_MAX = 25_000;
export const NODE_STOP_LOOK_MS = 200;

/** How long a detached daemon may take until its admin API answers. */
export const NODE_READY_MS_MAX = 20_000;

/** Two Ctrl-C that arrive within this time are one. */
export const SAME_INTERRUPT_MS_MAX = 1_000;

/** How long a stopping daemon waits for the tasks it coordinates. */
export const TASKS_DRAIN_MS_MAX = 10_000;

/** How long it waits for answers that are on their way; what is left then is cut off. */
export const API_CLOSE_MS_MAX = 2_000;

/** Finished tasks are kept this long, and never more than so many. */
export const TASK_KEPT_MS = 500_000;
export const TASKS_MAX = 1_000;

/** How often a create is tried when ports that nodes chose were lost to another program meanwhile. */
export const CREATE_ATTEMPTS_MAX = 4;

/** Calls that take back a failed create are repeated: how often, and the delay before the second, doubling. */
export const DISCARD_ATTEMPTS_MAX = 4;
export const DISCARD_DELAY_MS_MIN = 250;

/** A log larger than this is moved to `<name>.1`, and how often a running daemon looks. */
export const LOG_BYTES_MAX = 10_485_760;
export const LOG_LOOK_MS = 5_000;

/** How much of a log's end is read for the reason of an exit, and how many lines are shown. */
export const LOG_TAIL_BYTES = 4_096;
export const LOG_TAIL_LINES = 10;

/** Snapshot persistence: Redis's own first rule, after an hour if anything was written. */
export const SNAPSHOT_AFTER_SECONDS = 3_600;
export const SNAPSHOT_AFTER_WRITES = 1;
