/** `crdb-cli list`: the databases that the nodes of this home take part in. */
import type { ControlPlane } from './control-plane.ts';
import { processDocuments, type InstanceProcessDocument } from './documents.ts';
import { table, type Style } from './output.ts';
import { processNote } from './process-text.ts';
import { damagedNote, surveyNodes, unreachableNote, type Damaged, type Unreachable } from './survey.ts';

export interface ListDocument {
  readonly databases: readonly {
    readonly guid: string;
    readonly name: string;
    readonly instances: readonly InstanceProcessDocument[];
  }[];
  /** Nodes that could not be asked; databases that only they know are missing above. */
  readonly unreachable: readonly Unreachable[];
  readonly damaged: readonly Damaged[];
}

export async function listDatabases(control: ControlPlane): Promise<ListDocument> {
  const { databases, unreachable, damaged, processes } = await surveyNodes(control);
  return {
    databases: databases.map((database) => ({
      guid: database.guid,
      name: database.name,
      instances: processDocuments(database, processes),
    })),
    unreachable,
    damaged,
  };
}

/** One line per instance; the header alone when there is nothing, so that scripts can always skip one line. */
export function listText({ databases }: ListDocument, style: Style): string {
  const rows = databases.flatMap(({ guid, name, instances }) =>
    instances.map(({ id, cluster, endpoint }) => [guid, name, `${id}`, cluster, endpoint]),
  );
  return table(['CRDB-GUID', 'NAME', 'REPL-ID', 'CLUSTER-FQDN', 'ENDPOINT'], rows, style);
}

/** What a reader should know beside the table; for standard error. */
export function listNotes({ databases, unreachable, damaged }: ListDocument): string[] {
  const notes = [
    ...unreachable.map((node) => unreachableNote(node, 'databases that only it knows are not shown')),
    ...damaged.map(damagedNote),
    ...databases.flatMap(({ name, instances }) => processNotes(name, instances)),
  ];
  if (databases.length === 0 && notes.length === 0)
    notes.push('There are no databases. Make one: crdb-cli create orders --local 2');
  return notes;
}

/** One line per instance that does not serve just now. */
export function processNotes(name: string, instances: readonly InstanceProcessDocument[]): string[] {
  return instances.flatMap(({ id, cluster, process, ...details }) => {
    if (process === null || process === 'running') return [];
    const note = processNote({ process, ...details });
    return [`Note: instance ${id} of ${name} on ${cluster} is ${process}${note === null ? '' : `, it ${note}`}.`];
  });
}
