/** Following a task of the admin API to its end. */
import type { CrdbTask } from '../admin/contract.ts';
import { CrdbError, ERROR_KINDS, type ErrorCode } from '../errors.ts';
import type { NodeApi } from './control-plane.ts';
import { TASK_MS_MAX } from './limits.ts';
import { pollUntil, type Waiting } from './waiting.ts';

export interface TaskRun {
  readonly api: NodeApi;
  readonly waiting: Waiting;
  readonly signal: AbortSignal;
  /** Called with the latest step, `local-2: prepare`. */
  readonly report: (detail: string) => void;
}

/** Waits for the end. Throws the task's first error under its own code, or timed_out. Returns the finished task. */
export async function runTask(task: CrdbTask, run: TaskRun): Promise<CrdbTask> {
  const ended = await settleTask(task, run);
  if (ended.status === 'finished') return ended;
  const [first, ...others] = ended.errors;
  if (first === undefined)
    throw new CrdbError('failed', `The task ${ended.id} (${ended.operation}) failed and gives no reason`);
  const more = others.map((error) => `; ${error.cluster_name}: ${error.description}`).join('');
  const hint = first.hint === undefined ? {} : { hint: first.hint };
  throw new CrdbError(knownCode(first.error_code), `${first.cluster_name}: ${first.description}${more}`, hint);
}

/** Waits until the task has finished or failed. */
export async function settleTask(task: CrdbTask, { api, waiting, signal, report }: TaskRun): Promise<CrdbTask> {
  let latest: CrdbTask | null = task;
  const ended = await pollUntil(waiting, { withinMs: TASK_MS_MAX, signal }, async () => {
    const now: CrdbTask = latest ?? (await api.task(task.id));
    latest = null;
    const step = now.progress.at(-1);
    if (step !== undefined) report(`${step.cluster}: ${step.step}`);
    return now.status === 'finished' || now.status === 'failed' ? now : null;
  });
  if (ended !== null) return ended;
  throw new CrdbError(
    'timed_out',
    `The task ${task.id} (${task.operation}) has not ended within ${TASK_MS_MAX / 1000} s`,
  );
}

function knownCode(code: string): ErrorCode {
  return Object.hasOwn(ERROR_KINDS, code) ? (code as ErrorCode) : 'failed';
}
