/**
 * The state folder: where a node keeps what it is and what it runs, and how another process finds it.
 *
 *   <home>/nodes/<cluster>/
 *     node.json        name, admin address, and the daemon's process while one runs
 *     admin.json       the administrator's credentials
 *     cert.pem key.pem the certificate of the admin API, which clients pin
 *     daemon.lock      held by the running daemon
 *     node.log
 *     databases/<guid>/
 *       database.json  the database with all its instances: written last, so its presence makes the database exist
 *       instance.json  what the instance process is told (InstanceConfig)
 *       instance.pid   its process: pid and start time
 *       instance.log, data/
 *
 * The home is an argument everywhere; who reads the environment is the CLI's business.
 */
import { X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { reasonOf } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import { isAbsent, readJson, readText } from './files.ts';
import { isAlive, processIdentity, type ProcessIdentity } from './process-identity.ts';

export const nodeRecord = z.object({
  cluster: z.string(),
  /** Address on this machine, `https://127.0.0.1:9443`. */
  adminUrl: z.string(),
  adminPort: z.number().int(),
  /** What the admin API and the endpoints listen on. */
  host: z.string(),
  version: z.string(),
  /** The daemon; null when it was stopped. */
  process: processIdentity.nullable(),
});
export type NodeRecord = z.infer<typeof nodeRecord>;

export const adminCredentials = z.object({ username: z.string(), password: z.string() });
export type AdminCredentials = z.infer<typeof adminCredentials>;

/** A node of this home as another process sees it. */
export interface LocalNode extends NodeRecord {
  readonly alive: boolean;
  readonly credentials: AdminCredentials;
  /** PEM. */
  readonly certificate: string;
}

/** A node of this home whose files cannot be used: nothing is known but that. */
export interface DamagedNode {
  readonly cluster: string;
  /** What is wrong with which file, and what to do about it. */
  readonly damage: CrdbError;
}

export interface NodePaths {
  readonly directory: string;
  readonly record: string;
  readonly admin: string;
  readonly certificate: string;
  readonly key: string;
  readonly lock: string;
  readonly log: string;
  readonly databases: string;
}

export interface DatabasePaths {
  readonly directory: string;
  /** What the directory is called while it is being removed. */
  readonly removed: string;
  readonly record: string;
  readonly config: string;
  readonly pid: string;
  readonly log: string;
  readonly data: string;
}

const REMOVED_PREFIX = '.removed-';
const CLUSTER_NAME = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const CLUSTER_NAME_LENGTH_MAX = 253;

function isClusterName(name: string): boolean {
  return name.length <= CLUSTER_NAME_LENGTH_MAX && CLUSTER_NAME.test(name);
}

/** Throws invalid_request when the name is no FQDN: it becomes a folder's name and part of a certificate. */
export function nodePaths(home: string, cluster: string): NodePaths {
  if (!isClusterName(cluster)) {
    throw new CrdbError(
      'invalid_request',
      `"${cluster}" cannot be a cluster's name: letters, digits and hyphens, parts separated by dots`,
      {
        hint: 'Use a fully qualified domain name, such as eu.example.com',
      },
    );
  }
  const directory = join(nodesFolder(home), cluster);
  return {
    directory,
    record: join(directory, 'node.json'),
    admin: join(directory, 'admin.json'),
    certificate: join(directory, 'cert.pem'),
    key: join(directory, 'key.pem'),
    lock: join(directory, 'daemon.lock'),
    log: join(directory, 'node.log'),
    databases: join(directory, 'databases'),
  };
}

export function databasePaths(node: NodePaths, guid: string): DatabasePaths {
  const directory = join(node.databases, guid);
  return {
    directory,
    removed: join(node.databases, `${REMOVED_PREFIX}${guid}`),
    record: join(directory, 'database.json'),
    config: join(directory, 'instance.json'),
    pid: join(directory, 'instance.pid'),
    log: join(directory, 'instance.log'),
    data: join(directory, 'data'),
  };
}

export function isRemovedFolder(name: string): boolean {
  return name.startsWith(REMOVED_PREFIX);
}

/**
 * All nodes of the home that have ever been started, by name. An absent home has none. One that is damaged does not hide the
 * others, and a folder that is none of ours (lost+found) is no node.
 */
export async function listNodes(home: string): Promise<(LocalNode | DamagedNode)[]> {
  const names = await listClusters(home);
  const nodes = await Promise.all(
    names.map((cluster) => readNode(home, cluster).catch((damage: CrdbError) => ({ cluster, damage }))),
  );
  return nodes.filter((node) => node !== null);
}

/** Names of all nodes that the home has a folder of. */
export async function listClusters(home: string): Promise<string[]> {
  return (await listFolders(nodesFolder(home))).filter(isClusterName);
}

/** null when this home has no such node, or one that is just being made. Throws `failed` when its files are damaged or some are missing. */
export async function readNode(home: string, cluster: string): Promise<LocalNode | null> {
  const paths = nodePaths(home, cluster);
  const record = await readRecord(paths, cluster);
  if (record === null) {
    // node.json is written last at the first start, and removed by nobody.
    const holdsDatabases = (await listFolders(paths.databases)).length > 0;
    if (!holdsDatabases || (await findLockHolder(paths)) !== null) return null;
    throw missing(paths.record, `${paths.databases} holds databases`, wayBackOfRecord(cluster));
  }
  const credentials = await readJson(paths.admin, adminCredentials);
  if (credentials === null) throw missing(paths.admin, `${paths.record} is there`, HINT_ADMIN);
  const certificate = await readText(paths.certificate);
  if (certificate === null) throw missing(paths.certificate, `${paths.record} is there`, HINT_CERTIFICATE);
  if (!isCertificate(certificate)) throw damagedCertificate(paths.certificate);
  return { ...record, alive: isDaemonAlive(record), credentials, certificate };
}

/** null when absent. Throws `failed` when it is damaged, with the way back to a sound one. */
export async function readRecord(paths: NodePaths, cluster: string): Promise<NodeRecord | null> {
  try {
    return await readJson(paths.record, nodeRecord);
  } catch (error) {
    const daemon = await findLockHolder(paths);
    const runs = daemon !== null && daemon.pid !== process.pid;
    // A daemon that stops writes the file anew.
    const hint = runs
      ? `Stop the node, which writes the file anew, and start it again: crdb-cli node stop ${cluster}`
      : `Move the file away, and s${wayBackOfRecord(cluster).slice(1)}`;
    throw new CrdbError('failed', reasonOf(error), { hint, cause: error });
  }
}

export const HINT_ADMIN =
  'Put a copy of it back: the other nodes know this password. To have a new one made, move node.json away as well and start the node.';
export const HINT_CERTIFICATE =
  'Put copies of cert.pem and key.pem back: the other nodes pin the certificate. To have new ones made, remove both and start the node.';

function wayBackOfRecord(cluster: string): string {
  return `Start the node with the admin port that it had: crdb-cli node start --name ${cluster} --admin-port PORT --detach`;
}

export function missing(path: string, although: string, hint: string): CrdbError {
  return new CrdbError('failed', `${path} is missing, though ${although}`, { hint });
}

export function damagedCertificate(path: string): CrdbError {
  return new CrdbError('failed', `${path} is damaged: it is no PEM certificate`, { hint: HINT_CERTIFICATE });
}

export function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

/** The daemon that runs, or is starting: a lock whose process is dead is nobody's. */
export async function findLockHolder(paths: NodePaths): Promise<ProcessIdentity | null> {
  const holder = await readJson(paths.lock, processIdentity).catch(() => null);
  return holder !== null && isAlive(holder) ? holder : null;
}

/** Whether the daemon of the record still runs: its pid is alive and was started when the record says. */
export function isDaemonAlive(record: NodeRecord): boolean {
  return record.process !== null && isAlive(record.process);
}

/** Names of the folders in a folder, sorted; an absent folder is empty. */
export async function listFolders(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

function nodesFolder(home: string): string {
  return join(home, 'nodes');
}
