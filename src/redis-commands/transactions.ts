/**
 * MULTI, EXEC, DISCARD, WATCH.
 *
 * All commands of a transaction run in one go and end in one batch, so other instances see all of it or nothing of it. Per key the ordinary rules
 * of conflict hold.
 */
import { ALL_KEYS, NO_KEYS, type Call, type CommandSpec } from './spec.ts';

function exec(call: Call): void {
  const { reply, session, server } = call;
  const { transaction } = session;
  if (transaction === null) return reply.error('ERR EXEC without MULTI');
  const { dirty } = session;
  session.transaction = null;
  unwatch(call);
  if (transaction.failed) return reply.error('EXECABORT Transaction discarded because of previous errors.');
  if (dirty) return reply.nilArray();
  reply.array(transaction.queue.length);
  for (const command of transaction.queue) server.runQueued(session, command);
}

function unwatch({ database, session }: Call): void {
  if (session.isWatching) database.watches.unwatch(session);
  session.isWatching = false;
  session.dirty = false;
}

function watch(call: Call): void {
  const { args, database, reply, session } = call;
  if (session.transaction !== null) return reply.error('ERR WATCH inside MULTI is not allowed');
  session.isWatching = true;
  for (let i = 1; i < args.count; i++) {
    // An expired key counts as gone from now on: its removal is no change.
    database.lookupWrite(args, i);
    database.watches.watch(args.view(i), session);
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
    flags: ['noscript', 'loading', 'stale', 'fast', 'not_queued'],
    keys: NO_KEYS,
    run: ({ reply, session }) => {
      if (session.transaction !== null) return reply.error('ERR MULTI calls can not be nested');
      session.transaction = { queue: [], failed: false };
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
    flags: ['noscript', 'loading', 'stale', 'fast', 'not_queued'],
    keys: NO_KEYS,
    run: (call) => {
      if (call.session.transaction === null) return call.reply.error('ERR DISCARD without MULTI');
      call.session.transaction = null;
      unwatch(call);
      call.reply.ok();
    },
  },
  {
    name: 'WATCH',
    summary: 'Monitors changes to keys to determine the execution of a transaction.',
    group: 'transactions',
    since: '2.2.0',
    arity: -2,
    flags: ['noscript', 'loading', 'stale', 'fast', 'not_queued'],
    keys: ALL_KEYS,
    run: watch,
  },
  {
    name: 'UNWATCH',
    summary: 'Forgets about watched keys of a transaction.',
    group: 'transactions',
    since: '2.2.0',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'fast'],
    keys: NO_KEYS,
    run: (call) => {
      unwatch(call);
      call.reply.ok();
    },
  },
] as const satisfies readonly CommandSpec[];
