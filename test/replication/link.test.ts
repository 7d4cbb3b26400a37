/** Transcripts: one event per line, the stage it leads to, and what is done. */
import { describe, expect, it } from '@jest/globals';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { REPLICATION_LIMITS } from '../../src/replication/limits.ts';
import { describeStage, INITIAL_LINK, stepLink, type LinkEvent, type LinkMachine } from '../../src/replication/link.ts';
import type { Hello } from '../../src/replication/messages.ts';

const context = { guid: 'g', peer: 2, limits: REPLICATION_LIMITS, random: () => 1 };

const helloOf = (changed: Partial<Hello>): Hello => {
  const hello = { protocol: 1, guid: 'g', instance: 2, generation: 1, floor: null, want: [], compression: 0 };
  return { ...hello, vector: new VersionVector(), ...changed };
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

  it('comes to full sync, merges, streams, and may be sent another one on the same connection', () => {
    const { lines, state } = play([
      ...toDecision,
      fullResync(true),
      { type: 'spooled' },
      { type: 'merged' },
      fullResync(true),
    ]);
    expect(lines.slice(5)).toEqual([
      'full-resync -> full-sync, open-spool',
      'spooled -> merging, merge',
      'merged -> streaming, stream',
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

  it('finishes a merge whatever happens meanwhile, then does what was asked', () => {
    const merging = play([...toDecision, fullResync(true), { type: 'spooled' }]).state;
    const merged: LinkEvent = { type: 'merged' };
    expect(play([reset, merged], merging).lines).toEqual(['closed -> merging', 'merged -> connecting, close, connect']);
    expect(play([{ type: 'pause' }, reset, merged], merging).lines.at(-1)).toBe('merged -> paused, close');
    expect(play([{ type: 'pause' }, { type: 'resume' }, merged], merging).lines.at(-1)).toBe(
      'merged -> connecting, close, connect',
    );
    expect(play([{ type: 'stop' }, merged], merging).lines.at(-1)).toBe('merged -> stopped, close');
  });

  it('treats what does not belong into its stage as an error', () => {
    const { lines, state } = play([...toDecision.slice(0, 2), CONTINUE]);
    expect(lines.at(-1)).toBe('continue -> waiting, close, retry-after 100');
    expect(state.lastError).toBe('continue was not expected in stage auth');
  });

  it('shows operators fewer stages than it has', () => {
    expect((['auth', 'sync', 'hello', 'decision'] as const).map(describeStage)).toEqual(Array(4).fill('handshake'));
    expect(describeStage('merging')).toBe('full-sync');
  });
});
