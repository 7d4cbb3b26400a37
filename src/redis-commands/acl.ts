/** ACL, as far as there is something to tell: one user for applications, who may do everything. */
import { categoriesOf, isShown, nameOf } from './command-info.ts';
import { NO_KEYS, type Call, type CommandFlag, type CommandSpec } from './spec.ts';
import { tooManyArguments } from './texts.ts';

const CATEGORIES =
  'keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking dangerous connection transaction scripting'.split(
    ' ',
  );

function cat({ args, reply, server }: Call): void {
  if (args.count === 2) {
    reply.array(CATEGORIES.length);
    for (const category of CATEGORIES) reply.text(category);
    return;
  }
  if (args.count > 3) return reply.error(tooManyArguments(args.echo(1), 'ACL'));
  const wanted = args.echo(2);
  if (!CATEGORIES.includes(wanted.toLowerCase())) return reply.error(`ERR Unknown category '${wanted}'`);
  const names = server.table.specs
    .filter(isShown)
    .flatMap((spec) => (spec.subcommands?.length ? spec.subcommands : [spec]))
    .filter((spec) => categoriesOf(spec).includes(`@${wanted.toLowerCase()}`))
    .map(nameOf);
  reply.array(names.length);
  for (const name of names) reply.text(name);
}

function getUser({ args, reply, server }: Call): void {
  if (args.string(2) !== 'default') return reply.nil();
  const flags = server.needsPassword ? ['on'] : ['on', 'nopass'];
  reply.map(6);
  reply.text('flags');
  reply.set(flags.length);
  for (const flag of flags) reply.text(flag);
  reply.text('passwords');
  reply.array(0);
  const rules = { commands: '+@all', keys: '~*', channels: '&*' };
  for (const [name, rule] of Object.entries(rules)) {
    reply.text(name);
    reply.text(rule);
  }
  reply.text('selectors');
  reply.array(0);
}

const spec = (
  name: string,
  arity: number,
  summary: string,
  run: (call: Call) => void,
  flags: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale'],
): CommandSpec => ({
  name: `ACL ${name}`,
  summary,
  group: 'server',
  since: '6.0.0',
  arity,
  flags,
  keys: NO_KEYS,
  run,
});

const FOR_ALL: readonly CommandFlag[] = ['noscript', 'loading', 'stale'];

export const ACL_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'ACL',
    summary: 'A container for access list commands.',
    group: 'server',
    since: '6.0.0',
    arity: -2,
    flags: [],
    keys: NO_KEYS,
    deviation: 'One user for applications, default, who may do everything.',
    run: () => {},
    subcommands: [
      spec(
        'WHOAMI',
        2,
        'Returns the authenticated username of the current connection.',
        ({ reply, session }) => reply.text(session.user),
        FOR_ALL,
      ),
      spec('USERS', 2, 'Lists all ACL users.', ({ reply }) => {
        reply.array(1);
        reply.text('default');
      }),
      spec('LIST', 2, 'Dumps the effective rules in ACL file format.', ({ reply, server }) => {
        reply.array(1);
        reply.text(`user default on ${server.needsPassword ? '' : 'nopass '}~* &* +@all`);
      }),
      spec('CAT', -2, 'Lists the ACL categories, or the commands inside a category.', cat, FOR_ALL),
      spec('GETUSER', 3, 'Lists the ACL rules of a user.', getUser),
    ],
  },
];
