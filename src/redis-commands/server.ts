/** INFO, TIME, SLOWLOG, DEBUG and what else tools ask of a server on connecting. */
import { debugDigest } from './debug-digest.ts';
import { REDIS_VERSION } from './connection.ts';
import { parseInteger } from './parse-number.ts';
import { NO_KEYS, type Call, type CommandFlag, type CommandSpec } from './spec.ts';
import { tooManyArguments } from './texts.ts';

const SLOWLOG_DEFAULT_COUNT = 10;

function time({ reply, server }: Call): void {
  const micros = server.nowMicros();
  reply.array(2);
  reply.text(String(Math.floor(micros / 1e6)));
  reply.text(String(micros % 1e6));
}

function info({ args, reply, server }: Call): void {
  const sections = Array.from({ length: args.count - 1 }, (_, i) => args.string(i + 1).toLowerCase());
  reply.verbatim(server.info(sections));
}

function slowlogGet({ args, reply, server }: Call): void {
  if (args.count > 3) return reply.error(tooManyArguments(args.echo(1), 'SLOWLOG'));
  let count = SLOWLOG_DEFAULT_COUNT;
  if (args.count > 2) {
    count = parseInteger(args, 2);
    if (Number.isNaN(count) || count < -1) return reply.error('ERR count should be greater than or equal to -1');
    if (count === -1) count = Infinity;
  }
  const entries = server.slowlog.list(count);
  reply.array(entries.length);
  for (const entry of entries) {
    reply.array(6);
    reply.integer(entry.id);
    reply.integer(entry.atSeconds);
    reply.integer(entry.micros);
    reply.array(entry.words.length);
    for (const word of entry.words) reply.bulk(word, 0, word.length);
    reply.text(entry.remote);
    reply.text(entry.name);
  }
}

function debugSleep({ args, reply, server }: Call): void {
  const seconds = Number(args.string(2));
  if (!(seconds >= 0)) return reply.error('ERR value is not a valid float');
  server.sleep(seconds * 1000);
  reply.ok();
}

const spec = (
  name: string,
  arity: number,
  since: string,
  summary: string,
  run: (call: Call) => void,
  flags: readonly CommandFlag[] = ['loading', 'stale'],
): CommandSpec => ({ name, summary, group: 'server', since, arity, flags, keys: NO_KEYS, run });

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale'];
const SLOWLOG: readonly CommandFlag[] = ['admin', 'loading', 'stale'];

const container = (name: string, since: string, summary: string, subcommands: readonly CommandSpec[]): CommandSpec => ({
  ...spec(name, -2, since, summary, () => {}, []),
  subcommands,
});

const replyEmptyArray = ({ reply }: Call): void => reply.array(0);

export const SERVER_COMMANDS: readonly CommandSpec[] = [
  spec('TIME', 1, '2.6.0', 'Returns the server time.', time, ['loading', 'stale', 'fast']),
  spec('INFO', -1, '1.0.0', 'Returns information and statistics about the server.', info),
  container('SLOWLOG', '2.2.12', 'A container for slow log commands.', [
    spec('SLOWLOG GET', -2, '2.2.12', "Returns the slow log's entries.", slowlogGet, SLOWLOG),
    spec(
      'SLOWLOG LEN',
      2,
      '2.2.12',
      'Returns the number of entries in the slow log.',
      ({ reply, server }) => reply.integer(server.slowlog.length),
      SLOWLOG,
    ),
    spec(
      'SLOWLOG RESET',
      2,
      '2.2.12',
      'Clears all entries from the slow log.',
      ({ reply, server }) => {
        server.slowlog.clear();
        reply.ok();
      },
      SLOWLOG,
    ),
  ]),
  container('DEBUG', '1.0.0', 'A container for debugging commands.', [
    spec('DEBUG SLEEP', 3, '1.0.0', 'Blocks the server.', debugSleep, ADMIN),
    spec(
      'DEBUG DIGEST',
      2,
      '1.0.0',
      'Returns a fingerprint of the data: equal on instances that have converged.',
      debugDigest,
      ['admin', 'noscript', 'stale'],
    ),
  ]),
  spec('LOLWUT', -1, '5.0.0', 'Displays the version.', ({ reply }) => reply.verbatim(`Redis ver. ${REDIS_VERSION}\n`), [
    'readonly',
    'fast',
  ]),
  container('MODULE', '4.0.0', 'A container for module commands.', [
    spec('MODULE LIST', 2, '4.0.0', 'Returns all loaded modules.', replyEmptyArray, ['admin', 'noscript']),
  ]),
  container('LATENCY', '2.8.13', 'A container for latency diagnostics commands.', [
    spec('LATENCY LATEST', 2, '2.8.13', 'Returns the latest latency samples for all events.', replyEmptyArray, ADMIN),
    spec('LATENCY HISTORY', 3, '2.8.13', 'Returns timestamp-latency samples for an event.', replyEmptyArray, ADMIN),
    {
      ...spec(
        'LATENCY HISTOGRAM',
        -2,
        '7.0.0',
        'Returns the cumulative distribution of latencies of commands.',
        ({ reply }) => reply.map(0),
        ADMIN,
      ),
      deviation: 'Latencies are not recorded.',
    },
    spec('LATENCY RESET', -2, '2.8.13', 'Resets the latency data.', ({ reply }) => reply.integer(0), ADMIN),
  ]),
  spec(
    'MONITOR',
    1,
    '1.0.0',
    'Listens for all requests received by the server in real-time.',
    ({ reply, server, session }) => {
      if (session.isExecuting) return reply.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
      reply.ok();
      server.addMonitor(session);
    },
    ['admin', 'noscript', 'loading', 'stale'],
  ),
  spec(
    'ROLE',
    1,
    '2.8.12',
    'Returns the replication role.',
    ({ reply, database }) => {
      reply.array(3);
      reply.text('master');
      reply.integer(database.vector.get(database.self.index));
      reply.array(0);
    },
    ['noscript', 'loading', 'stale', 'fast'],
  ),
];
