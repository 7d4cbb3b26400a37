/**
 * A node as a background process: started so that it outlives the command that started it, and stopped for good. After a stop
 * there is no process and no listener left, also when the daemon had been killed and its instances ran on alone.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AdminClient } from '../admin/client.ts';
import type { NodeStatus } from '../admin/contract.ts';
import { CrdbError, ERROR_KINDS, type ErrorCode } from '../errors.ts';
import { nodeEntry, type Entry } from './entries.ts';
import {
  absentFolders,
  diskFull,
  fileSize,
  isDiskFull,
  makeFolder,
  openLog,
  readJson,
  readLogTail,
  removeEmptyFolders,
  replaceJson,
} from './files.ts';
import {
  databasePaths,
  findLockHolder,
  listFolders,
  nodePaths,
  nodeRecord,
  readNode,
  type LocalNode,
  type NodePaths,
  type NodeRecord,
} from './home.ts';
import { instanceConfig } from './instance-file.ts';
import { findInstance, findRecordedProcess, stopInstance } from './instance-process.ts';
import {
  EXIT_POLL_MS,
  LOG_TAIL_LINES,
  NODE_READY_MS_MAX,
  NODE_SIGTERM_STALL_MS_MAX,
  NODE_SILENT_MS_MAX,
  NODE_STOP_LOOK_MS,
  READY_POLL_MS,
  SIGKILL_MS_MAX,
} from './limits.ts';
import { isAlive, signalProcess, type ProcessIdentity } from './process-identity.ts';
import { monotonicMs, pollUntil, sleep } from './system.ts';

export interface DetachOptions {
  readonly home: string;
  readonly cluster: string;
  readonly adminPort?: number;
  readonly host?: string;
  readonly version: string;
  /** The daemon's program; default this installation's. */
  readonly entry?: Entry;
  /** The instances' program, a plain script; default this installation's. */
  readonly instanceScript?: string;
}

/**
 * Returns when the admin API answers. Throws node_already_running; or what made the daemon end, with the last lines of its
 * log; or timed_out, after the daemon was ended again.
 */
export async function startDetached(options: DetachOptions): Promise<LocalNode> {
  const { home, cluster } = options;
  const paths = nodePaths(home, cluster);
  // What is damaged the daemon tells; some of it it makes anew.
  const existing = await readNode(home, cluster).catch(() => null);
  const running = existing?.alive === true ? existing.process : await findLockHolder(paths);
  if (running !== null) {
    throw new CrdbError('node_already_running', `The node of ${cluster} is already running, process ${running.pid}`);
  }
  const absent = await absentFolders(paths.directory);
  try {
    return await startDaemon(options, paths);
  } catch (error) {
    if (existing === null) await removeUnstarted(paths);
    await removeEmptyFolders(absent);
    throw error;
  }
}

async function startDaemon(options: DetachOptions, paths: NodePaths): Promise<LocalNode> {
  const { home, cluster } = options;
  await makeFolder(paths.directory);
  const log = await openLog(paths.log);
  const entry = options.entry ?? nodeEntry();
  const child = spawn(process.execPath, [...entry.flags, entry.script, ...argumentsOf(options)], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const exit = watchExit(child);
  await log.close();
  let node: LocalNode | null = null;
  await pollUntil({ withinMs: NODE_READY_MS_MAX, everyMs: READY_POLL_MS }, async () => {
    node = await answeringNode(home, cluster, child.pid);
    return node !== null || exit.ended();
  });
  if (node !== null) {
    child.unref();
    return node;
  }
  if (exit.ended()) throw await describeFailure(paths, log.sizeBytes, cluster, exit.how());
  await endProcess(paths, { pid: child.pid!, startTime: null }, {});
  await stopOrphans(paths);
  throw new CrdbError('timed_out', `The node of ${cluster} did not answer within ${NODE_READY_MS_MAX} ms`, {
    hint: `Read ${paths.log}`,
  });
}

export interface StopNodeOptions {
  /** Instances are killed instead of writing their last. */
  readonly force?: boolean;
  /** What it waits for. */
  readonly report?: (detail: string) => void;
}

/**
 * Stops the daemon with its instances, and whatever instance a dead daemon has left. Returns false when nothing of it ran. Takes as long
 * as the instances need to write their last, unless forced. Damaged files do not keep it from that. Throws node_not_found; failed when a
 * process cannot be ended, or when nothing ran and the files are damaged.
 */
export async function stopNode(home: string, cluster: string, options: StopNodeOptions = {}): Promise<boolean> {
  const paths = nodePaths(home, cluster);
  let damage: unknown = null;
  const node = await readNode(home, cluster).catch((error: unknown) => {
    damage = error;
    return null;
  });
  const daemon = await findDaemon(paths, node);
  if (node === null && daemon === null && damage === null)
    throw new CrdbError('node_not_found', `There is no node "${cluster}" in ${home}`);
  if (daemon !== null) await stopDaemon(paths, node, daemon, options);
  const orphans = await stopOrphans(paths, options);
  await rm(paths.lock, { force: true });
  const ran = daemon !== null || orphans > 0;
  if (damage !== null && !ran) throw damage;
  const record = await readJson(paths.record, nodeRecord).catch(() => null);
  if (record !== null && record.process !== null) {
    // Who reads it looks whether the process lives: on a full disk that has to do.
    await replaceJson(paths.record, { ...record, process: null } satisfies NodeRecord).catch(() => {});
  }
  return ran;
}

/** Stops the node and removes everything it ever kept, data included. Absent is fine. */
export async function removeNode(home: string, cluster: string): Promise<void> {
  const paths = nodePaths(home, cluster);
  if ((await readNode(home, cluster)) !== null) await stopNode(home, cluster, { force: true });
  await rm(paths.directory, { recursive: true, force: true });
}

/** The running daemon: the record names it, and the lock already while it is still starting. */
async function findDaemon(paths: NodePaths, node: LocalNode | null): Promise<ProcessIdentity | null> {
  if (node !== null && node.process !== null && node.alive) return node.process;
  return findLockHolder(paths);
}

async function stopDaemon(
  paths: NodePaths,
  node: LocalNode | null,
  daemon: ProcessIdentity,
  options: StopNodeOptions,
): Promise<void> {
  if (
    node?.alive === true &&
    (await ordersShutdown(node, options)) &&
    (await endsWhileItAnswers(node, daemon, options))
  )
    return;
  await endProcess(paths, daemon, options);
}

/** Until it is gone (true), or has been silent for long (false): its API goes last, after the instances. */
async function endsWhileItAnswers(
  node: LocalNode,
  daemon: ProcessIdentity,
  { report = () => {} }: StopNodeOptions,
): Promise<boolean> {
  const client = clientOf(node);
  let heardMs = monotonicMs();
  try {
    while (isAlive(daemon)) {
      const status = await client.nodeStatus().catch(() => null);
      if (status !== null) heardMs = monotonicMs();
      if (status !== null) report(describeStopping(status));
      if (monotonicMs() - heardMs > NODE_SILENT_MS_MAX) return false;
      await sleep(status === null ? EXIT_POLL_MS : NODE_STOP_LOOK_MS);
    }
    return true;
  } finally {
    await client.close();
  }
}

/** "orders: 12.0 MB written in 3.1 s", for every instance that still runs. */
function describeStopping({ instances }: NodeStatus): string {
  return instances
    .filter(({ stopping }) => stopping !== null)
    .map(({ name, stopping }) => stopWords(name, stopping!.written_bytes))
    .join(', ');
}

function stopWords(name: string, writtenBytes: number): string {
  return writtenBytes === 0 ? name : `${name}: ${(writtenBytes / 1_000_000).toFixed(1)} MB written`;
}

/** SIGTERM, and SIGKILL when its log stands still after that. The instances outlive it. */
async function endProcess(
  paths: NodePaths,
  daemon: ProcessIdentity,
  { force = false }: StopNodeOptions,
): Promise<void> {
  if (!force && (!signalProcess(daemon, 'SIGTERM') || (await endsWhileItLogs(paths, daemon)))) return;
  const endsWithin = () => pollUntil({ withinMs: SIGKILL_MS_MAX, everyMs: EXIT_POLL_MS }, () => !isAlive(daemon));
  if (!signalProcess(daemon, 'SIGKILL') || (await endsWithin())) return;
  throw new CrdbError('failed', `The process ${daemon.pid} of the node in ${paths.directory} cannot be ended`);
}

async function endsWhileItLogs(paths: NodePaths, daemon: ProcessIdentity): Promise<boolean> {
  let movedMs = monotonicMs();
  let before = await fileSize(paths.log);
  while (isAlive(daemon)) {
    const size = await fileSize(paths.log);
    if (size !== before) movedMs = monotonicMs();
    before = size;
    if (monotonicMs() - movedMs > NODE_SIGTERM_STALL_MS_MAX) return false;
    await sleep(EXIT_POLL_MS);
  }
  return true;
}

async function ordersShutdown(node: LocalNode, { force = false }: StopNodeOptions): Promise<boolean> {
  const client = clientOf(node);
  try {
    await client.shutdown({ force });
    return true;
  } catch {
    return false; // not answering: signals are next
  } finally {
    await client.close();
  }
}

/** A node that has never run leaves nothing behind, unless something is in its folder beside the log. */
async function removeUnstarted(paths: NodePaths): Promise<void> {
  const left = await readdir(paths.directory).catch(() => []);
  if (left.length === 1 && join(paths.directory, left[0]!) === paths.log)
    await rm(paths.directory, { recursive: true, force: true });
}

/** How many there were. One whose instance.json cannot be read is told to end by a signal. */
async function stopOrphans(
  paths: NodePaths,
  { force = false, report = () => {} }: StopNodeOptions = {},
): Promise<number> {
  let count = 0;
  for (const guid of await listFolders(paths.databases)) {
    const database = databasePaths(paths, guid);
    const config = await readJson(database.config, instanceConfig).catch(() => null);
    const orphan = config === null ? await findRecordedProcess(database) : await findInstance(database, config);
    if (orphan === null) continue;
    await stopInstance({
      ...{ paths: database, config, identity: orphan, isForced: () => force },
      onProgress: (writtenBytes) => report(stopWords(config?.name ?? guid, writtenBytes)),
    });
    count++;
  }
  return count;
}

/** The node when it is this child's and its API answers. */
async function answeringNode(home: string, cluster: string, pid: number | undefined): Promise<LocalNode | null> {
  const node = await readNode(home, cluster).catch(() => null);
  if (node === null || !node.alive || node.process?.pid !== pid) return null;
  const client = clientOf(node);
  try {
    await client.nodeStatus();
    return node;
  } catch {
    return null;
  } finally {
    await client.close();
  }
}

function clientOf(node: LocalNode): AdminClient {
  const { cluster, adminUrl, credentials, certificate } = node;
  return new AdminClient({ name: cluster, url: adminUrl, credentials, certificate });
}

function argumentsOf({ home, cluster, version, host, adminPort, instanceScript }: DetachOptions): string[] {
  const optional = (name: string, value: string | number | undefined) =>
    value === undefined ? [] : [`--${name}`, `${value}`];
  return [
    ...['--home', home, '--cluster', cluster, '--version', version],
    ...optional('host', host),
    ...optional('admin-port', adminPort),
    ...optional('instance-script', instanceScript),
  ];
}

function watchExit(child: ChildProcess): { ended(): boolean; how(): string } {
  let how: string | null = null;
  child.once('error', (error) => (how ??= error.message));
  child.once('exit', (code, signal) => (how ??= signal === null ? `exit code ${code}` : `killed by ${signal}`));
  return { ended: () => how !== null, how: () => how ?? '' };
}

/** The daemon's last line says what it was; its code is kept, so that a taken port is port_in_use here as well. */
async function describeFailure(paths: NodePaths, fromBytes: number, cluster: string, how: string): Promise<CrdbError> {
  const lines = await readLogTail(paths.log, fromBytes, LOG_TAIL_LINES);
  const last = parseFailure(lines.at(-1));
  if (last !== null) {
    return new CrdbError(last.code, `The node of ${cluster} did not start: ${last.reason}`, { hint: last.hint });
  }
  // Then it could not write why.
  if (await isDiskFull(paths.directory)) return diskFull(paths.directory);
  const text = lines.length === 0 ? '' : `\n${lines.join('\n')}`;
  return new CrdbError('failed', `The node of ${cluster} did not start (${how})${text}`, { hint: `Read ${paths.log}` });
}

interface Failure {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly hint: string;
}

function parseFailure(line: string | undefined): Failure | null {
  try {
    const value = JSON.parse(line ?? '') as { readonly event?: unknown } & {
      readonly [name in keyof Failure]?: unknown;
    };
    if (value.event !== 'node_failed' || typeof value.code !== 'string' || !Object.hasOwn(ERROR_KINDS, value.code))
      return null;
    return { code: value.code as ErrorCode, reason: String(value.reason), hint: String(value.hint ?? '') };
  } catch {
    return null;
  }
}
