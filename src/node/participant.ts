/**
 * A participating cluster as the coordinator sees it: the same four calls, whether the node is this one or another.
 */
import { AdminClient } from '../admin/client.ts';
import type { ClusterInfo, DatabaseRecord, PrepareRequest } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { LocalDatabases } from './local-databases.ts';

export interface Participant {
  readonly cluster: string;
  /** Throws node_unreachable, unauthorized, or invalid_request when another cluster answers. */
  contact(): Promise<void>;
  /** Returns the port that is held. */
  prepare(guid: string, request: PrepareRequest): Promise<number>;
  commit(record: DatabaseRecord): Promise<void>;
  discard(guid: string): Promise<void>;
  close(): Promise<void>;
}

export function localParticipant(cluster: string, databases: LocalDatabases): Participant {
  return {
    cluster,
    contact: async () => {},
    prepare: async (guid, request) => (await databases.prepare(guid, request)).port,
    commit: (record) => databases.commit(record),
    discard: (guid) => databases.discard(guid),
    close: async () => {},
  };
}

/** `locate` tells where the cluster is now; asked once, before the first call. */
export function remoteParticipant(info: ClusterInfo, locate: (info: ClusterInfo) => Promise<ClusterInfo>): Participant {
  let connecting: Promise<AdminClient> | null = null;
  const client = (): Promise<AdminClient> => (connecting ??= locate(info).then((found) => new AdminClient(found)));
  return {
    cluster: info.name,
    async contact() {
      const { cluster } = await (await client()).nodeStatus();
      if (cluster === info.name) return;
      throw new CrdbError('invalid_request', `${info.url} is a node of ${cluster}, not of ${info.name}`);
    },
    prepare: async (guid, request) => (await (await client()).prepareLocal(guid, request)).port,
    commit: async (record) => (await client()).commitLocal(record),
    discard: async (guid) => (await client()).discardLocal(guid),
    close: async () => (await connecting)?.close(),
  };
}
