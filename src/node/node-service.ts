/** The admin API's calls, answered by this node: its own databases, and tasks that it coordinates with other nodes. */
import type {
  ClusterInfo,
  CreateRequest,
  Crdb,
  CrdbTask,
  DatabaseRecord,
  NodeStatus,
  ShutdownRequest,
} from '../admin/contract.ts';
import type { AdminService } from '../admin/service.ts';
import { CrdbError } from '../errors.ts';
import { createOnAll, deleteOnAll } from './coordinator.ts';
import { describeDatabase } from './describe-database.ts';
import type { LocalDatabases } from './local-databases.ts';
import type { Log } from './log.ts';
import { localParticipant, remoteParticipant, type Participant } from './participant.ts';
import { planDatabase, type OwnCluster } from './plan-database.ts';
import { createGuid, createSecret } from './system.ts';
import { TaskBoard, type ReportStep } from './tasks.ts';

export interface NodeServiceOptions {
  readonly own: OwnCluster;
  readonly databases: LocalDatabases;
  readonly log: Log;
  readonly describeNode: () => Omit<NodeStatus, 'instances' | 'damaged_databases'>;
  /** Where a cluster is now: it may have moved since the database was created. */
  readonly locate: (info: ClusterInfo) => Promise<ClusterInfo>;
  readonly onShutdown: (request: ShutdownRequest) => void;
}

export interface NodeService extends AdminService {
  /** From now on nothing new is begun; resolves when every task has ended. */
  drain(): Promise<void>;
}

export function createNodeService(options: NodeServiceOptions): NodeService {
  const { own, databases, log, describeNode, locate, onShutdown } = options;
  const tasks = new TaskBoard((error) =>
    log.error('task_failed_internally', { reason: error.message, stack: error.stack ?? '' }),
  );
  /** Names of databases whose creation this node coordinates, before its own prepare holds them. */
  const namesInCreation = new Set<string>();
  let stopping = false;

  const participantOf = (cluster: DatabaseRecord['instances'][number]['cluster']): Participant =>
    cluster.name === own.name ? localParticipant(own.name, databases) : remoteParticipant(cluster, locate);

  const refuseWhenStopping = (): void => {
    if (stopping) throw new CrdbError('node_unreachable', `The node of ${own.name} is stopping`);
  };

  function createDatabase(request: CreateRequest): CrdbTask {
    refuseWhenStopping();
    const { name } = request;
    databases.assertNameFree(name);
    if (namesInCreation.has(name)) {
      throw new CrdbError('database_exists', `A database "${name}" is just being created on ${own.name}`);
    }
    const plan = planDatabase(request, own, { guid: createGuid(), replicationSecret: createSecret() });
    const participants = plan.instances.map((instance) => participantOf(instance.cluster));
    namesInCreation.add(name);
    const work = (report: ReportStep) =>
      createOnAll(plan, participants, report).finally(async () => {
        namesInCreation.delete(name);
        await closeAll(participants);
      });
    return tasks.run({
      operation: 'create_crdb',
      guid: plan.guid,
      cluster: own.name,
      work: logged('create', name, work),
    });
  }

  function deleteDatabase(guid: string): CrdbTask {
    refuseWhenStopping();
    const record = databases.get(guid);
    const others = record.instances.flatMap(({ cluster }) =>
      cluster.name === own.name ? [] : [participantOf(cluster)],
    );
    const local = localParticipant(own.name, databases);
    const work = (report: ReportStep) => deleteOnAll(record, local, others, report).finally(() => closeAll(others));
    return tasks.run({ operation: 'delete_crdb', guid, cluster: own.name, work: logged('delete', record.name, work) });
  }

  const logged =
    (operation: string, database: string, work: (report: ReportStep) => Promise<void>) =>
    (report: ReportStep): Promise<void> =>
      work((cluster, step) => {
        log.info(`${operation}_step`, { database, cluster, step });
        report(cluster, step);
      });

  const describe = (record: DatabaseRecord): Crdb => describeDatabase(record, own.name);

  return {
    nodeStatus: () => ({
      ...describeNode(),
      instances: databases.instances(),
      damaged_databases: [...databases.damaged()],
    }),
    shutdown: onShutdown,
    listDatabases: () => databases.list().map(describe),
    getDatabase: (guid) => describe(databases.get(guid)),
    createDatabase,
    deleteDatabase,
    listTasks: () => tasks.list(),
    getTask: (id) => tasks.get(id),
    syncStatus: (guid) => databases.syncStatus(guid),
    changeSync: (guid, request) => databases.changeSync(guid, request),
    resync: (guid, request) => databases.resync(guid, request),
    async prepareLocal(guid, request) {
      refuseWhenStopping();
      return databases.prepare(guid, request);
    },
    async commitLocal(record) {
      refuseWhenStopping();
      await databases.commit(record);
      return describe(record);
    },
    discardLocal: (guid) => databases.discard(guid),
    async drain() {
      stopping = true;
      await tasks.settled();
    },
  };
}

async function closeAll(participants: readonly Participant[]): Promise<void> {
  await Promise.all(participants.map((participant) => participant.close()));
}
