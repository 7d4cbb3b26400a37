/** What the Redis endpoint asks of the instance, answered by the engine: the log, acknowledgements, control, INFO. */
import { describeVersionVector } from '../crdt/version-vector.ts';
import type { ControlPort } from '../redis-commands/session.ts';
import type { FeedStatus } from '../replication/feeds.ts';
import { replicationIdOf } from '../replication/origins.ts';
import type { Credentials, InstancePort } from '../server/ports.ts';
import type { InstanceConfig, LinkStatus } from './config.ts';
import type { Engine } from './engine.ts';
import type { InstanceOptions } from './instance.ts';

export function createInstancePort(
  engine: Engine,
  options: Pick<InstanceOptions, 'config' | 'pid' | 'log' | 'onShutdown'>,
  onCredentials: (credentials: Credentials) => void,
): InstancePort {
  const { database, log, replication } = engine;
  const { config } = options;
  const replicationId = (): string => replicationIdOf(config.guid, database.self);
  const replyAfterSync = config.persistence.kind === 'aof' && config.persistence.fsync === 'always';
  return {
    enterTurn: () => engine.enterTurn(),
    wake: () => engine.wake(),
    handOver: () => log.handOver(),
    replyAfterSync,
    unwrittenBytes: () => log.unwrittenBytes,
    logEnd: () => log.endPosition,
    isDurable: (position) => position <= log.durablePosition,
    whenDurable: (position, fn) => log.whenDurable(position, fn),
    acks: {
      acked: (seq, durable) => replication.acks.acked(seq, { durable }),
      whenAcked: (seq, count, durable, fn) =>
        replication.acks.whenAcked({ origin: database.self.index, seq, count, durable }, fn),
      isDurable: () => log.durablePosition >= log.endPosition,
      whenDurable: (fn) => log.whenDurable(log.endPosition, fn),
    },
    control: createControl(engine, options, { replicationId, onCredentials }),
    publishToPeers: (channel, message, sharded) => replication.publish({ channel, message, sharded }),
    acceptFeed: (connection, request, rest) => replication.accept(connection, request, rest),
    log: options.log,
    resetStats: () => {
      database.keyspace.typeConflicts.arisen = 0;
      replication.resetCounters();
    },
    info: () => ({
      persistence: {
        rdb_bgsave_in_progress: database.isSnapshotting ? 1 : 0,
        aof_enabled: config.persistence.kind === 'aof' ? 1 : 0,
        aof_rewrite_in_progress: 0,
        aof_last_write_status: log.noRoom === null ? 'ok' : 'err',
        aof_current_size: log.endPosition,
        aof_pending_bytes: log.unwrittenBytes,
      },
      replication: {
        master_replid: replicationId(),
        master_repl_offset: database.vector.get(database.self.index),
      },
      crdt: {
        guid: config.guid,
        instance_id: config.instanceId,
        replication_id: replicationId(),
        offset: database.vector.get(database.self.index),
        hlc: database.hlc,
        version_vector: JSON.stringify(describeVersionVector(database.vector, database.origins)),
        type_conflicts: database.keyspace.typeConflicts.arisen,
        type_conflict_keys: database.keyspace.typeConflicts.keyCount,
        crdt_sync_full: replication.counters.full,
        crdt_sync_partial_ok: replication.counters.partialOk,
        crdt_sync_partial_err: replication.counters.partialErr,
        crdt_publish_dropped: replication.counters.publishDropped,
        ...Object.fromEntries(engine.links().map((link) => [`peer_${link.from}`, describePeer(link)])),
        ...Object.fromEntries(replication.feeds().map((feed) => [`feed_${feed.peer}`, describeFeed(feed)])),
      },
    }),
  };
}

function describePeer(link: LinkStatus): string {
  const { state, lagOperations, lagMs, endpoint, driftMs, fullSync } = link;
  const drift = driftMs === null ? '' : `,clock_drift_ms=${driftMs}`;
  const keys = fullSync ? `,full_sync_keys=${fullSync.keys}${describeProgress(fullSync)}` : '';
  return `state=${state},lag_operations=${lagOperations},lag_ms=${lagMs ?? -1},endpoint=${endpoint}${drift}${keys}`;
}

const describeFeed = ({ stage, position, publishDropped, fullSync }: FeedStatus): string =>
  `state=${stage},position=${position},publish_dropped=${publishDropped}${fullSync ? describeProgress(fullSync) : ''}`;

const describeProgress = (sync: {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly percent: number;
}): string =>
  `,full_sync_bytes=${sync.bytes},full_sync_total_bytes=${sync.totalBytes},full_sync_percent=${sync.percent}`;

function createControl(
  engine: Engine,
  options: Pick<InstanceOptions, 'pid' | 'onShutdown'>,
  more: { readonly replicationId: () => string; readonly onCredentials: (credentials: Credentials) => void },
): ControlPort {
  return {
    status: () => JSON.stringify(engine.status(options.pid, more.replicationId())),
    pause: (from) => engine.pause(from),
    resume: (from) => engine.resume(from),
    acceptClock: (from) => engine.acceptClock(from),
    resync: (order) => engine.resync(order),
    configure: (json) => {
      const changed = readConfig(json);
      if (typeof changed === 'string') return changed;
      const problem = explainFixed(engine.config, changed);
      if (problem !== null) return problem;
      engine.configure(changed);
      more.onCredentials(changed);
      return null;
    },
    shutdown: options.onShutdown,
  };
}

/** The configuration, or what is wrong with it. The node has written it; this only guards against a file of another version. */
export function readConfig(json: string): InstanceConfig | string {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    return `the configuration is not JSON: ${(error as Error).message}`;
  }
  const config = value as Partial<InstanceConfig> | null;
  if (config?.version !== 1)
    return `the configuration has version ${String(config?.version)}, this release reads version 1`;
  const { instanceId, port, guid, dataDirectory, persistence, peers } = config;
  const isWhole = guid && dataDirectory && persistence && Array.isArray(peers);
  if (!isWhole || !isWithin(instanceId, 1, 255) || !isWithin(port, 1, 65_535))
    return 'the configuration is not complete';
  return config as InstanceConfig;
}

const isWithin = (value: number | undefined, low: number, high: number): boolean =>
  Number.isInteger(value) && value! >= low && value! <= high;

/** What cannot change while an instance runs. */
function explainFixed(before: InstanceConfig, after: InstanceConfig): string | null {
  for (const name of ['guid', 'instanceId', 'port', 'dataDirectory'] as const) {
    if (before[name] !== after[name]) return `${name} cannot change from ${before[name]} to ${after[name]}`;
  }
  return null;
}
