/**
 * `crdb-cli create`: an Active-Active database that is ready to use, or nothing at all.
 *
 * start local nodes -> create through the admin API of the first (it coordinates the others) -> wait until every link of
 * every instance is streaming. Invariant: on failure or Ctrl-C everything this call did is taken back - the database is
 * deleted, nodes it made are stopped and removed, nodes that existed and were stopped are only stopped again, because
 * they may hold the data of other databases. What served before serves afterwards.
 */
import type { CrdbTask } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ClusterInfo, ControlPlane, KnownNode, NodeApi } from './control-plane.ts';
import { instanceDocuments, type InstanceDocument } from './documents.ts';
import { createRequestOf, type CreatePlan, type LocalParticipant, type Participant } from './plan-create.ts';
import { runTask, settleTask } from './run-task.ts';
import type { Steps } from './steps.ts';
import type { UndoStack } from './undo-stack.ts';
import { waitForStreaming } from './wait-for-streaming.ts';
import type { Waiting } from './waiting.ts';

export interface CreateServices {
  readonly control: ControlPlane;
  readonly steps: Steps;
  readonly waiting: Waiting;
  readonly signal: AbortSignal;
  /** Empty. The caller can tell from it what is not taken back yet. */
  readonly undo: UndoStack;
}

export interface CreatedDocument {
  readonly status: 'created';
  readonly guid: string;
  readonly name: string;
  readonly instances: readonly InstanceDocument[];
}

export async function createDatabase(plan: CreatePlan, services: CreateServices): Promise<CreatedDocument> {
  const { control, steps, signal, undo } = services;
  await refuseTakenName(control, plan.name);
  try {
    const clusters = await bringUpClusters(plan, services);
    const api = control.api(clusters[0]!);
    const guid = await create(plan, clusters, api, services);
    const database = (await api.listDatabases()).find((one) => one.guid === guid);
    if (database === undefined)
      throw new CrdbError('failed', `${clusters[0]!.name} does not know the database ${guid} it has just made`);
    const instances = instanceDocuments(database);
    await waitForStreaming(
      { guid, instances, apiOf: (name) => control.api(clusters.find((one) => one.name === name)!) },
      services,
    );
    const remote = plan.participants.flatMap((participant) =>
      participant.kind === 'remote' ? [participant.info] : [],
    );
    if (remote.length > 0) await control.remember(remote);
    signal.throwIfAborted();
    return { status: 'created', guid, name: plan.name, instances };
  } catch (error) {
    if (undo.isEmpty) throw error;
    throw await steps.run('Taking back what was done', () => undo.undoAll(error));
  }
}

/** Names are unique within what this home can see; asked before anything is started. */
export async function refuseTakenName(control: ControlPlane, name: string): Promise<void> {
  for (const { cluster, running } of await control.nodes()) {
    if (!running) continue;
    const taken = (await control.api(cluster).listDatabases()).find((database) => database.name === name);
    if (taken === undefined) continue;
    throw new CrdbError('database_exists', `There is already a database "${name}" (${taken.guid}) on ${cluster.name}`, {
      hint: `Choose another name, or remove it first: crdb-cli delete ${name}`,
    });
  }
}

/**
 * A local node whose files are damaged is there, holds data, and is neither started nor made anew. And clusters of other machines are
 * remembered in the end: where that cannot be done, nothing is begun.
 */
export async function refuseDamaged(
  control: ControlPlane,
  participants: readonly Participant[],
  known: ReadonlyMap<string, KnownNode>,
): Promise<void> {
  for (const { kind, cluster } of participants) {
    const damage = kind === 'local' ? known.get(cluster)?.damage : null;
    if (damage) throw damage;
  }
  if (!participants.some(({ kind }) => kind === 'remote')) return;
  const [file] = await control.damagedFiles();
  if (file !== undefined) throw file.damage;
}

/** Addresses and credentials of all participants, local ones started. One after the other: they choose free ports. */
async function bringUpClusters(plan: CreatePlan, services: CreateServices): Promise<ClusterInfo[]> {
  const known = new Map((await services.control.nodes()).map((node) => [node.cluster.name, node]));
  await refuseDamaged(services.control, plan.participants, known);
  const clusters: ClusterInfo[] = [];
  for (const participant of plan.participants) {
    services.signal.throwIfAborted();
    clusters.push(
      participant.kind === 'remote'
        ? participant.info
        : await bringUp(participant, known.get(participant.cluster), services),
    );
  }
  return clusters;
}

async function bringUp(
  { cluster }: LocalParticipant,
  known: KnownNode | undefined,
  { control, steps, undo }: CreateServices,
): Promise<ClusterInfo> {
  if (known?.running === true) return known.cluster;
  if (known === undefined) undo.push(`remove ${cluster}`, () => control.remove(cluster));
  // Instances that a dead daemon has left serve: they must not be stopped with the daemon that takes them up here.
  else if (known.orphans.length === 0) undo.push(`stop ${cluster}`, async () => void (await control.stop(cluster)));
  const node = await steps.run(`Starting ${cluster}`, () => control.start(cluster, {}));
  return node.cluster;
}

/** Returns the guid. */
async function create(
  plan: CreatePlan,
  clusters: readonly ClusterInfo[],
  api: NodeApi,
  services: CreateServices,
): Promise<string> {
  const { steps, waiting, signal, undo } = services;
  signal.throwIfAborted();
  const where = clusters.map((cluster) => cluster.name).join(', ');
  return steps.run(`Creating ${plan.name} on ${where}`, async (report) => {
    const task = await api.createDatabase(createRequestOf(plan, clusters));
    undo.push(`delete ${plan.name}`, () => takeBack(task, api, waiting));
    const finished = await runTask(task, { api, waiting, signal, report });
    if (finished.crdb_guid === null) throw new CrdbError('failed', `The task ${task.id} has finished without a guid`);
    return finished.crdb_guid;
  });
}

/** Whatever became of the create task: afterwards the database is gone. Not interruptible: a second Ctrl-C ends the process. */
async function takeBack(task: CrdbTask, api: NodeApi, waiting: Waiting): Promise<void> {
  const run = { api, waiting, signal: new AbortController().signal, report: () => {} };
  const ended = await settleTask(await api.task(task.id), run);
  if (ended.status !== 'finished' || ended.crdb_guid === null) return; // the coordinator has taken a failed one back itself
  await runTask(await api.deleteDatabase(ended.crdb_guid), run);
}

/** `password`: whether applications have to give one. */
export function createdText(
  { name, instances }: CreatedDocument,
  { password }: { readonly password: boolean },
): string {
  const endpoints = instances.map(({ id, cluster, endpoint }) => `  instance ${id}  ${cluster}  ${endpoint}`);
  const [first, second] = instances;
  const lines = [`Created ${name}: every instance takes reads and writes.`, '', ...endpoints, '', 'Try this:'];
  const client = password ? 'redis-cli --askpass' : 'redis-cli';
  lines.push(
    `  ${client} ${address(first!.endpoint)} SET hello world`,
    `  ${client} ${address((second ?? first!).endpoint)} GET hello`,
  );
  return lines.join('\n');
}

/** `-p 12000`, with -h where the endpoint is not on this machine's loopback. */
function address(endpoint: string): string {
  const at = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, at).replace(/^\[|\]$/g, '');
  const port = endpoint.slice(at + 1);
  return host === '127.0.0.1' || host === 'localhost' ? `-p ${port}` : `-h ${host} -p ${port}`;
}
