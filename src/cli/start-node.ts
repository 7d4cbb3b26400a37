/** `crdb-cli node start --detach`: a node as a daemon; returns when its admin API answers. */
import { CrdbError } from '../errors.ts';
import type { ControlPlane, StartOptions } from './control-plane.ts';
import type { Steps } from './steps.ts';

export interface StartDocument {
  readonly status: 'started' | 'already_running';
  readonly cluster: string;
  readonly admin_url: string;
  readonly pid: number | null;
}

export async function startNode(
  { name, options }: { readonly name: string; readonly options: StartOptions },
  { control, steps }: { readonly control: ControlPlane; readonly steps: Steps },
): Promise<StartDocument> {
  const known = (await control.nodes()).find(({ cluster }) => cluster.name === name);
  if (known?.kind === 'remote') {
    throw new CrdbError(
      'failed',
      `${name} is a cluster on another machine (${known.cluster.url}): start its node there`,
    );
  }
  if (known?.running === true) {
    const port = Number(new URL(known.cluster.url).port);
    const { adminPort = port, host = known.host } = options;
    const refuse = (how: string): never => {
      throw new CrdbError('node_already_running', `${name} runs already, ${how}`, {
        hint: `Stop it first: crdb-cli node stop ${name}`,
      });
    };
    if (adminPort !== port) refuse(`with admin port ${port} and not ${adminPort}`);
    if (host !== known.host) refuse(`on ${known.host} and not on ${host}`);
    return { status: 'already_running', cluster: name, admin_url: known.cluster.url, pid: known.pid };
  }
  const { cluster, pid } = await steps.run(`Starting ${name}`, () => control.start(name, options));
  return { status: 'started', cluster: name, admin_url: cluster.url, pid };
}

export function startText({ status, cluster, admin_url: url, pid }: StartDocument): string {
  return `${status === 'started' ? 'Started' : 'Already running:'} ${cluster}, admin API ${url}${pid === null ? '' : `, pid ${pid}`}`;
}
