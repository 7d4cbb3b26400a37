/**
 * What the nodes of this home know. Each is asked at the same time; one that does not answer is reported and never
 * hides what the others say.
 */
import type { Crdb, NodeStatus } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ControlPlane, KnownNode, NodeApi } from './control-plane.ts';

export interface Unreachable {
  readonly cluster: string;
  readonly reason: string;
  /** The next command to type. */
  readonly hint: string;
}

/** Something of this home that cannot be used, and is in nobody else's way. */
export interface Damaged {
  /** The node that it belongs to; null: a file of the home. */
  readonly cluster: string | null;
  /** The database; null: none, or not even that can be told. */
  readonly guid: string | null;
  readonly name: string | null;
  /** What is wrong with which file. */
  readonly reason: string;
  readonly hint: string;
}

/** How the process of an instance is, told by its own node. */
export type Processes = (guid: string, cluster: string) => NodeStatus['instances'][number] | null;

export interface Survey {
  readonly nodes: readonly KnownNode[];
  /** By guid; one description each. */
  readonly databases: readonly Crdb[];
  readonly processes: Processes;
  readonly unreachable: readonly Unreachable[];
  readonly damaged: readonly Damaged[];
}

export interface FoundDatabase {
  readonly database: Crdb;
  /** Whom to ask to change it: a node that takes part and answers. */
  readonly api: NodeApi;
  readonly nodes: readonly KnownNode[];
  readonly processes: Processes;
  readonly unreachable: readonly Unreachable[];
  readonly damaged: readonly Damaged[];
}

interface Answer {
  readonly node: KnownNode;
  readonly databases: readonly Crdb[];
  readonly status: NodeStatus | null;
  readonly failure: string | null;
}

interface Answers {
  readonly answers: readonly Answer[];
  readonly nodes: readonly KnownNode[];
  readonly processes: Processes;
  readonly damaged: readonly Damaged[];
}

/** Fails with node_unreachable when there are nodes and none answers: then nothing at all is known. */
export async function surveyNodes(control: ControlPlane): Promise<Survey> {
  const { answers, ...known } = await askAll(control);
  const byGuid = new Map<string, Crdb>();
  for (const { databases } of answers) for (const database of databases) byGuid.set(database.guid, database);
  const databases = [...byGuid.values()].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.guid < b.guid ? -1 : 1,
  );
  return { ...known, databases, unreachable: failuresOf(answers) };
}

/** The database with this name or guid, and a node to talk to about it. */
export async function findDatabase(control: ControlPlane, nameOrGuid: string): Promise<FoundDatabase> {
  const { answers, ...known } = await askAll(control);
  const { nodes, damaged } = known;
  const found = new Map<string, { database: Crdb; node: KnownNode }>();
  for (const { node, databases } of answers) {
    for (const database of databases) {
      const matches = database.guid === nameOrGuid || database.name === nameOrGuid;
      if (matches && !found.has(database.guid)) found.set(database.guid, { database, node });
    }
  }
  const [first, ...others] = found.values();
  if (first === undefined) throw notFound(nameOrGuid, failuresOf(answers), nodes, damaged);
  if (others.length > 0) {
    throw new CrdbError(
      'invalid_request',
      `"${nameOrGuid}" is the name of ${found.size} databases: ${[...found.keys()].join(', ')}`,
      {
        hint: 'Name the one you mean by its guid.',
      },
    );
  }
  const api = control.api(first.node.cluster);
  return { ...known, database: first.database, api, unreachable: failuresOf(answers) };
}

async function askAll(control: ControlPlane): Promise<Answers> {
  const nodes = await control.nodes();
  const answers = await Promise.all(nodes.map((node) => ask(control, node)));
  if (answers.length > 0 && answers.every((answer) => answer.failure !== null)) {
    const reasons = answers.map((answer) => `${answer.node.cluster.name} ${answer.failure}`);
    throw new CrdbError('node_unreachable', `No node of this home can be asked: ${reasons.join('; ')}`, {
      hint: startHint(nodes),
    });
  }
  const processes: Processes = (guid, cluster) =>
    answers
      .find(({ node }) => node.cluster.name === cluster)
      ?.status?.instances.find((instance) => instance.guid === guid) ?? null;
  return { answers, nodes, processes, damaged: [...(await damagedFiles(control)), ...answers.flatMap(damagedOf)] };
}

async function ask(control: ControlPlane, node: KnownNode): Promise<Answer> {
  if (!node.running) return { node, databases: [], status: null, failure: whyDown(node) };
  try {
    const api = control.api(node.cluster);
    const [databases, status] = await Promise.all([api.listDatabases(), api.nodeStatus()]);
    return { node, databases, status, failure: null };
  } catch (error) {
    if (error instanceof CrdbError && error.code !== 'bug') {
      return { node, databases: [], status: null, failure: `does not answer (${error.message})` };
    }
    throw error;
  }
}

export async function damagedFiles(control: ControlPlane): Promise<Damaged[]> {
  return (await control.damagedFiles()).map(({ damage }) => ({
    ...{ cluster: null, guid: null, name: null, reason: damage.message, hint: damage.hint },
  }));
}

function damagedOf({ node, status }: Answer): Damaged[] {
  return (status?.damaged_databases ?? []).map(({ guid, name, reason, hint }) => ({
    ...{ cluster: node.cluster.name, guid, name, reason, hint },
  }));
}

/** For standard error. */
export function damagedNote({ cluster, guid, name, reason, hint }: Damaged): string {
  const what = cluster === null ? '' : `${name ?? guid} cannot be used on ${cluster}: `;
  return `Note: ${what}${reason}. Try: ${hint}`;
}

/** What a reader should know beside the result, for standard error. `consequence` completes the sentence. */
export function unreachableNote({ cluster, reason, hint }: Unreachable, consequence: string): string {
  return `Note: ${cluster} ${reason}; ${consequence}. Try: ${hint}`;
}

/** Why a cluster of a database cannot be asked that no node of this home knows. */
export function whyUnknown(cluster: string, damaged: readonly Damaged[]): string {
  const files = damaged.filter((one) => one.cluster === null).map(({ reason }) => `; ${reason}`);
  return `this home has no credentials for ${cluster}${files.join('')}`;
}

/** Completes the sentence that begins with the name of a local node that does not run. */
export function whyDown({ orphans, damage }: KnownNode): string {
  if (damage !== null) return `cannot be asked, ${damage.message}`;
  return orphans.length === 0 ? 'is stopped' : 'has no daemon, though its instances serve on';
}

/** What brings the local node back, or, for any other reason of silence, where to look. */
export function startHint(nodes: readonly KnownNode[]): string {
  const down = nodes.find((node) => node.kind === 'local' && !node.running);
  if (down === undefined) return 'crdb-cli node status';
  return down.damage?.hint ?? `crdb-cli node start --name ${down.cluster.name} --detach`;
}

function failuresOf(answers: readonly Answer[]): Unreachable[] {
  return answers.flatMap(({ node, failure }) =>
    failure === null ? [] : [{ cluster: node.cluster.name, reason: failure, hint: startHint([node]) }],
  );
}

/** What is damaged may be why nobody knows it. */
function notFound(
  nameOrGuid: string,
  unreachable: readonly Unreachable[],
  nodes: readonly KnownNode[],
  damaged: readonly Damaged[],
): CrdbError {
  const itself = damaged.find(({ guid, name }) => guid === nameOrGuid || name === nameOrGuid);
  if (itself !== undefined) {
    const text = `The database "${nameOrGuid}" cannot be used on ${itself.cluster}, and no other node that answers knows it: ${itself.reason}`;
    return new CrdbError('database_not_found', text, { hint: itself.hint });
  }
  const silent = unreachable.map(({ cluster, reason }) => `${cluster} ${reason}`);
  const files = damaged.filter(({ cluster }) => cluster === null);
  const why = [...silent, ...files.map(({ reason }) => reason)];
  if (why.length === 0) return new CrdbError('database_not_found', `There is no database "${nameOrGuid}"`);
  const hint = silent.length > 0 ? startHint(nodes) : files[0]!.hint;
  const text = `No node that answers knows a database "${nameOrGuid}"; ${why.join('; ')}`;
  return new CrdbError('database_not_found', text, { hint });
}
