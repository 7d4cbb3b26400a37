/**
 * Folders of databases that cannot be used: what can still be told about them, so that they are shown, keep their name and their port, and
 * can be brought back. Nothing here throws: this is where others have failed.
 *
 * database.json is the same on all clusters of the database, instance.json can be made from it, and the data is the instance's own:
 * so there is a way back from the loss of any one file.
 */
import { databaseRecord, type DamagedDatabase } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import { reasonOf } from '../base/error-shape.ts';
import { readJson, readText } from './files.ts';
import { databasePaths, listFolders, nodePaths, type DatabasePaths } from './home.ts';
import { instanceConfig } from './instance-file.ts';

export interface Traces {
  readonly name: string | null;
  /** What the endpoint listens on. */
  readonly host: string | null;
  readonly port: number | null;
}

/** From whichever file can be read, else from what is left of the text of one: they begin with the name. */
export async function findTraces(paths: DatabasePaths, cluster: string): Promise<Traces> {
  const config = await readJson(paths.config, instanceConfig).catch(() => null);
  if (config !== null) return config;
  const record = await readJson(paths.record, databaseRecord).catch(() => null);
  const instance = record?.instances.find((one) => one.cluster.name === cluster);
  if (record !== null && instance !== undefined)
    return { name: record.name, host: instance.host, port: instance.db_config.port };
  const configText = (await readText(paths.config).catch(() => null)) ?? '';
  const recordText = (await readText(paths.record).catch(() => null)) ?? '';
  const port = /"port":\s*(\d{1,5})\b/.exec(configText)?.[1];
  return {
    name: /"name":\s*"([A-Za-z0-9-]+)"/.exec(configText + recordText)?.[1] ?? null,
    host: /"host":\s*"([^"\\]+)"/.exec(configText)?.[1] ?? null,
    port: port === undefined ? null : Number(port),
  };
}

export async function describeDamage(
  { paths, guid, cluster }: { readonly paths: DatabasePaths; readonly guid: string; readonly cluster: string },
  error: unknown,
): Promise<DamagedDatabase> {
  const { name, port } = await findTraces(paths, cluster);
  const hint = error instanceof CrdbError && error.hint !== '' ? error.hint : `Read the node's log.`;
  return { guid, name, port, reason: reasonOf(error), hint };
}

/** An error about a file of a database with the way back from it. */
export function withWayBack(error: unknown, paths: DatabasePaths, cluster: string): CrdbError {
  const message = reasonOf(error);
  const again = `start the node again: crdb-cli node stop ${cluster}, crdb-cli node start --name ${cluster} --detach`;
  const hint = message.includes(paths.config)
    ? `Move ${paths.config} away (it is made anew from database.json, with all links running), and ${again}`
    : `Put a copy of database.json there (every node of this database has the same one in its databases/GUID folder), and ${again}`;
  return new CrdbError('failed', message, { hint, cause: error });
}

export interface PortOwner {
  readonly cluster: string;
  readonly database: string;
  readonly host: string;
}

/**
 * Ports of the instances of all other nodes of a home, running or not: the port of one that is stopped looks free and is promised to its
 * applications.
 */
export async function portsOfOtherNodes(home: string, clusters: readonly string[]): Promise<Map<number, PortOwner>> {
  const ports = new Map<number, PortOwner>();
  for (const cluster of clusters) {
    const node = nodePaths(home, cluster);
    for (const guid of await listFolders(node.databases).catch(() => [])) {
      const { name, host, port } = await findTraces(databasePaths(node, guid), cluster);
      if (port !== null) ports.set(port, { cluster, database: name ?? guid, host: host ?? '0.0.0.0' });
    }
  }
  return ports;
}

/** Whether a listener on one of the addresses is in the way of one on the other. */
export function sharesPorts(one: string, other: string): boolean {
  const isEverywhere = (host: string): boolean => host === '0.0.0.0' || host === '::';
  return one === other || isEverywhere(one) || isEverywhere(other);
}
