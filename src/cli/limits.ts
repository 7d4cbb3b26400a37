/** Every bound of the command line, with its unit. */

/** How long a task (create, delete) may take before the CLI stops waiting. */
export const TASK_MS_MAX = 120_000;

/** How long after a create every link has to be streaming. An empty database needs well under a second per link. */
export const STREAMING_MS_MAX = 60_000;

/** Between two questions to a node while waiting. */
export const POLL_MS = 100;

/** Between two pictures of `sync status --watch`. */
export const WATCH_MS = 1_000;

/** Local one-node clusters that one `create --local` may ask for; a database has at most five instances. */
export const LOCAL_CLUSTERS_MAX = 5;
export const INSTANCES_MAX = 5;
export const INSTANCES_MIN = 2;

/** Clocks of two instances that are further apart are pointed out: what the instances report as well (src/replication/limits.ts). */
export const CLOCK_DRIFT_MS_MAX = 500;

/** How long nothing may move in links that sync anew: more than the pause between two attempts of a link that an error has stopped. */
export const RESYNC_STALL_MS_MAX = 60_000;
