/**
 * MULTI, EXEC, DISCARD, WATCH.
 *
 * All commands of a transaction run in one go and end in one batch, so other instances see all of it or nothing of it. Per key the ordinary rules
 * of conflict hold.
 */
import { TYPE } from '../database/key-ref.ts';
import { makeArgs } from '../resp/args.ts';
import { keyIndexes } from './command-info.ts';
import type { QueuedCommand } from './session.ts';
import { ALL_KEYS, NO_KEYS, type Call, type CommandSpec } from './spec.ts';

function exec(call: Call): void {
  const { reply, session, server } = call;
  const { transaction } = session;
  if (transaction === null) return reply.error('ERR EXEC without MULTI');
  const dirty = session.dirty || hasComeOrGone(call);
  if (!dirty && !transaction.failed) demandSettled(call, transaction.queue);
  session.transaction = null;
  server.forgetWatches(session);
  if (transaction.failed) return reply.error('EXECABORT Transaction discarded because of previous errors.');
  if (dirty) return reply.nilArray();
  reply.array(transaction.queue.length);
  session.isExecuting = true;
  for (const command of transaction.queue) server.runQueued(command);
  session.isExecuting = false;
}

/** A transaction is one moment: what one of its commands would be put off for puts off all of it, before the first. */
function demandSettled({ database }: Call, queue: readonly QueuedCommand[]): void {
  if (database.isSettled) return;
  for (const { spec, args } of queue) {
    for (const index of keyIndexes(spec, args) ?? []) database.demandSettled(args, index);
  }
}

/** Whether a watched key ran out of time and nobody has removed it yet, or one that had is there again. */
function hasComeOrGone({ database, session }: Call): boolean {
  return session.watchedKeys.some(
    ({ key, existed }) => existed !== (database.lookup(makeArgs([key]), 0).type !== TYPE.none),
  );
}

function watch(call: Call): void {
  const { args, database, reply, session } = call;
  if (session.transaction !== null) return reply.error('ERR WATCH inside MULTI is not allowed');
  for (let i = 1; i < args.count; i++) {
    const existed = database.lookup(args, i).type !== TYPE.none;
    session.watchedKeys.push({ key: args.copy(i), existed });
    database.watches.watch(args.view(i), session, !existed);
  }
  reply.ok();
}

export const TRANSACTION_COMMANDS = [
  {
    name: 'MULTI',
    summary: 'Starts a transaction.',
    group: 'transactions',
    since: '1.2.0',
    arity: 1,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast', 'not_queued'],
    keys: NO_KEYS,
    run: ({ reply, session }) => {
      if (session.transaction !== null) return reply.error('ERR MULTI calls can not be nested');
      session.transaction = { queue: [], failed: false, bytes: 0 };
      reply.ok();
    },
  },
  {
    name: 'EXEC',
    summary: 'Executes all commands in a transaction.',
    group: 'transactions',
    since: '1.2.0',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'skip_slowlog', 'not_queued'],
    keys: NO_KEYS,
    run: exec,
  },
  {
    name: 'DISCARD',
    summary: 'Discards a transaction.',
    group: 'transactions',
    since: '2.0.0',
    arity: 1,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast', 'not_queued'],
    keys: NO_KEYS,
    run: (call) => {
      if (call.session.transaction === null) return call.reply.error('ERR DISCARD without MULTI');
      call.session.transaction = null;
      call.server.forgetWatches(call.session);
      call.reply.ok();
    },
  },
  {
    name: 'WATCH',
    summary: 'Monitors changes to keys to determine the execution of a transaction.',
    group: 'transactions',
    since: '2.2.0',
    arity: -2,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast', 'not_queued'],
    keys: ALL_KEYS,
    run: watch,
  },
  {
    name: 'UNWATCH',
    summary: 'Forgets about watched keys of a transaction.',
    group: 'transactions',
    since: '2.2.0',
    arity: 1,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast'],
    keys: NO_KEYS,
    run: ({ reply, server, session }) => {
      server.forgetWatches(session);
      reply.ok();
    },
  },
] as const satisfies readonly CommandSpec[];
