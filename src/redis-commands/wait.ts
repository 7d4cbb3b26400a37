/**
 * WAIT and WAITAOF: how many other instances have this client's writes.
 *
 * Redis counts replicas; here every other instance of the database is one.
 */
import type { Reply } from '../resp/reply.ts';
import { parseInteger } from './parse-number.ts';
import { NO_KEYS, type Call, type CommandSpec } from './spec.ts';
import { NOT_AN_INTEGER } from './texts.ts';

/** A count or a timeout; NaN: an error was replied. */
function readCount(call: Call, index: number, negative: string, notANumber = NOT_AN_INTEGER): number {
  const value = parseInteger(call.args, index);
  if (Number.isNaN(value)) {
    call.reply.error(notANumber);
    return NaN;
  }
  if (value < 0) {
    call.reply.error(negative);
    return NaN;
  }
  return value;
}

const readTimeout = (call: Call, index: number): number =>
  readCount(call, index, 'ERR timeout is negative', 'ERR timeout is not an integer or out of range');

/** Blocks the session until `count` instances have its latest write, or the time is over; replies either way. */
function waitFor(
  call: Call,
  wish: { count: number; timeoutMs: number; durable: boolean; local: boolean },
  answer: (reply: Reply, local: boolean, acked: number) => void,
): void {
  const { reply, server, session } = call;
  const seq = session.lastWriteSeq;
  const state = (): { local: boolean; acked: number } => ({
    local: server.acks.isDurable(),
    acked: server.acks.acked(seq, wish.durable),
  });
  const isDone = (): boolean => {
    const { local, acked } = state();
    return acked >= wish.count && (local || !wish.local);
  };
  if (isDone() || session.isExecuting) {
    const { local, acked } = state();
    answer(reply, local, acked);
    return;
  }
  let finished = false;
  let timer: { cancel(): void } | null = null;
  let giveUp = (): void => {};
  const finish = (how: 'done' | 'gone' | 'timeout' | 'error'): void => {
    if (finished) return;
    finished = true;
    timer?.cancel();
    giveUp();
    if (how === 'gone') return;
    const { local, acked } = state();
    session.unblock((out) => {
      if (how === 'error') out.error('UNBLOCKED client unblocked via CLIENT UNBLOCK');
      else answer(out, local, acked);
    });
  };
  session.block((how) => finish(how));
  if (wish.timeoutMs > 0) timer = server.after(wish.timeoutMs, () => finish('timeout'));
  const check = (): void => {
    if (isDone()) finish('done');
  };
  if (wish.local) server.acks.whenDurable(check);
  giveUp = server.acks.whenAcked(seq, wish.count, wish.durable, check);
}

function wait(call: Call): void {
  const count = parseInteger(call.args, 1);
  if (Number.isNaN(count)) return call.reply.error(NOT_AN_INTEGER);
  const timeoutMs = readTimeout(call, 2);
  if (Number.isNaN(timeoutMs)) return;
  waitFor(call, { count, timeoutMs, durable: false, local: false }, (reply, _local, acked) => reply.integer(acked));
}

function waitAof(call: Call): void {
  const local = readCount(call, 1, 'ERR value is out of range, must be positive');
  if (Number.isNaN(local)) return;
  if (local > 1) return call.reply.error('ERR value is out of range, must be between 0 and 1');
  const count = readCount(call, 2, 'ERR value is out of range, must be positive');
  if (Number.isNaN(count)) return;
  const timeoutMs = readTimeout(call, 3);
  if (Number.isNaN(timeoutMs)) return;
  waitFor(call, { count, timeoutMs, durable: true, local: local === 1 }, (reply, isLocal, acked) => {
    reply.array(2);
    reply.integer(isLocal ? 1 : 0);
    reply.integer(acked);
  });
}

export const WAIT_COMMANDS = [
  {
    name: 'WAIT',
    summary: 'Blocks until this client’s writes have been applied by other instances.',
    group: 'generic',
    since: '3.0.0',
    arity: 3,
    flags: ['noscript'],
    keys: NO_KEYS,
    deviation: 'Counts the other instances of the database.',
    run: wait,
  },
  {
    name: 'WAITAOF',
    summary: 'Blocks until this client’s writes are on disk, here and on other instances.',
    group: 'generic',
    since: '7.2.0',
    arity: 4,
    flags: ['noscript'],
    keys: NO_KEYS,
    deviation: 'Counts the other instances of the database.',
    run: waitAof,
  },
] as const satisfies readonly CommandSpec[];
