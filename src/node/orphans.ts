/**
 * Instances that a dead daemon has left running: they serve on, and the next daemon takes them up. Told from their files alone, so
 * that it can be asked of every node that is down.
 */
import { databaseRecord, type NodeStatus } from '../admin/contract.ts';
import { endpointOf, localInstance } from './describe-database.ts';
import { readJson } from './files.ts';
import { databasePaths, listFolders, nodePaths } from './home.ts';
import { isAlive, processIdentity } from './process-identity.ts';

type InstanceStatus = NodeStatus['instances'][number];

export async function listOrphans(home: string, cluster: string): Promise<InstanceStatus[]> {
  const paths = nodePaths(home, cluster);
  const found = await Promise.all(
    (await listFolders(paths.databases)).map(async (guid): Promise<InstanceStatus | null> => {
      const { record: path, pid } = databasePaths(paths, guid);
      const identity = await readJson(pid, processIdentity).catch(() => null);
      if (identity === null || identity.startTime === null || !isAlive(identity)) return null;
      const record = await readJson(path, databaseRecord).catch(() => null);
      if (record === null) return null;
      const instance = localInstance(record, cluster);
      return {
        ...{ guid, name: record.name, id: instance.id, endpoint: endpointOf(instance) },
        ...{ process: 'running', pid: identity.pid, restarts: 0, last_exit: null },
        ...{ loading: null, unresponsive: null, stopping: null },
      };
    }),
  );
  return found.filter((instance) => instance !== null);
}
