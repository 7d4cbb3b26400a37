/** The pages that follow from the command table are what `npm run docs` writes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { commandsPage } from '../../scripts/reference/commands-page.ts';
import { divergencePage } from '../../scripts/reference/divergence-page.ts';
import { NO_KEYS, type CommandSpec } from '../../src/redis-commands/spec.ts';
import { ALL_COMMANDS } from '../../src/redis-commands/table.ts';

const read = (name: string): string =>
  readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'reference', name), 'utf8');

const spec = (name: string, more: Partial<CommandSpec> = {}): CommandSpec => ({
  name,
  summary: 'Does a | b.',
  group: 'server',
  since: '1.0.0',
  arity: -2,
  flags: [],
  keys: NO_KEYS,
  run: () => {},
  ...more,
});

it.each([
  ['commands.md', (): string => commandsPage(ALL_COMMANDS)],
  ['divergence.md', (): string => divergencePage(read('divergence.md'), ALL_COMMANDS)],
])('%s is up to date: npm run docs', (name, write) => {
  expect(read(name)).toBe(write());
});

it('a container gives its difference to its subcommands, and internal commands are left out', () => {
  const container = spec('CONFIG', {
    deviation: 'A subset.',
    subcommands: [spec('CONFIG GET'), spec('CONFIG SET', { deviation: 'Refused.' })],
  });
  const page = commandsPage([container, spec('CRDT.STATUS', { flags: ['hidden'] })]);
  expect(page.split('\n').filter((line) => line.startsWith('| `'))).toEqual([
    '| `CONFIG GET` | 1.0.0 | -2 | Does a \\| b. | A subset. |',
    '| `CONFIG SET` | 1.0.0 | -2 | Does a \\| b. | Refused. |',
  ]);
});

it('a command that Redis has and the table has not is told, with a part of the page that nobody writes refused', () => {
  const page = divergencePage(read('divergence.md'), [spec('GET')]);
  expect(page).toMatch(/\| Strings and counters \| (?!.*`GET`,).*`SET`/);
  expect(() => divergencePage('<!-- written by npm run docs: nothing -->\n<!-- end -->', [])).toThrow('"nothing"');
});
