/**
 * The node daemon: certificate and credentials, the databases with their processes, the admin API in front of them.
 *
 * Started, it takes up every database on disk: a process that still runs is adopted, the others are started. Stopped, it
 * ends its instances first and its API last, so whoever asked it to stop can watch until it is gone. One daemon per node: a
 * lock file names the process that is it, and a lock whose process is dead is nobody's.
 */
import { link, rm, writeFile } from 'node:fs/promises';
import type { ClusterInfo } from '../admin/contract.ts';
import { createAdminServer } from '../admin/routes.ts';
import { codeOf } from '../base/error-shape.ts';
import { hostPort } from '../base/host-port.ts';
import { CrdbError } from '../errors.ts';
import { createCertificate, isKeyOf, type KeyPair } from './certificate.ts';
import { loopbackOf } from './control.ts';
import { portsOfOtherNodes } from './damaged-database.ts';
import { instanceEntry, type Entry } from './entries.ts';
import {
  absentFolders,
  diskFull,
  exists,
  makeFolder,
  readJson,
  readText,
  removeEmptyFolders,
  replaceFile,
  replaceJson,
  SECRET_MODE,
} from './files.ts';
import {
  adminCredentials,
  damagedCertificate,
  findLockHolder,
  HINT_ADMIN,
  HINT_CERTIFICATE,
  isCertificate,
  listClusters,
  missing,
  nodePaths,
  nodeRecord,
  readNode,
  readRecord,
  type AdminCredentials,
  type NodePaths,
  type NodeRecord,
} from './home.ts';
import {
  ADMIN_PORT_DEFAULT,
  ADMIN_PORTS_TRIED_MAX,
  API_CLOSE_MS_MAX,
  SAME_INTERRUPT_MS_MAX,
  TASKS_DRAIN_MS_MAX,
} from './limits.ts';
import { LocalDatabases } from './local-databases.ts';
import { keepLogsSmall } from './log-rotation.ts';
import type { Log } from './log.ts';
import { createNodeService, type NodeService } from './node-service.ts';
import { explainListenFailure, isUnavailable } from './ports.ts';
import { identifyProcess, type ProcessIdentity } from './process-identity.ts';
import type { SupervisorLimits } from './supervisor.ts';
import { createSecret, createSuffix, monotonicMs, settlesWithin } from './system.ts';

export interface NodeOptions {
  /** State folder; absolute. */
  readonly home: string;
  /** FQDN of the cluster. */
  readonly cluster: string;
  /** Absent: the one used before, else 9443, else the next free one. */
  readonly adminPort?: number;
  /** What the admin API and the endpoints listen on. Absent: the one used before, else 127.0.0.1. */
  readonly host?: string;
  readonly version: string;
  readonly log: Log;
  /** The program of an instance; default this installation's. */
  readonly instanceEntry?: Entry;
  /** Scaled down by tests. */
  readonly supervisorLimits?: SupervisorLimits;
}

export interface StopOptions {
  /** The instance processes go on; the next daemon takes them up. */
  readonly keepInstances?: boolean;
  /** The instances are killed, also when they are being stopped already. */
  readonly force?: boolean;
}

export interface RunningNode {
  readonly record: NodeRecord;
  readonly credentials: AdminCredentials;
  /** PEM. */
  readonly certificate: string;
  /** Resolves when it has stopped, for whatever reason; rejects when it could not end an instance. */
  readonly stopped: Promise<void>;
  /** Idempotent; the first call decides, a later one can only force. Settles as `stopped` does. */
  stop(options?: StopOptions): Promise<void>;
}

const DEFAULT_HOST = '127.0.0.1';
const ADMIN_USER = 'admin';
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Runs a node until it is told to stop, by its API or by a signal. A second Ctrl-C kills what is still being stopped; one that follows at
 * once is the same one (npx and others pass on what the terminal has sent to both).
 */
export async function runNode(options: NodeOptions, onReady: (node: RunningNode) => void = () => {}): Promise<void> {
  let node: RunningNode | null = null;
  let interrupted = false;
  let interruptedMs = 0;
  const interrupt = (signal: NodeJS.Signals): void => {
    const force = interrupted && signal === 'SIGINT' && monotonicMs() - interruptedMs > SAME_INTERRUPT_MS_MAX;
    if (!interrupted) interruptedMs = monotonicMs();
    interrupted = true;
    options.log.info('node_signalled', { signal, force });
    // The outcome is seen through `stopped`.
    node?.stop({ force }).catch(() => {});
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    node = await startNode(options);
    if (interrupted) node.stop().catch(() => {});
    else onReady(node);
    await node.stopped;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

/** Throws node_already_running, port_in_use, invalid_request. Nothing runs when it throws, and a first start leaves no files. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const paths = nodePaths(options.home, options.cluster);
  const made = [paths.record, paths.admin, paths.certificate, paths.key];
  const isFirst = !(await Promise.all(made.map(exists))).includes(true);
  const absent = await absentFolders(paths.directory);
  const self = identifyProcess(process.pid) ?? { pid: process.pid, startTime: null };
  let locked = false;
  try {
    await makeFolder(paths.directory);
    await takeLock(paths, options.cluster, self);
    locked = true;
    return await compose(options, paths, self);
  } catch (error) {
    if (locked) await rm(paths.lock, { force: true });
    if (locked && isFirst) await removeNodeFiles(paths, made);
    await removeEmptyFolders(absent);
    throw error;
  }
}

/** The log, if there is one, belongs to whoever opened it. */
async function removeNodeFiles(paths: NodePaths, made: readonly string[]): Promise<void> {
  for (const path of made) await rm(path, { force: true });
  await removeEmptyFolders([paths.databases]);
}

async function compose(options: NodeOptions, paths: NodePaths, self: ProcessIdentity): Promise<RunningNode> {
  const { cluster, version, log } = options;
  const before = await readRecord(paths, cluster);
  const host = options.host ?? before?.host ?? DEFAULT_HOST;
  const credentials = await loadCredentials(paths, before !== null);
  const { certificate, key } = await loadCertificate(paths, cluster, before !== null);
  const others = async () => (await listClusters(options.home)).filter((name) => name !== cluster);
  const databases = new LocalDatabases({
    ...{ cluster, host, paths, entry: options.instanceEntry ?? instanceEntry(), log },
    portsOfOthers: async () => portsOfOtherNodes(options.home, await others()),
    ...(options.supervisorLimits === undefined ? {} : { supervisorLimits: options.supervisorLimits }),
  });
  const startedMs = monotonicMs();
  let record: NodeRecord;
  let finish!: (stopping: Promise<void>) => void;
  const stopped = new Promise<void>((resolve) => (finish = resolve));
  stopped.catch(() => {}); // whoever holds the node may look later

  const service = createNodeService({
    own: { name: cluster, credentials, certificate },
    databases,
    log,
    describeNode: () => ({
      cluster,
      version,
      pid: process.pid,
      admin_url: record.adminUrl,
      uptime_seconds: Math.floor((monotonicMs() - startedMs) / 1000),
      data_directory: paths.directory,
    }),
    locate: (info) => locateInHome(options.home, info),
    onShutdown: ({ force }) => void stop({ force }).catch(() => {}),
  });
  let announceReady!: () => void;
  const ready = new Promise<void>((resolve) => (announceReady = resolve));
  const server = createAdminServer({
    service,
    key,
    certificate,
    credentials,
    ready,
    onBug: (error, path) =>
      log.error('request_failed_internally', { path, reason: error.message, stack: error.stack ?? '' }),
  });

  const stopRotation = keepLogsSmall(() => [paths.log, ...databases.logs()]);
  let stopping: Promise<void> | null = null;
  const stop = ({ keepInstances = false, force = false }: StopOptions = {}): Promise<void> => {
    if (stopping !== null && force) databases.stop({ force }).catch(() => {}); // seen through the first one's outcome
    if (stopping === null) {
      stopping = shutDown({ databases, service, keepInstances, force, log, cluster }).finally(async () => {
        stopRotation();
        await closeServer(server);
        await rm(paths.lock, { force: true });
        // Who reads the record looks whether the process lives: on a full disk that has to do.
        await replaceJson(paths.record, { ...record, process: null } satisfies NodeRecord).catch(() => {});
        log.info('node_stopped', { cluster });
      });
      finish(stopping);
    }
    return stopping;
  };

  try {
    const adminPort = await listen(server, host, {
      asked: options.adminPort,
      usedBefore: before?.adminPort,
      promised: await adminPortsOf(options.home, await others()),
    });
    const adminUrl = `https://${hostPort(loopbackOf(host), adminPort)}`;
    record = { cluster, adminUrl, adminPort, host, version, process: self };
    await databases.load();
    await replaceJson(paths.record, record);
  } catch (error) {
    stopRotation();
    await closeServer(server);
    await databases.stop();
    throw error;
  }
  announceReady();
  log.info('node_ready', {
    cluster,
    admin_url: record.adminUrl,
    version,
    pid: process.pid,
    databases: databases.list().length,
  });
  return { record, credentials, certificate, stopped, stop };
}

/** A node of the same home whose port was taken while it was stopped has moved, and its files say where to. */
async function locateInHome(home: string, info: ClusterInfo): Promise<ClusterInfo> {
  const node = await readNode(home, info.name).catch(() => null);
  return node === null || node.certificate !== info.certificate ? info : { ...info, url: node.adminUrl };
}

/** Lets tasks end, bounded; then the instances. Throws instance_failed when one cannot be ended. */
async function shutDown(parts: {
  readonly databases: LocalDatabases;
  readonly service: NodeService;
  readonly keepInstances: boolean;
  readonly force: boolean;
  readonly log: Log;
  readonly cluster: string;
}): Promise<void> {
  const { databases, service, keepInstances, force, log, cluster } = parts;
  log.info('node_stopping', { cluster, keep_instances: keepInstances, force });
  await settlesWithin(force ? 0 : TASKS_DRAIN_MS_MAX, service.drain());
  await (keepInstances ? databases.abandon() : databases.stop({ force }));
}

async function closeServer(server: ReturnType<typeof createAdminServer>): Promise<void> {
  const closed = server.close();
  if (!(await settlesWithin(API_CLOSE_MS_MAX, closed))) server.server.closeAllConnections();
  await settlesWithin(API_CLOSE_MS_MAX, closed);
}

/** Made at the first start only: a password that is lost later is known to the other nodes, and not replaced behind their back. */
async function loadCredentials(paths: NodePaths, wasStartedBefore: boolean): Promise<AdminCredentials> {
  const existing = await readJson(paths.admin, adminCredentials);
  if (existing !== null) return existing;
  if (wasStartedBefore) throw missing(paths.admin, `${paths.record} is there`, HINT_ADMIN);
  const created = { username: ADMIN_USER, password: createSecret() };
  await replaceJson(paths.admin, created);
  return created;
}

/** Made when both files are absent: at the first start (which a crash may have cut off), and when the operator has removed them. */
async function loadCertificate(paths: NodePaths, cluster: string, wasStartedBefore: boolean): Promise<KeyPair> {
  const certificate = await readText(paths.certificate);
  const key = await readText(paths.key);
  if ((certificate === null && key === null) || ((certificate === null || key === null) && !wasStartedBefore)) {
    const created = await createCertificate(cluster);
    await replaceFile(paths.key, created.key);
    await replaceFile(paths.certificate, created.certificate);
    return created;
  }
  if (certificate === null) throw missing(paths.certificate, `${paths.key} is there`, HINT_CERTIFICATE);
  if (key === null) throw missing(paths.key, `${paths.certificate} is there`, HINT_CERTIFICATE);
  if (!isCertificate(certificate)) throw damagedCertificate(paths.certificate);
  if (!isKeyOf(certificate, key)) {
    throw new CrdbError('failed', `${paths.key} is damaged: it is not the key of ${paths.certificate}`, {
      hint: HINT_CERTIFICATE,
    });
  }
  return { certificate, key };
}

/** Admin ports that the other nodes of the home had last: one that is stopped wants its port back. */
async function adminPortsOf(home: string, clusters: readonly string[]): Promise<ReadonlySet<number>> {
  const records = await Promise.all(
    clusters.map((cluster) => readJson(nodePaths(home, cluster).record, nodeRecord).catch(() => null)),
  );
  return new Set(records.flatMap((record) => (record === null ? [] : [record.adminPort])));
}

/** Returns the port. The other nodes remember the address, so the one used before comes first. */
async function listen(
  server: ReturnType<typeof createAdminServer>,
  host: string,
  port: {
    readonly asked: number | undefined;
    readonly usedBefore: number | undefined;
    /** Of other nodes: not chosen, and had when asked for. */
    readonly promised: ReadonlySet<number>;
  },
): Promise<number> {
  const next = Array.from({ length: ADMIN_PORTS_TRIED_MAX }, (_, index) => ADMIN_PORT_DEFAULT + index).filter(
    (one) => !port.promised.has(one),
  );
  const candidates =
    port.asked !== undefined ? [port.asked] : [...(port.usedBefore === undefined ? [] : [port.usedBefore]), ...next];
  for (const candidate of candidates) {
    try {
      await server.listen({ host, port: candidate });
      return candidate;
    } catch (error) {
      if (port.asked === undefined && isUnavailable(error)) continue;
      throw await explainListenFailure(error, { host, port: candidate, what: 'The admin port', flag: '--admin-port' });
    }
  }
  throw new CrdbError('port_in_use', `No admin port from ${ADMIN_PORT_DEFAULT} on is free on ${host}`, {
    hint: 'Choose another one with --admin-port.',
  });
}

/** Creating a hard link is atomic and fails when the name exists: the lock is there with its content, or not at all. */
async function takeLock(paths: NodePaths, cluster: string, self: ProcessIdentity): Promise<void> {
  const own = `${paths.lock}.${createSuffix()}.tmp`;
  try {
    await writeFile(own, JSON.stringify(self), { mode: SECRET_MODE });
    for (;;) {
      try {
        await link(own, paths.lock);
        return;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const holder = await findLockHolder(paths);
      if (holder !== null) {
        throw new CrdbError('node_already_running', `The node of ${cluster} is already running, process ${holder.pid}`);
      }
      await rm(paths.lock, { force: true });
    }
  } catch (error) {
    if (codeOf(error) === 'ENOSPC') throw diskFull(paths.directory);
    throw error;
  } finally {
    await rm(own, { force: true });
  }
}
