/** Nodes in memory: what the services see, with the few faults that matter to them. No time passes. */
import type {
  CreateRequest,
  Crdb,
  CrdbTask,
  NodeStatus,
  ResyncRequest,
  SyncChange,
  SyncRequest,
  SyncStatus,
} from '../../src/admin/contract.ts';
import type {
  ClusterInfo,
  ControlPlane,
  DamagedFile,
  KnownNode,
  NodeApi,
  StopOptions,
} from '../../src/cli/control-plane.ts';
import type { Waiting } from '../../src/cli/waiting.ts';
import { CrdbError } from '../../src/errors.ts';

type Link = SyncStatus['links'][number];
type LinkState = Link['state'];

export class FakeControlPlane implements ControlPlane {
  readonly local = new Map<string, { running: boolean; remote: boolean }>();
  readonly databases = new Map<string, Crdb>();
  readonly remembered: string[] = [];
  /** What happened, in order: `start local-1`, `delete orders`. */
  readonly journal: string[] = [];
  /** Called with each journal entry before it happens; may throw. */
  before: (entry: string) => void = () => {};
  linkState: LinkState = 'streaming';
  taskFailure: { code: string; description: string } | null = null;
  readonly silent = new Set<string>();
  readonly orphans = new Map<string, KnownNode['orphans']>();
  readonly damaged = new Map<string, CrdbError>();
  readonly files: DamagedFile[] = [];
  /** By cluster. */
  readonly damagedDatabases = new Map<string, NodeStatus['damaged_databases']>();
  readonly instances = new Map<string, NodeStatus['instances']>();
  /** What sync status shows of a link, `1<2`; changed by tests and by `onResync`. */
  readonly links = new Map<string, Partial<Link>>();
  /** What becomes of a resync: the stages that the link shows, one per question. */
  readonly resyncStages: Partial<Link>[] = [];
  readonly paused = new Set<string>();
  readonly requests: CreateRequest[] = [];
  /** By cluster: what its instance's process is, unless it runs. */
  readonly processes = new Map<string, Partial<SyncStatus>>();
  #tasks = new Map<string, CrdbTask>();
  readonly #resyncing = new Map<string, number>();

  addNode(name: string, running = true, remote = false): void {
    this.local.set(name, { running, remote });
  }

  addDatabase(name: string, clusters: readonly string[], guid = `guid-${name}`): Crdb {
    const database: Crdb = {
      guid,
      name,
      default_db_config: {
        memory_size: 0,
        data_persistence: 'aof',
        aof_policy: 'appendfsync-every-sec',
        authentication_redis_pass: '',
        crdt_repl_backlog_size: 0,
        crdt_clock_ahead_max_ms: 0,
      },
      instances: clusters.map((cluster, index) => ({
        id: index + 1,
        cluster: { name: cluster, url: `https://127.0.0.1:${9443 + index}` },
        compression: 0,
        endpoint: `127.0.0.1:${12000 + index}`,
      })),
      local_instance_id: 1,
    };
    this.databases.set(guid, database);
    return database;
  }

  async nodes(): Promise<readonly KnownNode[]> {
    return [...this.local].map(([name, { running, remote }]) => this.#known(name, running, remote));
  }

  async start(name: string): Promise<KnownNode> {
    if (!this.local.has(name)) this.addNode(name, false);
    this.#happens(`start ${name}`);
    this.local.set(name, { running: true, remote: false });
    return this.#known(name, true, false);
  }

  async damagedFiles(): Promise<readonly DamagedFile[]> {
    return this.files;
  }

  async stop(name: string, { force = false, report = () => {} }: StopOptions = {}): Promise<boolean> {
    this.#happens(force ? `kill ${name}` : `stop ${name}`);
    report('orders: 1.0 MB written');
    const node = this.local.get(name);
    const ran = node?.running === true;
    if (node !== undefined) node.running = false;
    return ran;
  }

  async remove(name: string): Promise<void> {
    this.#happens(`remove ${name}`);
    this.local.delete(name);
  }

  async remember(clusters: readonly ClusterInfo[]): Promise<void> {
    this.remembered.push(...clusters.map((cluster) => cluster.name));
  }

  api({ name: cluster }: ClusterInfo): NodeApi {
    const reach = (): void => {
      if (this.silent.has(cluster))
        throw new CrdbError('node_unreachable', `The node of ${cluster} cannot be reached: connection refused`);
    };
    const taking = (): Crdb[] =>
      [...this.databases.values()].filter((one) => one.instances.some((i) => i.cluster.name === cluster));
    return {
      nodeStatus: async () => {
        reach();
        return {
          ...{ cluster, version: '0.1.0', pid: 100, admin_url: 'https://127.0.0.1:9443', uptime_seconds: 61 },
          ...{ data_directory: `/data/${cluster}`, instances: this.instances.get(cluster) ?? [] },
          damaged_databases: this.damagedDatabases.get(cluster) ?? [],
        };
      },
      listDatabases: async () => {
        reach();
        return taking();
      },
      createDatabase: async (request) => {
        reach();
        this.#happens(`create ${request.name}`);
        this.requests.push(request);
        if (this.taskFailure !== null) {
          const { code, description } = this.taskFailure;
          return this.#task('create_crdb', null, [{ cluster_name: cluster, description, error_code: code }]);
        }
        const database = this.addDatabase(
          request.name,
          request.instances.map((instance) => instance.cluster.name),
        );
        return this.#task('create_crdb', database.guid, []);
      },
      deleteDatabase: async (guid) => {
        reach();
        this.#happens(`delete ${this.databases.get(guid)?.name}`);
        this.databases.delete(guid);
        return this.#task('delete_crdb', guid, []);
      },
      task: async (id) => this.#tasks.get(id)!,
      syncStatus: async (guid) => {
        reach();
        return this.#syncStatus(cluster, guid);
      },
      changeSync: async (guid, change) => {
        reach();
        return this.#changeSync(cluster, guid, change);
      },
      resync: async (guid, request) => {
        reach();
        return this.#resync(cluster, guid, request);
      },
    };
  }

  #known(name: string, running: boolean, remote: boolean): KnownNode {
    const cluster = { name, url: `https://127.0.0.1:9443`, credentials: { username: 'admin', password: 'secret' } };
    return {
      ...{ cluster, kind: remote ? 'remote' : 'local', running, pid: running ? 100 : null },
      ...{
        damage: this.damaged.get(name) ?? null,
        host: remote ? null : '127.0.0.1',
        orphans: running ? [] : (this.orphans.get(name) ?? []),
      },
    };
  }

  #happens(entry: string): void {
    this.before(entry);
    this.journal.push(entry);
  }

  #task(operation: CrdbTask['operation'], guid: string | null, errors: CrdbTask['errors']): CrdbTask {
    const task: CrdbTask = {
      ...{ id: `task-${this.#tasks.size + 1}`, crdb_guid: guid, operation, errors },
      ...{ status: errors.length === 0 ? 'finished' : 'failed', started: '', ended: '', progress: [] },
    };
    this.#tasks.set(task.id, task);
    return { ...task, status: 'queued' };
  }

  #syncStatus(cluster: string, guid: string): SyncStatus {
    const { instances } = this.databases.get(guid)!;
    const own = instances.find((instance) => instance.cluster.name === cluster)!;
    return {
      ...{
        guid,
        instance: own.id,
        cluster,
        process: 'running',
        last_exit: null,
        ...{ loading: null, unresponsive: null, stopping: null, keys: 1_234_567 },
        ...this.processes.get(cluster),
        replication_id: 'a'.repeat(40),
        offset: 7,
      },
      links: instances
        .filter((instance) => instance !== own)
        .map((peer) => ({
          ...{ from: peer.id, cluster: peer.cluster.name, endpoint: peer.endpoint, lag_operations: 0, lag_ms: 0 },
          state: this.paused.has(`${own.id}<${peer.id}`) ? 'paused' : this.linkState,
          last_sync: { kind: 'partial', reason: 'partial: offset 7 is in the backlog', at: '2026-01-01T00:00:00.000Z' },
          ...{ backlog_covered: true, last_error: null, replication_id: null, offset: 7, clock_drift_ms: 3 },
          ...{ full_sync: null, syncs: { full: 0, partial_ok: 3, partial_err: 0 } },
          ...this.links.get(`${own.id}<${peer.id}`),
          ...this.#stageOf(`${own.id}<${peer.id}`),
        })),
    };
  }

  /** A link that was told to sync anew shows the next stage of `resyncStages`; the last one stays. */
  #stageOf(link: string): Partial<Link> {
    const stage = this.#resyncing.get(link);
    if (stage === undefined) return {};
    this.#resyncing.set(link, Math.min(stage + 1, this.resyncStages.length - 1));
    return this.resyncStages[stage] ?? {};
  }

  #resync(cluster: string, guid: string, { from, full }: ResyncRequest): { links: number[] } {
    const { instance } = this.#syncStatus(cluster, guid);
    this.#happens(`resync ${instance}<${from}${full ? ' full' : ''}`);
    this.#resyncing.set(`${instance}<${from}`, 0);
    return { links: [from!] };
  }

  #changeSync(cluster: string, guid: string, { action, from, accept_clock: accepts }: SyncRequest): SyncChange {
    const { instance, links } = this.#syncStatus(cluster, guid);
    const concerned = links.map((link) => link.from).filter((id) => from === undefined || from === id);
    const before = this.paused.size;
    for (const id of concerned) {
      if (action === 'pause') this.paused.add(`${instance}<${id}`);
      else this.paused.delete(`${instance}<${id}`);
    }
    this.journal.push(`${action} ${instance}<${concerned.join(',')}${accepts ? ' accept-clock' : ''}`);
    return { changed: this.paused.size !== before || accepts === true, links: concerned };
  }
}

/** Sleeping takes no time and moves the clock. */
export function fakeWaiting(): Waiting {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    sleep: async (ms, signal) => {
      signal.throwIfAborted();
      nowMs += ms;
    },
  };
}

/** The CrdbError that the promise fails with. */
export async function failure(promise: Promise<unknown>): Promise<CrdbError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof CrdbError) return error;
    throw error;
  }
  throw new Error('It did not fail.');
}
