/** HELP of a container command, derived from its subcommands. */
import type { Reply } from '../resp/reply.ts';
import type { CommandSpec } from './spec.ts';

/** As Redis lays it out: a heading, then name and description of each subcommand in turns. */
export function replyHelp(reply: Reply, spec: CommandSpec): void {
  const lines = [`${spec.name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`];
  for (const { name, summary, flags } of spec.subcommands ?? []) {
    if (!flags.includes('hidden')) lines.push(name.slice(spec.name.length + 1), `    ${summary}`);
  }
  lines.push('HELP', '    Print this help.');
  reply.array(lines.length);
  for (const line of lines) reply.simple(line);
}
