/** CONFIG: the settings that tools and clients look at. Settings of the database itself belong to crdb-cli. */
import { NO_KEYS, type Call, type CommandSpec } from './spec.ts';
import { SYNTAX_ERROR } from './texts.ts';

const IS_PATTERN = /[*?[]/;

function get({ args, reply, server }: Call): void {
  const found = new Map<string, string>();
  for (let i = 2; i < args.count; i++) {
    const wanted = args.latin1(i);
    for (const [name, value] of server.settings.matching(wanted.toLowerCase())) {
      // A plain name comes back as it was asked for.
      found.set(IS_PATTERN.test(wanted) ? name : wanted, value);
    }
  }
  reply.map(found.size);
  for (const [name, value] of found) {
    reply.text(name);
    reply.text(value);
  }
}

function set({ args, reply, server }: Call): void {
  if (args.count % 2 !== 0) return reply.error(SYNTAX_ERROR);
  const entries: [name: string, value: string][] = [];
  for (let i = 2; i < args.count; i += 2) entries.push([args.echo(i).toLowerCase(), args.latin1(i + 1)]);
  const problem = server.settings.set(entries);
  if (problem === null) reply.ok();
  else reply.error(problem);
}

const sub = (name: string, arity: number, since: string, summary: string, run: (call: Call) => void): CommandSpec => ({
  name: `CONFIG ${name}`,
  summary,
  group: 'server',
  since,
  arity,
  flags: ['admin', 'noscript', 'loading', 'stale'],
  keys: NO_KEYS,
  run,
});

export const CONFIG_COMMANDS = [
  {
    name: 'CONFIG',
    summary: 'A container for server configuration commands.',
    group: 'server',
    since: '2.0.0',
    arity: -2,
    flags: [],
    keys: NO_KEYS,
    deviation:
      'Settings of the database are changed with crdb-cli. All others of Redis 7.2 are kept and shown until the process ends, most of them without effect.',
    run: () => {},
    subcommands: [
      sub('GET', -3, '2.0.0', 'Returns the effective values of configuration parameters.', get),
      sub('SET', -4, '2.0.0', 'Sets configuration parameters in-flight.', set),
      sub('RESETSTAT', 2, '2.0.0', "Resets the server's statistics.", ({ reply, server }) => {
        server.resetStats();
        reply.ok();
      }),
      sub('REWRITE', 2, '2.8.0', 'Persists the effective configuration to file.', ({ reply }) =>
        reply.error('ERR The server is running without a config file'),
      ),
    ],
  },
] as const satisfies readonly CommandSpec[];
