/**
 * `crdb-cli sync resync`: links sync anew, now. A partial resync asks for what is missing, as after a lost connection; a full one
 * receives the whole data set and merges it, and flushes nothing. Either also starts a link again that an error has stopped.
 *
 * All that can be known to fail is refused before anything is ordered: a paused link, a node that cannot be asked, a source that is down.
 */
import type { Crdb, SyncStatus } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ClusterInfo, ControlPlane, KnownNode } from './control-plane.ts';
import { followResync, type Outcome } from './follow-resync.ts';
import { chooseLinks } from './links.ts';
import { count, numberText } from './output.ts';
import type { Confirmation } from './prompt.ts';
import type { Steps } from './steps.ts';
import { findDatabase, startHint, whyDown, whyUnknown, type Damaged } from './survey.ts';
import type { Waiting } from './waiting.ts';

export interface ResyncOptions {
  readonly nameOrGuid: string;
  /** The instance that pulls; undefined: all. */
  readonly instance: number | undefined;
  /** The instance that is pulled from; undefined: all. */
  readonly from: number | undefined;
  readonly full: boolean;
  /** Returns when all links stream again; otherwise as soon as it is ordered. */
  readonly wait: boolean;
  readonly dryRun: boolean;
}

export interface ResyncServices {
  readonly control: ControlPlane;
  readonly steps: Steps;
  readonly waiting: Waiting;
  readonly signal: AbortSignal;
  readonly confirmation: Confirmation;
  /** Called with the plan before the question is asked. */
  readonly show: (text: string) => void;
}

export interface ResyncDocument {
  readonly status: 'resynced' | 'ordered' | 'planned';
  readonly guid: string;
  readonly name: string;
  /** What was asked for; a partial one becomes full where the log of the other side does not reach back. */
  readonly full: boolean;
  readonly links: readonly ResyncLinkDocument[];
}

export interface ResyncLinkDocument {
  /** The instance that pulls. */
  readonly instance: number;
  readonly cluster: string;
  readonly from: number;
  /** What was done and why, once it is done; null before. */
  readonly kind: 'partial' | 'full' | null;
  readonly reason: string | null;
}

/** A link with what is needed to order it and to tell its new sync from the one before. */
export interface LinkToSync {
  readonly instance: number;
  readonly cluster: ClusterInfo;
  readonly from: number;
  readonly before: SyncStatus['links'][number];
}

export async function resync(options: ResyncOptions, services: ResyncServices): Promise<ResyncDocument> {
  const { full } = options;
  const { control, steps, waiting, signal, confirmation, show } = services;
  const { database, nodes, damaged } = await findDatabase(control, options.nameOrGuid);
  const { guid, name } = database;
  const { links, keys } = await planLinks(options, { database, control, nodes, damaged });
  const documentOf = (status: ResyncDocument['status'], outcomes: readonly Outcome[] | null): ResyncDocument => ({
    ...{ status, guid, name, full },
    links: links.map(({ instance, cluster, from }, index) => {
      const { kind = null, reason = null } = outcomes?.[index] ?? {};
      return { instance, cluster: cluster.name, from, kind, reason };
    }),
  });
  const planned = documentOf('planned', null);
  if (options.dryRun) return planned;
  show(resyncPlanText(planned, keys));
  await confirmation.confirm(`${full ? 'Sync fully' : 'Sync'} ${count(links.length, 'link')} of ${name} anew?`);
  signal.throwIfAborted();
  if (!options.wait) {
    await orderAll(links, { control, guid, full });
    return documentOf('ordered', null);
  }
  const outcomes = await steps.run(`Syncing ${count(links.length, 'link')} of ${name}`, async (report) => {
    await orderAll(links, { control, guid, full });
    return followResync(links, { control, guid, name, full, waiting, signal, report });
  });
  return documentOf('resynced', outcomes);
}

async function orderAll(
  links: readonly LinkToSync[],
  { control, guid, full }: { readonly control: ControlPlane; readonly guid: string; readonly full: boolean },
): Promise<void> {
  for (const { cluster, from } of links) await control.api(cluster).resync(guid, { from, full });
}

/** The links, and how many keys their sources have in all (null: not all of them say). */
async function planLinks(
  options: ResyncOptions,
  parts: Parts,
): Promise<{ readonly links: readonly LinkToSync[]; readonly keys: number | null }> {
  const { database } = parts;
  const chosen = chooseLinks(options, database);
  const ids = new Set(chosen.flatMap(({ instance, from }) => [instance, from]));
  const seen = new Map(await Promise.all([...ids].map(async (id) => [id, await lookAt(id, parts)] as const)));
  const links = chosen.map(({ instance, from }) => {
    const puller = seen.get(instance)!;
    if (!('status' in puller)) throw puller.problem;
    return { instance, from, cluster: puller.cluster, before: linkOf(puller.status, from, database.name) };
  });
  for (const { instance, from, before } of links) {
    if (before.state === 'paused') {
      throw new CrdbError('link_paused', `Nothing was changed: instance ${instance} has paused pulling from ${from}`, {
        hint: `crdb-cli sync resume ${database.name} --instance ${instance} --from ${from}`,
      });
    }
    // A link that streams has its source, whoever of its node answers here.
    const source = seen.get(from)!;
    if (before.state !== 'streaming' && 'problem' in source) throw source.problem;
  }
  const sources = [...new Set(links.map(({ from }) => from))].map((id) => {
    const source = seen.get(id)!;
    return 'status' in source ? source.status.keys : null;
  });
  return { links, keys: sources.reduce((sum, keys) => (sum === null || keys === null ? null : sum + keys), 0) };
}

interface Parts {
  readonly database: Crdb;
  readonly control: ControlPlane;
  readonly nodes: readonly KnownNode[];
  readonly damaged: readonly Damaged[];
}

type Look = { readonly cluster: ClusterInfo; readonly status: SyncStatus } | { readonly problem: CrdbError };

/** An instance that can take part: its node answers, its process runs. */
async function lookAt(id: number, { database, control, nodes, damaged }: Parts): Promise<Look> {
  const name = database.instances.find((instance) => instance.id === id)!.cluster.name;
  const node = nodes.find((known) => known.cluster.name === name);
  const unreachable = (why: string, hint: string): Look => ({
    problem: new CrdbError('node_unreachable', `Nothing was changed: instance ${id} cannot be reached, ${why}`, {
      hint,
    }),
  });
  if (node === undefined) return unreachable(whyUnknown(name, damaged), 'crdb-cli node status');
  if (!node.running) return unreachable(`${name} ${whyDown(node)}`, startHint([node]));
  try {
    const status = await control.api(node.cluster).syncStatus(database.guid);
    if (status.process === 'running') return { cluster: node.cluster, status };
    const text = `Nothing was changed: instance ${id} on ${name} is ${status.process}, it cannot take part in a sync now`;
    return { problem: new CrdbError('instance_failed', text, { hint: `crdb-cli node status ${name}` }) };
  } catch (error) {
    if (error instanceof CrdbError && error.code === 'node_unreachable') return unreachable(error.message, error.hint);
    throw error;
  }
}

function linkOf({ links, instance }: SyncStatus, from: number, name: string): SyncStatus['links'][number] {
  const link = links.find((one) => one.from === from);
  if (link !== undefined) return link;
  throw new CrdbError('instance_not_found', `Instance ${instance} of ${name} has no link from ${from}`);
}

function resyncPlanText({ name, full, links }: ResyncDocument, keys: number | null): string {
  const what = full
    ? `the whole data set is sent${keys === null ? '' : ` (${numberText(keys)} keys in all)`} and merged; nothing is flushed`
    : 'what is missing is sent, by a full sync where the log of the other side does not reach back';
  const lines = links.map(({ instance, cluster, from }) => `  instance ${instance} (${cluster}) from ${from}`);
  return [`This syncs ${count(links.length, 'link')} of ${name} anew: ${what}.`, ...lines].join('\n');
}

export function resyncText(document: ResyncDocument): string {
  const { status, name, links } = document;
  if (status === 'planned') return `${resyncPlanText(document, null)}\nNothing was changed.`;
  const lines = links.map(
    ({ instance, cluster, from, reason }) =>
      `  instance ${instance} (${cluster}) from ${from}${reason === null ? '' : `  ${reason}`}`,
  );
  const title = status === 'ordered' ? `Ordered; see crdb-cli sync status ${name} --watch` : `Synced ${name}`;
  return [`${title}:`, ...lines].join('\n');
}
