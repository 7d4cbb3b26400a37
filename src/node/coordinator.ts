/**
 * Creating and removing a database on all its clusters, as the node that received the call.
 *
 *   create: contact all -> prepare one after the other (so that instances on one machine get ports in order) -> commit on
 *           all at once. Any failure: discard on every node that was asked to prepare.
 *   delete: contact all -> discard on the others -> discard here.
 *
 * Invariant: a create leaves an instance on every cluster or nothing anywhere; a delete touches nothing unless every
 * cluster answers, and keeps the record here until all others have removed theirs, so it can always be repeated.
 */
import type { DatabaseRecord } from '../admin/contract.ts';
import { reasonOf } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import { CREATE_ATTEMPTS_MAX, DISCARD_ATTEMPTS_MAX, DISCARD_DELAY_MS_MIN } from './limits.ts';
import type { Participant } from './participant.ts';
import { recordOf, type DatabasePlan } from './plan-database.ts';
import { sleep } from './system.ts';
import { TaskFailedError, type ReportStep, type TaskFailure } from './tasks.ts';

/**
 * `participants` in the order of the plan's instances. A port that a node chose is free for a moment between its reservation
 * and the instance that binds it; when somebody else was faster just then, all is taken back and done again with other ports.
 */
export async function createOnAll(
  plan: DatabasePlan,
  participants: readonly Participant[],
  report: ReportStep,
): Promise<void> {
  await contactAll(participants, report);
  for (let attempt = 1; ; attempt++) {
    const failures = await tryCreate(plan, participants, report);
    if (failures.length === 0) return;
    const portLost = failures.every((failure) => isChosenPortLost(plan, failure));
    if (!portLost || attempt === CREATE_ATTEMPTS_MAX) throw new TaskFailedError(failures);
  }
}

/** Returns why it failed, empty when it did not; after a failure everything has been taken back. */
async function tryCreate(
  plan: DatabasePlan,
  participants: readonly Participant[],
  report: ReportStep,
): Promise<readonly TaskFailure[]> {
  const touched: Participant[] = [];
  try {
    const ports: number[] = [];
    for (const [index, participant] of participants.entries()) {
      ports.push(await prepare(plan, index, participant, touched, report));
    }
    const record = recordOf(plan, ports);
    await onEach(participants, async (participant) => {
      await participant.commit(record);
      report(participant.cluster, 'instance ready');
    });
    return [];
  } catch (error) {
    return [...failuresOf(error), ...(await discardEverywhere(plan.guid, touched, report))];
  }
}

function isChosenPortLost(plan: DatabasePlan, { cluster, error }: TaskFailure): boolean {
  const instance = plan.instances.find((one) => one.cluster.name === cluster);
  return instance?.port === null && error instanceof CrdbError && error.code === 'port_in_use';
}

/** `local` is this node; `others` the remaining clusters. */
export async function deleteOnAll(
  record: DatabaseRecord,
  local: Participant,
  others: readonly Participant[],
  report: ReportStep,
): Promise<void> {
  const discard = async (participant: Participant): Promise<void> => {
    await participant.discard(record.guid);
    report(participant.cluster, 'removed');
  };
  await contactAll(others, report);
  await onEach(others, discard);
  await onEach([local], discard);
}

async function contactAll(participants: readonly Participant[], report: ReportStep): Promise<void> {
  await onEach(participants, async (participant) => {
    await participant.contact();
    report(participant.cluster, 'reachable');
  });
}

async function prepare(
  plan: DatabasePlan,
  index: number,
  participant: Participant,
  touched: Participant[],
  report: ReportStep,
): Promise<number> {
  touched.push(participant);
  const { cluster } = participant;
  try {
    const request = { cluster, name: plan.name, port: plan.instances[index]!.port };
    const port = await participant.prepare(plan.guid, request);
    report(cluster, `prepared, port ${port}`);
    return port;
  } catch (error) {
    throw new TaskFailedError([{ cluster, error }]);
  }
}

/** The way back. Repeated for a node that does not answer; what remains there is said. */
async function discardEverywhere(
  guid: string,
  touched: readonly Participant[],
  report: ReportStep,
): Promise<readonly TaskFailure[]> {
  const results = await Promise.all(
    touched.map(async (participant): Promise<TaskFailure[]> => {
      const error = await discardWithRetries(guid, participant);
      if (error === null) {
        report(participant.cluster, 'taken back');
        return [];
      }
      const text = `What was made on ${participant.cluster} could not be taken back (database ${guid}): ${reasonOf(error)}`;
      return [{ cluster: participant.cluster, error: new CrdbError('failed', text, { cause: error }) }];
    }),
  );
  return results.flat();
}

/** null, or the last attempt's error. */
async function discardWithRetries(guid: string, participant: Participant): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      await participant.discard(guid);
      return null;
    } catch (error) {
      if (attempt === DISCARD_ATTEMPTS_MAX) return error;
      await sleep(DISCARD_DELAY_MS_MIN * 2 ** (attempt - 1));
    }
  }
}

/** On all at once, to the end; then the failures of all together, each with its cluster. */
async function onEach(
  participants: readonly Participant[],
  work: (participant: Participant) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(participants.map(work));
  const failures = results.flatMap((result, index) =>
    result.status === 'rejected' ? [{ cluster: participants[index]!.cluster, error: result.reason as unknown }] : [],
  );
  if (failures.length > 0) throw new TaskFailedError(failures);
}

function failuresOf(error: unknown): readonly TaskFailure[] {
  if (error instanceof TaskFailedError) return error.failures;
  throw error;
}
