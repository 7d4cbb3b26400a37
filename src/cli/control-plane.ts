/**
 * What the services need of nodes: the ones this home knows, their admin API, and the life cycle of local ones.
 *
 * Services depend on these interfaces only, so that they are tested with fakes; `real-control-plane.ts` fulfils them with
 * src/node and src/admin, loaded when first used.
 */
import type {
  ClusterInfo,
  CreateRequest,
  Crdb,
  CrdbTask,
  NodeStatus,
  ResyncReply,
  ResyncRequest,
  SyncChange,
  SyncRequest,
  SyncStatus,
} from '../admin/contract.ts';
import type { CrdbError } from '../errors.ts';

export type { ClusterInfo };

/** The admin API of one node. Every call fails with a CrdbError: node_unreachable, or what the node answered. */
export interface NodeApi {
  nodeStatus(): Promise<NodeStatus>;
  listDatabases(): Promise<readonly Crdb[]>;
  createDatabase(request: CreateRequest): Promise<CrdbTask>;
  deleteDatabase(guid: string): Promise<CrdbTask>;
  task(id: string): Promise<CrdbTask>;
  syncStatus(guid: string): Promise<SyncStatus>;
  changeSync(guid: string, change: SyncRequest): Promise<SyncChange>;
  resync(guid: string, request: ResyncRequest): Promise<ResyncReply>;
}

export interface KnownNode {
  readonly cluster: ClusterInfo;
  /** `remote`: the node of another machine; it can be asked, and neither started nor stopped. */
  readonly kind: 'local' | 'remote';
  /** Whether a local node's process runs; a remote one is taken as running until it does not answer. */
  readonly running: boolean;
  /** Process id of a local node that runs. */
  readonly pid: number | null;
  /** What a local node listens on; null for a remote one. */
  readonly host: string | null;
  /** Why nothing but the name is known of a local node: its files are damaged. It is `running` false then, whatever runs. */
  readonly damage: CrdbError | null;
  /** Instances that serve on although the daemon of this local node is gone. */
  readonly orphans: NodeStatus['instances'];
}

export interface StartOptions {
  readonly adminPort?: number;
  readonly host?: string;
}

export interface StopOptions {
  /** Instances are killed instead of writing their last. */
  readonly force?: boolean;
  /** What it waits for. */
  readonly report?: (detail: string) => void;
}

/** A file of the home, no node's, that cannot be used: what only it knows is missing. */
export interface DamagedFile {
  readonly path: string;
  /** What is wrong with it, and what to do about it. */
  readonly damage: CrdbError;
}

export interface ControlPlane {
  /** All nodes of this home, by name. An absent home has none. */
  nodes(): Promise<readonly KnownNode[]>;
  /** Files of the home that cannot be used; the clusters that only they name are missing in `nodes`. */
  damagedFiles(): Promise<readonly DamagedFile[]>;
  api(cluster: ClusterInfo): NodeApi;
  /** Starts the local node as a detached daemon and returns when its admin API answers. Makes its record when new. */
  start(name: string, options: StartOptions): Promise<KnownNode>;
  /**
   * Stops the local node with its instances, also those that a killed daemon has left, and returns when the processes are
   * gone, which takes as long as the instances write. Returns whether anything ran; an absent node is fine.
   */
  stop(name: string, options?: StopOptions): Promise<boolean>;
  /** Stops the local node and removes its record and all its data. Absent is fine. */
  remove(name: string): Promise<void>;
  /** Remembers clusters of other machines, so that later commands can reach them. Throws `failed` when what it remembers is damaged. */
  remember(clusters: readonly ClusterInfo[]): Promise<void>;
}
