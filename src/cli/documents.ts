/** The parts that several `--json` documents share. Their shapes are a contract: docs/reference/json-output.md. */
import type { Crdb } from '../admin/contract.ts';

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
