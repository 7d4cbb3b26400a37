/** The tasks that this node coordinates: what they do now, how they ended. In memory; a finished one is kept for a while. */
import type { CrdbTask } from '../admin/contract.ts';
import { toError } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import { TASK_KEPT_MS, TASKS_MAX } from './limits.ts';
import { createGuid, monotonicMs, timestamp } from './system.ts';

export interface TaskFailure {
  readonly cluster: string;
  readonly error: unknown;
}

/** Thrown by the work of a task when several clusters failed, each with its own reason. */
export class TaskFailedError extends Error {
  readonly failures: readonly TaskFailure[];

  constructor(failures: readonly TaskFailure[]) {
    super(failures.map(({ cluster }) => cluster).join(', '));
    this.failures = failures;
  }
}

/** What the work of a task tells about its progress. */
export type ReportStep = (cluster: string, step: string) => void;

export interface TaskSpec {
  readonly operation: CrdbTask['operation'];
  readonly guid: string;
  /** Who is named when the work fails for a reason that belongs to no cluster. */
  readonly cluster: string;
  readonly work: (report: ReportStep) => Promise<void>;
}

interface Entry {
  task: CrdbTask;
  endedAtMs: number | null;
}

export class TaskBoard {
  readonly #entries = new Map<string, Entry>();
  readonly #running = new Set<Promise<void>>();
  readonly #onBug: (error: Error) => void;

  constructor(onBug: (error: Error) => void) {
    this.#onBug = onBug;
  }

  /** Starts the work and returns its task, already `started`. */
  run(spec: TaskSpec): CrdbTask {
    this.#forgetOld();
    const entry: Entry = {
      endedAtMs: null,
      task: {
        id: createGuid(),
        crdb_guid: spec.guid,
        operation: spec.operation,
        status: 'started',
        started: timestamp(),
        ended: null,
        progress: [],
        errors: [],
      },
    };
    this.#entries.set(entry.task.id, entry);
    const run = this.#work(entry, spec).finally(() => this.#running.delete(run));
    this.#running.add(run);
    return entry.task;
  }

  /** Throws task_not_found. */
  get(id: string): CrdbTask {
    this.#forgetOld();
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new CrdbError('task_not_found', `There is no task "${id}"`);
    return entry.task;
  }

  list(): readonly CrdbTask[] {
    this.#forgetOld();
    return [...this.#entries.values()].map((entry) => entry.task);
  }

  /** Resolves when no task runs. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #work(entry: Entry, spec: TaskSpec): Promise<void> {
    const report: ReportStep = (cluster, step) => {
      entry.task = { ...entry.task, progress: [...entry.task.progress, { cluster, step }] };
    };
    const end = (status: 'finished' | 'failed', errors: CrdbTask['errors']): void => {
      entry.endedAtMs = monotonicMs();
      entry.task = { ...entry.task, status, errors, ended: timestamp() };
    };
    try {
      await spec.work(report);
      end('finished', []);
    } catch (error) {
      const failures = error instanceof TaskFailedError ? error.failures : [{ cluster: spec.cluster, error }];
      end(
        'failed',
        failures.map((failure) => this.#describe(failure)),
      );
    }
  }

  #describe({ cluster, error }: TaskFailure): CrdbTask['errors'][number] {
    if (error instanceof CrdbError)
      return { cluster_name: cluster, description: error.message, error_code: error.code, hint: error.hint };
    const bug = toError(error);
    this.#onBug(bug);
    return { cluster_name: cluster, description: `Internal error: ${bug.message}`, error_code: 'bug' };
  }

  /** Entries are in order of their start, so the first ended ones are the oldest. */
  #forgetOld(): void {
    const nowMs = monotonicMs();
    for (const [id, { endedAtMs }] of this.#entries) {
      if (endedAtMs === null) continue;
      if (nowMs - endedAtMs > TASK_KEPT_MS || this.#entries.size > TASKS_MAX) this.#entries.delete(id);
    }
  }
}
