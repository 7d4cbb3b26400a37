/** The command table as rows for people: commands and subcommands in one list, internal ones left out. */
import { isShown } from '../../src/redis-commands/command-info.ts';
import type { CommandSpec } from '../../src/redis-commands/spec.ts';

/** Sections of the pages in reading order. A group that is not named here comes last, under its own name. */
const TITLES: Readonly<Record<string, string>> = {
  string: 'Strings and counters',
  bitmap: 'Bitmaps',
  hyperloglog: 'HyperLogLog',
  hash: 'Hashes',
  list: 'Lists',
  set: 'Sets',
  'sorted-set': 'Sorted sets',
  geo: 'Geospatial indexes',
  stream: 'Streams',
  generic: 'Keys of any type',
  transactions: 'Transactions',
  pubsub: 'Publish and subscribe',
  scripting: 'Scripts and functions',
  connection: 'Connections',
  server: 'Server',
  cluster: 'Redis Cluster',
};

export interface GroupOf<T> {
  readonly title: string;
  readonly rows: readonly T[];
}

/** Every command that applications may call, a container's subcommands instead of the container, by name. */
export function listCommands(specs: readonly CommandSpec[]): CommandSpec[] {
  return specs
    .filter(isShown)
    .flatMap((spec) => {
      const { subcommands = [] } = spec;
      if (subcommands.length === 0) return [spec];
      const own = spec.keys.first === 0 && spec.arity === -2 ? [] : [spec];
      return [...own, ...subcommands.filter(isShown).map((sub) => inherit(sub, spec))];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What is said of a container holds for each of its subcommands that says nothing itself. */
function inherit(sub: CommandSpec, parent: CommandSpec): CommandSpec {
  const deviation = sub.deviation ?? parent.deviation;
  return deviation === undefined || sub.name.endsWith(' HELP') ? sub : { ...sub, deviation };
}

export function groupRows<T>(rows: readonly (readonly [group: string, row: T])[]): GroupOf<T>[] {
  const groups = new Map<string, T[]>();
  for (const [group, row] of rows) groups.set(group, [...(groups.get(group) ?? []), row]);
  const order = Object.keys(TITLES);
  const place = (group: string): number => (order.includes(group) ? order.indexOf(group) : order.length);
  return [...groups]
    .sort(([a], [b]) => place(a) - place(b))
    .map(([group, of]) => ({ title: titleOf(group), rows: of }));
}

export const titleOf = (group: string): string => TITLES[group] ?? group[0]!.toUpperCase() + group.slice(1);

/** A Markdown table. */
export function tableText(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
