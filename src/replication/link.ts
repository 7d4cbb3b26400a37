/**
 * The pulling side of one link as a state machine: what may happen when, and what to do then. The driver (link-driver.ts) does the I/O
 * in the order given; nothing here knows a socket, a clock or a file.
 *
 *            start                 connected          +OK       +OK        HELLO
 *   stopped ───────> connecting ─────────────> auth ───────> sync ──> hello ────> decision
 *                    ^   │ failed              │  failed, closed, timed out       │      │
 *              retry │   v                     v                         CONTINUE │      │ FULLRESYNC
 *                    waiting <────────────────────────────────────┐               │      v
 *                    ^   failed, closed                           │               │   full-sync
 *                    └─────────────── streaming <─────────────────┼───────────────┘      │  spooled: join
 *                                        │  └── FULLRESYNC ───────┼──────────────────────┤
 *                                        └────────────────────────┴──────────── streaming <
 *
 *   pause leads to `paused` from everywhere, resume from there to `connecting`. A full sync holds nobody up and changes nothing before its one turn at the
 *   end, so it can be left at any moment.
 *
 * `waiting` backs off from 100 ms, doubling to 5 s, with jitter. An error that only an operator can mend (database, instance, protocol, features) is
 * retried every 30 s. Whoever refuses the secret is no instance of this database: while the peer was down another program took its port,
 * and will leave it; so that is retried as if nobody had answered. A full sync that finds another one of this instance under way waits without an error until that is
 * done: with its result a partial sync is often enough. A clock that is too far ahead is waited for (clock-guard.ts), without retries.
 *
 * `resync` is the operator's: connect anew at once, whatever the error was, and ask from what is applied by now, or for a full sync. One that is ordered
 * while a full sync runs is fulfilled by that.
 */
import type { LinkState } from '../instance/config.ts';
import { REPLICATION_PROTOCOL, type ReplicationLimits } from './limits.ts';
import type { Hello } from './messages.ts';

export type LinkStage =
  'stopped' | 'paused' | 'connecting' | 'auth' | 'sync' | 'hello' | 'decision' | 'full-sync' | 'streaming' | 'waiting';

export interface LinkSync {
  readonly kind: 'partial' | 'full';
  readonly reason: string;
  /** Wall clock. */
  readonly atMs: number;
}

export interface LinkMachine {
  readonly stage: LinkStage;
  /** Failures since the link last worked. */
  readonly attempt: number;
  /** `waiting` ends when the other full sync does. */
  readonly awaitsFullSync: boolean;
  /** `waiting` ends when time has caught up, or the operator accepts the clock. */
  readonly awaitsClock: boolean;
  /** The operator has ordered a full sync that has not been made yet. */
  readonly wantsFull: boolean;
  readonly lastError: string | null;
  readonly lastSync: LinkSync | null;
}

export type LinkEvent =
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'resync'; readonly full: boolean }
  /** Connect anew at once: other address, or to ask again from what is applied by now. */
  | { readonly type: 'restart' }
  | { readonly type: 'connected' }
  /** A RESP reply, its `+` or `-` included. */
  | { readonly type: 'reply'; readonly text: string }
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'continue'; readonly reason: string; readonly nowMs: number }
  | { readonly type: 'full-resync'; readonly reason: string; readonly nowMs: number; readonly slotFree: boolean }
  | { readonly type: 'spooled' }
  | { readonly type: 'slot-free' }
  /** Has been streaming for a while: the next failure is the first again. */
  | { readonly type: 'steady' }
  | { readonly type: 'retry' }
  | { readonly type: 'clock-ahead'; readonly message: string }
  /** Time has caught up, or the clock was accepted. */
  | { readonly type: 'clock-ready' }
  | { readonly type: 'failed'; readonly message: string; readonly permanent?: boolean }
  | { readonly type: 'closed'; readonly message: string | null };

export type LinkAction =
  | { readonly do: 'connect' }
  | { readonly do: 'send-auth' }
  | { readonly do: 'send-sync' }
  | { readonly do: 'send-hello' }
  | { readonly do: 'open-spool' }
  /** Makes the snapshot part of the live data. */
  | { readonly do: 'join' }
  | { readonly do: 'stream' }
  /** Drops the connection if there is one, what was received and not applied, and an unfinished spool. */
  | { readonly do: 'close' }
  | { readonly do: 'retry-after'; readonly delayMs: number };

export interface LinkContext {
  readonly guid: string;
  /** The instance expected at the other end. */
  readonly peer: number;
  readonly limits: ReplicationLimits;
  /** Uniform in 0 .. 1, for the jitter. */
  readonly random: () => number;
}

export interface LinkStep {
  readonly state: LinkMachine;
  readonly actions: readonly LinkAction[];
}

export const INITIAL_LINK: LinkMachine = {
  stage: 'stopped',
  attempt: 0,
  awaitsFullSync: false,
  awaitsClock: false,
  wantsFull: false,
  lastError: null,
  lastSync: null,
};

/** RESP error codes that waiting does not cure. */
const PERMANENT_CODES = ['NOPERM', 'WRONGGUID', 'WRONGINSTANCE', 'WRONGPROTOCOL', 'UNSUPPORTED'];

/** How an instance that is the right one may answer AUTH: it reads its log, or has too many clients. */
const OWN_REFUSAL = /^(LOADING|ERR max number of clients)/;

/** Characters of an unexpected answer that are shown. */
const ANSWER_SHOWN_MAX = 80;

export const isPermanentCode = (code: string): boolean => PERMANENT_CODES.includes(code);

export function stepLink(state: LinkMachine, event: LinkEvent, context: LinkContext): LinkStep {
  switch (event.type) {
    case 'start':
      return state.stage === 'stopped' ? connect(state) : stay(state);
    case 'stop':
      return { state: { ...state, ...NO_WISHES, stage: 'stopped' }, actions: [{ do: 'close' }] };
    case 'pause':
      return {
        state: { ...state, ...NO_WISHES, stage: 'paused', attempt: 0, lastError: null },
        actions: [{ do: 'close' }],
      };
    case 'resume':
      return state.stage === 'paused' ? connect(state) : stay(state);
    case 'restart':
      return state.stage === 'paused' || state.stage === 'stopped' ? stay(state) : connect({ ...state, attempt: 0 });
    case 'resync':
      return resync(state, event.full);
    case 'retry':
      return state.stage === 'waiting' && !state.awaitsClock ? connect(state) : stay(state);
    case 'clock-ahead':
      if (!isActive(state)) return stay(state);
      return {
        state: { ...state, stage: 'waiting', awaitsFullSync: false, awaitsClock: true, lastError: event.message },
        actions: [{ do: 'close' }],
      };
    case 'clock-ready':
      return state.stage === 'waiting' && state.awaitsClock ? connect({ ...state, attempt: 0 }) : stay(state);
    case 'slot-free':
      return state.stage === 'waiting' && state.awaitsFullSync ? connect(state) : stay(state);
    case 'steady':
      return { state: { ...state, attempt: state.stage === 'streaming' ? 0 : state.attempt }, actions: [] };
    case 'failed':
      return isActive(state) ? fail(state, event.message, event.permanent ?? false, context) : stay(state);
    case 'closed':
      return isActive(state)
        ? fail(state, event.message ?? 'the peer closed the connection', false, context)
        : stay(state);
    default:
      return stepConnected(state, event, context);
  }
}

type ConnectedEvent = Extract<
  LinkEvent,
  { readonly type: 'connected' | 'reply' | 'hello' | 'continue' | 'full-resync' | 'spooled' }
>;

function stepConnected(state: LinkMachine, event: ConnectedEvent, context: LinkContext): LinkStep {
  const { stage } = state;
  if (event.type === 'connected' && stage === 'connecting') return go(state, 'auth', { do: 'send-auth' });
  if (event.type === 'reply' && (stage === 'auth' || stage === 'sync')) return stepReply(state, event.text, context);
  if (event.type === 'hello' && stage === 'hello') {
    const objection = objectTo(event.hello, context);
    return objection ? fail(state, objection, true, context) : go(state, 'decision');
  }
  if (event.type === 'continue' && stage === 'decision') {
    const lastSync: LinkSync = { kind: 'partial', reason: event.reason, atMs: event.nowMs };
    return go({ ...state, lastError: null, lastSync }, 'streaming', { do: 'stream' });
  }
  if (event.type === 'full-resync' && (stage === 'decision' || stage === 'streaming')) {
    const lastSync: LinkSync = { kind: 'full', reason: event.reason, atMs: event.nowMs };
    if (event.slotFree) return go({ ...state, lastError: null, lastSync }, 'full-sync', { do: 'open-spool' });
    return {
      state: { ...state, stage: 'waiting', awaitsFullSync: true, awaitsClock: false, lastError: null },
      actions: [{ do: 'close' }, { do: 'retry-after', delayMs: context.limits.retrySlowMs }],
    };
  }
  if (event.type === 'spooled' && stage === 'full-sync') {
    return {
      state: { ...state, stage: 'streaming', wantsFull: false },
      actions: [{ do: 'join' }, { do: 'stream' }],
    };
  }
  return isActive(state)
    ? fail(state, `${event.type} was not expected in stage ${stage}`, false, context)
    : stay(state);
}

function stepReply(state: LinkMachine, text: string, context: LinkContext): LinkStep {
  if (text === '+OK') {
    return state.stage === 'auth' ? go(state, 'sync', { do: 'send-sync' }) : go(state, 'hello', { do: 'send-hello' });
  }
  const error = text.startsWith('-') ? text.slice(1) : null;
  if (state.stage === 'auth' && (error === null || !OWN_REFUSAL.test(error))) {
    const answer = error ?? JSON.stringify(text.slice(0, ANSWER_SHOWN_MAX));
    return fail(
      state,
      `something else than instance ${context.peer} of this database answers: ${answer}`,
      false,
      context,
    );
  }
  if (error !== null) return fail(state, error, isPermanentCode(error.split(' ', 1)[0]!), context);
  return fail(state, `expected +OK, received ${JSON.stringify(text.slice(0, ANSWER_SHOWN_MAX))}`, false, context);
}

/** Paused and stopped links are refused before they come here. */
function resync(state: LinkMachine, full: boolean): LinkStep {
  if (state.stage === 'paused' || state.stage === 'stopped' || state.stage === 'full-sync') return stay(state);
  return connect({ ...state, attempt: 0, wantsFull: state.wantsFull || full });
}

function connect(state: LinkMachine): LinkStep {
  return {
    state: { ...state, stage: 'connecting', awaitsFullSync: false, awaitsClock: false },
    actions: [{ do: 'close' }, { do: 'connect' }],
  };
}

function go(state: LinkMachine, stage: LinkStage, action?: LinkAction): LinkStep {
  return { state: { ...state, stage }, actions: action ? [action] : [] };
}

const stay = (state: LinkMachine): LinkStep => ({ state, actions: [] });

function fail(state: LinkMachine, message: string, permanent: boolean, context: LinkContext): LinkStep {
  const { limits, random } = context;
  const ceilingMs = permanent
    ? limits.retrySlowMs
    : Math.min(limits.retryMaxMs, limits.retryMinMs * 2 ** state.attempt);
  const delayMs = Math.round(ceilingMs * (0.5 + 0.5 * random()));
  return {
    state: { ...state, stage: 'waiting', attempt: state.attempt + 1, awaitsFullSync: false, lastError: message },
    actions: [{ do: 'close' }, { do: 'retry-after', delayMs }],
  };
}

const NO_WISHES = { awaitsFullSync: false, awaitsClock: false, wantsFull: false } as const;

const isActive = ({ stage }: LinkMachine): boolean => stage !== 'stopped' && stage !== 'paused' && stage !== 'waiting';

function objectTo(hello: Hello, { guid, peer }: LinkContext): string | null {
  if (hello.protocol !== REPLICATION_PROTOCOL) {
    return `instance ${hello.instance} speaks replication protocol ${hello.protocol}, this one ${REPLICATION_PROTOCOL}`;
  }
  if (hello.guid !== guid) return `the endpoint belongs to database ${hello.guid}, this one is ${guid}`;
  if (hello.instance !== peer) return `instance ${hello.instance} answered where instance ${peer} was expected`;
  return null;
}

/** The stage as an operator sees it. */
export function describeStage(stage: LinkStage): LinkState {
  switch (stage) {
    case 'auth':
    case 'sync':
    case 'hello':
    case 'decision':
      return 'handshake';
    case 'stopped':
      return 'waiting';
    default:
      return stage;
  }
}
