/**
 * The admin API, one contract shared by the daemon and the CLI: JSON over HTTPS on the admin port (default 9443), HTTP
 * Basic authentication, paths and field names as operators of Redis Enterprise know them (`/v1/crdbs`, `/v1/crdb_tasks`).
 * Fields are snake_case on the wire. Errors are `{error_code, description, hint}` with the status of `src/errors.ts`.
 *
 * A change of a database is a task: POST/DELETE/PATCH return a `crdb_task`; poll `GET /v1/crdb_tasks/{id}`.
 * The node that receives the call coordinates: it prepares every participating node, then commits on all; whatever was
 * prepared is taken back when one of them fails.
 */
import { z } from 'zod';

export const databaseName = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/,
    'up to 63 letters, digits and hyphens; first and last a letter or digit',
  );

export const databaseConfig = z.object({
  port: z.number().int().min(1).max(65535).optional(),
  memory_size: z.number().int().min(0).default(0),
  data_persistence: z.enum(['aof', 'snapshot', 'disabled']).default('aof'),
  aof_policy: z.enum(['appendfsync-every-sec', 'appendfsync-always']).default('appendfsync-every-sec'),
  authentication_redis_pass: z.string().default(''),
  crdt_repl_backlog_size: z.number().int().min(0).default(0),
  /** How far ahead of an instance's clock another's may be whose operations it takes in, ms; 0: chosen by the instance. */
  crdt_clock_ahead_max_ms: z.number().int().min(0).default(0),
});

/** What one instance has different from the database's defaults; nothing is filled in. */
export const databaseConfigOverride = z.object({
  port: z.number().int().min(1).max(65535).optional(),
  memory_size: z.number().int().min(0).optional(),
  data_persistence: z.enum(['aof', 'snapshot', 'disabled']).optional(),
  aof_policy: z.enum(['appendfsync-every-sec', 'appendfsync-always']).optional(),
  authentication_redis_pass: z.string().optional(),
  crdt_repl_backlog_size: z.number().int().min(0).optional(),
  crdt_clock_ahead_max_ms: z.number().int().min(0).optional(),
});

export const clusterInfo = z.object({
  /** FQDN, the unique name of the cluster. */
  name: z.string().min(1),
  /** Admin URL, `https://host:9443`. */
  url: z.string(),
  credentials: z.object({ username: z.string(), password: z.string() }).optional(),
  /** PEM of the certificate the node presents; pinned. */
  certificate: z.string().optional(),
});

export const instanceInfo = z.object({
  id: z.number().int().min(1).max(255).optional(),
  cluster: clusterInfo,
  compression: z.number().int().min(0).max(6).default(0),
  db_config: databaseConfigOverride.default({}),
});

export const createRequest = z.object({
  name: databaseName,
  default_db_config: databaseConfig.prefault({}),
  instances: z.array(instanceInfo).min(1).max(5),
});

/** A database as any participating node describes it. Credentials and secrets are never part of it. */
export const crdb = z.object({
  guid: z.string(),
  name: z.string(),
  default_db_config: databaseConfig,
  instances: z.array(
    z.object({
      id: z.number().int(),
      cluster: z.object({ name: z.string(), url: z.string() }),
      compression: z.number().int(),
      endpoint: z.string(),
    }),
  ),
  /** Instance id on the answering node. */
  local_instance_id: z.number().int(),
});

export const crdbTask = z.object({
  id: z.string(),
  crdb_guid: z.string().nullable(),
  operation: z.enum(['create_crdb', 'delete_crdb', 'update_crdb']),
  status: z.enum(['queued', 'started', 'finished', 'failed']),
  started: z.string(),
  ended: z.string().nullable(),
  progress: z.array(z.object({ cluster: z.string(), step: z.string() })),
  errors: z.array(
    z.object({
      cluster_name: z.string(),
      description: z.string(),
      error_code: z.string(),
      /** The next step; an older node gives none. */
      hint: z.string().optional(),
    }),
  ),
});

/**
 * How a process of an instance is: `loading` reads its data, `unresponsive` runs and does not answer, `stopping` writes its last,
 * `restarting` has ended and is started again soon, `down` is not wanted.
 */
export const processState = z.enum(['running', 'loading', 'unresponsive', 'stopping', 'restarting', 'down']);

/** How far an instance is with reading its data; null where it does not tell. */
export const loadingProgress = z.object({
  /** `snapshot`, then `log`. */
  phase: z.string(),
  keys: z.number().nullable(),
  loaded_bytes: z.number(),
  total_bytes: z.number(),
  percent: z.number(),
});

/** What an older node does not tell about a process. */
const processDetails = {
  /** null unless `loading`. */
  loading: loadingProgress.nullable().default(null),
  /** Since when it has not answered (ISO 8601, UTC), and what is known of why; null unless `unresponsive`. */
  unresponsive: z.object({ since: z.string(), reason: z.string() }).nullable().default(null),
  /** null unless `stopping`. */
  stopping: z.object({ since: z.string(), written_bytes: z.number() }).nullable().default(null),
};

export const linkStatus = z.object({
  from: z.number().int(),
  cluster: z.string(),
  endpoint: z.string(),
  state: z.enum(['connecting', 'handshake', 'full-sync', 'streaming', 'waiting', 'paused']),
  lag_operations: z.number(),
  lag_ms: z.number().nullable(),
  last_sync: z.object({ kind: z.enum(['partial', 'full']), reason: z.string(), at: z.string() }).nullable(),
  backlog_covered: z.boolean().nullable(),
  last_error: z.string().nullable(),
  replication_id: z.string().nullable(),
  offset: z.number(),
  /** The other's clock minus this instance's; null: not known, or an older node does not tell. */
  clock_drift_ms: z.number().nullable().default(null),
  /** How far a full sync is; null when none runs. `total_bytes` and `percent` null: the other side has not said. */
  full_sync: z
    .object({
      keys: z.number(),
      bytes: z.number(),
      total_bytes: z.number().nullable(),
      percent: z.number().nullable(),
    })
    .nullable()
    .default(null),
  /** Syncs of this link since the instance was started: `partial_err` were asked for and became full ones. null: an older one. */
  syncs: z.object({ full: z.number(), partial_ok: z.number(), partial_err: z.number() }).nullable().default(null),
});

/** GET /v1/crdbs/{guid}/sync: the links of the answering node's instance. */
export const syncStatus = z.object({
  guid: z.string(),
  instance: z.number().int(),
  cluster: z.string(),
  /** `running`, or why there is nothing to say. */
  process: processState,
  /** How the process ended the last time that nobody had asked it to; an older node does not tell. */
  last_exit: z.string().nullable().default(null),
  ...processDetails,
  /** Keys that it has; null: not known. */
  keys: z.number().nullable().default(null),
  replication_id: z.string().nullable(),
  offset: z.number(),
  links: z.array(linkStatus),
});

/**
 * PUT /v1/crdbs/{guid}/sync. `from` absent: all links of this node's instance. `accept_clock`, with `resume`: a clock of the other
 * side that is too far ahead is accepted until time has caught up.
 */
export const syncRequest = z
  .object({
    action: z.enum(['pause', 'resume']),
    from: z.number().int().optional(),
    accept_clock: z.boolean().optional(),
  })
  .refine(({ action, accept_clock: accepts }) => accepts !== true || action === 'resume', {
    message: 'accept_clock goes with the action "resume" only',
  });
export const syncChange = z.object({ changed: z.boolean(), links: z.array(z.number().int()) });

/** POST /v1/crdbs/{guid}/resync: one link, or all of this node's instance, sync anew. Answers as soon as it is ordered. */
export const resyncRequest = z.object({ from: z.number().int().optional(), full: z.boolean().default(false) });
export const resyncReply = z.object({ links: z.array(z.number().int()) });

/** POST /v1/node/shutdown. `force`: instances are killed, and so is one that is being stopped already. */
export const shutdownRequest = z.object({ force: z.boolean().default(false) });

/** A folder of a database that the node cannot use: what it is about as far as it can be told, and the way back. */
export const damagedDatabase = z.object({
  guid: z.string(),
  name: z.string().nullable(),
  port: z.number().int().nullable(),
  /** What is wrong with which file. */
  reason: z.string(),
  hint: z.string(),
});

/** GET /v1/node */
export const nodeStatus = z.object({
  cluster: z.string(),
  version: z.string(),
  pid: z.number().int(),
  admin_url: z.string(),
  uptime_seconds: z.number(),
  data_directory: z.string(),
  instances: z.array(
    z.object({
      guid: z.string(),
      name: z.string(),
      id: z.number().int(),
      endpoint: z.string(),
      process: processState,
      pid: z.number().int().nullable(),
      restarts: z.number().int(),
      last_exit: z.string().nullable(),
      ...processDetails,
    }),
  ),
  /** Their names and ports stay taken. An older node does not tell. */
  damaged_databases: z.array(damagedDatabase).default([]),
});

export const crdbGuid = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a guid, 32 hex digits in five groups');

/** A database as the participating nodes keep it: with secrets, and with what each needs to reach the others' admin API. */
export const databaseRecord = z.object({
  guid: crdbGuid,
  name: databaseName,
  default_db_config: databaseConfig,
  replication_secret: z.string().min(1),
  instances: z
    .array(
      z.object({
        id: z.number().int().min(1).max(255),
        cluster: clusterInfo,
        compression: z.number().int().min(0).max(6),
        /** Effective: the defaults with this instance's own settings on top. `port` is the instance's. */
        db_config: databaseConfig.required({ port: true }),
        /** Where the other instances and the applications reach it. */
        host: z.string().min(1),
      }),
    )
    .min(1)
    .max(5),
});

/**
 * Node to node, the coordinator's calls. All three are about the answering node only.
 *
 *   POST   /v1/local/crdbs/{guid}/prepare   prepareRequest -> prepareReply; holds name and port for a limited time
 *   POST   /v1/local/crdbs/{guid}/commit    databaseRecord -> crdb; answers when the instance is ready
 *   DELETE /v1/local/crdbs/{guid}           whatever the node holds for the guid is gone afterwards: the way back from
 *                                           both calls, and the removal of a database; nothing there is fine
 */
export const prepareRequest = z.object({
  /** The cluster the coordinator believes to talk to. */
  cluster: z.string(),
  name: databaseName,
  /** null: the node chooses a free one. */
  port: z.number().int().min(1).max(65535).nullable(),
});
export const prepareReply = z.object({ port: z.number().int() });

/** What a call without a result of its own answers. */
export const acknowledgement = z.object({ status: z.string() });

export const errorBody = z.object({ error_code: z.string(), description: z.string(), hint: z.string() });

export type DatabaseConfig = z.infer<typeof databaseConfig>;
export type CreateRequest = z.infer<typeof createRequest>;
export type DatabaseConfigOverride = z.infer<typeof databaseConfigOverride>;
export type DatabaseRecord = z.infer<typeof databaseRecord>;
export type ClusterInfo = z.infer<typeof clusterInfo>;
export type PrepareRequest = z.infer<typeof prepareRequest>;
export type PrepareReply = z.infer<typeof prepareReply>;
export type InstanceInfo = z.infer<typeof instanceInfo>;
export type Crdb = z.infer<typeof crdb>;
export type CrdbTask = z.infer<typeof crdbTask>;
export type SyncStatus = z.infer<typeof syncStatus>;
export type SyncRequest = z.infer<typeof syncRequest>;
export type SyncChange = z.infer<typeof syncChange>;
export type NodeStatus = z.infer<typeof nodeStatus>;
export type ResyncRequest = z.infer<typeof resyncRequest>;
export type ResyncReply = z.infer<typeof resyncReply>;
export type ShutdownRequest = z.infer<typeof shutdownRequest>;
export type DamagedDatabase = z.infer<typeof damagedDatabase>;
export type LoadingProgress = z.infer<typeof loadingProgress>;
export type ProcessState = z.infer<typeof processState>;
