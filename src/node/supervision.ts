/**
 * When an instance process is started, restarted and stopped: the rules alone, without a process or a clock.
 *
 *             start / adopt                ready
 *   stopped ----------------> starting ----------> ready
 *      ^                        |  ^                 |
 *      | stop                   |  | delay over      | exited
 *      +--------- waiting <-----+--|-----------------+
 *      |             |    exited   |
 *      |             +-------------+
 *      +--- stopping <--- stop (from starting, ready) ; exited
 *
 * A crash is answered with a restart, always: there is no number of crashes after which the data stays offline. An instance
 * that had been ready for a while was healthy, whatever has ended it (a kill, the OOM killer), and is started again at once. Only one that
 * fails soon waits, twice as long each time in a row.
 *
 * Invariant: between `spawn` and `exited` there is exactly one process, and no action ever asks for a second one.
 */
import { RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MIN, RESTART_HEALTHY_AFTER_MS } from './limits.ts';

export type Stage =
  | { readonly name: 'stopped' }
  | { readonly name: 'starting' }
  | { readonly name: 'ready'; readonly sinceMs: number }
  | { readonly name: 'waiting' }
  | { readonly name: 'stopping' };

export interface Supervision {
  readonly stage: Stage;
  /** Starts after a crash, since this daemon looks after the instance. */
  readonly restarts: number;
  /** Quick failures in a row: what the delay is made of. */
  readonly crashes: number;
  /** How the process ended when nobody had asked it to. */
  readonly lastExit: string | null;
}

export type SupervisionEvent =
  | { readonly type: 'start' }
  /** A process that an earlier daemon has started is still there. */
  | { readonly type: 'adopt' }
  | { readonly type: 'ready'; readonly nowMs: number }
  | { readonly type: 'exited'; readonly reason: string; readonly nowMs: number }
  | { readonly type: 'delay-over' }
  | { readonly type: 'stop' };

export type SupervisionAction =
  | { readonly type: 'spawn' }
  | { readonly type: 'await-ready' }
  | { readonly type: 'announce-ready' }
  | { readonly type: 'wait'; readonly delayMs: number }
  | { readonly type: 'cancel-wait' }
  | { readonly type: 'terminate' }
  | { readonly type: 'announce-stopped' };

export interface SupervisionStep {
  readonly state: Supervision;
  readonly actions: readonly SupervisionAction[];
}

export const INITIAL_SUPERVISION: Supervision = { stage: { name: 'stopped' }, restarts: 0, crashes: 0, lastExit: null };

const SPAWN: readonly SupervisionAction[] = [{ type: 'spawn' }, { type: 'await-ready' }];

/** An event that means nothing in the present stage (a late answer, a second stop) changes nothing. */
export function stepSupervision(state: Supervision, event: SupervisionEvent): SupervisionStep {
  const stage = state.stage;
  switch (event.type) {
    case 'start':
      return stage.name === 'stopped' ? to(state, { name: 'starting' }, SPAWN) : same(state);
    case 'adopt':
      return stage.name === 'stopped' ? to(state, { name: 'starting' }, [{ type: 'await-ready' }]) : same(state);
    case 'ready':
      return stage.name === 'starting'
        ? to(state, { name: 'ready', sinceMs: event.nowMs }, [{ type: 'announce-ready' }])
        : same(state);
    case 'exited':
      return exited(state, event.reason, event.nowMs);
    case 'delay-over':
      return stage.name === 'waiting'
        ? to({ ...state, restarts: state.restarts + 1 }, { name: 'starting' }, SPAWN)
        : same(state);
    case 'stop':
      return stop(state);
  }
}

function exited(state: Supervision, reason: string, nowMs: number): SupervisionStep {
  switch (state.stage.name) {
    case 'stopping':
      return to(state, { name: 'stopped' }, [{ type: 'announce-stopped' }]);
    case 'starting':
      return crashed(state, state.crashes + 1, reason);
    case 'ready': {
      const wasHealthy = nowMs - state.stage.sinceMs >= RESTART_HEALTHY_AFTER_MS;
      return crashed(state, wasHealthy ? 0 : state.crashes + 1, reason);
    }
    case 'waiting':
    case 'stopped':
      return same(state);
  }
}

function crashed(state: Supervision, crashes: number, reason: string): SupervisionStep {
  return to({ ...state, crashes, lastExit: reason }, { name: 'waiting' }, [
    { type: 'wait', delayMs: restartDelayMs(crashes) },
  ]);
}

/** At once after none, 50 ms after the first quick failure in a row, doubling to 10 s. */
export function restartDelayMs(crashes: number): number {
  if (crashes === 0) return 0;
  return Math.min(RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MIN * 2 ** (crashes - 1));
}

function stop(state: Supervision): SupervisionStep {
  switch (state.stage.name) {
    case 'starting':
    case 'ready':
      return to(state, { name: 'stopping' }, [{ type: 'terminate' }]);
    case 'waiting':
      return to(state, { name: 'stopped' }, [{ type: 'cancel-wait' }, { type: 'announce-stopped' }]);
    case 'stopped':
      return { state, actions: [{ type: 'announce-stopped' }] };
    case 'stopping':
      return same(state);
  }
}

function to(state: Supervision, stage: Stage, actions: readonly SupervisionAction[]): SupervisionStep {
  return { state: { ...state, stage }, actions };
}

function same(state: Supervision): SupervisionStep {
  return { state, actions: [] };
}
