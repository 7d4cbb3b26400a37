/** docs/reference/commands.md: every command of the table, as the table describes it. */
import type { CommandSpec } from '../../src/redis-commands/spec.ts';
import { groupRows, listCommands, tableText } from './table.ts';

const HEAD = ['command', 'since', 'arity', 'what it does', 'how it differs from Redis'];

export function commandsPage(specs: readonly CommandSpec[]): string {
  const commands = listCommands(specs);
  const groups = groupRows(commands.map((spec) => [spec.group, spec] as const));
  return [
    '# Redis commands',
    '',
    '<!-- Written by `npm run docs` from the command table (src/redis-commands). Edit the table, not this page. -->',
    '',
    `${commands.length} commands, subcommands counted one by one. Redis's own documentation holds for them, apart from what the last column says and`,
    'from what is true of all: see [differences](divergence.md). *Since* is the version of Redis that introduced a command. *Arity* is the number of words of',
    'a call, the name (and the subcommand) included; a negative number means "at least". The same is told by `COMMAND DOCS`, its field `deviation` included.',
    ...groups.flatMap(({ title, rows }) => ['', `## ${title}`, '', tableText(HEAD, rows.map(rowOf))]),
    '',
  ].join('\n');
}

const rowOf = ({ name, since, arity, summary, deviation = '' }: CommandSpec): string[] => [
  `\`${name}\``,
  since,
  `${arity}`,
  summary,
  deviation,
];
