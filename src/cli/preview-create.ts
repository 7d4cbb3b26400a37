/** `crdb-cli create --dry-run`: the same checks and what would be done; nothing is started, nothing is written. */
import type { DatabaseConfig } from '../admin/contract.ts';
import type { ControlPlane } from './control-plane.ts';
import { refuseDamaged, refuseTakenName } from './create-database.ts';
import { table, type Style } from './output.ts';
import type { CreatePlan, Participant } from './plan-create.ts';

export interface PlannedCreateDocument {
  readonly status: 'planned';
  readonly name: string;
  readonly default_db_config: DatabaseConfig;
  readonly instances: readonly {
    readonly id: number;
    readonly cluster: string;
    /** null: the node gets one when it is started. */
    readonly admin_url: string | null;
    /** null: chosen by the node. */
    readonly port: number | null;
    readonly node: 'exists' | 'to_be_started' | 'to_be_made';
  }[];
}

export async function previewCreate(plan: CreatePlan, control: ControlPlane): Promise<PlannedCreateDocument> {
  await refuseTakenName(control, plan.name);
  const known = new Map((await control.nodes()).map((node) => [node.cluster.name, node]));
  await refuseDamaged(control, plan.participants, known);
  const nodeOf = (participant: Participant): PlannedCreateDocument['instances'][number]['node'] => {
    const node = known.get(participant.cluster);
    if (participant.kind === 'remote' || node?.running === true) return 'exists';
    return node === undefined ? 'to_be_made' : 'to_be_started';
  };
  return {
    status: 'planned',
    name: plan.name,
    default_db_config: { ...plan.config, authentication_redis_pass: '' },
    instances: plan.participants.map((participant, index) => ({
      id: index + 1,
      cluster: participant.cluster,
      admin_url:
        participant.kind === 'remote' ? participant.info.url : (known.get(participant.cluster)?.cluster.url ?? null),
      port: (participant.kind === 'local' ? participant.port : plan.config.port) ?? null,
      node: nodeOf(participant),
    })),
  };
}

export function plannedCreateText({ name, instances }: PlannedCreateDocument, style: Style): string {
  const rows = instances.map(({ id, cluster, port, node }) => [
    `${id}`,
    cluster,
    port === null ? 'a free one' : `${port}`,
    node.replaceAll('_', ' '),
  ]);
  return `Would create ${name}; nothing was changed.\n\n${table(['REPL-ID', 'CLUSTER-FQDN', 'PORT', 'NODE'], rows, style)}`;
}
