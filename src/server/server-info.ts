/** INFO: the server's own sections, joined with those that the instance adds. */
import { REDIS_VERSION } from '../redis-commands/connection.ts';
import type { TableEntry } from '../redis-commands/table.ts';
import type { FixedSettings } from './settings.ts';

export type InfoSections = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

export interface ServerStats {
  readonly startedAtMs: number;
  connectionsReceived: number;
  connectionsRejected: number;
  bytesIn: number;
}

/** Sections that plain INFO leaves out, as Redis does. */
const ON_REQUEST = new Set(['commandstats']);

export function describeServer(options: {
  readonly nowMs: number;
  readonly settings: FixedSettings;
  readonly stats: ServerStats;
  readonly commandsProcessed: number;
  /** Since INFO was asked for before. */
  readonly commandsPerSecond: number;
  readonly errors: ReadonlyMap<string, number>;
  readonly connected: number;
  readonly blocked: number;
  readonly pubsub: number;
  readonly channels: number;
  readonly patterns: number;
  readonly shardChannels: number;
  readonly keys: number;
  readonly volatileKeys: number;
  readonly usedMemoryBytes: number;
  readonly memoryBytesMax: number;
  readonly entries: readonly TableEntry[];
}): InfoSections {
  const { nowMs, settings, stats, usedMemoryBytes } = options;
  const memory = process.memoryUsage.rss();
  const uptime = Math.floor((nowMs - stats.startedAtMs) / 1000);
  const cpu = process.cpuUsage();
  const errorReplies = [...options.errors.values()].reduce((sum, count) => sum + count, 0);
  return {
    server: {
      redis_version: REDIS_VERSION,
      redis_git_sha1: '00000000',
      redis_git_dirty: 0,
      redis_mode: 'standalone',
      os: `${process.platform} ${process.arch}`,
      arch_bits: 64,
      process_id: process.pid,
      process_supervised: 'no',
      tcp_port: settings.port,
      server_time_usec: nowMs * 1000,
      uptime_in_seconds: uptime,
      uptime_in_days: Math.floor(uptime / 86_400),
    },
    clients: {
      connected_clients: options.connected,
      cluster_connections: 0,
      maxclients: settings.maxclients,
      blocked_clients: options.blocked,
      tracking_clients: 0,
      pubsub_clients: options.pubsub,
    },
    memory: {
      used_memory: usedMemoryBytes,
      used_memory_human: human(usedMemoryBytes),
      used_memory_rss: memory,
      used_memory_rss_human: human(memory),
      maxmemory: options.memoryBytesMax,
      maxmemory_human: human(options.memoryBytesMax),
      maxmemory_policy: 'noeviction',
      mem_allocator: 'arena',
    },
    persistence: { loading: 0, async_loading: 0 },
    stats: {
      total_connections_received: stats.connectionsReceived,
      total_commands_processed: options.commandsProcessed,
      instantaneous_ops_per_sec: Math.round(options.commandsPerSecond),
      total_net_input_bytes: stats.bytesIn,
      rejected_connections: stats.connectionsRejected,
      pubsub_channels: options.channels,
      pubsub_patterns: options.patterns,
      pubsubshard_channels: options.shardChannels,
      evicted_keys: 0,
      total_error_replies: errorReplies,
    },
    replication: { role: 'master', connected_slaves: 0, master_failover_state: 'no-failover' },
    cpu: { used_cpu_sys: (cpu.system / 1e6).toFixed(6), used_cpu_user: (cpu.user / 1e6).toFixed(6) },
    modules: {},
    commandstats: describeCommands(options.entries),
    errorstats: Object.fromEntries([...options.errors].map(([code, count]) => [`errorstat_${code}`, `count=${count}`])),
    cluster: { cluster_enabled: 0 },
    keyspace: options.keys === 0 ? {} : { db0: `keys=${options.keys},expires=${options.volatileKeys},avg_ttl=0` },
  };
}

function describeCommands(entries: readonly TableEntry[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entries
      .flatMap((entry) => [entry, ...entry.subcommands])
      .filter(({ calls, rejected }) => calls + rejected > 0)
      .map(({ lowerName, calls, failed, micros, rejected }) => {
        const each = (micros / Math.max(1, calls)).toFixed(2);
        return [
          `cmdstat_${lowerName}`,
          `calls=${calls},usec=${micros},usec_per_call=${each},rejected_calls=${rejected},failed_calls=${failed}`,
        ];
      }),
  );
}

/** The sections of both, those of `more` joined with ours of the same name. */
export function joinSections(sections: InfoSections, more: InfoSections): InfoSections {
  const joined = Object.entries(more).map(([name, fields]) => [name, { ...sections[name], ...fields }] as const);
  return { ...sections, ...Object.fromEntries(joined) };
}

/** As INFO prints it. `wanted`: section names; empty or `default`: the usual ones; `all`, `everything`: every one. */
export function formatInfo(sections: InfoSections, wanted: readonly string[]): string {
  const all = wanted.includes('all') || wanted.includes('everything');
  const usual = wanted.length === 0 || wanted.includes('default');
  return Object.entries(sections)
    .filter(([name]) => all || wanted.includes(name) || (usual && !ON_REQUEST.has(name)))
    .map(([name, fields]) => {
      const lines = Object.entries(fields).map(([field, value]) => `${field}:${value}\r\n`);
      return `# ${name === 'cpu' ? 'CPU' : name[0]!.toUpperCase() + name.slice(1)}\r\n${lines.join('')}`;
    })
    .join('\r\n');
}

function human(bytes: number): string {
  const units = ['B', 'K', 'M', 'G'];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? bytes : bytes.toFixed(2)}${units[unit]}`;
}
