/**
 * The serving side of one connection as a state machine. The driver (feed-driver.ts) reads the log and the snapshot and writes.
 *
 *             HELLO              partial
 *   hello ───────────> deciding ─────────> streaming <───────────────┐
 *                         │ full               │ the log has moved on │ sent
 *                         v                    v                      │
 *                     preparing <──────────────┘                      │
 *                         │ a snapshot file is there                  │
 *                         └───────────────> snapshot ─────────────────┘
 *
 * Every stage ends in `closed` when the connection does, or after an ERROR frame. A full sync is a file that is read, so a slow peer costs nothing but
 * the file and the log behind it; while the file is made (`preparing`) the peer receives heartbeats only.
 */
import type { SyncDecision } from './decide-sync.ts';
import { REPLICATION_PROTOCOL } from './limits.ts';
import type { Hello } from './messages.ts';

export type FeedStage = 'hello' | 'deciding' | 'preparing' | 'snapshot' | 'streaming' | 'closed';

export interface FeedMachine {
  readonly stage: FeedStage;
  readonly lastDecision: SyncDecision | null;
}

export type FeedEvent =
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'decided'; readonly decision: SyncDecision }
  | { readonly type: 'snapshot-ready' }
  | { readonly type: 'snapshot-sent' }
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  | { readonly type: 'closed' };

export type FeedAction =
  | { readonly do: 'send-hello' }
  | { readonly do: 'decide' }
  | { readonly do: 'send-continue'; readonly reason: string }
  /** Stream the log from here. */
  | { readonly do: 'seek'; readonly position: number }
  | { readonly do: 'acquire-snapshot' }
  | { readonly do: 'begin-snapshot'; readonly reason: string }
  | { readonly do: 'send-error'; readonly code: string; readonly message: string }
  | { readonly do: 'close' };

export interface FeedContext {
  readonly guid: string;
  /** The instance that asked for the sync, from its CRDT.SYNC. */
  readonly peer: number;
}

export interface FeedStep {
  readonly state: FeedMachine;
  readonly actions: readonly FeedAction[];
}

export const INITIAL_FEED: FeedMachine = { stage: 'hello', lastDecision: null };

export function stepFeed(state: FeedMachine, event: FeedEvent, context: FeedContext): FeedStep {
  const { stage } = state;
  if (stage === 'closed') return { state, actions: [] };
  switch (event.type) {
    case 'hello': {
      if (stage !== 'hello') return fail(state, 'PROTOCOL', 'a second HELLO');
      const objection = objectTo(event.hello, context);
      if (objection) return fail(state, objection.code, objection.message);
      return { state: { ...state, stage: 'deciding' }, actions: [{ do: 'send-hello' }, { do: 'decide' }] };
    }
    case 'decided':
      return decided(state, event.decision);
    case 'snapshot-ready':
      if (stage !== 'preparing' || !state.lastDecision) return { state, actions: [] };
      return {
        state: { ...state, stage: 'snapshot' },
        actions: [{ do: 'begin-snapshot', reason: state.lastDecision.reason }],
      };
    case 'snapshot-sent':
      return { state: { ...state, stage: 'streaming' }, actions: [] };
    case 'failed':
      return fail(state, event.code, event.message);
    case 'closed':
      return { state: { ...state, stage: 'closed' }, actions: [{ do: 'close' }] };
  }
}

/** A decision comes after HELLO, or while streaming when the log no longer has what is next. */
function decided(state: FeedMachine, decision: SyncDecision): FeedStep {
  if (decision.kind === 'full') {
    return { state: { stage: 'preparing', lastDecision: decision }, actions: [{ do: 'acquire-snapshot' }] };
  }
  const seek: FeedAction = { do: 'seek', position: decision.position };
  if (state.stage === 'streaming') return { state, actions: [seek] };
  return {
    state: { stage: 'streaming', lastDecision: decision },
    actions: [{ do: 'send-continue', reason: decision.reason }, seek],
  };
}

function fail(state: FeedMachine, code: string, message: string): FeedStep {
  return { state: { ...state, stage: 'closed' }, actions: [{ do: 'send-error', code, message }, { do: 'close' }] };
}

function objectTo(
  hello: Hello,
  { guid, peer }: FeedContext,
): { readonly code: string; readonly message: string } | null {
  if (hello.protocol !== REPLICATION_PROTOCOL) {
    const message = `replication protocol ${hello.protocol} was asked for, this instance speaks ${REPLICATION_PROTOCOL}`;
    return { code: 'WRONGPROTOCOL', message };
  }
  if (hello.guid !== guid) {
    return { code: 'WRONGGUID', message: `database ${hello.guid} was asked for, this instance belongs to ${guid}` };
  }
  if (hello.instance !== peer) {
    return {
      code: 'WRONGINSTANCE',
      message: `HELLO is from instance ${hello.instance}, CRDT.SYNC from instance ${peer}`,
    };
  }
  return null;
}
