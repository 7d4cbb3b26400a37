/**
 * The settings of Redis 7.2 that tune, or name, what this server does not have or does by itself: encodings, eviction, replicas, cluster mode, files.
 * They are checked, kept until the process ends and shown again, and change nothing: tools set and compare them. What means something here is in
 * settings.ts. Bounds and presets are Redis's.
 */
import {
  anyInteger,
  bytes,
  bytesOrPercent,
  count,
  immutable,
  integer,
  natural,
  port,
  protectedText,
  shutdownWays,
  special,
  text,
  word,
  yesNo,
  type Knob,
} from './knobs.ts';
import { SLOWLOG_ENTRIES, SLOWLOG_MICROS } from './limits.ts';

const INT_MAX = 2n ** 31n - 1n;
const LONG_MAX = 2n ** 63n - 1n;
const UNSIGNED_LONG_MAX = 2n ** 64n - 1n;

const DATA: Readonly<Record<string, Knob>> = {
  activerehashing: yesNo('yes'),
  activedefrag: yesNo('no'),
  'active-defrag-cycle-max': integer('25', 1n, 99n),
  'active-defrag-cycle-min': integer('1', 1n, 99n),
  'active-defrag-ignore-bytes': bytes('104857600', 1n),
  'active-defrag-max-scan-fields': integer('1000', 1n, LONG_MAX),
  'active-defrag-threshold-lower': integer('10', 0n, 1000n),
  'active-defrag-threshold-upper': integer('100', 0n, 1000n),
  'active-expire-effort': integer('1', 1n, 10n),
  'hash-max-listpack-entries': count('512'),
  'hash-max-listpack-value': bytes('64'),
  'hll-sparse-max-bytes': bytes('3000'),
  'jemalloc-bg-thread': yesNo('yes'),
  'lazyfree-lazy-eviction': yesNo('no'),
  'lazyfree-lazy-expire': yesNo('no'),
  'lazyfree-lazy-server-del': yesNo('no'),
  'lazyfree-lazy-user-del': yesNo('no'),
  'lazyfree-lazy-user-flush': yesNo('no'),
  'lfu-decay-time': natural('1'),
  'lfu-log-factor': natural('10'),
  'list-compress-depth': natural('0'),
  'list-max-listpack-size': anyInteger('-2'),
  'maxmemory-clients': bytesOrPercent('0'),
  'maxmemory-eviction-tenacity': integer('10', 0n, 100n),
  'maxmemory-samples': integer('5', 1n, INT_MAX),
  'sanitize-dump-payload': word('no', 'no yes clients'),
  'set-max-intset-entries': count('512'),
  'set-max-listpack-entries': count('128'),
  'set-max-listpack-value': bytes('64'),
  'stream-node-max-bytes': bytes('4096'),
  'stream-node-max-entries': count('100'),
  'zset-max-listpack-entries': count('128'),
  'zset-max-listpack-value': bytes('64'),
};

const CLIENTS: Readonly<Record<string, Knob>> = {
  'acl-pubsub-default': word('resetchannels', 'allchannels resetchannels'),
  aclfile: immutable(''),
  'acllog-max-len': count('128'),
  'busy-reply-threshold': count('5000'),
  'client-output-buffer-limit': special.outputLimits,
  'enable-debug-command': immutable('no'),
  'enable-module-command': immutable('no'),
  'enable-protected-configs': immutable('no'),
  'latency-monitor-threshold': count('0'),
  'latency-tracking': yesNo('no'),
  'latency-tracking-info-percentiles': special.percentiles,
  'notify-keyspace-events': special.eventClasses,
  'protected-mode': yesNo('no'),
  'slowlog-log-slower-than': integer(String(SLOWLOG_MICROS), -1n, LONG_MAX),
  'slowlog-max-len': count(String(SLOWLOG_ENTRIES)),
  'socket-mark-id': immutable('0'),
  'tcp-backlog': immutable('511'),
  'tcp-keepalive': natural('300'),
  timeout: natural('0'),
  'tracking-table-max-keys': count('1000000'),
  unixsocket: immutable(''),
  unixsocketperm: immutable('0'),
};

const FILES: Readonly<Record<string, Knob>> = {
  'aof-disable-auto-gc': yesNo('no'),
  'aof-load-truncated': yesNo('yes'),
  'aof-rewrite-incremental-fsync': yesNo('yes'),
  'aof-timestamp-enabled': yesNo('no'),
  'aof-use-rdb-preamble': yesNo('yes'),
  appenddirname: immutable('appendonlydir'),
  appendfilename: immutable('appendonly.aof'),
  'auto-aof-rewrite-min-size': bytes('67108864'),
  'auto-aof-rewrite-percentage': natural('100'),
  dbfilename: protectedText('dump.rdb'),
  'no-appendfsync-on-rewrite': yesNo('no'),
  'rdb-del-sync-files': yesNo('no'),
  'rdb-save-incremental-fsync': yesNo('yes'),
  rdbchecksum: immutable('yes'),
  rdbcompression: yesNo('yes'),
  'stop-writes-on-bgsave-error': yesNo('yes'),
};

const REPLICAS: Readonly<Record<string, Knob>> = {
  masterauth: text(''),
  masteruser: text(''),
  'min-replicas-max-lag': natural('10'),
  'min-replicas-to-write': natural('0'),
  'propagation-error-behavior': word('ignore', 'ignore panic panic-on-replicas'),
  'repl-backlog-size': special.backlog,
  'repl-backlog-ttl': count('3600'),
  'repl-disable-tcp-nodelay': yesNo('no'),
  'repl-diskless-load': word('disabled', 'disabled on-empty-db swapdb'),
  'repl-diskless-sync': yesNo('yes'),
  'repl-diskless-sync-delay': natural('5'),
  'repl-diskless-sync-max-replicas': natural('0'),
  'repl-ping-replica-period': integer('10', 1n, INT_MAX),
  'repl-timeout': integer('60', 1n, INT_MAX),
  'replica-announce-ip': text(''),
  'replica-announce-port': port('0'),
  'replica-announced': yesNo('yes'),
  'replica-ignore-disk-write-errors': yesNo('no'),
  'replica-ignore-maxmemory': yesNo('yes'),
  'replica-lazy-flush': yesNo('no'),
  'replica-priority': natural('100'),
  'replica-read-only': yesNo('yes'),
  'replica-serve-stale-data': yesNo('yes'),
  replicaof: immutable(''),
};

const CLUSTER: Readonly<Record<string, Knob>> = {
  'cluster-allow-pubsubshard-when-down': yesNo('yes'),
  'cluster-allow-reads-when-down': yesNo('no'),
  'cluster-allow-replica-migration': yesNo('yes'),
  'cluster-announce-bus-port': port('0'),
  'cluster-announce-hostname': special.hostname,
  'cluster-announce-human-nodename': special.hostname,
  'cluster-announce-ip': text(''),
  'cluster-announce-port': port('0'),
  'cluster-announce-tls-port': port('0'),
  'cluster-config-file': immutable('nodes.conf'),
  'cluster-enabled': immutable('no'),
  'cluster-link-sendbuf-limit': bytes('0', 0n, UNSIGNED_LONG_MAX),
  'cluster-migration-barrier': natural('1'),
  'cluster-node-timeout': count('15000'),
  'cluster-port': immutable('0'),
  'cluster-preferred-endpoint-type': word('ip', 'ip hostname unknown-endpoint'),
  'cluster-replica-no-failover': yesNo('no'),
  'cluster-replica-validity-factor': natural('10'),
  'cluster-require-full-coverage': yesNo('yes'),
};

const SHUTDOWN_WAYS = 'default save nosave now force';

const PROCESS: Readonly<Record<string, Knob>> = {
  'always-show-logo': immutable('no'),
  aof_rewrite_cpulist: immutable(''),
  bgsave_cpulist: immutable(''),
  bio_cpulist: immutable(''),
  'bind-source-addr': text(''),
  'crash-log-enabled': yesNo('yes'),
  'crash-memcheck-enabled': yesNo('yes'),
  daemonize: immutable('no'),
  'disable-thp': immutable('yes'),
  'dynamic-hz': yesNo('yes'),
  hz: natural('10'),
  'ignore-warnings': text(''),
  'io-threads': immutable('1'),
  'io-threads-do-reads': immutable('no'),
  'locale-collate': text(''),
  logfile: immutable(''),
  loglevel: word('notice', 'debug verbose notice warning'),
  'oom-score-adj': word('no', 'no yes relative absolute'),
  'oom-score-adj-values': special.oomAdjustments,
  pidfile: immutable(''),
  'proc-title-template': special.title,
  server_cpulist: immutable(''),
  'set-proc-title': immutable('yes'),
  'shutdown-on-sigint': shutdownWays('default', SHUTDOWN_WAYS),
  'shutdown-on-sigterm': shutdownWays('default', SHUTDOWN_WAYS),
  'shutdown-timeout': natural('10'),
  supervised: immutable('no'),
  'syslog-enabled': immutable('no'),
  'syslog-facility': immutable('local0'),
  'syslog-ident': immutable('redis'),
};

/** Applications are served without TLS by this version: these are shown, and say so when they are to change. */
const TLS: Readonly<Record<string, Knob>> = {
  'tls-auth-clients': word('yes', 'no yes optional'),
  ...Object.fromEntries(
    [
      'ca-cert-dir ca-cert-file cert-file ciphers ciphersuites client-cert-file client-key-file client-key-file-pass',
      'dh-params-file key-file key-file-pass protocols',
    ]
      .join(' ')
      .split(' ')
      .map((name) => [`tls-${name}`, text('')]),
  ),
  'tls-cluster': yesNo('no'),
  'tls-port': integer('0', 0n, 0n),
  'tls-prefer-server-ciphers': yesNo('no'),
  'tls-replication': yesNo('no'),
  'tls-session-cache-size': natural('20480'),
  'tls-session-cache-timeout': natural('300'),
  'tls-session-caching': yesNo('yes'),
};

export const KNOBS: Readonly<Record<string, Knob>> = {
  ...DATA,
  ...CLIENTS,
  ...FILES,
  ...REPLICAS,
  ...CLUSTER,
  ...PROCESS,
  ...TLS,
};

const OF_REPLICAS = 'announce-ip announce-port ignore-maxmemory lazy-flush priority read-only serve-stale-data';

/** Old names that Redis still takes. */
export const KNOB_ALIASES: Readonly<Record<string, string>> = {
  'hash-max-ziplist-entries': 'hash-max-listpack-entries',
  'hash-max-ziplist-value': 'hash-max-listpack-value',
  'list-max-ziplist-size': 'list-max-listpack-size',
  'zset-max-ziplist-entries': 'zset-max-listpack-entries',
  'zset-max-ziplist-value': 'zset-max-listpack-value',
  'lua-time-limit': 'busy-reply-threshold',
  slaveof: 'replicaof',
  'min-slaves-max-lag': 'min-replicas-max-lag',
  'min-slaves-to-write': 'min-replicas-to-write',
  'repl-ping-slave-period': 'repl-ping-replica-period',
  'cluster-slave-no-failover': 'cluster-replica-no-failover',
  'cluster-slave-validity-factor': 'cluster-replica-validity-factor',
  ...Object.fromEntries(OF_REPLICAS.split(' ').map((name) => [`slave-${name}`, `replica-${name}`])),
};
