/** HELP of a container command, derived from its subcommands. */
import { NO_KEYS, type CommandSpec } from './spec.ts';

/** The container with HELP among its subcommands; any other command as it is. */
export function withHelp(spec: CommandSpec): CommandSpec {
  const { name, group, subcommands = [] } = spec;
  if (subcommands.length === 0 || spec.flags.includes('hidden')) return spec;
  const lines = describe(spec);
  const help: CommandSpec = {
    name: `${name} HELP`,
    summary: `Describes the subcommands of ${name}.`,
    group,
    since: '5.0.0',
    arity: 2,
    flags: ['loading', 'stale'],
    keys: NO_KEYS,
    run: ({ reply }) => {
      reply.array(lines.length);
      for (const line of lines) reply.simple(line);
    },
  };
  return { ...spec, subcommands: [...subcommands, help] };
}

/** As Redis lays it out: a heading, then name and description of each subcommand in turns. */
function describe({ name, subcommands = [] }: CommandSpec): string[] {
  return [
    `${name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...subcommands.flatMap((sub) => [sub.name.slice(name.length + 1), `    ${sub.summary}`]),
    'HELP',
    '    Prints this help.',
  ];
}
