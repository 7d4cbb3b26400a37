/** A database record in its other forms: as the API tells it, and as this node's instance process is told. Pure. */
import type { Crdb, DatabaseConfig, DatabaseRecord, SyncStatus } from '../admin/contract.ts';
import { hostPort } from '../base/host-port.ts';
import { CrdbError } from '../errors.ts';
import type { InstanceConfig, Persistence } from '../instance/config.ts';
import type { InstanceReport } from './control.ts';
import { SNAPSHOT_AFTER_SECONDS, SNAPSHOT_AFTER_WRITES } from './limits.ts';

export type InstanceRecord = DatabaseRecord['instances'][number];

/** The instance on this cluster. Throws invalid_request when there is none. */
export function localInstance(record: DatabaseRecord, cluster: string): InstanceRecord {
  const instance = record.instances.find((one) => one.cluster.name === cluster);
  if (instance === undefined) {
    const names = record.instances.map((one) => one.cluster.name).join(', ');
    throw new CrdbError('invalid_request', `The database ${record.name} has instances on ${names}, not on ${cluster}`);
  }
  return instance;
}

/** Without anything secret. */
export function describeDatabase(record: DatabaseRecord, cluster: string): Crdb {
  return {
    guid: record.guid,
    name: record.name,
    default_db_config: { ...record.default_db_config, authentication_redis_pass: '' },
    instances: record.instances.map((instance) => ({
      id: instance.id,
      cluster: { name: instance.cluster.name, url: instance.cluster.url },
      compression: instance.compression,
      endpoint: endpointOf(instance),
    })),
    local_instance_id: localInstance(record, cluster).id,
  };
}

export function endpointOf({ host, db_config }: InstanceRecord): string {
  return hostPort(host, db_config.port);
}

export interface LocalSettings {
  readonly cluster: string;
  /** What the endpoint listens on. */
  readonly host: string;
  readonly dataDirectory: string;
  readonly controlSecret: string;
}

export function instanceConfigOf(record: DatabaseRecord, local: LocalSettings): InstanceConfig {
  const own = localInstance(record, local.cluster);
  const config = own.db_config;
  return {
    version: 1,
    guid: record.guid,
    name: record.name,
    instanceId: own.id,
    cluster: local.cluster,
    host: local.host,
    port: config.port,
    dataDirectory: local.dataDirectory,
    persistence: persistenceOf(config),
    password: config.authentication_redis_pass,
    replicationSecret: record.replication_secret,
    controlSecret: local.controlSecret,
    memoryBytesMax: config.memory_size,
    backlogBytesMax: config.crdt_repl_backlog_size,
    ...(config.crdt_clock_ahead_max_ms === 0 ? {} : { clockAheadMaxMs: config.crdt_clock_ahead_max_ms }),
    compression: own.compression,
    peers: record.instances
      .filter((instance) => instance.id !== own.id)
      .map(({ id, cluster, host, db_config }) => ({
        id,
        cluster: cluster.name,
        host,
        port: db_config.port,
        paused: false,
      })),
  };
}

function persistenceOf(config: DatabaseConfig): Persistence {
  switch (config.data_persistence) {
    case 'aof':
      return { kind: 'aof', fsync: config.aof_policy === 'appendfsync-always' ? 'always' : 'every-sec' };
    case 'snapshot':
      return { kind: 'snapshot', afterSeconds: SNAPSHOT_AFTER_SECONDS, afterWrites: SNAPSHOT_AFTER_WRITES };
    case 'disabled':
      return { kind: 'disabled' };
  }
}

export function describeLink(link: InstanceReport['links'][number]): SyncStatus['links'][number] {
  const { fullSync, syncs } = link;
  return {
    from: link.from,
    cluster: link.cluster,
    endpoint: link.endpoint,
    state: link.state,
    lag_operations: link.lagOperations,
    lag_ms: link.lagMs,
    last_sync: link.lastSync,
    backlog_covered: link.backlogCovered,
    last_error: link.lastError,
    replication_id: link.replicationId,
    offset: link.offset,
    clock_drift_ms: link.driftMs,
    full_sync: fullSync && {
      ...{ keys: fullSync.keys, bytes: fullSync.bytes },
      ...{ total_bytes: fullSync.totalBytes, percent: fullSync.percent },
    },
    syncs: syncs && { full: syncs.full, partial_ok: syncs.partialOk, partial_err: syncs.partialErr },
  };
}
