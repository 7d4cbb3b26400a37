/**
 * `crdb-cli sync pause` and `sync resume`: stop or go on pulling. A pause is the puller's: to cut two instances off from
 * each other, both have to pause. Either every node that is concerned can be reached, or nothing is changed.
 */
import type { Crdb } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ClusterInfo, ControlPlane, KnownNode } from './control-plane.ts';
import { chooseLinks } from './links.ts';
import { count } from './output.ts';
import { findDatabase, startHint, whyDown, whyUnknown, type Damaged } from './survey.ts';

export interface ChangeSyncOptions {
  readonly nameOrGuid: string;
  readonly action: 'pause' | 'resume';
  /** The instance that pulls; absent: all. */
  readonly instance: number | undefined;
  /** The instance that is pulled from; absent: all. */
  readonly from: number | undefined;
  readonly dryRun: boolean;
  /** With `resume`: clocks of the other side that are too far ahead are accepted. */
  readonly acceptClock?: boolean;
}

export interface ChangeSyncDocument {
  readonly status: 'paused' | 'already_paused' | 'resumed' | 'already_running' | 'planned';
  readonly guid: string;
  readonly name: string;
  readonly instances: readonly {
    readonly id: number;
    readonly cluster: string;
    /** Instances that this one pulls from, as far as the command concerns them. */
    readonly from: readonly number[];
    readonly changed: boolean;
  }[];
}

interface Concerned {
  readonly id: number;
  readonly cluster: ClusterInfo;
  readonly from: readonly number[];
}

/** The signal is heeded until the first change; what has begun is brought to its end. */
export async function changeSync(
  options: ChangeSyncOptions,
  control: ControlPlane,
  signal?: AbortSignal,
): Promise<ChangeSyncDocument> {
  const { action, from, acceptClock = false } = options;
  const { database, nodes, damaged } = await findDatabase(control, options.nameOrGuid);
  const { guid, name } = database;
  const concerned = concernedInstances(options, { database, nodes, damaged });
  await Promise.all(concerned.map(({ cluster }) => control.api(cluster).syncStatus(guid)));
  signal?.throwIfAborted();
  const instances = [];
  for (const { id, cluster, from: sources } of concerned) {
    const change = {
      action,
      ...(from === undefined ? {} : { from }),
      ...(acceptClock ? { accept_clock: true } : {}),
    };
    const changed = options.dryRun ? false : (await control.api(cluster).changeSync(guid, change)).changed;
    instances.push({ id, cluster: cluster.name, from: sources, changed });
  }
  const anyChanged = instances.some(({ changed }) => changed);
  return { status: options.dryRun ? 'planned' : statusOf(action, anyChanged), guid, name, instances };
}

interface Known {
  readonly database: Crdb;
  readonly nodes: readonly KnownNode[];
  readonly damaged: readonly Damaged[];
}

function concernedInstances(choice: ChangeSyncOptions, known: Known): Concerned[] {
  const links = chooseLinks(choice, known.database);
  const pullers = [...new Set(links.map(({ instance }) => instance))];
  return pullers.map((id) => ({
    id,
    cluster: clusterOf(id, known),
    from: links.filter(({ instance }) => instance === id).map(({ from }) => from),
  }));
}

function clusterOf(id: number, { database, nodes, damaged }: Known): ClusterInfo {
  const cluster = database.instances.find((instance) => instance.id === id)!.cluster.name;
  const node = nodes.find((known) => known.cluster.name === cluster);
  if (node?.running === true) return node.cluster;
  const why = node === undefined ? whyUnknown(cluster, damaged) : `${cluster} ${whyDown(node)}`;
  throw new CrdbError('node_unreachable', `Nothing was changed: instance ${id} cannot be reached, ${why}`, {
    hint: startHint(node === undefined ? [] : [node]),
  });
}

function statusOf(action: 'pause' | 'resume', changed: boolean): ChangeSyncDocument['status'] {
  if (action === 'pause') return changed ? 'paused' : 'already_paused';
  return changed ? 'resumed' : 'already_running';
}

export function changeSyncText({ status, name, instances }: ChangeSyncDocument): string {
  const already = status === 'paused' ? ' (was paused already)' : status === 'resumed' ? ' (was running already)' : '';
  const lines = instances.map(
    ({ id, cluster, from, changed }) =>
      `  instance ${id} (${cluster}) from ${from.join(', ')}${changed ? '' : already}`,
  );
  const title = {
    paused: `Paused ${name}; writes are accepted everywhere, these do not pull`,
    already_paused: `${name} was paused already`,
    resumed: `Resumed ${name}`,
    already_running: `${name} was running already`,
    planned: `Would change ${count(instances.length, 'instance')} of ${name}; nothing was changed`,
  }[status];
  return [`${title}:`, ...lines].join('\n');
}
