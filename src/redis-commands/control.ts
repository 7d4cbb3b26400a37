/**
 * Commands that are not for applications: the node daemon's control channel and the door for peers. See src/instance/config.ts.
 */
import { USER } from './session.ts';
import { NO_KEYS, type Call, type CommandFlag, type CommandSpec } from './spec.ts';

function forUser(user: string, name: string, run: (call: Call) => void): (call: Call) => void {
  return (call) => {
    if (call.session.user === user) run(call);
    else call.reply.error(`NOPERM this user has no permissions to run the '${name.toLowerCase()}' command`);
  };
}

interface Order {
  readonly from: number | undefined;
  /** The word that may follow was there. */
  readonly more: boolean;
}

/** `[FROM id] [word]`; null: something else was there. */
function readOrder({ args }: Call, word: string | null): Order | null {
  const hasFrom = args.count >= 3 && args.isWord(1, 'FROM') && /^\d{1,3}$/.test(args.string(2));
  const from = hasFrom ? Number(args.string(2)) : undefined;
  const next = hasFrom ? 3 : 1;
  const more = word !== null && args.count > next && args.isWord(next, word);
  return args.count === next + (more ? 1 : 0) ? { from, more } : null;
}

/** `change` returns why it cannot be done, or null. */
function changeSync(call: Call, word: string | null, change: (order: Order) => string | null): void {
  const order = readOrder(call, word);
  if (order === null) {
    return call.reply.error(`ERR expected: [FROM instance-id]${word === null ? '' : ` [${word}]`}`);
  }
  const problem = change(order);
  if (problem === null) call.reply.ok();
  else call.reply.error(`ERR ${problem}`);
}

function pause(call: Call): void {
  changeSync(call, null, ({ from }) => {
    call.server.control.pause(from);
    return null;
  });
}

function resume(call: Call): void {
  changeSync(call, 'ACCEPT-CLOCK', ({ from, more }) => {
    call.server.control.resume(from);
    return more ? call.server.control.acceptClock(from) : null;
  });
}

function resync(call: Call): void {
  changeSync(call, 'FULL', ({ from, more }) => call.server.control.resync({ from, full: more }));
}

const spec = (
  name: string,
  arity: number,
  user: string,
  run: (call: Call) => void,
  flags: readonly CommandFlag[] = [],
): CommandSpec => ({
  name,
  summary: 'Internal.',
  group: 'server',
  since: '7.0.0',
  arity,
  flags: ['admin', 'noscript', 'no_multi', 'stale', 'hidden', 'skip_slowlog', ...flags],
  keys: NO_KEYS,
  run: forUser(user, name, run),
});

export const CONTROL_COMMANDS: readonly CommandSpec[] = [
  spec('CRDT.STATUS', 1, USER.control, ({ reply, server }) => reply.text(server.control.status()), ['loading']),
  spec('CRDT.PAUSE', -1, USER.control, pause),
  spec('CRDT.RESUME', -1, USER.control, resume),
  spec('CRDT.RESYNC', -1, USER.control, resync),
  spec('CRDT.CONFIGURE', 2, USER.control, ({ args, reply, server }) => {
    const problem = server.control.configure(args.string(1));
    if (problem === null) reply.ok();
    else reply.error(`ERR ${problem}`);
  }),
  spec('CRDT.SHUTDOWN', 1, USER.control, ({ server }) => server.control.shutdown(), ['loading']),
  spec('CRDT.SYNC', 2, USER.replication, ({ args, server, session }) => server.takeOver(session, args.string(1))),
];
