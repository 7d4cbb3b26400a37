/**
 * What the nodes of this home know. Each is asked at the same time; one that does not answer is reported and never
 * hides what the others say.
 */
import type { Crdb } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ControlPlane, KnownNode, NodeApi } from './control-plane.ts';

export interface Unreachable {
  readonly cluster: string;
  readonly reason: string;
  /** The next command to type. */
  readonly hint: string;
}

export interface Survey {
  readonly nodes: readonly KnownNode[];
  /** By guid; one description each. */
  readonly databases: readonly Crdb[];
  readonly unreachable: readonly Unreachable[];
}

export interface FoundDatabase {
  readonly database: Crdb;
  /** Whom to ask to change it: a node that takes part and answers. */
  readonly api: NodeApi;
  readonly nodes: readonly KnownNode[];
  readonly unreachable: readonly Unreachable[];
}

interface Answer {
  readonly node: KnownNode;
  readonly databases: readonly Crdb[];
  readonly failure: string | null;
}

/** Fails with node_unreachable when there are nodes and none answers: then nothing at all is known. */
export async function surveyNodes(control: ControlPlane): Promise<Survey> {
  const { answers, nodes } = await askAll(control);
  const byGuid = new Map<string, Crdb>();
  for (const { databases } of answers) for (const database of databases) byGuid.set(database.guid, database);
  const databases = [...byGuid.values()].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.guid < b.guid ? -1 : 1,
  );
  return { nodes, databases, unreachable: failuresOf(answers) };
}

/** The database with this name or guid, and a node to talk to about it. */
export async function findDatabase(control: ControlPlane, nameOrGuid: string): Promise<FoundDatabase> {
  const { answers, nodes } = await askAll(control);
  const found = new Map<string, { database: Crdb; node: KnownNode }>();
  for (const { node, databases } of answers) {
    for (const database of databases) {
      const matches = database.guid === nameOrGuid || database.name === nameOrGuid;
      if (matches && !found.has(database.guid)) found.set(database.guid, { database, node });
    }
  }
  const [first, ...others] = found.values();
  if (first === undefined) throw notFound(nameOrGuid, failuresOf(answers), nodes);
  if (others.length > 0) {
    throw new CrdbError(
      'invalid_request',
      `"${nameOrGuid}" is the name of ${found.size} databases: ${[...found.keys()].join(', ')}`,
      {
        hint: 'Name the one you mean by its guid.',
      },
    );
  }
  return { database: first.database, api: control.api(first.node.cluster), nodes, unreachable: failuresOf(answers) };
}

async function askAll(control: ControlPlane): Promise<{ answers: readonly Answer[]; nodes: readonly KnownNode[] }> {
  const nodes = await control.nodes();
  const answers = await Promise.all(nodes.map((node) => ask(control, node)));
  if (answers.length > 0 && answers.every((answer) => answer.failure !== null)) {
    const reasons = answers.map((answer) => `${answer.node.cluster.name} ${answer.failure}`);
    throw new CrdbError('node_unreachable', `No node of this home can be asked: ${reasons.join('; ')}`, {
      hint: startHint(nodes),
    });
  }
  return { answers, nodes };
}

async function ask(control: ControlPlane, node: KnownNode): Promise<Answer> {
  if (!node.running) return { node, databases: [], failure: whyDown(node) };
  try {
    return { node, databases: await control.api(node.cluster).listDatabases(), failure: null };
  } catch (error) {
    if (error instanceof CrdbError && error.code !== 'bug') {
      return { node, databases: [], failure: `does not answer (${error.message})` };
    }
    throw error;
  }
}

/** What a reader should know beside the result, for standard error. `consequence` completes the sentence. */
export function unreachableNote({ cluster, reason, hint }: Unreachable, consequence: string): string {
  return `Note: ${cluster} ${reason}; ${consequence}. Try: ${hint}`;
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

function notFound(nameOrGuid: string, unreachable: readonly Unreachable[], nodes: readonly KnownNode[]): CrdbError {
  if (unreachable.length === 0) return new CrdbError('database_not_found', `There is no database "${nameOrGuid}"`);
  const silent = unreachable.map(({ cluster, reason }) => `${cluster} ${reason}`).join('; ');
  return new CrdbError('database_not_found', `No node that answers knows a database "${nameOrGuid}"; ${silent}`, {
    hint: startHint(nodes),
  });
}
