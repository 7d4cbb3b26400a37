/**
 * Runs one instance process according to `stepSupervision`: starts or adopts it, learns over the control channel when it is
 * ready and whether it goes on answering, starts it again after a crash, stops it. A class because it has a lifetime: `start()`,
 * then `stop()` (the process ends with it) or `abandon()` (the process goes on for a later daemon).
 *
 * No clock decides: loading and stopping take what they take, and a process that is silent is told, not killed.
 */
import type { LoadingProgress, ProcessState } from '../admin/contract.ts';
import { reasonOf, toError } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import type { InstanceConfig } from '../instance/config.ts';
import { Answers, type AnswerChange, type Moment } from './answers.ts';
import { controlInstance, type InstanceReport } from './control.ts';
import type { Entry } from './entries.ts';
import type { DatabasePaths } from './home.ts';
import {
  EXIT_PORT_IN_USE,
  findInstance,
  startInstance,
  stopInstance,
  watchInstance,
  type ProcessExit,
  type RunningProcess,
} from './instance-process.ts';
import { ANSWER_POLL_MS, LOADING_POLL_MS, READY_POLL_MS, STOP_NOTE_MS } from './limits.ts';
import type { Log } from './log.ts';
import {
  INITIAL_SUPERVISION,
  stepSupervision,
  type Supervision,
  type SupervisionAction,
  type SupervisionEvent,
} from './supervision.ts';
import { describePortHolder } from './port-holder.ts';
import { explainSilence } from './process-identity.ts';
import { monotonicMs, settlesWithin, sleepAside, timestamp } from './system.ts';

export interface SupervisorOptions {
  readonly paths: DatabasePaths;
  /** Ids, endpoint and control secret; what else is in it the process reads from its file. */
  readonly config: InstanceConfig;
  readonly entry: Entry;
  readonly log: Log;
  /** Called whenever the process has become ready; `adopted` when it may run an older configuration. */
  readonly onReady: (adopted: boolean) => void;
  /** Scaled down by tests. */
  readonly limits?: SupervisorLimits;
}

export interface SupervisorLimits {
  readonly stopStallMsMax?: number;
  readonly answerPollMs?: number;
  readonly unresponsiveAfterMs?: number;
}

export interface ProcessStatus {
  readonly process: ProcessState;
  readonly pid: number | null;
  readonly restarts: number;
  readonly lastExit: string | null;
  readonly loading: LoadingProgress | null;
  readonly unresponsive: { readonly since: string; readonly reason: string } | null;
  readonly stopping: { readonly since: string; readonly written_bytes: number } | null;
}

const PROCESS_WORDS = {
  stopped: 'down',
  starting: 'loading',
  ready: 'running',
  waiting: 'restarting',
  stopping: 'stopping',
} as const satisfies Record<Supervision['stage']['name'], ProcessStatus['process']>;

export class InstanceSupervisor {
  readonly #options: SupervisorOptions;
  #state: Supervision = INITIAL_SUPERVISION;
  #process: RunningProcess | null = null;
  #starting: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #adopted = false;
  #abandoned = false;
  #terminating = false;
  /** Whether the process answers; anew for every process. */
  #answers = new Answers(now());
  #loading: LoadingProgress | null = null;
  /** When loading got on for the last time. */
  #movedMs = 0;
  #stopping: { readonly since: string; writtenBytes: number; notedMs: number } | null = null;
  #isForced = false;
  /** One waiter for the first outcome, ready or exit; set by `startAndWait`. */
  #onOutcome: ((exit: ProcessExit | null) => void) | null = null;
  #onStopped: ((error: Error | null) => void)[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  status(): ProcessStatus {
    const { stage, restarts, lastExit } = this.#state;
    const pid = this.#process?.identity.pid ?? null;
    const serves = stage.name === 'starting' || stage.name === 'ready';
    const silentSince = serves && pid !== null ? this.#answers.silentSince : null;
    return {
      process: silentSince === null ? PROCESS_WORDS[stage.name] : 'unresponsive',
      ...{ pid, restarts, lastExit },
      loading: stage.name === 'starting' ? this.#loading : null,
      unresponsive: silentSince === null ? null : { since: silentSince, reason: this.#silenceReason() },
      stopping:
        stage.name !== 'stopping' || this.#stopping === null
          ? null
          : { since: this.#stopping.since, written_bytes: this.#stopping.writtenBytes },
    };
  }

  /** Takes up the process that is still running, or starts one. Returns whether there was one. */
  async takeUp(): Promise<boolean> {
    const { paths, config } = this.#options;
    const identity = await findInstance(paths, config);
    if (identity === null) {
      this.#feed({ type: 'start' });
      return false;
    }
    this.#adopted = true;
    this.#watch(watchInstance(identity));
    this.#note('instance_adopted');
    this.#feed({ type: 'adopt' });
    return true;
  }

  /**
   * Starts the process and waits until it is ready, as long as it gets on. Throws port_in_use, instance_failed with the reason of the exit, or
   * timed_out; the supervision goes on regardless, so the caller stops it.
   */
  async startAndWait(stallMsMax: number): Promise<void> {
    const { name, instanceId, host, port } = this.#options.config;
    let exit: ProcessExit | null = null;
    const outcome = new Promise<void>((resolve) => {
      this.#onOutcome = (how) => {
        exit = how;
        resolve();
      };
    });
    this.#movedMs = monotonicMs();
    this.#feed({ type: 'start' });
    let inTime = false;
    for (let leftMs = stallMsMax; leftMs > 0 && !inTime; leftMs = this.#movedMs + stallMsMax - monotonicMs())
      inTime = await settlesWithin(leftMs, outcome);
    this.#onOutcome = null;
    const what = `Instance ${instanceId} of ${name} on ${host}:${port}`;
    if (!inTime) throw new CrdbError('timed_out', `${what} has not got on for ${stallMsMax} ms, and is not ready`);
    const result = exit as ProcessExit | null;
    if (result === null) return;
    throw new CrdbError(
      result.code === EXIT_PORT_IN_USE ? 'port_in_use' : 'instance_failed',
      `${what} did not start: ${result.reason}`,
    );
  }

  /**
   * The process has ended when this returns; it may write its last as long as it needs, unless forced, which also speeds up a stop that
   * has begun. Throws instance_failed when it cannot be ended.
   */
  async stop({ force = false } = {}): Promise<void> {
    if (force) this.#isForced = true;
    await new Promise<void>((resolve, reject) => {
      this.#onStopped.push((error) => (error === null ? resolve() : reject(error)));
      if (this.#state.stage.name === 'stopping' && !this.#terminating) void this.#terminate();
      this.#feed({ type: 'stop' });
    });
  }

  /** Looks no further after the process, which goes on. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    clearTimeout(this.#timer);
    await this.#starting;
    this.#process?.release();
  }

  #feed(event: SupervisionEvent): void {
    if (this.#abandoned) return;
    const { state, actions } = stepSupervision(this.#state, event);
    this.#state = state;
    for (const action of actions) this.#act(action);
  }

  #act(action: SupervisionAction): void {
    switch (action.type) {
      case 'spawn':
        this.#starting = this.#spawn();
        return;
      case 'await-ready':
        void this.#awaitReady();
        return;
      case 'announce-ready':
        this.#note('instance_ready');
        void this.#watchAnswers();
        this.#onOutcome?.(null);
        this.#options.onReady(this.#adopted);
        return;
      case 'wait':
        this.#timer = setTimeout(() => this.#feed({ type: 'delay-over' }), action.delayMs);
        return;
      case 'cancel-wait':
        clearTimeout(this.#timer);
        return;
      case 'terminate':
        void this.#terminate();
        return;
      case 'announce-stopped':
        this.#settleStops(null);
        return;
    }
  }

  async #spawn(): Promise<void> {
    try {
      const running = await startInstance(this.#options.paths, this.#options.entry);
      this.#adopted = false;
      this.#watch(running);
      this.#note('instance_started');
    } catch (error) {
      this.#exited({ code: null, reason: reasonOf(error) });
    }
  }

  #watch(running: RunningProcess): void {
    this.#process = running;
    this.#answers = new Answers(now(), this.#options.limits?.unresponsiveAfterMs);
    this.#loading = null;
    void running.exited.then(async (exit) => {
      const named = await this.#withPortHolder(exit);
      this.#process = null;
      this.#exited(named);
    });
  }

  /** An instance that cannot have its port says so by its exit code; who has it is easier seen from here. */
  async #withPortHolder(exit: ProcessExit): Promise<ProcessExit> {
    if (exit.code !== EXIT_PORT_IN_USE) return exit;
    const { host, port } = this.#options.config;
    return { ...exit, reason: `port ${port} on ${host} is in use by ${await describePortHolder(host, port)}` };
  }

  #exited(exit: ProcessExit): void {
    if (this.#abandoned) return;
    const { log, config } = this.#options;
    const fields = { database: config.name, guid: config.guid, instance: config.instanceId, reason: exit.reason };
    if (this.#state.stage.name === 'stopping') log.info('instance_stopped', fields);
    else log.error('instance_exited', fields);
    this.#onOutcome?.(exit);
    this.#feed({ type: 'exited', reason: exit.reason, nowMs: monotonicMs() });
  }

  /** Asks the starting process until it is ready or another stage has begun; a long recovery is no reason to give up. */
  async #awaitReady(): Promise<void> {
    const mine = this.#state.stage;
    while (this.#state.stage === mine && !this.#abandoned) {
      const report = await this.#ask(mine);
      if (this.#state.stage !== mine || this.#abandoned) return;
      if (report?.state === 'ready' && report.pid === this.#process?.identity.pid) {
        this.#feed({ type: 'ready', nowMs: monotonicMs() });
        return;
      }
      if (report?.loading) this.#noteLoading(report.loading);
      await sleepAside(report?.loading ? LOADING_POLL_MS : READY_POLL_MS);
    }
  }

  #noteLoading({ phase, keys, loadedBytes, totalBytes }: NonNullable<InstanceReport['loading']>): void {
    const before = this.#loading;
    const percent = totalBytes === 0 ? 0 : Math.min(100, Math.floor((loadedBytes / totalBytes) * 100));
    this.#loading = { phase, keys, loaded_bytes: loadedBytes, total_bytes: totalBytes, percent };
    if (before?.phase !== phase || before.loaded_bytes !== loadedBytes || before.keys !== keys)
      this.#movedMs = monotonicMs();
  }

  /** As long as it is ready. */
  async #watchAnswers(): Promise<void> {
    const mine = this.#state.stage;
    while (this.#state.stage === mine && !this.#abandoned) {
      await sleepAside(this.#options.limits?.answerPollMs ?? ANSWER_POLL_MS);
      if (this.#state.stage === mine && !this.#abandoned) await this.#ask(mine);
    }
  }

  /** What the process says of itself, null when it does not; whether it answers is told when that changes. */
  async #ask(stage: Supervision['stage']): Promise<InstanceReport | null> {
    const report = await controlInstance(this.#options.config)
      .status()
      .catch(() => null);
    if (this.#state.stage !== stage || this.#abandoned) return null;
    const change = report === null ? this.#answers.missed(now()) : this.#answers.answered(now());
    if (change !== null) this.#noteAnswers(change);
    return report;
  }

  #noteAnswers(change: AnswerChange): void {
    const { log } = this.#options;
    if (change.type === 'answering')
      log.info('instance_answers_again', { ...this.#fields(), silent_ms: Math.round(change.silentMs) });
    else log.error('instance_unresponsive', { ...this.#fields(), since: change.since, reason: this.#silenceReason() });
  }

  #silenceReason(): string {
    const pid = this.#process?.identity.pid;
    const known = pid === undefined ? null : explainSilence(pid);
    return known ?? 'it is busy with something long, or stuck; to have it started anew, kill the process';
  }

  async #terminate(): Promise<void> {
    await this.#starting;
    const running = this.#process;
    if (running === null) {
      this.#feed({ type: 'exited', reason: 'was not running', nowMs: monotonicMs() });
      return;
    }
    this.#terminating = true;
    try {
      const { paths, config, limits } = this.#options;
      this.#stopping = { since: timestamp(), writtenBytes: 0, notedMs: monotonicMs() };
      await stopInstance({
        paths,
        config,
        identity: running.identity,
        isForced: () => this.#isForced,
        onProgress: (writtenBytes) => this.#noteStopping(writtenBytes),
        ...(limits?.stopStallMsMax === undefined ? {} : { stallMsMax: limits.stopStallMsMax }),
      });
    } catch (error) {
      this.#settleStops(toError(error));
    } finally {
      this.#terminating = false;
    }
  }

  /** Who waits for a long stop reads in the log that it gets on. */
  #noteStopping(writtenBytes: number): void {
    const stopping = this.#stopping;
    if (stopping === null) return;
    stopping.writtenBytes = writtenBytes;
    if (monotonicMs() - stopping.notedMs < STOP_NOTE_MS) return;
    stopping.notedMs = monotonicMs();
    const { since } = stopping;
    this.#options.log.info('instance_stopping', { ...this.#fields(), since, written_bytes: writtenBytes });
  }

  #settleStops(error: Error | null): void {
    const waiting = this.#onStopped;
    this.#onStopped = [];
    for (const settle of waiting) settle(error);
  }

  #note(event: string): void {
    const { log, config } = this.#options;
    log.info(event, { ...this.#fields(), port: config.port, restarts: this.#state.restarts });
  }

  #fields() {
    const { config } = this.#options;
    return {
      ...{ database: config.name, guid: config.guid, instance: config.instanceId },
      pid: this.#process?.identity.pid ?? null,
    };
  }
}

function now(): Moment {
  return { monotonicMs: monotonicMs(), timestamp: timestamp() };
}
