/** `crdb-cli delete`: a database with the data of all its instances. Cannot be undone, so it shows its plan and asks. */
import type { ControlPlane } from './control-plane.ts';
import { instanceDocuments, type InstanceDocument } from './documents.ts';
import { count } from './output.ts';
import type { Confirmation } from './prompt.ts';
import { runTask } from './run-task.ts';
import type { Steps } from './steps.ts';
import { findDatabase } from './survey.ts';
import type { Waiting } from './waiting.ts';

export interface DeleteServices {
  readonly control: ControlPlane;
  readonly steps: Steps;
  readonly waiting: Waiting;
  readonly confirmation: Confirmation;
  /** Called with the plan before the question is asked. */
  readonly show: (text: string) => void;
}

export interface DeleteDocument {
  readonly status: 'deleted' | 'planned';
  readonly guid: string;
  readonly name: string;
  readonly instances: readonly InstanceDocument[];
}

export async function deleteDatabase(
  { nameOrGuid, dryRun }: { readonly nameOrGuid: string; readonly dryRun: boolean },
  { control, steps, waiting, confirmation, show }: DeleteServices,
): Promise<DeleteDocument> {
  const { database, api } = await findDatabase(control, nameOrGuid);
  const { guid, name } = database;
  const instances = instanceDocuments(database);
  if (dryRun) return { status: 'planned', guid, name, instances };
  show(deletePlanText({ name, guid, instances }));
  await confirmation.confirm(`Delete ${name} with all its data?`);
  await steps.run(`Deleting ${name}`, async (report) => {
    // Once begun, the coordinator goes on to the end; an interruption must not leave the impression that it stopped.
    const signal = new AbortController().signal;
    await runTask(await api.deleteDatabase(guid), { api, waiting, signal, report });
  });
  return { status: 'deleted', guid, name, instances };
}

function deletePlanText({ name, guid, instances }: Omit<DeleteDocument, 'status'>): string {
  const lines = instances.map(({ id, cluster, endpoint }) => `  instance ${id}  ${cluster}  ${endpoint}`);
  return [`This deletes ${name} (${guid}) and the data of ${count(instances.length, 'instance')}:`, ...lines].join(
    '\n',
  );
}

export function deleteText(document: DeleteDocument): string {
  if (document.status === 'planned') return `${deletePlanText(document)}\nNothing was changed.`;
  return `Deleted ${document.name} (${document.guid}) from ${document.instances.map(({ cluster }) => cluster).join(', ')}.`;
}
