/**
 * Runs one instance process according to `stepSupervision`: starts or adopts it, learns over the control channel when it is
 * ready, starts it again after a crash, stops it. A class because it has a lifetime: `start()`, then `stop()` (the process
 * ends with it) or `abandon()` (the process goes on for a later daemon).
 */
import { reasonOf, toError } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import type { InstanceConfig } from '../instance/config.ts';
import { controlInstance } from './control.ts';
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
import { READY_POLL_MS } from './limits.ts';
import type { Log } from './log.ts';
import {
  INITIAL_SUPERVISION,
  stepSupervision,
  type Supervision,
  type SupervisionAction,
  type SupervisionEvent,
} from './supervision.ts';
import { describePortHolder } from './port-holder.ts';
import { monotonicMs, settlesWithin, sleep } from './system.ts';

export interface SupervisorOptions {
  readonly paths: DatabasePaths;
  /** Ids, endpoint and control secret; what else is in it the process reads from its file. */
  readonly config: InstanceConfig;
  readonly entry: Entry;
  readonly log: Log;
  /** Called whenever the process has become ready; `adopted` when it may run an older configuration. */
  readonly onReady: (adopted: boolean) => void;
}

export interface ProcessStatus {
  readonly process: 'running' | 'loading' | 'restarting' | 'down';
  readonly pid: number | null;
  readonly restarts: number;
  readonly lastExit: string | null;
}

const PROCESS_WORDS = {
  stopped: 'down',
  starting: 'loading',
  ready: 'running',
  waiting: 'restarting',
  stopping: 'down',
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
  /** One waiter for the first outcome, ready or exit; set by `startAndWait`. */
  #onOutcome: ((exit: ProcessExit | null) => void) | null = null;
  #onStopped: ((error: Error | null) => void)[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  status(): ProcessStatus {
    const { stage, restarts, lastExit } = this.#state;
    return { process: PROCESS_WORDS[stage.name], pid: this.#process?.identity.pid ?? null, restarts, lastExit };
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
   * Starts the process and waits until it is ready. Throws port_in_use, instance_failed with the reason of the exit, or
   * timed_out; the supervision goes on regardless, so the caller stops it.
   */
  async startAndWait(withinMs: number): Promise<void> {
    const { name, instanceId, host, port } = this.#options.config;
    let exit: ProcessExit | null = null;
    const outcome = new Promise<void>((resolve) => {
      this.#onOutcome = (how) => {
        exit = how;
        resolve();
      };
    });
    this.#feed({ type: 'start' });
    const inTime = await settlesWithin(withinMs, outcome);
    this.#onOutcome = null;
    const what = `Instance ${instanceId} of ${name} on ${host}:${port}`;
    if (!inTime) throw new CrdbError('timed_out', `${what} was not ready within ${withinMs} ms`);
    const result = exit as ProcessExit | null;
    if (result === null) return;
    throw new CrdbError(
      result.code === EXIT_PORT_IN_USE ? 'port_in_use' : 'instance_failed',
      `${what} did not start: ${result.reason}`,
    );
  }

  /** The process has ended when this returns. Throws instance_failed when it cannot be ended. */
  async stop(): Promise<void> {
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
    const control = controlInstance(this.#options.config);
    while (this.#state.stage === mine && !this.#abandoned) {
      const status = await control.status().catch(() => null);
      if (this.#state.stage !== mine) return;
      const known = this.#process?.identity.pid;
      if (status !== null && status.state === 'ready' && status.pid === known) {
        this.#feed({ type: 'ready', nowMs: monotonicMs() });
        return;
      }
      await sleep(READY_POLL_MS);
    }
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
      await stopInstance(this.#options.paths, this.#options.config, running.identity);
    } catch (error) {
      this.#settleStops(toError(error));
    } finally {
      this.#terminating = false;
    }
  }

  #settleStops(error: Error | null): void {
    const waiting = this.#onStopped;
    this.#onStopped = [];
    for (const settle of waiting) settle(error);
  }

  #note(event: string): void {
    const { log, config } = this.#options;
    const { pid, restarts } = this.status();
    log.info(event, {
      database: config.name,
      guid: config.guid,
      instance: config.instanceId,
      port: config.port,
      pid,
      restarts,
    });
  }
}
