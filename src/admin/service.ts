/**
 * What the routes need of the node behind them. The daemon implements it; the routes know HTTP and nothing else.
 *
 * Arguments have passed the contract's schemas. Failures are CrdbErrors and become the answer; anything else is a bug.
 */
import type {
  CreateRequest,
  Crdb,
  CrdbTask,
  DatabaseRecord,
  NodeStatus,
  PrepareReply,
  PrepareRequest,
  ResyncReply,
  ResyncRequest,
  ShutdownRequest,
  SyncChange,
  SyncRequest,
  SyncStatus,
} from './contract.ts';

export interface AdminService {
  nodeStatus(): NodeStatus;
  /** Starts the stop, or speeds up one that has begun, and returns at once; the answer to this call still gets out. */
  shutdown(request: ShutdownRequest): void;

  listDatabases(): readonly Crdb[];
  getDatabase(guid: string): Crdb;
  /** Refuses at once what can be known to fail here; everything else is the task's result. */
  createDatabase(request: CreateRequest): CrdbTask;
  deleteDatabase(guid: string): CrdbTask;
  listTasks(): readonly CrdbTask[];
  getTask(id: string): CrdbTask;

  syncStatus(guid: string): Promise<SyncStatus>;
  changeSync(guid: string, request: SyncRequest): Promise<SyncChange>;
  /** Orders it and returns; how it goes is in `syncStatus`. */
  resync(guid: string, request: ResyncRequest): Promise<ResyncReply>;

  prepareLocal(guid: string, request: PrepareRequest): Promise<PrepareReply>;
  commitLocal(record: DatabaseRecord): Promise<Crdb>;
  discardLocal(guid: string): Promise<void>;
}
