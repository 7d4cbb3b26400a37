/** Transcripts: one event per line, the stage it leads to, and what is done. */
import { describe, expect, it } from '@jest/globals';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { REPLICATION_LIMITS } from '../../src/replication/limits.ts';
import { describeStage, INITIAL_LINK, stepLink, type LinkEvent, type LinkMachine } from '../../src/replication/link.ts';
import type { Hello } from '../../src/replication/messages.ts';

const context = { guid: 'g', peer: 2, limits: REPLICATION_LIMITS, random: () => 1 };

const helloOf = (changed: Partial<Hello>): Hello => {
  const hello = { protocol: 1, guid: 'g', instance: 2, generation: 1, floor: null, want: [], compression: 0 };
  const more = { full: false, capabilities: [] };
  return { ...hello, ...more, vector: new VersionVector(), ...changed };
};

function play(
  events: readonly LinkEvent[],
  from: LinkMachine = INITIAL_LINK,
): { readonly lines: string[]; readonly state: LinkMachine } {
  let state = from;
  const lines = events.map((event) => {
    const step = stepLink(state, event, context);
    ({ state } = step);
    const actions = step.actions.map((action) =>
      action.do === 'retry-after' ? `retry-after ${action.delayMs}` : action.do,
    );
    return [`${event.type} -> ${state.stage}`, ...actions].join(', ');
  });
  return { lines, state };
}

const OK: LinkEvent = { type: 'reply', text: '+OK' };
const HELLO: LinkEvent = { type: 'hello', hello: helloOf({}) };
const toDecision: readonly LinkEvent[] = [{ type: 'start' }, { type: 'connected' }, OK, OK, HELLO];
const CONTINUE: LinkEvent = { type: 'continue', reason: 'partial: x', nowMs: 5 };
const fullResync = (slotFree: boolean): LinkEvent => ({ type: 'full-resync', reason: 'full: y', nowMs: 6, slotFree });
const reset: LinkEvent = { type: 'closed', message: 'connection reset' };

describe('a link', () => {
  it('comes to partial sync', () => {
    expect(play([...toDecision, CONTINUE]).lines).toEqual([
      'start -> connecting, close, connect',
      'connected -> auth, send-auth',
      'reply -> sync, send-sync',
      'reply -> hello, send-hello',
      'hello -> decision',
      'continue -> streaming, stream',
    ]);
  });

  it('comes to full sync, joins it, streams, and may be sent another one on the same connection', () => {
    const { lines, state } = play([...toDecision, fullResync(true), { type: 'spooled' }, fullResync(true)]);
    expect(lines.slice(5)).toEqual([
      'full-resync -> full-sync, open-spool',
      'spooled -> streaming, join, stream',
      'full-resync -> full-sync, open-spool',
    ]);
    expect(state.lastSync).toEqual({ kind: 'full', reason: 'full: y', atMs: 6 });
  });

  it('waits without an error while another full sync is under way, and goes on when that is done', () => {
    const { lines, state } = play([...toDecision, fullResync(false), { type: 'slot-free' }]);
    expect(lines.slice(5)).toEqual([
      'full-resync -> waiting, close, retry-after 30000',
      'slot-free -> connecting, close, connect',
    ]);
    expect(state.lastError).toBeNull();
  });

  it('backs off from 100 ms, doubling to 5 s, until it has been streaming for a while', () => {
    const failure: LinkEvent = { type: 'failed', message: 'refused' };
    const retry: LinkEvent = { type: 'retry' };
    const { lines, state } = play([{ type: 'start' }, ...Array.from({ length: 8 }, () => [failure, retry]).flat()]);
    const delays = lines.filter((line) => line.startsWith('failed')).map((line) => Number(line.split(' ').at(-1)));
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    const streaming = play([{ type: 'connected' }, OK, OK, HELLO, CONTINUE], state).state;
    expect(play([reset], streaming).lines).toEqual(['closed -> waiting, close, retry-after 5000']);
    expect(play([{ type: 'steady' }, reset], streaming).lines[1]).toBe('closed -> waiting, close, retry-after 100');
  });

  it.each([
    ['-WRONGPASS no', 'something else than instance 2 of this database answers: WRONGPASS no', 100],
    ['-LOADING the log is read', 'LOADING the log is read', 100],
    ['$5', 'something else than instance 2 of this database answers: "$5"', 100],
    ['HTTP/1.1 400', 'something else than instance 2 of this database answers: "HTTP/1.1 400"', 100],
  ])('takes %s for an error and retries as slowly as it deserves', (text, lastError, delayMs) => {
    const { lines, state } = play([{ type: 'start' }, { type: 'connected' }, { type: 'reply', text }]);
    expect(lines.at(-1)).toBe(`reply -> waiting, close, retry-after ${delayMs}`);
    expect(state.lastError).toBe(lastError);
  });

  it.each([
    [{ guid: 'other' }, 'the endpoint belongs to database other, this one is g'],
    [{ instance: 3 }, 'instance 3 answered where instance 2 was expected'],
    [{ protocol: 2 }, 'instance 2 speaks replication protocol 2, this one 1'],
  ])('does not pull from the wrong peer: %j', (changed, lastError) => {
    const { lines, state } = play([...toDecision.slice(0, 4), { type: 'hello', hello: helloOf(changed) }]);
    expect(lines.at(-1)).toBe('hello -> waiting, close, retry-after 30000');
    expect(state.lastError).toBe(lastError);
  });

  it('pauses from everywhere and resumes by connecting', () => {
    for (let count = 1; count <= toDecision.length; count++) {
      const { lines } = play([
        ...toDecision.slice(0, count),
        { type: 'pause' },
        reset,
        { type: 'retry' },
        { type: 'resume' },
      ]);
      expect(lines.slice(count)).toEqual([
        'pause -> paused, close',
        'closed -> paused',
        'retry -> paused',
        'resume -> connecting, close, connect',
      ]);
    }
  });

  it('leaves a full sync at any moment', () => {
    const loading = play([...toDecision, fullResync(true)]).state;
    expect(play([reset], loading).lines).toEqual(['closed -> waiting, close, retry-after 100']);
    expect(play([{ type: 'pause' }, { type: 'spooled' }], loading).lines).toEqual([
      'pause -> paused, close',
      'spooled -> paused',
    ]);
    expect(play([{ type: 'stop' }], loading).lines).toEqual(['stop -> stopped, close']);
  });

  it('is mended by a resync whatever has stopped it, and asks for a full sync until one was made', () => {
    const broken = play([
      ...toDecision,
      CONTINUE,
      { type: 'failed', message: 'unknown effect', permanent: true },
    ]).state;
    expect(play([{ type: 'resync', full: false }], broken).lines).toEqual(['resync -> connecting, close, connect']);
    const ordered = play([{ type: 'resync', full: true }, { type: 'connected' }, OK, OK], broken).state;
    expect(ordered).toMatchObject({ stage: 'hello', wantsFull: true, attempt: 0 });
    const failed = play([reset, { type: 'retry' }, { type: 'connected' }, OK, OK, HELLO, fullResync(true)], ordered);
    expect(failed.state).toMatchObject({ stage: 'full-sync', wantsFull: true });
    expect(play([{ type: 'spooled' }], failed.state).state.wantsFull).toBe(false);
  });

  it('joins a resync to the full sync that runs', () => {
    const loading = play([...toDecision, fullResync(true)]).state;
    expect(play([{ type: 'resync', full: true }], loading).lines).toEqual(['resync -> full-sync']);
  });

  it('waits for a clock without retries, until time has caught up or the operator says so', () => {
    const streaming = play([...toDecision, CONTINUE]).state;
    const { lines, state } = play(
      [{ type: 'clock-ahead', message: 'the clock of instance 2' }, { type: 'retry' }, { type: 'slot-free' }],
      streaming,
    );
    expect(lines).toEqual(['clock-ahead -> waiting, close', 'retry -> waiting', 'slot-free -> waiting']);
    expect(state.lastError).toBe('the clock of instance 2');
    expect(play([{ type: 'clock-ready' }], state).lines).toEqual(['clock-ready -> connecting, close, connect']);
    expect(play([{ type: 'resync', full: false }], state).lines).toEqual(['resync -> connecting, close, connect']);
    expect(play([{ type: 'pause' }, { type: 'clock-ready' }], state).lines[1]).toBe('clock-ready -> paused');
  });

  it('treats what does not belong into its stage as an error', () => {
    const { lines, state } = play([...toDecision.slice(0, 2), CONTINUE]);
    expect(lines.at(-1)).toBe('continue -> waiting, close, retry-after 100');
    expect(state.lastError).toBe('continue was not expected in stage auth');
  });

  it('shows operators fewer stages than it has', () => {
    expect((['auth', 'sync', 'hello', 'decision'] as const).map(describeStage)).toEqual(Array(4).fill('handshake'));
  });
});
