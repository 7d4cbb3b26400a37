/** `crdb-cli node status`: the nodes of this home and the instances they run. */
import type { NodeStatus } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ControlPlane, KnownNode } from './control-plane.ts';
import { durationText, table, type Style } from './output.ts';
import { processNote, processStyle, processWord } from './process-text.ts';
import { startHint, whyDown } from './survey.ts';

export interface NodeStatusDocument {
  readonly nodes: readonly NodeDocument[];
  /** Files of the home, no node's, that cannot be used. */
  readonly damaged: readonly { readonly path: string; readonly reason: string; readonly hint: string }[];
}

export interface NodeDocument {
  readonly cluster: string;
  /** `unattended`: the daemon is gone and its instances, listed, serve on. `damaged`: its files cannot be used. */
  readonly status: 'running' | 'stopped' | 'unattended' | 'unreachable' | 'damaged';
  /** null when damaged. */
  readonly admin_url: string | null;
  /** Why it is unreachable, or what to do about it; null otherwise. */
  readonly error: string | null;
  /** null unless running. */
  readonly pid: number | null;
  readonly version: string | null;
  readonly uptime_seconds: number | null;
  readonly data_directory: string | null;
  /** What it listens on, unless it is the node of another machine. */
  readonly host: string | null;
  readonly instances: NodeStatus['instances'];
  /** Databases of it that cannot be used, for a file that is damaged. */
  readonly damaged_databases: NodeStatus['damaged_databases'];
}

/** All nodes, or the one with this name (node_not_found when there is none). A node that does not answer is no failure. */
export async function nodeStatus(control: ControlPlane, name: string | undefined): Promise<NodeStatusDocument> {
  const known = await control.nodes();
  const chosen = name === undefined ? known : known.filter(({ cluster }) => cluster.name === name);
  if (name !== undefined && chosen.length === 0) throw nodeNotFound(name, known);
  const files = await control.damagedFiles();
  return {
    nodes: await Promise.all(chosen.map((node) => describeNode(control, node))),
    damaged: files.map(({ path, damage }) => ({ path, reason: damage.message, hint: damage.hint })),
  };
}

export function nodeNotFound(name: string, known: readonly KnownNode[]): CrdbError {
  const names = known.map(({ cluster }) => cluster.name);
  return new CrdbError(
    'node_not_found',
    `This home has no node "${name}", it has ${names.length === 0 ? 'none' : names.join(', ')}`,
  );
}

async function describeNode(control: ControlPlane, node: KnownNode): Promise<NodeDocument> {
  const { cluster, running, host, orphans, damage } = node;
  const silent = (status: Exclude<NodeDocument['status'], 'running'>, error: string | null): NodeDocument => ({
    cluster: cluster.name,
    status,
    admin_url: damage === null ? cluster.url : null,
    error,
    pid: null,
    version: null,
    uptime_seconds: null,
    data_directory: null,
    host,
    instances: orphans,
    damaged_databases: [],
  });
  if (damage !== null) return silent('damaged', `${damage.message}. ${damage.hint}`);
  if (!running && orphans.length === 0) return silent('stopped', null);
  if (!running) {
    return silent('unattended', `it ${whyDown(node)}; the next one takes them up: ${startHint([node])}`);
  }
  try {
    const { admin_url, pid, version, uptime_seconds, data_directory, instances, damaged_databases } = await control
      .api(cluster)
      .nodeStatus();
    return {
      cluster: cluster.name,
      status: 'running',
      admin_url,
      error: null,
      pid,
      version,
      uptime_seconds,
      data_directory,
      host,
      instances,
      damaged_databases,
    };
  } catch (error) {
    if (error instanceof CrdbError && error.code !== 'bug') return silent('unreachable', error.message);
    throw error;
  }
}

export function nodeStatusText({ nodes, damaged }: NodeStatusDocument, style: Style): string {
  const files = damaged.map(({ reason, hint }) => `${style.bad(reason)}. ${hint}`);
  const none = 'This home has no nodes. Start one: crdb-cli node start --detach';
  return [...files, ...(nodes.length === 0 ? [none] : nodes.map((node) => nodeText(node, style)))].join('\n\n');
}

function nodeText(node: NodeDocument, style: Style): string {
  const status = node.status === 'running' ? style.good(node.status) : style.careful(node.status);
  const since = node.uptime_seconds === null ? '' : ` for ${durationText(node.uptime_seconds * 1000)}, pid ${node.pid}`;
  const url = node.admin_url === null ? '' : `  ${node.admin_url}`;
  const title = `${style.heading(node.cluster)}${url}  ${status}${since}`;
  const error = node.error === null ? [] : [node.error];
  const damaged = node.damaged_databases.map(
    ({ name, guid, reason, hint }) => `${style.bad('damaged')}: ${name ?? guid} cannot be used: ${reason}. ${hint}`,
  );
  const lines = [...error, ...(node.instances.length > 0 ? instanceLines(node.instances, style) : []), ...damaged];
  if (lines.length === 0 && node.status === 'running') lines.push('no instances');
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

function instanceLines(instances: NodeDocument['instances'], style: Style): string[] {
  const rows = instances.map((instance) => [
    instance.name,
    `${instance.id}`,
    instance.endpoint,
    processStyle(instance, style)(processWord(instance)),
    instance.pid === null ? '-' : `${instance.pid}`,
    `${instance.restarts}`,
    instance.last_exit ?? '-',
  ]);
  const notes = instances.flatMap((instance) => {
    const note = processNote(instance);
    return note === null ? [] : [`${instance.name} (${instance.id}) ${note}`];
  });
  const header = ['NAME', 'REPL-ID', 'ENDPOINT', 'PROCESS', 'PID', 'RESTARTS', 'LAST EXIT'];
  return [...table(header, rows, style).split('\n'), ...notes];
}
