/** `crdb-cli sync status`: what every instance pulls from every other, seen from the pulling side. */
import type { SyncStatus } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ControlPlane, KnownNode } from './control-plane.ts';
import { instanceDocuments, type InstanceDocument } from './documents.ts';
import { CLOCK_DRIFT_MS_MAX } from './limits.ts';
import { bytesText, durationText, numberText, table, visibleLength, type Style } from './output.ts';
import { processNote, processStyle, processWord } from './process-text.ts';
import { findDatabase, startHint, whyDown, whyUnknown, type Damaged } from './survey.ts';

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
  /** `unreachable`: its node does not answer, `links` is empty. */
  readonly process: SyncStatus['process'] | 'unreachable';
  readonly loading: SyncStatus['loading'];
  readonly unresponsive: SyncStatus['unresponsive'];
  readonly stopping: SyncStatus['stopping'];
  /** null: not known. */
  readonly keys: number | null;
  readonly replication_id: string | null;
  readonly offset: number | null;
  /** Why there is nothing to say about it, or how its process ended last. */
  readonly error: string | null;
  readonly links: readonly Link[];
}

/** How far the result may reach on one line; Infinity where no terminal breaks it. */
export interface SyncStatusLook {
  readonly style: Style;
  readonly columns: number;
}

export async function syncStatus(control: ControlPlane, nameOrGuid: string): Promise<SyncStatusDocument> {
  const { database, nodes, damaged } = await findDatabase(control, nameOrGuid);
  const instances = await Promise.all(
    instanceDocuments(database).map((instance) =>
      askInstance({ control, nodes, damaged, guid: database.guid }, instance),
    ),
  );
  return { guid: database.guid, name: database.name, instances };
}

interface Asking {
  readonly control: ControlPlane;
  readonly nodes: readonly KnownNode[];
  readonly damaged: readonly Damaged[];
  readonly guid: string;
}

async function askInstance(
  { control, nodes, damaged, guid }: Asking,
  { id, cluster, endpoint }: InstanceDocument,
): Promise<InstanceSyncDocument> {
  const unreachable = (error: string): InstanceSyncDocument => ({
    id,
    cluster,
    endpoint,
    process: 'unreachable',
    ...{ loading: null, unresponsive: null, stopping: null, keys: null },
    replication_id: null,
    offset: null,
    error,
    links: [],
  });
  const node = nodes.find((known) => known.cluster.name === cluster);
  if (node === undefined) return unreachable(whyUnknown(cluster, damaged));
  if (!node.running) return unreachable(`${cluster} ${whyDown(node)}; ${startHint([node])}`);
  try {
    const status = await control.api(node.cluster).syncStatus(guid);
    const { process, loading, unresponsive, stopping, keys, replication_id, offset, links } = status;
    const details = { process, loading, unresponsive, stopping };
    const error = process === 'running' ? null : (processNote(details) ?? status.last_exit);
    return { id, cluster, endpoint, ...details, keys, replication_id, offset, error, links };
  } catch (error) {
    if (error instanceof CrdbError && error.code !== 'bug') return unreachable(error.message);
    throw error;
  }
}

export function syncStatusText({ name, guid, instances }: SyncStatusDocument, look: SyncStatusLook): string {
  const title = `${look.style.heading(name)} (${guid})`;
  return [title, ...instances.map((instance) => instanceText(instance, look))].join('\n\n');
}

function instanceText(instance: InstanceSyncDocument, look: SyncStatusLook): string {
  const { style } = look;
  const { id, cluster, endpoint, process, offset, error, links } = instance;
  const state =
    process === 'unreachable'
      ? style.bad(process)
      : processStyle({ ...instance, process }, style)(processWord({ ...instance, process }));
  const position = offset === null ? '' : `, offset ${offset}`;
  const title = `${style.heading(`instance ${id}`)}  ${cluster}  ${endpoint}  ${state}${position}`;
  const lines = [
    ...(error === null ? [] : [error]),
    ...(links.length > 0 ? linkLines(links, look) : error === null ? ['no links'] : []),
  ];
  return [title, ...lines.map((line) => `${INDENT}${line}`)].join('\n');
}

/** The last sync is a sentence: in the table where there is room for it, otherwise below the row that it belongs to. */
function linkLines(links: readonly Link[], { style, columns }: SyncStatusLook): string[] {
  const header = ['FROM', 'STATE', 'LAG OPS', 'LAG TIME', 'CLOCK', 'BACKLOG', 'PARTIAL', 'FULL'];
  const rows = links.map((link) => [
    `${link.from} (${link.cluster})`,
    stateText(link, style),
    `${link.lag_operations}`,
    link.lag_ms === null ? 'never level' : durationText(link.lag_ms),
    clockText(link, style),
    link.backlog_covered === null ? 'unknown' : link.backlog_covered ? 'covered' : 'not covered',
    link.syncs === null ? '-' : `${link.syncs.partial_ok}`,
    link.syncs === null ? '-' : `${link.syncs.full}`,
  ]);
  const lastSyncs = links.map((link) => link.last_sync?.reason ?? 'none');
  const notes = links.flatMap((link) => notesOf(link).map((note) => `from ${link.from}: ${note}`));
  const wide = table(
    [...header, 'LAST SYNC'],
    rows.map((row, index) => [...row, lastSyncs[index]!]),
    style,
  ).split('\n');
  if (wide.every((line) => INDENT.length + visibleLength(line) <= columns)) return [...wide, ...notes];
  const [title = '', ...lines] = table(header, rows, style).split('\n');
  return [title, ...lines.flatMap((line, index) => [line, `${INDENT}last sync ${lastSyncs[index]}`]), ...notes];
}

function stateText({ state, full_sync: fullSync }: Link, style: Style): string {
  if (state === 'full-sync' && fullSync?.percent != null) return `${state} ${fullSync.percent} %`;
  if (state === 'streaming') return style.good(state);
  return state === 'paused' || state === 'waiting' ? style.careful(state) : state;
}

/** How far the other's clock is ahead (+) or behind (-). */
function clockText({ clock_drift_ms: driftMs }: Link, style: Style): string {
  if (driftMs === null) return 'unknown';
  const text = `${driftMs < 0 ? '-' : '+'}${durationText(Math.abs(driftMs))}`;
  return Math.abs(driftMs) > CLOCK_DRIFT_MS_MAX ? style.bad(text) : text;
}

/** "1,200,000 keys, 300.0 MB of 660.0 MB (45 %)" */
export function fullSyncText({ keys, bytes, total_bytes: total, percent }: NonNullable<Link['full_sync']>): string {
  const share = total === null ? '' : ` of ${bytesText(total)}`;
  return `${numberText(keys)} keys, ${bytesText(bytes)}${share}${percent === null ? '' : ` (${percent} %)`}`;
}

function notesOf({ last_error: lastError, endpoint, clock_drift_ms: driftMs, full_sync: fullSync }: Link): string[] {
  const notes = fullSync === null ? [] : [`full sync: ${fullSyncText(fullSync)}`];
  if (lastError !== null) notes.push(`${endpoint}: ${lastError}`);
  if (driftMs !== null && Math.abs(driftMs) > CLOCK_DRIFT_MS_MAX) {
    const direction = driftMs > 0 ? 'ahead of' : 'behind';
    notes.push(
      `its clock is ${durationText(Math.abs(driftMs))} ${direction} this one's, and the later writer wins by them: set both by NTP`,
    );
  }
  return notes;
}

const INDENT = '  ';
