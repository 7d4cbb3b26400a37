/** `crdb-cli sync status`: what every instance pulls from every other, seen from the pulling side. */
import type { SyncStatus } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ControlPlane, KnownNode } from './control-plane.ts';
import { instanceDocuments, type InstanceDocument } from './documents.ts';
import { durationText, table, type Style } from './output.ts';
import { findDatabase } from './survey.ts';

type Link = SyncStatus['links'][number];

export interface SyncStatusDocument {
  readonly guid: string;
  readonly name: string;
  readonly instances: readonly InstanceSyncDocument[];
}

export interface InstanceSyncDocument {
  readonly id: number;
  readonly cluster: string;
  readonly endpoint: string;
  /** `unreachable`: its node does not answer; `error` says why and `links` is empty. */
  readonly process: SyncStatus['process'] | 'unreachable';
  readonly replication_id: string | null;
  readonly offset: number | null;
  readonly error: string | null;
  readonly links: readonly Link[];
}

export async function syncStatus(control: ControlPlane, nameOrGuid: string): Promise<SyncStatusDocument> {
  const { database, nodes } = await findDatabase(control, nameOrGuid);
  const instances = await Promise.all(
    instanceDocuments(database).map((instance) => askInstance(control, nodes, database.guid, instance)),
  );
  return { guid: database.guid, name: database.name, instances };
}

async function askInstance(
  control: ControlPlane,
  nodes: readonly KnownNode[],
  guid: string,
  { id, cluster, endpoint }: InstanceDocument,
): Promise<InstanceSyncDocument> {
  const unreachable = (error: string): InstanceSyncDocument => ({
    id,
    cluster,
    endpoint,
    process: 'unreachable',
    replication_id: null,
    offset: null,
    error,
    links: [],
  });
  const node = nodes.find((known) => known.cluster.name === cluster);
  if (node === undefined) return unreachable(`this home has no credentials for ${cluster}`);
  if (!node.running) return unreachable(`${cluster} is stopped`);
  try {
    const { process, replication_id, offset, links } = await control.api(node.cluster).syncStatus(guid);
    return { id, cluster, endpoint, process, replication_id, offset, error: null, links };
  } catch (error) {
    if (error instanceof CrdbError && error.code !== 'bug') return unreachable(error.message);
    throw error;
  }
}

export function syncStatusText({ name, guid, instances }: SyncStatusDocument, style: Style): string {
  return [`${style.heading(name)} (${guid})`, ...instances.map((instance) => instanceText(instance, style))].join(
    '\n\n',
  );
}

function instanceText(instance: InstanceSyncDocument, style: Style): string {
  const { id, cluster, endpoint, process, offset, error, links } = instance;
  const state = process === 'running' ? style.good(process) : style.bad(process);
  const position = offset === null ? '' : `, offset ${offset}`;
  const title = `${style.heading(`instance ${id}`)}  ${cluster}  ${endpoint}  ${state}${position}`;
  if (error !== null) return `${title}\n  ${error}`;
  if (links.length === 0) return `${title}\n  no links`;
  const rows = links.map((link) => [
    `${link.from} (${link.cluster})`,
    stateText(link, style),
    `${link.lag_operations}`,
    link.lag_ms === null ? 'never level' : durationText(link.lag_ms),
    link.last_sync?.reason ?? 'none',
    link.backlog_covered === null ? 'unknown' : link.backlog_covered ? 'covered' : 'not covered',
  ]);
  const lines = table(['FROM', 'STATE', 'LAG OPS', 'LAG TIME', 'LAST SYNC', 'BACKLOG'], rows, style);
  const errors = links.flatMap((link) => (link.last_error === null ? [] : [`from ${link.from}: ${link.last_error}`]));
  return [
    title,
    ...`${lines}\n${errors.join('\n')}`
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
  ].join('\n');
}

function stateText({ state }: Link, style: Style): string {
  if (state === 'streaming') return style.good(state);
  return state === 'paused' || state === 'waiting' ? style.careful(state) : state;
}
