import { describe, expect, it } from '@jest/globals';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { INITIAL_FEED, stepFeed, type FeedEvent, type FeedMachine } from '../../src/replication/feed.ts';
import type { Hello } from '../../src/replication/messages.ts';

const helloOf = (changed: Partial<Hello>): FeedEvent => {
  const hello = { protocol: 1, guid: 'g', instance: 2, generation: 1, floor: null, want: [], compression: 0 };
  const more = { full: false, capabilities: [] };
  return { type: 'hello', hello: { ...hello, ...more, vector: new VersionVector(), ...changed } };
};

function play(events: readonly FeedEvent[], from: FeedMachine = INITIAL_FEED): string[] {
  let state = from;
  return events.map((event) => {
    const step = stepFeed(state, event, { guid: 'g', peer: 2 });
    ({ state } = step);
    return [`${event.type} -> ${state.stage}`, ...step.actions.map((action) => Object.values(action).join(' '))].join(
      ', ',
    );
  });
}

const partial: FeedEvent = { type: 'decided', decision: { kind: 'partial', reason: 'p', position: 7 } };
const full: FeedEvent = { type: 'decided', decision: { kind: 'full', reason: 'f', wasPartialAsked: true } };

describe('a feed', () => {
  it('streams from where the log has what the peer lacks', () => {
    expect(play([helloOf({}), partial])).toEqual([
      'hello -> deciding, send-hello, decide',
      'decided -> streaming, send-continue p, seek 7',
    ]);
  });

  it('sends a snapshot when there is one, then streams', () => {
    expect(play([helloOf({}), full, { type: 'snapshot-ready' }, { type: 'snapshot-sent' }])).toEqual([
      'hello -> deciding, send-hello, decide',
      'decided -> preparing, acquire-snapshot',
      'snapshot-ready -> snapshot, begin-snapshot f',
      'snapshot-sent -> streaming',
    ]);
  });

  it('falls back to a full sync on the same connection when the log has moved on', () => {
    expect(play([helloOf({}), partial, full]).at(-1)).toBe('decided -> preparing, acquire-snapshot');
    expect(play([helloOf({}), partial, partial]).at(-1)).toBe('decided -> streaming, seek 7');
  });

  it.each([
    [{ guid: 'x' }, 'WRONGGUID database x was asked for, this instance belongs to g'],
    [{ protocol: 9 }, 'WRONGPROTOCOL replication protocol 9 was asked for, this instance speaks 1'],
    [{ instance: 3 }, 'WRONGINSTANCE HELLO is from instance 3, CRDT.SYNC from instance 2'],
  ])('refuses %j', (changed, error) => {
    expect(play([helloOf(changed)])).toEqual([`hello -> closed, send-error ${error}, close`]);
  });

  it('does nothing more once it is closed', () => {
    expect(play([{ type: 'closed' }, helloOf({}), full])).toEqual([
      'closed -> closed, close',
      'hello -> closed',
      'decided -> closed',
    ]);
  });
});
