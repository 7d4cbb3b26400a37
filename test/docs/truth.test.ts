/** What the pages name exists: files that they link to, commands with their flags, Redis commands, exit codes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { BaseCommand } from '../../src/cli/base-command.ts';
import { ERROR_KINDS } from '../../src/errors.ts';
import { CommandTable } from '../../src/redis-commands/table.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const NOT_OURS = new Set(['node_modules', 'dist', 'coverage', '.git']);
/** Ends a watch and a foreground node as a shell does; the others are the error table's. */
const EXIT_CODES = new Set([0, 3, 130, ...Object.values(ERROR_KINDS).map(({ exitCode }) => exitCode)]);
/** Flags of other programs, and those that oclif gives to every command. */
const OTHER_FLAGS = new Set(['--help', '--json', '--version', '--apply', '--seed', '--detach', '--connect-to']);

/** Pages for operators: a flag that stands alone there is one of ours. */
const FOR_OPERATORS = /^(README\.md|docs\/(operating|reference)\/)/;

interface Page {
  readonly path: string;
  readonly text: string;
}

function listPages(folder: string): Page[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : listPages(path);
    return entry.name.endsWith('.md') ? [{ path: relative(ROOT, path), text: readFileSync(path, 'utf8') }] : [];
  });
}

const pages = listPages(ROOT);
const proseOf = (text: string): string => text.replace(/^```[^]*?^```$/gm, '');

/** GitHub's name for a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

function explainLink({ path }: Page, link: string): string | null {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? join(ROOT, path) : join(ROOT, dirname(path), file);
  if (!existsSync(target)) return `${path}: ${link} does not exist`;
  if (anchor === undefined) return null;
  const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!));
  return headings.includes(anchor) ? null : `${path}: ${link} is no heading, there is ${headings.join(', ')}`;
}

/** Code of a page, one string for each line of a fence and each span of text. */
function codeOf({ text }: Page): string[] {
  const fences = [...text.matchAll(/^```(?!json|ini)[^\n]*\n([^]*?)^```$/gm)].flatMap(([, body]) =>
    body!.replaceAll('\\\n', ' ').split('\n'),
  );
  const indented = [...proseOf(text).matchAll(/^ {4}(crdb-cli .*)$/gm)].map(([, line]) => line!);
  const spans = [...proseOf(text).matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!);
  return [...fences, ...indented, ...spans];
}

type Flags = ReadonlySet<string>;

async function loadCommands(): Promise<ReadonlyMap<string, Flags>> {
  const files = readdirSync(join(ROOT, 'commands'), { recursive: true, encoding: 'utf8' });
  const commands = new Map<string, Flags>();
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const { default: Command } = (await import(join(ROOT, 'commands', file))) as { default: typeof BaseCommand };
    const flags = Object.entries(Command.flags ?? {}).flatMap(([name, { char }]) =>
      char === undefined ? [`--${name}`] : [`--${name}`, `-${char}`],
    );
    const names = [
      file.replace(/\.ts$/, '').replaceAll('/', ' '),
      ...Command.aliases.map((alias) => alias.replaceAll(':', ' ')),
    ];
    for (const name of names) commands.set(name, new Set([...flags, ...OTHER_FLAGS]));
  }
  return commands;
}

/** `crdb-cli create orders --local 2` and the like, wherever the line has it. */
function explainCall(code: string, commands: ReadonlyMap<string, Flags>): string | null {
  const call = /(?:^|[\s(])crdb-cli (?!\.\.\.|--[A-Z])(.*)$/.exec(code.replace(/\s+#.*$/, ''))?.[1];
  if (call === undefined) return null;
  const words = call.split(/\s+/).filter((word) => word !== '');
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((candidate) => commands.has(candidate));
  if (name === undefined)
    return /^(help|--version|--help|node|$)/.test(words[0] ?? '') ? null : `${code}: there is no such command`;
  const unknown = words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.replace(/[=),.;].*$/, ''));
  const wrong = unknown.find((flag) => !commands.get(name)!.has(flag));
  return wrong === undefined ? null : `${code}: ${name} has no flag ${wrong}`;
}

describe('what the pages name exists:', () => {
  it('files and headings that are linked to', () => {
    const wrong = pages.flatMap((page) =>
      [...proseOf(page.text).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link]) => link!)
        .filter((link) => !/^[a-z]+:/.test(link))
        .map((link) => explainLink(page, link))
        .filter((problem) => problem !== null),
    );
    expect(wrong).toEqual([]);
  });

  it('pages that the source refers to', () => {
    const sources = ['src', 'commands', 'test', 'scripts', 'bench'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .map((name) => join(folder, name))
        .filter((name) => name.endsWith('.ts') && !name.startsWith(join('test', 'docs'))),
    );
    const wrong = sources.flatMap((source) =>
      [...readFileSync(join(ROOT, source), 'utf8').matchAll(/docs\/[\w/.-]+\.md/g)]
        .filter(([target]) => !existsSync(join(ROOT, target)))
        .map(([target]) => `${source}: ${target} does not exist`),
    );
    expect(wrong).toEqual([]);
  });

  it('commands and their flags', async () => {
    const commands = await loadCommands();
    const flags = new Set([...commands.values()].flatMap((of) => [...of]));
    const wrong = pages
      .filter(({ path }) => !path.endsWith('divergence.md'))
      .flatMap((page) =>
        codeOf(page).flatMap((code) => {
          const problem = explainCall(code, commands);
          if (problem !== null) return [`${page.path}: ${problem}`];
          const alone = /^(--[a-z-]+)/.exec(code)?.[1];
          return alone !== undefined && FOR_OPERATORS.test(page.path) && !flags.has(alone)
            ? [`${page.path}: no command has ${alone}`]
            : [];
        }),
      );
    expect(wrong).toEqual([]);
  });

  it('Redis commands that are typed', () => {
    const table = new CommandTable();
    const wrong = pages.flatMap((page) =>
      codeOf(page)
        .map((code) => /^redis-cli (?:-[hp] \S+ )*([A-Z]+)(?: ([A-Z]+))?/.exec(code))
        .filter((match) => match !== null)
        .filter(([, name, sub]) => table.find(name!) === undefined && table.find(`${name} ${sub}`) === undefined)
        .map(([code]) => `${page.path}: ${code}`),
    );
    expect(wrong).toEqual([]);
  });

  it('exit codes', () => {
    const wrong = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\bexit codes? (\d+)/gi)]
        .filter(([, code]) => !EXIT_CODES.has(Number(code) as never))
        .map(([code]) => `${path}: ${code}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the check itself', () => {
  it.each([
    ['crdb-cli create orders --lokal 2', 'create has no flag --lokal'],
    ['npx crdb-cli sync stop orders', 'there is no such command'],
    ['kill $(crdb-cli node status --jason)', 'node status has no flag --jason'],
  ])('finds what is wrong with %s', async (code, problem) => {
    expect(explainCall(code, await loadCommands())).toContain(problem);
  });

  it('finds a file and a heading that are not there', () => {
    const page = { path: 'README.md', text: '' };
    expect(explainLink(page, 'docs/none.md')).toContain('does not exist');
    expect(explainLink(page, 'ARCHITECTURE.md#none')).toContain('is no heading');
    expect(explainLink(page, 'docs/reference/exit-codes.md#error-codes')).toBeNull();
  });
});
