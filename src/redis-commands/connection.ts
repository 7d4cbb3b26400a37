/** Who the client is, and whether anybody is there. */
import { parseInteger } from './parse-number.ts';
import { NO_KEYS, type Call, type CommandSpec } from './spec.ts';
import { NOT_AN_INTEGER, ONE_DATABASE, SYNTAX_ERROR, wrongArity } from './texts.ts';

const NOT_AN_INT = 'ERR value is out of range, value must between -2147483648 and 2147483647';
const WRONG_PASSWORD = 'WRONGPASS invalid username-password pair or user is disabled.';
const NO_PASSWORD_SET =
  'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?';

export const SERVER_NAME = 'redis';
/** The version of Redis whose commands and replies we follow; clients decide by it what they may send. */
export const REDIS_VERSION = '7.0.15';

function ping(call: Call): void {
  const { args, reply, session } = call;
  if (args.count > 2) {
    reply.error(wrongArity('ping'));
  } else if (session.protocol === 2 && session.subscriptionCount > 0) {
    reply.array(2);
    reply.text('pong');
    if (args.count === 2) reply.bulk(args.bytes, args.starts[1]!, args.lengths[1]!);
    else reply.text('');
  } else if (args.count === 2) {
    reply.bulk(args.bytes, args.starts[1]!, args.lengths[1]!);
  } else {
    reply.simple('PONG');
  }
}

function auth(call: Call): void {
  const { args, reply, server, session } = call;
  if (args.count > 3) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const named = args.count === 3;
  if (!named && !server.needsPassword) {
    reply.error(NO_PASSWORD_SET);
    return;
  }
  const user = server.authenticate(named ? args.string(1) : 'default', args.string(named ? 2 : 1));
  if (user === null) {
    reply.error(WRONG_PASSWORD);
    return;
  }
  session.user = user;
  reply.ok();
}

function hello(call: Call): void {
  const { args, reply, server, session } = call;
  let protocol: number = session.protocol;
  let next = 1;
  if (args.count > 1) {
    protocol = parseInteger(args, 1);
    if (Number.isNaN(protocol)) return reply.error('ERR Protocol version is not an integer or out of range');
    if (protocol !== 2 && protocol !== 3) return reply.error('NOPROTO unsupported protocol version');
    next = 2;
  }
  let user: string | null = null;
  let name: string | null = null;
  while (next < args.count) {
    if (args.isWord(next, 'AUTH') && next + 2 < args.count) {
      user = server.authenticate(args.string(next + 1), args.string(next + 2));
      if (user === null) return reply.error(WRONG_PASSWORD);
      next += 3;
    } else if (args.isWord(next, 'SETNAME') && next + 1 < args.count) {
      name = args.string(next + 1);
      if (!isValidName(name)) return reply.error(INVALID_NAME);
      next += 2;
    } else {
      return reply.error(`ERR Syntax error in HELLO option '${args.echo(next)}'`);
    }
  }
  if (user !== null) session.user = user;
  if (session.user === '') {
    return reply.error(
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
    );
  }
  if (name !== null) session.name = name;
  session.protocol = protocol as 2 | 3;
  reply.map(7);
  reply.text('server');
  reply.text(SERVER_NAME);
  reply.text('version');
  reply.text(REDIS_VERSION);
  reply.text('proto');
  reply.integer(protocol);
  reply.text('id');
  reply.integer(session.id);
  reply.text('mode');
  reply.text('standalone');
  reply.text('role');
  reply.text('master');
  reply.text('modules');
  reply.array(0);
}

function select(call: Call): void {
  const index = parseInteger(call.args, 1);
  if (Number.isNaN(index)) call.reply.error(NOT_AN_INTEGER);
  else if (index !== (index | 0)) call.reply.error(NOT_AN_INT);
  else if (index !== 0) call.reply.error(`ERR DB index is out of range: ${ONE_DATABASE}`);
  else call.reply.ok();
}

export const INVALID_NAME = 'ERR Client names cannot contain spaces, newlines or special characters.';

/** Printable ASCII without spaces, as Redis wants it. */
export const isValidName = (name: string): boolean => /^[!-~]*$/.test(name);

export const CONNECTION_COMMANDS = [
  {
    name: 'PING',
    summary: "Returns the server's liveliness response.",
    group: 'connection',
    since: '1.0.0',
    arity: -1,
    flags: ['fast'],
    keys: NO_KEYS,
    run: ping,
  },
  {
    name: 'ECHO',
    summary: 'Returns the given string.',
    group: 'connection',
    since: '1.0.0',
    arity: 2,
    flags: ['fast', 'loading', 'stale'],
    keys: NO_KEYS,
    run: ({ args, reply }) => reply.bulk(args.bytes, args.starts[1]!, args.lengths[1]!),
  },
  {
    name: 'AUTH',
    summary: 'Authenticates the connection.',
    group: 'connection',
    since: '1.0.0',
    arity: -2,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast', 'no_auth'],
    keys: NO_KEYS,
    run: auth,
  },
  {
    name: 'HELLO',
    summary: 'Handshakes with the server: protocol version, authentication, name.',
    group: 'connection',
    since: '6.0.0',
    arity: -1,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast', 'no_auth'],
    keys: NO_KEYS,
    run: hello,
  },
  {
    name: 'SELECT',
    summary: 'Changes the selected database.',
    group: 'connection',
    since: '1.0.0',
    arity: 2,
    flags: ['loading', 'stale', 'fast'],
    keys: NO_KEYS,
    deviation: 'There is database 0 only.',
    run: select,
  },
  {
    name: 'QUIT',
    summary: 'Closes the connection.',
    group: 'connection',
    since: '1.0.0',
    arity: -1,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast', 'no_auth', 'not_queued'],
    keys: NO_KEYS,
    run: ({ reply, session }) => {
      reply.ok();
      session.closeAfterReply();
    },
  },
  {
    name: 'RESET',
    summary: 'Resets the connection.',
    group: 'connection',
    since: '6.2.0',
    arity: 1,
    flags: ['allow_busy', 'noscript', 'loading', 'stale', 'fast', 'no_auth', 'not_queued'],
    keys: NO_KEYS,
    run: ({ reply, session }) => {
      session.reset();
      reply.simple('RESET');
    },
  },
] as const satisfies readonly CommandSpec[];
