/** `crdb-cli node stop`: nodes with the instances they run. All data stays. */
import { CrdbError } from '../errors.ts';
import type { ControlPlane } from './control-plane.ts';
import { describeError } from './describe-error.ts';
import { nodeNotFound } from './node-status.ts';
import type { Steps } from './steps.ts';

export interface StopDocument {
  readonly nodes: readonly { readonly cluster: string; readonly status: 'stopped' | 'already_stopped' | 'planned' }[];
}

/** `name` undefined: all local nodes of this home. Waits as long as the instances write their last; `force` kills them. */
export async function stopNodes(
  {
    name,
    dryRun,
    force = false,
  }: { readonly name: string | undefined; readonly dryRun: boolean; readonly force?: boolean },
  { control, steps }: { readonly control: ControlPlane; readonly steps: Steps },
): Promise<StopDocument> {
  const known = await control.nodes();
  const chosen = known.filter(({ cluster, kind }) => (name === undefined ? kind === 'local' : cluster.name === name));
  if (name !== undefined && chosen.length === 0) throw nodeNotFound(name, known);
  const nodes: StopDocument['nodes'][number][] = [];
  const failures: CrdbError[] = [];
  for (const { cluster, kind, running, damage } of chosen) {
    if (kind === 'remote')
      throw new CrdbError(
        'failed',
        `${cluster.name} is a cluster on another machine (${cluster.url}): stop its node there`,
      );
    try {
      const stop = () =>
        steps.run(`Stopping ${cluster.name}`, (report) => control.stop(cluster.name, { force, report }));
      const stopped = dryRun ? running || damage !== null : await stop();
      nodes.push({ cluster: cluster.name, status: !stopped ? 'already_stopped' : dryRun ? 'planned' : 'stopped' });
    } catch (error) {
      failures.push(describeError(error)); // the others are stopped all the same
    }
  }
  const [first, ...others] = failures;
  if (first === undefined) return { nodes };
  if (others.length === 0) throw first;
  throw new CrdbError(first.code, failures.map(({ message }) => message).join('; '), {
    hint: first.hint,
    cause: first,
  });
}

export function stopText({ nodes }: StopDocument): string {
  if (nodes.length === 0) return 'This home has no nodes.';
  const words = { stopped: 'Stopped', already_stopped: 'Already stopped:', planned: 'Would stop' };
  return nodes.map(({ cluster, status }) => `${words[status]} ${cluster}`).join('\n');
}
