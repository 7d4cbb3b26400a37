/**
 * Clusters of other machines that a `create --instance` has named: `<home>/clusters.json`, readable by its owner only,
 * because it holds their credentials. Without it `list`, `sync status` and `delete` would have to ask for them each time.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { reasonOf } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import { clusterInfo, type ClusterInfo } from '../admin/contract.ts';
import { makeFolder, readJson, replaceJson } from '../node/files.ts';

const remembered = z.object({ version: z.literal(1), clusters: z.array(clusterInfo) });

/** By name; an absent home has none. Throws `failed` naming the file when it is damaged, with the way back. */
export async function readRemoteClusters(home: string): Promise<readonly ClusterInfo[]> {
  try {
    return (await readJson(remoteClustersFile(home), remembered))?.clusters ?? [];
  } catch (error) {
    const hint =
      'Put a copy of it back, or move it away: the next create --instance begins a new one, and until then other machines are not asked.';
    throw new CrdbError('failed', reasonOf(error), { hint, cause: error });
  }
}

/** Adds the clusters; one of the same name is replaced. */
export async function rememberRemoteClusters(home: string, clusters: readonly ClusterInfo[]): Promise<void> {
  const byName = new Map((await readRemoteClusters(home)).map((cluster) => [cluster.name, cluster]));
  for (const cluster of clusters) byName.set(cluster.name, cluster);
  const sorted = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  await makeFolder(home);
  await replaceJson(remoteClustersFile(home), { version: 1, clusters: sorted });
}

export function remoteClustersFile(home: string): string {
  return join(home, 'clusters.json');
}
