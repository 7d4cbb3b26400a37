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

/** `[FROM id]`: the id; undefined: all; null: something else was there. */
function readPeer({ args }: Call): number | undefined | null {
  if (args.count === 1) return undefined;
  if (args.count !== 3 || !args.isWord(1, 'FROM') || !/^\d{1,3}$/.test(args.string(2))) return null;
  return Number(args.string(2));
}

function changeSync(call: Call, change: (from: number | undefined) => void): void {
  const from = readPeer(call);
  if (from === null) return call.reply.error('ERR expected: [FROM instance-id]');
  change(from);
  call.reply.ok();
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
  spec('CRDT.PAUSE', -1, USER.control, (call) => changeSync(call, (from) => call.server.control.pause(from))),
  spec('CRDT.RESUME', -1, USER.control, (call) => changeSync(call, (from) => call.server.control.resume(from))),
  spec('CRDT.CONFIGURE', 2, USER.control, ({ args, reply, server }) => {
    const problem = server.control.configure(args.string(1));
    if (problem === null) reply.ok();
    else reply.error(`ERR ${problem}`);
  }),
  spec('CRDT.SHUTDOWN', 1, USER.control, ({ server }) => server.control.shutdown(), ['loading']),
  spec('CRDT.SYNC', 2, USER.replication, ({ args, server, session }) => server.takeOver(session, args.string(1))),
];
