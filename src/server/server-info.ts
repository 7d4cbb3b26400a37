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
  readonly errors: ReadonlyMap<string, number>;
  readonly connected: number;
  readonly blocked: number;
  readonly pubsub: number;
  readonly channels: number;
  readonly patterns: number;
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
      redis_mode: 'standalone',
      os: `${process.platform} ${process.arch}`,
      arch_bits: 64,
      process_id: process.pid,
      tcp_port: settings.port,
      server_time_usec: nowMs * 1000,
      uptime_in_seconds: uptime,
      uptime_in_days: Math.floor(uptime / 86_400),
    },
    clients: {
      connected_clients: options.connected,
      maxclients: settings.maxclients,
      blocked_clients: options.blocked,
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
    },
    stats: {
      total_connections_received: stats.connectionsReceived,
      total_commands_processed: options.commandsProcessed,
      total_net_input_bytes: stats.bytesIn,
      rejected_connections: stats.connectionsRejected,
      pubsub_channels: options.channels,
      pubsub_patterns: options.patterns,
      total_error_replies: errorReplies,
    },
    replication: { role: 'master', connected_slaves: 0 },
    cpu: { used_cpu_sys: (cpu.system / 1e6).toFixed(6), used_cpu_user: (cpu.user / 1e6).toFixed(6) },
    modules: {},
    errorstats: Object.fromEntries([...options.errors].map(([code, count]) => [`errorstat_${code}`, `count=${count}`])),
    cluster: { cluster_enabled: 0 },
    keyspace: options.keys === 0 ? {} : { db0: `keys=${options.keys},expires=${options.volatileKeys},avg_ttl=0` },
    commandstats: describeCommands(options.entries),
  };
}

function describeCommands(entries: readonly TableEntry[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entries
      .flatMap((entry) => [entry, ...entry.subcommands])
      .filter(({ calls, rejected }) => calls + rejected > 0)
      .map(({ lowerName, calls, failed, rejected }) => [
        `cmdstat_${lowerName}`,
        `calls=${calls},rejected_calls=${rejected},failed_calls=${failed}`,
      ]),
  );
}

/** As INFO prints it. `wanted`: section names; empty or `default`: the usual ones; `all`, `everything`: every one. */
export function formatInfo(sections: InfoSections, wanted: readonly string[]): string {
  const all = wanted.includes('all') || wanted.includes('everything');
  const usual = wanted.length === 0 || wanted.includes('default');
  return Object.entries(sections)
    .filter(([name]) => all || wanted.includes(name) || (usual && !ON_REQUEST.has(name)))
    .map(([name, fields]) => {
      const lines = Object.entries(fields).map(([field, value]) => `${field}:${value}\r\n`);
      return `# ${name[0]!.toUpperCase()}${name.slice(1)}\r\n${lines.join('')}`;
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
