/** CLIENT: what is connected, under which name, and what to do about it. */
import { INVALID_NAME, isValidName } from './connection.ts';
import { parseInteger } from './parse-number.ts';
import { USER, type Session } from './session.ts';
import { NO_KEYS, type Call, type CommandFlag, type CommandSpec } from './spec.ts';
import { NOT_AN_INTEGER, SYNTAX_ERROR, tooManyArguments } from './texts.ts';

function describe(session: Session, nowMs: number): string {
  const { channel, pattern, shard } = session.subscriptions;
  const flags = `${session.isMonitor ? 'O' : ''}${session.subscriptionCount > 0 ? 'P' : ''}${session.transaction ? 'x' : ''}${session.isBlocked ? 'b' : ''}`;
  const fields = {
    id: session.id,
    addr: session.remote,
    laddr: session.local,
    // Node.js does not tell file descriptors; Redis shows -1 for connections without one.
    fd: -1,
    name: session.name,
    age: Math.floor((nowMs - session.createdAtMs) / 1000),
    idle: Math.max(0, Math.floor((nowMs - session.lastCommandMs) / 1000)),
    flags: flags || 'N',
    db: 0,
    sub: channel.size,
    psub: pattern.size,
    ssub: shard.size,
    multi: session.transaction?.queue.length ?? -1,
    qbuf: session.inputBytes,
    'qbuf-free': 0,
    'argv-mem': 0,
    'multi-mem': session.transaction?.bytes ?? 0,
    rbs: 0,
    rbp: 0,
    obl: 0,
    oll: 0,
    omem: session.queuedBytes,
    'tot-mem': session.inputBytes + session.queuedBytes + (session.transaction?.bytes ?? 0),
    events: 'r',
    cmd: session.lastCommand || 'NULL',
    user: session.user || '(none)',
    redir: -1,
    resp: session.protocol,
    'lib-name': session.libraryName,
    'lib-ver': session.libraryVersion,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

const USERS: ReadonlySet<string> = new Set(Object.values(USER));
/** What CLIENT LIST and CLIENT KILL can ask for; nobody is a master or replica here. */
const TYPES: ReadonlySet<string> = new Set(['normal', 'master', 'replica', 'slave', 'pubsub']);

const typeOf = (session: Session): string => (session.subscriptionCount > 0 ? 'pubsub' : 'normal');

function list({ args, reply, server }: Call): void {
  let sessions = [...server.sessions()];
  for (let i = 2; i < args.count;) {
    if (args.isWord(i, 'TYPE') && i + 1 < args.count) {
      const type = args.string(i + 1).toLowerCase();
      if (!TYPES.has(type)) return reply.error(`ERR Unknown client type '${args.echo(i + 1)}'`);
      sessions = sessions.filter((session) => typeOf(session) === type);
      i += 2;
    } else if (args.isWord(i, 'ID') && i + 1 < args.count) {
      const ids = new Set<number>();
      for (i++; i < args.count; i++) {
        const id = parseInteger(args, i);
        if (Number.isNaN(id)) return reply.error('ERR Invalid client ID');
        ids.add(id);
      }
      sessions = sessions.filter((session) => ids.has(session.id));
    } else {
      return reply.error(SYNTAX_ERROR);
    }
  }
  reply.verbatim(sessions.map((session) => `${describe(session, server.nowMs())}\n`).join(''));
}

function kill(call: Call): void {
  const { args, reply, server, session } = call;
  if (args.count === 3) {
    const target = [...server.sessions()].find((other) => other.remote === args.string(2));
    if (target === undefined) return reply.error('ERR No such client');
    end(target, session);
    return reply.ok();
  }
  let skipMe = true;
  const tests: ((other: Session) => boolean)[] = [];
  for (let i = 2; i < args.count; i += 2) {
    if (i + 1 >= args.count) return reply.error(SYNTAX_ERROR);
    const value = args.string(i + 1);
    if (args.isWord(i, 'ID')) {
      if (!/^[1-9]\d*$/.test(value)) return reply.error('ERR client-id should be greater than 0');
      tests.push((other) => other.id === Number(value));
    } else if (args.isWord(i, 'ADDR')) tests.push((other) => other.remote === value);
    else if (args.isWord(i, 'LADDR')) tests.push((other) => other.local === value);
    else if (args.isWord(i, 'USER')) {
      if (!USERS.has(value)) return reply.error(`ERR No such user '${args.echo(i + 1)}'`);
      tests.push((other) => other.user === value);
    } else if (args.isWord(i, 'TYPE')) {
      const type = value.toLowerCase();
      if (!TYPES.has(type)) return reply.error(`ERR Unknown client type '${args.echo(i + 1)}'`);
      tests.push((other) => typeOf(other) === type);
    } else if (args.isWord(i, 'MAXAGE')) {
      const seconds = Number(value);
      tests.push((other) => server.nowMs() - other.createdAtMs >= seconds * 1000);
    } else if (args.isWord(i, 'SKIPME')) {
      if (!/^(yes|no)$/i.test(value)) return reply.error(SYNTAX_ERROR);
      skipMe = value.toLowerCase() === 'yes';
    } else return reply.error(SYNTAX_ERROR);
  }
  let killed = 0;
  for (const other of [...server.sessions()]) {
    if ((skipMe && other === session) || !tests.every((test) => test(other))) continue;
    end(other, session);
    killed++;
  }
  reply.integer(killed);
}

/** A client that kills itself still gets its reply. */
function end(target: Session, self: Session): void {
  if (target === self) target.closeAfterReply();
  else target.kill();
}

function setName({ args, reply, session }: Call): void {
  const name = args.string(2);
  if (!isValidName(name)) return reply.error(INVALID_NAME);
  session.name = name;
  reply.ok();
}

function setInfo({ args, reply, session }: Call): void {
  const value = args.string(3);
  if (!isValidName(value))
    return reply.error(`ERR ${args.echo(2)} cannot contain spaces, newlines or special characters.`);
  if (args.isWord(2, 'LIB-NAME')) session.libraryName = value;
  else if (args.isWord(2, 'LIB-VER')) session.libraryVersion = value;
  else return reply.error(`ERR Unrecognized option '${args.echo(2)}'`);
  reply.ok();
}

function setReplyMode({ args, reply, session }: Call): void {
  if (args.isWord(2, 'ON')) {
    session.replyMode = 'on';
    reply.ok();
  } else if (args.isWord(2, 'OFF')) session.replyMode = 'off';
  else if (args.isWord(2, 'SKIP')) session.replyMode = session.replyMode === 'off' ? 'off' : 'skip-next';
  else reply.error(SYNTAX_ERROR);
}

function unblock({ args, reply, server }: Call): void {
  if (args.count > 4) return reply.error(tooManyArguments(args.echo(1), 'CLIENT'));
  const asError = args.count > 3 && args.isWord(3, 'ERROR');
  if (args.count > 3 && !asError && !args.isWord(3, 'TIMEOUT')) {
    return reply.error('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
  }
  const id = parseInteger(args, 2);
  if (Number.isNaN(id)) return reply.error(NOT_AN_INTEGER);
  const target = server.session(id);
  if (target?.isBlocked !== true) return reply.integer(0);
  target.cancelBlock(asError ? 'error' : 'timeout');
  reply.integer(1);
}

function pause({ args, reply, server }: Call): void {
  const timeout = parseInteger(args, 2);
  if (Number.isNaN(timeout)) return reply.error('ERR timeout is not an integer or out of range');
  if (timeout < 0) return reply.error('ERR timeout is negative');
  const writesOnly = args.count > 3 && args.isWord(3, 'WRITE');
  if (args.count > 3 && !writesOnly && !args.isWord(3, 'ALL')) {
    return reply.error('ERR CLIENT PAUSE mode must be WRITE or ALL');
  }
  server.pauseClients(server.nowMs() + timeout, writesOnly);
  reply.ok();
}

/** Tracking is always off. */
function trackingInfo({ reply }: Call): void {
  reply.map(3);
  reply.text('flags');
  reply.set(1);
  reply.text('off');
  reply.text('redirect');
  reply.integer(-1);
  reply.text('prefixes');
  reply.array(0);
}

function onOff(call: Call, index: number, set: (on: boolean) => void): void {
  if (call.args.isWord(index, 'ON')) set(true);
  else if (call.args.isWord(index, 'OFF')) set(false);
  else return call.reply.error(SYNTAX_ERROR);
  call.reply.ok();
}

const sub = (
  name: string,
  arity: number,
  since: string,
  summary: string,
  run: (call: Call) => void,
  flags: readonly CommandFlag[] = ['noscript', 'loading', 'stale'],
): CommandSpec => ({ name: `CLIENT ${name}`, summary, group: 'connection', since, arity, flags, keys: NO_KEYS, run });

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale'];

const SUBCOMMANDS: readonly CommandSpec[] = [
  sub('ID', 2, '5.0.0', 'Returns the unique client ID of the connection.', ({ reply, session }) =>
    reply.integer(session.id),
  ),
  sub('GETNAME', 2, '2.6.9', 'Returns the name of the connection.', ({ reply, session }) => {
    if (session.name === '') reply.nil();
    else reply.text(session.name);
  }),
  sub('SETNAME', 3, '2.6.9', 'Sets the connection name.', setName),
  sub('SETINFO', 4, '7.2.0', 'Sets information specific to the client or connection.', setInfo),
  sub('INFO', 2, '6.2.0', 'Returns information about the connection.', ({ reply, server, session }) =>
    reply.verbatim(`${describe(session, server.nowMs())}\n`),
  ),
  sub('LIST', -2, '2.4.0', 'Lists open connections.', list, ADMIN),
  sub('KILL', -3, '2.4.0', 'Terminates open connections.', kill, ADMIN),
  sub('REPLY', 3, '3.2.0', 'Instructs the server whether to reply to commands.', setReplyMode),
  sub('UNBLOCK', -3, '5.0.0', 'Unblocks a client blocked by a blocking command.', unblock, ADMIN),
  sub('PAUSE', -3, '3.0.0', 'Suspends commands processing.', pause, ADMIN),
  sub(
    'UNPAUSE',
    2,
    '6.2.0',
    'Resumes processing commands.',
    ({ reply, server }) => {
      server.pauseClients(0, false);
      reply.ok();
    },
    ADMIN,
  ),
  sub(
    'NO-EVICT',
    3,
    '7.0.0',
    'Sets the client eviction mode of the connection.',
    (call) => onOff(call, 2, (on) => (call.session.noEvict = on)),
    ADMIN,
  ),
  sub('NO-TOUCH', 3, '7.2.0', 'Controls whether commands affect the idle time of keys.', (call) =>
    onOff(call, 2, () => {}),
  ),
  sub('GETREDIR', 2, '6.0.0', 'Returns the client ID to which tracking notifications are redirected.', ({ reply }) =>
    reply.integer(-1),
  ),
  sub('TRACKINGINFO', 2, '6.2.0', 'Returns information about server-assisted client-side caching.', trackingInfo),
  sub('CACHING', 3, '6.0.0', 'Instructs the server whether to track the keys of the next request.', ({ reply }) =>
    reply.error(
      'ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
    ),
  ),
  {
    ...sub('TRACKING', -3, '6.0.0', 'Controls server-assisted client-side caching.', ({ args, reply }) => {
      if (args.count === 3 && args.isWord(2, 'OFF')) reply.ok();
      else if (!args.isWord(2, 'ON')) reply.error(SYNTAX_ERROR);
      else reply.error('ERR client-side caching is not supported by this version; use CLIENT TRACKING OFF');
    }),
    deviation: 'Client-side caching is not offered yet.',
  },
];

export const CLIENT_COMMANDS = [
  {
    name: 'CLIENT',
    summary: 'A container for client connection commands.',
    group: 'connection',
    since: '2.4.0',
    arity: -2,
    flags: [],
    keys: NO_KEYS,
    run: () => {},
    subcommands: SUBCOMMANDS,
  },
] as const satisfies readonly CommandSpec[];
