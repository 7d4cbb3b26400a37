/** After a create: the database counts as ready when every instance pulls from every other. */
import type { SyncStatus } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { NodeApi } from './control-plane.ts';
import type { InstanceDocument } from './documents.ts';
import { STREAMING_MS_MAX } from './limits.ts';
import { count } from './output.ts';
import type { Steps } from './steps.ts';
import { pollUntil, type Waiting } from './waiting.ts';

export interface StreamingTarget {
  readonly guid: string;
  readonly instances: readonly InstanceDocument[];
  readonly apiOf: (cluster: string) => NodeApi;
}

/** Throws timed_out with the links that are not there and their last errors. */
export async function waitForStreaming(
  { guid, instances, apiOf }: StreamingTarget,
  { steps, waiting, signal }: { readonly steps: Steps; readonly waiting: Waiting; readonly signal: AbortSignal },
): Promise<void> {
  const linkCount = instances.length * (instances.length - 1);
  await steps.run(`Connecting ${count(instances.length, 'instance')}`, async (report) => {
    let missing: readonly string[] = [];
    const ready = await pollUntil(waiting, { withinMs: STREAMING_MS_MAX, signal }, async () => {
      const states = await Promise.all(instances.map(({ cluster }) => apiOf(cluster).syncStatus(guid)));
      missing = states.flatMap((state) => missingLinks(state, instances.length - 1));
      report(`${Math.max(0, linkCount - missing.length)} of ${count(linkCount, 'link')} streaming`);
      return missing.length === 0 ? true : null;
    });
    if (ready === null) {
      throw new CrdbError('timed_out', `Not ready after ${STREAMING_MS_MAX / 1000} s: ${missing.join('; ')}`, {
        hint: 'crdb-cli node status',
      });
    }
  });
}

function missingLinks({ cluster, process, links }: SyncStatus, expected: number): string[] {
  if (process !== 'running') return [`the instance on ${cluster} is ${process}`];
  const waiting = links.filter((link) => link.state !== 'streaming');
  const unknown = expected - links.length;
  return [
    ...waiting.map(
      (link) =>
        `${cluster} from ${link.cluster}: ${link.state}${link.last_error === null ? '' : ` (${link.last_error})`}`,
    ),
    ...(unknown > 0 ? [`${cluster} lacks ${count(unknown, 'link')}`] : []),
  ];
}
