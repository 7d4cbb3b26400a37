/** COMMAND: what commands there are, derived from the table, in the shapes that redis-cli and client libraries expect. */
import type { Reply } from '../resp/reply.ts';
import { makeArgs, type Args } from '../resp/args.ts';
import { matchGlob } from '../base/glob.ts';
import { parseInteger } from './parse-number.ts';
import type { CommandTablePort } from './session.ts';
import { NO_KEYS, type Call, type CommandFlag, type CommandSpec } from './spec.ts';
import { SYNTAX_ERROR } from './texts.ts';

/** Flags of ours that Redis does not print. */
const INTERNAL: readonly CommandFlag[] = ['not_queued', 'hidden'];

export const isShown = (spec: CommandSpec): boolean => !spec.flags.includes('hidden');
export const nameOf = (spec: CommandSpec): string => spec.name.toLowerCase().replace(' ', '|');

function replyInfo(reply: Reply, spec: CommandSpec | undefined): void {
  if (spec === undefined) return reply.nil();
  const flags = spec.flags.filter((flag) => !INTERNAL.includes(flag));
  reply.array(10);
  reply.text(nameOf(spec));
  reply.integer(spec.arity);
  reply.set(flags.length);
  for (const flag of flags) reply.simple(flag);
  reply.integer(spec.keys.first);
  reply.integer(spec.keys.last);
  reply.integer(spec.keys.step);
  const categories = categoriesOf(spec);
  reply.set(categories.length);
  for (const category of categories) reply.simple(category);
  reply.set(0);
  replyKeySpecs(reply, spec);
  const subcommands = spec.subcommands ?? [];
  reply.set(subcommands.length);
  for (const subcommand of subcommands) replyInfo(reply, subcommand);
}

/** One key specification where the keys' places are plain. */
function replyKeySpecs(reply: Reply, spec: CommandSpec): void {
  const { first, last, step } = spec.keys;
  if (first === 0) return reply.set(0);
  reply.set(1);
  reply.map(3);
  reply.text('flags');
  reply.set(1);
  reply.simple(spec.flags.includes('write') ? 'RW' : 'RO');
  reply.text('begin_search');
  reply.map(2);
  reply.text('type');
  reply.text('index');
  reply.text('spec');
  reply.map(1);
  reply.text('index');
  reply.integer(first);
  reply.text('find_keys');
  reply.map(2);
  reply.text('type');
  reply.text('range');
  reply.text('spec');
  reply.map(3);
  reply.text('lastkey');
  reply.integer(last < 0 ? last : last - first);
  reply.text('keystep');
  reply.integer(step);
  reply.text('limit');
  reply.integer(0);
}

/** Groups that are no category of their own, or one of another name. */
const CATEGORY_OF_GROUP: Partial<Record<CommandSpec['group'], string>> = {
  generic: 'keyspace',
  transactions: 'transaction',
  server: '',
  cluster: '',
};
/** Where Redis sees more in a command, or less, than its group and flags say. */
const CATEGORIES: Readonly<Record<string, string>> = {
  DBSIZE: 'keyspace read fast',
  FLUSHALL: 'keyspace write slow dangerous',
  FLUSHDB: 'keyspace write slow dangerous',
  INFO: 'slow dangerous',
  KEYS: 'keyspace read slow dangerous',
  'PUBSUB HELP': 'slow',
  ROLE: 'admin fast dangerous',
  SWAPDB: 'keyspace write fast dangerous',
  WAIT: 'slow connection',
};

/** ACL categories, from group and flags. Containers themselves belong to no group. */
export function categoriesOf(spec: CommandSpec): readonly string[] {
  const names = CATEGORIES[spec.name]?.split(' ') ?? deriveCategories(spec);
  return names.map((name) => `@${name}`);
}

function deriveCategories({ name, group, flags, subcommands = [] }: CommandSpec): string[] {
  const own = /^COMMAND( |$)/.test(name) ? 'connection' : (CATEGORY_OF_GROUP[group] ?? group);
  const isContainer = subcommands.length > 0 && flags.length === 0;
  const has = (flag: CommandFlag): boolean => flags.includes(flag);
  return [
    isContainer ? '' : own,
    has('write') ? 'write' : '',
    has('readonly') ? 'read' : '',
    has('admin') ? 'admin' : '',
    has('admin') ? 'dangerous' : '',
    has('blocking') ? 'blocking' : '',
    has('fast') ? 'fast' : 'slow',
  ].filter((category) => category !== '');
}

function replyDocs(reply: Reply, spec: CommandSpec): void {
  const subcommands = spec.subcommands ?? [];
  reply.text(nameOf(spec));
  reply.map(3 + (spec.deviation === undefined ? 0 : 1) + (subcommands.length > 0 ? 1 : 0));
  reply.text('summary');
  reply.text(spec.summary);
  reply.text('since');
  reply.text(spec.since);
  reply.text('group');
  reply.text(spec.group);
  if (spec.deviation !== undefined) {
    reply.text('deviation');
    reply.text(spec.deviation);
  }
  if (subcommands.length === 0) return;
  reply.text('subcommands');
  reply.map(subcommands.length);
  for (const subcommand of subcommands) replyDocs(reply, subcommand);
}

function listNamed({ args, server }: Call): (CommandSpec | undefined)[] {
  if (args.count === 2) return server.table.specs.filter(isShown);
  return Array.from({ length: args.count - 2 }, (_, i) => {
    const spec = server.table.find(args.string(i + 2));
    return spec && isShown(spec) ? spec : undefined;
  });
}

function info(call: Call): void {
  const specs = listNamed(call);
  call.reply.array(specs.length);
  for (const spec of specs) replyInfo(call.reply, spec);
}

function docs(call: Call): void {
  const specs = listNamed(call).filter((spec) => spec !== undefined);
  call.reply.map(specs.length);
  for (const spec of specs) replyDocs(call.reply, spec);
}

function list({ args, reply, server }: Call): void {
  let names = server.table.specs.filter(isShown).flatMap((spec) => [spec, ...(spec.subcommands ?? [])]);
  if (args.count > 2) {
    if (args.count !== 5 || !args.isWord(2, 'FILTERBY')) return reply.error(SYNTAX_ERROR);
    const wanted = args.string(4);
    if (args.isWord(3, 'MODULE')) names = [];
    else if (args.isWord(3, 'ACLCAT'))
      names = names.filter((spec) => categoriesOf(spec).includes(`@${wanted.toLowerCase()}`));
    else if (args.isWord(3, 'PATTERN')) {
      names = names.filter((spec) => matchGlob(Buffer.from(wanted.toLowerCase()), Buffer.from(nameOf(spec))));
    } else return reply.error(SYNTAX_ERROR);
  }
  reply.array(names.length);
  for (const spec of names) reply.text(nameOf(spec));
}

/** Places of the keys among the arguments of a whole command; null: it says how many they are, and that cannot be. */
export function keyIndexes(spec: CommandSpec, args: Args): number[] | null {
  const { first, last, step } = spec.keys;
  if (spec.flags.includes('movablekeys')) return countedKeys(args);
  // The channels of SSUBSCRIBE and SPUBLISH are routed like keys, and are none.
  if (first === 0 || spec.group === 'pubsub') return [];
  const end = last < 0 ? args.count + last : last;
  const indexes: number[] = [];
  for (let i = first; i <= end && i < args.count; i += step) indexes.push(i);
  return indexes;
}

/** SINTERCARD and its like: a number, then so many keys. */
function countedKeys(args: Args): number[] | null {
  const count = parseInteger(args, 1);
  if (!(count >= 1) || count > args.count - 2) return null;
  return Array.from({ length: count }, (_, i) => i + 2);
}

function getKeys({ args, reply, server }: Call): void {
  const words = Array.from({ length: args.count - 2 }, (_, i) => args.copy(i + 2));
  const spec = findSpec(server.table, words);
  if (spec === undefined) return reply.error('ERR Invalid command specified');
  const arityFits = spec.arity < 0 ? words.length >= -spec.arity : words.length === spec.arity;
  if (!arityFits) return reply.error('ERR Invalid number of arguments specified for command');
  const whole = makeArgs(words);
  const indexes = keyIndexes(spec, whole);
  if (indexes === null) return reply.error('ERR Invalid arguments specified for command');
  if (indexes.length === 0) return reply.error('ERR The command has no key arguments');
  reply.array(indexes.length);
  for (const index of indexes) reply.bulk(whole.bytes, whole.starts[index]!, whole.lengths[index]!);
}

/** The command, or subcommand of a container, that the words name. */
function findSpec(table: CommandTablePort, words: readonly Buffer[]): CommandSpec | undefined {
  const parent = table.find(words[0]!.toString('latin1'));
  if (parent?.subcommands === undefined || words.length < 2) return parent;
  return parent.subcommands.find((sub) => sub.name === `${parent.name} ${words[1]!.toString('latin1').toUpperCase()}`);
}

const sub = (name: string, arity: number, since: string, summary: string, run: (call: Call) => void): CommandSpec => ({
  name: `COMMAND ${name}`,
  summary,
  group: 'server',
  since,
  arity,
  flags: ['loading', 'stale'],
  keys: NO_KEYS,
  run,
});

export const COMMAND_COMMANDS = [
  {
    name: 'COMMAND',
    summary: 'Returns detailed information about all commands.',
    group: 'server',
    since: '2.8.13',
    arity: -1,
    flags: ['loading', 'stale'],
    keys: NO_KEYS,
    run: (call) => {
      const specs = call.server.table.specs.filter(isShown);
      call.reply.array(specs.length);
      for (const spec of specs) replyInfo(call.reply, spec);
    },
    subcommands: [
      sub('COUNT', 2, '2.8.13', 'Returns a count of commands.', ({ reply, server }) =>
        reply.integer(server.table.specs.filter(isShown).length),
      ),
      sub('INFO', -2, '2.8.13', 'Returns information about one, multiple or all commands.', info),
      sub('DOCS', -2, '7.0.0', 'Returns documentary information about one, multiple or all commands.', docs),
      sub('LIST', -2, '7.0.0', 'Returns a list of command names.', list),
      sub('GETKEYS', -4, '2.8.13', 'Extracts the key names from an arbitrary command.', getKeys),
    ],
  },
] as const satisfies readonly CommandSpec[];
