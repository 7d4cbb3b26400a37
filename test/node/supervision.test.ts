import { describe, expect, it } from '@jest/globals';
import {
  INITIAL_SUPERVISION,
  restartDelayMs,
  stepSupervision,
  type Supervision,
  type SupervisionEvent,
} from '../../src/node/supervision.ts';

/** Feeds the events and gives the final state with the names of all actions. */
function run(events: readonly SupervisionEvent[], from: Supervision = INITIAL_SUPERVISION) {
  let state = from;
  const actions: string[] = [];
  for (const event of events) {
    const step = stepSupervision(state, event);
    state = step.state;
    actions.push(...step.actions.map((action) => (action.type === 'wait' ? `wait ${action.delayMs}` : action.type)));
  }
  return { state, actions };
}

const exited = (nowMs: number): SupervisionEvent => ({ type: 'exited', reason: 'killed by SIGKILL', nowMs });
const ready = (nowMs: number): SupervisionEvent => ({ type: 'ready', nowMs });

describe('supervision of an instance', () => {
  it('starts a process and waits until it is ready', () => {
    const { state, actions } = run([{ type: 'start' }, ready(100)]);
    expect(actions).toEqual(['spawn', 'await-ready', 'announce-ready']);
    expect(state.stage).toEqual({ name: 'ready', sinceMs: 100 });
  });

  it('takes up a running process without starting a second one', () => {
    const { actions } = run([{ type: 'adopt' }, { type: 'start' }, ready(100)]);
    expect(actions).toEqual(['await-ready', 'announce-ready']);
  });

  it('restarts after a crash, and says how often and why', () => {
    const { state, actions } = run([{ type: 'start' }, ready(0), exited(900), { type: 'delay-over' }]);
    expect(actions).toEqual(['spawn', 'await-ready', 'announce-ready', 'wait 50', 'spawn', 'await-ready']);
    expect(state).toMatchObject({ restarts: 1, lastExit: 'killed by SIGKILL', stage: { name: 'starting' } });
  });

  it('waits longer after every crash in a row, at most ten seconds', () => {
    const crash: SupervisionEvent[] = [exited(0), { type: 'delay-over' }];
    const { actions } = run([{ type: 'start' }, ...crash, ...crash, ...crash]);
    expect(actions.filter((action) => action.startsWith('wait'))).toEqual(['wait 50', 'wait 100', 'wait 200']);
    expect(restartDelayMs(9)).toBe(10_000);
    expect(restartDelayMs(5000)).toBe(10_000);
  });

  it('starts an instance that was healthy for a second again at once, however often it had failed before', () => {
    const failures: SupervisionEvent[] = [exited(0), { type: 'delay-over' }, exited(0), { type: 'delay-over' }];
    const short = run([{ type: 'start' }, ...failures, ready(0), exited(999)]);
    const long = run([{ type: 'start' }, ...failures, ready(0), exited(1_000)]);
    expect(short.actions.at(-1)).toBe('wait 200');
    expect(long.actions.at(-1)).toBe('wait 0');
  });

  it('begins with the shortest delay when a healthy one does not come back', () => {
    const healthy: SupervisionEvent[] = [{ type: 'start' }, ready(0), exited(1_000), { type: 'delay-over' }];
    const { actions } = run([...healthy, exited(1_100), { type: 'delay-over' }, exited(1_200)]);
    expect(actions.filter((action) => action.startsWith('wait'))).toEqual(['wait 0', 'wait 50', 'wait 100']);
  });

  it('never waits for one that is killed again and again while it is healthy', () => {
    const kill = (nowMs: number): SupervisionEvent[] => [ready(nowMs), exited(nowMs + 1_000), { type: 'delay-over' }];
    const { state, actions } = run([{ type: 'start' }, ...kill(0), ...kill(20_000), ...kill(40_000)]);
    expect(actions.filter((action) => action.startsWith('wait'))).toEqual(['wait 0', 'wait 0', 'wait 0']);
    expect(state).toMatchObject({ restarts: 3, crashes: 0 });
  });

  it('ends the process when it is stopped, and does not take that for a crash', () => {
    const { state, actions } = run([{ type: 'start' }, ready(0), { type: 'stop' }, exited(10)]);
    expect(actions.slice(-2)).toEqual(['terminate', 'announce-stopped']);
    expect(state).toMatchObject({ stage: { name: 'stopped' }, lastExit: null });
  });

  it('is stopped at once while it waits for a restart', () => {
    const { state, actions } = run([{ type: 'start' }, exited(0), { type: 'stop' }, { type: 'delay-over' }]);
    expect(actions.slice(-2)).toEqual(['cancel-wait', 'announce-stopped']);
    expect(state.stage.name).toBe('stopped');
  });

  it('ignores an answer that arrives after the process has gone', () => {
    const { state } = run([{ type: 'start' }, exited(0), ready(1)]);
    expect(state.stage.name).toBe('waiting');
  });
});
