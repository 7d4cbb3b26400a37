/**
 * The parts of docs/reference/divergence.md that follow from the command table. The page is written by hand around them; each part stands between
 * `<!-- written by npm run docs: NAME -->` and `<!-- end -->`.
 */
import type { CommandSpec } from '../../src/redis-commands/spec.ts';
import { ENTERPRISE_COMMANDS, REDIS_COMMANDS } from './known-commands.ts';
import { listCommands, tableText, titleOf } from './table.ts';

const MARKED = /(<!-- written by npm run docs: ([a-z-]+) -->\n)[^]*?(<!-- end -->)/g;

/** The page with its generated parts as they should be. Throws when it has a part that nobody writes, or lacks one. */
export function divergencePage(page: string, specs: readonly CommandSpec[]): string {
  const parts: Record<string, string> = {
    deviations: deviations(specs),
    'missing-of-redis': missingOfRedis(specs),
    'missing-of-enterprise': codes(
      missing(
        ENTERPRISE_COMMANDS,
        specs.filter((spec) => !isRefused(spec)),
      ),
    ),
    'beyond-enterprise': codes(beyondEnterprise(specs)),
  };
  const seen = new Set<string>();
  const written = page.replace(MARKED, (_whole, begin: string, name: string, end: string) => {
    const part = parts[name];
    if (part === undefined)
      throw new Error(`docs/reference/divergence.md asks for a part "${name}" that nobody writes`);
    seen.add(name);
    return `${begin}\n${part}\n\n${end}`;
  });
  const absent = Object.keys(parts).filter((name) => !seen.has(name));
  if (absent.length > 0) throw new Error(`docs/reference/divergence.md lacks its part ${absent.join(', ')}`);
  return written;
}

/** One row for each difference, with all the commands it is true of. */
function deviations(specs: readonly CommandSpec[]): string {
  const commandsOf = new Map<string, string[]>();
  for (const { name, deviation } of listCommands(specs)) {
    if (deviation !== undefined) commandsOf.set(deviation, [...(commandsOf.get(deviation) ?? []), name]);
  }
  const rows = [...commandsOf].map(([deviation, names]) => [codes(names), deviation]);
  return tableText(['commands', 'how they differ'], rows);
}

function missingOfRedis(specs: readonly CommandSpec[]): string {
  const rows = Object.entries(REDIS_COMMANDS)
    .map(([group, names]) => [titleOf(group), missing(names, specs), names.length] as const)
    .filter(([, absent]) => absent.length > 0)
    .map(([title, absent, of]) => [title, absent.length === of ? `all ${of}: ${codes(absent)}` : codes(absent)]);
  return rows.length === 0 ? 'None: every command of Redis 7.0 is there.' : tableText(['group', 'not there'], rows);
}

function missing(names: readonly string[], specs: readonly CommandSpec[]): string[] {
  const ours = ourNames(specs);
  const isRefusedAsWhole = (name: string): boolean => name.includes(' ') && refused.has(name.split(' ')[0]!);
  const refused = new Set(specs.filter(isRefused).map(({ name }) => name));
  return names.filter((name) => !ours.has(name) && !isRefusedAsWhole(name) && !isHelp(name));
}

function beyondEnterprise(specs: readonly CommandSpec[]): string[] {
  const theirs = new Set(ENTERPRISE_COMMANDS);
  const isTheirs = (name: string): boolean => theirs.has(name) || theirs.has(name.split(' ')[0]!);
  return listCommands(specs)
    .filter(({ name, deviation = '' }) => !isTheirs(name) && !deviation.startsWith(REFUSED) && !isHelp(name))
    .map(({ name }) => name);
}

/** Containers count as there when one of their subcommands is. */
const ourNames = (specs: readonly CommandSpec[]): Set<string> =>
  new Set(listCommands(specs).flatMap(({ name }) => [name, name.split(' ')[0]!]));

const REFUSED = 'Refused';
const isRefused = ({ deviation = '' }: CommandSpec): boolean => deviation.startsWith(REFUSED);

const isHelp = (name: string): boolean => name.endsWith(' HELP');

const codes = (names: readonly string[]): string =>
  names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(', ');
