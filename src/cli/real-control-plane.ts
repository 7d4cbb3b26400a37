/**
 * The nodes of this home as they are: records of src/node, the admin client of src/admin, detached daemons.
 *
 * Everything is loaded when first needed (schemas, TLS, HTTP): that is most of what a short command would wait for.
 */
import { join } from 'node:path';
import type { AdminClient } from '../admin/client.ts';
import { CrdbError } from '../errors.ts';
import type { ClusterInfo, ControlPlane, KnownNode, NodeApi } from './control-plane.ts';
import { absentFolders, isUsableFolder, removeEmptyFolders } from '../node/files.ts';
import type { DamagedNode, LocalNode } from '../node/home.ts';

/** `home` is absolute; `version` is what the daemons of this installation call themselves. */
export function createControlPlane({
  home,
  version,
}: {
  readonly home: string;
  readonly version: string;
}): ControlPlane {
  // What this process makes goes again with the last node in it.
  const absentBefore = absentFolders(join(home, 'nodes'));
  return {
    async nodes() {
      if (!(await isUsableFolder(home))) return [];
      const { listNodes } = await import('../node/home.ts');
      const { readRemoteClusters } = await import('./remote-clusters.ts');
      // A damaged file is told by `damagedFiles`, and must not hide the nodes of this machine.
      const [local, remote] = await Promise.all([listNodes(home), readRemoteClusters(home).catch(() => [])]);
      const names = new Set(local.map((node) => node.cluster));
      return [
        ...(await Promise.all(local.map((node) => knownLocal(home, node)))),
        ...remote.filter(({ name }) => !names.has(name)).map(knownRemote),
      ];
    },
    async damagedFiles() {
      const { readRemoteClusters, remoteClustersFile } = await import('./remote-clusters.ts');
      try {
        await readRemoteClusters(home);
        return [];
      } catch (error) {
        if (error instanceof CrdbError) return [{ path: remoteClustersFile(home), damage: error }];
        throw error;
      }
    },
    api: createApi,
    async start(name, options) {
      const { startDetached } = await import('../node/detach.ts');
      return knownLocal(home, await startDetached({ home, cluster: name, version, ...options }));
    },
    async stop(name, options) {
      const { stopNode } = await import('../node/detach.ts');
      return stopNode(home, name, options).catch((error: unknown) => {
        if (error instanceof CrdbError && error.code === 'node_not_found') return false;
        throw error;
      });
    },
    async remove(name) {
      const { removeNode } = await import('../node/detach.ts');
      await removeNode(home, name);
      await removeEmptyFolders(await absentBefore);
    },
    async remember(clusters) {
      const { rememberRemoteClusters } = await import('./remote-clusters.ts');
      await rememberRemoteClusters(home, clusters);
    },
  };
}

async function knownLocal(home: string, node: LocalNode | DamagedNode): Promise<KnownNode> {
  const listOrphans = async () => (await import('../node/orphans.ts')).listOrphans(home, node.cluster);
  if ('damage' in node) {
    const { cluster: name, damage } = node;
    const unknown = { name, url: '', credentials: { username: '', password: '' } };
    const orphans = await listOrphans();
    return { cluster: unknown, kind: 'local', running: false, pid: null, host: null, damage, orphans };
  }
  const { cluster, adminUrl, credentials, certificate, alive, process, host } = node;
  return {
    cluster: { name: cluster, url: adminUrl, credentials, certificate },
    kind: 'local',
    running: alive,
    pid: alive ? (process?.pid ?? null) : null,
    host,
    damage: null,
    orphans: alive ? [] : await listOrphans(),
  };
}

function knownRemote(cluster: ClusterInfo): KnownNode {
  return { cluster, kind: 'remote', running: true, pid: null, host: null, damage: null, orphans: [] };
}

/** One client per object, made at the first call. */
function createApi(cluster: ClusterInfo): NodeApi {
  let client: Promise<AdminClient> | null = null;
  const connect = (): Promise<AdminClient> =>
    (client ??= import('../admin/client.ts').then(({ AdminClient: Client }) => new Client(cluster)));
  return {
    nodeStatus: async () => (await connect()).nodeStatus(),
    listDatabases: async () => (await connect()).listDatabases(),
    createDatabase: async (request) => (await connect()).createDatabase(request),
    deleteDatabase: async (guid) => (await connect()).deleteDatabase(guid),
    task: async (id) => (await connect()).task(id),
    syncStatus: async (guid) => (await connect()).syncStatus(guid),
    changeSync: async (guid, change) => (await connect()).changeSync(guid, change),
    resync: async (guid, request) => (await connect()).resync(guid, request),
  };
}
