/** `crdb-cli get`: one database with its configuration, laid out as operators of Redis Enterprise know it. */
import type { DatabaseConfig } from '../admin/contract.ts';
import type { ControlPlane } from './control-plane.ts';
import { processDocuments, type InstanceProcessDocument } from './documents.ts';
import { processNotes } from './list-databases.ts';
import { fields } from './output.ts';
import { sizeText } from './parse-size.ts';
import { damagedNote, findDatabase, unreachableNote, type Damaged, type Unreachable } from './survey.ts';

export interface GetDocument {
  readonly guid: string;
  readonly name: string;
  readonly default_db_config: DatabaseConfig;
  readonly instances: readonly (InstanceProcessDocument & { readonly compression: number })[];
  /** Nodes of the database that could not be asked. */
  readonly unreachable: readonly Unreachable[];
  /** Nodes on which it cannot be used, for a file that is damaged there. */
  readonly damaged: readonly Damaged[];
}

export async function getDatabase(control: ControlPlane, nameOrGuid: string): Promise<GetDocument> {
  const { database, unreachable, damaged, processes } = await findDatabase(control, nameOrGuid);
  const takesPart = new Set(database.instances.map(({ cluster }) => cluster.name));
  const compression = new Map(database.instances.map((instance) => [instance.id, instance.compression]));
  return {
    guid: database.guid,
    name: database.name,
    default_db_config: database.default_db_config,
    instances: processDocuments(database, processes).map((instance) => ({
      ...instance,
      compression: compression.get(instance.id) ?? 0,
    })),
    unreachable: unreachable.filter(({ cluster }) => takesPart.has(cluster)),
    damaged: damaged.filter(({ guid }) => guid === database.guid),
  };
}

export function getText({ guid, name, default_db_config: config, instances }: GetDocument): string {
  const persistence = config.data_persistence === 'aof' ? [['aof_policy', config.aof_policy] as const] : [];
  return [
    fields([
      ['CRDB-GUID', guid],
      ['Name', name],
      ['Default-DB-Config', ''],
    ]),
    fields(
      [
        [
          'memory_size',
          config.memory_size === 0 ? '0 (unlimited)' : `${config.memory_size} (${sizeText(config.memory_size)})`,
        ],
        ['port', config.port === undefined ? 'chosen per instance' : `${config.port}`],
        ['data_persistence', config.data_persistence],
        ...persistence,
        ['crdt_repl_backlog_size', config.crdt_repl_backlog_size === 0 ? 'auto' : `${config.crdt_repl_backlog_size}`],
        [
          'crdt_clock_ahead_max_ms',
          config.crdt_clock_ahead_max_ms === 0 ? 'auto' : `${config.crdt_clock_ahead_max_ms}`,
        ],
      ],
      1,
    ),
    ...instances.map(instanceText),
  ].join('\n');
}

/** What a reader should know beside the configuration; for standard error. */
export function getNotes({ name, instances, unreachable, damaged }: GetDocument): string[] {
  return [
    ...unreachable.map((node) => unreachableNote(node, 'this is what the others know')),
    ...damaged.map(damagedNote),
    ...processNotes(name, instances),
  ];
}

function instanceText({
  id,
  cluster,
  admin_url: url,
  endpoint,
  compression,
}: GetDocument['instances'][number]): string {
  return [
    fields([['Instance', '']]),
    fields(
      [
        ['Id', `${id}`],
        ['Cluster', ''],
      ],
      1,
    ),
    fields(
      [
        ['FQDN', cluster],
        ['URL', url],
      ],
      2,
    ),
    fields(
      [
        ['Endpoint', endpoint],
        ['Compression', `${compression}`],
      ],
      1,
    ),
  ].join('\n');
}
