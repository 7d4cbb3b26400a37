/**
 * What the node tells an instance process, and what the instance tells the node: the only thing the two share.
 *
 * The node writes an `InstanceConfig` as JSON to `<data>/instance.json` (mode 0600) and starts
 * `node dist/src/instance/main.js <data>/instance.json`. From then on it talks to the process over the instance's own
 * endpoint, as any client would: `AUTH __control <controlSecret>`, then the commands below. There is no other channel,
 * so a node daemon that was killed takes up running instances again, and an instance outlives its daemon.
 *
 *   CRDT.STATUS                    -> bulk string, an `InstanceStatus` as JSON
 *   CRDT.PAUSE [FROM id]           -> +OK; stop pulling from all peers, or from one   (already paused: +OK)
 *   CRDT.RESUME [FROM id] [ACCEPT-CLOCK] -> +OK; ACCEPT-CLOCK: what a link brings is taken in although a clock is too far ahead, until it no longer is
 *   CRDT.RESYNC [FROM id] [FULL]   -> +OK; connects anew and asks from what is applied by now, or for a full sync; -ERR with the reason where it cannot
 *   CRDT.CONFIGURE <json>          -> +OK; the whole new `InstanceConfig` (peers, password, limits; ids and port may not change)
 *   CRDT.SHUTDOWN                  -> connection closes after a clean stop: log flushed, clean marker written, exit code 0
 *
 * Exit codes of the process: 0 stopped, 1 failed to start (reason on stderr, last line), 2 bad config, 3 port in use.
 * The endpoint's port is bound before the log is opened: it is the lock on the data directory.
 */

export type Persistence =
  | { readonly kind: 'aof'; readonly fsync: 'every-sec' | 'always' }
  | { readonly kind: 'snapshot'; readonly afterSeconds: number; readonly afterWrites: number }
  | { readonly kind: 'disabled' };

export interface PeerConfig {
  /** Instance id, 1..255. */
  readonly id: number;
  /** FQDN of its cluster. */
  readonly cluster: string;
  readonly host: string;
  readonly port: number;
  /** The operator has paused pulling from this peer. */
  readonly paused: boolean;
}

export interface InstanceConfig {
  readonly version: 1;
  readonly guid: string;
  readonly name: string;
  readonly instanceId: number;
  readonly cluster: string;
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  readonly persistence: Persistence;
  /** Password of the default user; empty: none. */
  readonly password: string;
  readonly replicationSecret: string;
  readonly controlSecret: string;
  /** 0: unlimited. */
  readonly memoryBytesMax: number;
  /** 0: chosen by the instance. */
  readonly backlogBytesMax: number;
  /** How far ahead of this instance's a clock may be whose operations are taken in, ms; absent: one minute. */
  readonly clockAheadMaxMs?: number;
  /** 0 (none) to 6. */
  readonly compression: number;
  readonly peers: readonly PeerConfig[];
}

export type LinkState = 'connecting' | 'handshake' | 'full-sync' | 'streaming' | 'waiting' | 'paused';

/** One link: what this instance pulls from one peer. */
export interface LinkStatus {
  readonly from: number;
  readonly cluster: string;
  readonly endpoint: string;
  readonly state: LinkState;
  /** Operations the peer is known to have that this instance has not applied. */
  readonly lagOperations: number;
  /** Milliseconds since this link was last known to be level with the peer; 0 when it is. null: never was. */
  readonly lagMs: number | null;
  readonly lastSync: { readonly kind: 'partial' | 'full'; readonly reason: string; readonly at: string } | null;
  /** Whether the peer's log still holds all that this instance lacks; null: not known. */
  readonly backlogCovered: boolean | null;
  readonly lastError: string | null;
  /** Replication ID and offset last read from this peer. */
  readonly replicationId: string | null;
  readonly offset: number;
  /** The peer's clock minus this instance's, by its heartbeats; null: not known. */
  readonly driftMs: number | null;
  /** The full sync that is being received; null: none is. */
  readonly fullSync?: {
    /** Loaded so far. */
    readonly keys: number;
    readonly bytes: number;
    readonly totalBytes: number;
    /** 0 to 100. */
    readonly percent: number;
  } | null;
  /** Since the start, or CONFIG RESETSTAT: full syncs received, partial ones granted, partial ones asked for that became full. */
  readonly syncs?: { readonly full: number; readonly partialOk: number; readonly partialErr: number };
}

export interface InstanceStatus {
  readonly guid: string;
  readonly instanceId: number;
  readonly pid: number;
  /** `loading` while the data is read: commands that Redis refuses then are answered -LOADING. */
  readonly state: 'loading' | 'ready';
  readonly replicationId: string;
  readonly offset: number;
  readonly keys: number;
  readonly usedMemoryBytes: number;
  readonly uptimeSeconds: number;
  readonly links: readonly LinkStatus[];
  /** While `state` is loading. */
  readonly loading?: LoadProgress | undefined;
}

/** How far an instance is that is loading its data. */
export interface LoadProgress {
  readonly phase: 'snapshot' | 'log';
  readonly loadedBytes: number;
  /** Of the files to be read. It may grow while they are. */
  readonly totalBytes: number;
  readonly keys: number;
  /** Wall clock. */
  readonly startedAtMs: number;
}
