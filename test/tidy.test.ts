/**
 * The house rules that a machine can check: import directions, no cycles, banned calls, file sizes. Each failure says what to do instead.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..');

/** What each folder of src may import, itself aside. `types`: for `import type` only. */
const MAY_IMPORT: Record<string, { readonly values: readonly string[]; readonly types?: readonly string[] }> = {
  base: { values: [] },
  errors: { values: [] },
  memory: { values: ['base'] },
  host: { values: ['base', 'errors'] },
  resp: { values: ['base'] },
  crdt: { values: ['base', 'memory'] },
  database: { values: ['base', 'memory', 'crdt', 'resp'] },
  'redis-commands': { values: ['base', 'memory', 'crdt', 'resp', 'database'] },
  storage: { values: ['base', 'memory', 'crdt', 'database', 'errors'], types: ['host'] },
  replication: { values: ['base', 'memory', 'crdt', 'database', 'resp'], types: ['host', 'instance', 'storage'] },
  server: { values: ['base', 'memory', 'crdt', 'resp', 'database', 'redis-commands'], types: ['host', 'instance'] },
  instance: {
    values: [
      'base',
      'memory',
      'crdt',
      'resp',
      'database',
      'redis-commands',
      'storage',
      'replication',
      'server',
      'host',
      'errors',
    ],
  },
  admin: { values: ['base', 'errors'], types: ['instance'] },
  node: { values: ['base', 'errors', 'admin', 'instance', 'host'] },
  cli: { values: ['base', 'errors', 'admin', 'node', 'host'] },
};

/** Folders of which only these files may be imported from outside. */
const ONLY_FILES: Record<string, readonly string[]> = { instance: ['config.ts', 'node-flags.ts'] };

/** Programs of their own: they compose, so they may import the real host. */
const PROGRAMS: readonly string[] = ['src/storage/repair.ts'];

/** Calls with one owner, and what everybody else uses. */
const BANNED: readonly { readonly pattern: RegExp; readonly owners: readonly string[]; readonly instead: string }[] = [
  {
    pattern: /\bDate\.now\(|new Date\(\)/,
    owners: ['src/host/', 'src/node/', 'src/cli/'],
    instead: 'host.clock.nowMs(), passed in',
  },
  { pattern: /\bMath\.random\(/, owners: [], instead: 'host.random, passed in' },
  {
    pattern: /\bprocess\.env\b/,
    // The second passes it on, to a process that inherits it.
    owners: ['src/cli/environment.ts', 'src/node/instance-process.ts'],
    instead: 'an option that the composition passes in',
  },
  { pattern: /\bconsole\./, owners: [], instead: 'the logger, or output.ts in the CLI' },
  {
    pattern: /\bset(Timeout|Interval|Immediate)\(/,
    owners: ['src/host/', 'src/node/', 'src/cli/'],
    instead: 'host.clock, passed in',
  },
  {
    pattern: /from 'node:(fs|net|dns|tls|dgram)/,
    owners: ['src/host/', 'src/node/', 'src/cli/', 'src/instance/main.ts'],
    instead: 'src/host',
  },
];

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

function listFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

function listImports(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const statements = text.matchAll(/^(import|export)\s+(type\s+)?([^;]*?)from\s+'(\.[^']+)'/gms);
  return [...statements].map((match) => ({
    target: normalize(join(dirname(file), match[4]!)),
    typeOnly: match[2] !== undefined,
  }));
}

const room = (file: string): string =>
  file.startsWith('src/') ? file.split('/')[1]!.replace(/\.ts$/, '') : file.split('/')[0]!;

const sources = listFiles('src');
const commands = listFiles('commands');

describe('The house', () => {
  it('imports downwards only', () => {
    const wrong: string[] = [];
    for (const file of sources) {
      const from = room(file);
      const rule = MAY_IMPORT[from];
      if (rule === undefined) {
        wrong.push(`${file}: the folder ${from} has no rule in test/tidy.test.ts`);
        continue;
      }
      for (const { target, typeOnly } of listImports(file)) {
        const to = room(target);
        if (to === from || (to === 'host' && PROGRAMS.includes(file))) continue;
        const allowed = rule.values.includes(to) || (typeOnly && (rule.types ?? []).includes(to));
        if (!allowed) wrong.push(`${file} imports ${target}: ${from} may import ${rule.values.join(', ')}`);
        const only = ONLY_FILES[to];
        if (only && !only.some((name) => target.endsWith(`/${name}`)))
          wrong.push(`${file} imports ${target}: only ${only.join(', ')} of ${to} is shared`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('has no cycles of values', () => {
    const graph = new Map(
      sources.map((file) => [
        file,
        listImports(file)
          .filter((i) => !i.typeOnly)
          .map((i) => i.target),
      ]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
        return;
      }
      if (done.has(file)) return;
      for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of sources) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it('calls clock, randomness, environment, console and sockets only where they live', () => {
    const wrong: string[] = [];
    for (const file of [...sources, ...commands]) {
      const code = readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      for (const { pattern, owners, instead } of BANNED) {
        if (pattern.test(code) && !owners.some((owner) => file.startsWith(owner)))
          wrong.push(`${file}: ${pattern.source}; use ${instead}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('keeps commands to services: a command imports src/cli only', () => {
    const wrong = commands.flatMap((file) =>
      listImports(file)
        .filter((i) => !i.typeOnly && room(i.target) !== 'cli')
        .map((i) => `${file} imports ${i.target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('splits files before they pass 500 lines', () => {
    const long = [...sources, ...commands]
      .map((file) => ({ file, lines: readFileSync(join(ROOT, file), 'utf8').split('\n').length }))
      .filter(({ lines }) => lines > 500)
      .map(({ file, lines }) => `${file}: ${lines} lines; split by phase or noun`);
    expect(long).toEqual([]);
  });
});
