/** The parts that several `--json` documents share. Their shapes are a contract: docs/reference/json-output.md. */
import type { Crdb } from '../admin/contract.ts';
import type { ProcessDetails } from './process-text.ts';
import type { Processes } from './survey.ts';

export interface InstanceDocument {
  readonly id: number;
  readonly cluster: string;
  /** `host:port` for applications. */
  readonly endpoint: string;
  readonly admin_url: string;
}

export function instanceDocuments(database: Crdb): InstanceDocument[] {
  return database.instances
    .map(({ id, cluster, endpoint }) => ({ id, cluster: cluster.name, endpoint, admin_url: cluster.url }))
    .sort((a, b) => a.id - b.id);
}

export interface InstanceProcessDocument extends InstanceDocument, Omit<ProcessDetails, 'process'> {
  /** null: its node does not tell. */
  readonly process: ProcessDetails['process'] | null;
}

export function processDocuments(database: Crdb, processes: Processes): InstanceProcessDocument[] {
  return instanceDocuments(database).map((instance) => {
    const known = processes(database.guid, instance.cluster);
    const { process = null, loading = null, unresponsive = null, stopping = null } = known ?? {};
    return { ...instance, process, loading, unresponsive, stopping };
  });
}
