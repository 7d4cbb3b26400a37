/** Every command that README.md and the operating pages show, typed in order, page by page, into a real shell. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, jest } from '@jest/globals';
import { identifyProcess } from '../../src/node/process-identity.ts';
import { processesOf } from '../e2e/cli-home.ts';
import { describeWithRedis } from '../redis-commands/redis-server.ts';
import { explainOutput, readPage } from './page.ts';
import { runPage } from './run-page.ts';

jest.setTimeout(300_000);

const ROOT = join(import.meta.dirname, '..', '..');
const OPERATING = join('docs', 'operating');
const PAGES = ['README.md', ...readdirSync(join(ROOT, OPERATING)).map((name) => join(OPERATING, name))].filter(
  (path) => readPage(readFileSync(join(ROOT, path), 'utf8')).length > 0,
);

const page = (...lines: string[]): string => lines.join('\n');
describeWithRedis('a reader who types what the pages say', () => {
  it.each(PAGES)('of %s', async (path) => {
    const count = await runPage(path, readFileSync(join(ROOT, path), 'utf8'));
    expect(count).toBeGreaterThan(0);
  });

  it('names the line that is wrong, and leaves nothing of what the page has started', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'broken-page-'));
    const note = join(folder, 'note');
    const broken = page(
      '```sh',
      'sleep 1000 & ',
      `echo "$! $CRDB_HOME" > ${note}`,
      'crdb-cli node start --detach',
      'crdb-cli list --wrong',
      '```',
    );
    const failure = await runPage('broken.md', broken).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failure).toMatch(/^broken\.md:5: crdb-cli list --wrong\nexit code 2, the page says 0\n/);
    const [pid, home] = readFileSync(note, 'utf8').trim().split(' ') as [string, string];
    rmSync(folder, { recursive: true });
    expect(identifyProcess(Number(pid))).toBeNull();
    expect(processesOf(home)).toEqual([]);
    expect(existsSync(home)).toBe(false);
  });

  it.each([
    ['an exit code', page('```sh', 'false', '```'), 'x.md:2: false\nexit code 1, the page says 0'],
    ['an output', page('```sh', 'echo 13   # shows 12', '```'), 'it printed "13", the page says "12"'],
    [
      'a sample of an output',
      page('```sh', 'echo a 1; echo c', '```', '', '```text output', 'a 2', 'b', '```'),
      'the page shows the line "b"',
    ],
    [
      'less than there is',
      page('```sh', 'echo a; echo b', '```', '', '```text output', 'a', '```'),
      'it printed more than the page shows',
    ],
  ])('does not find %s that is not so', async (_what, text, problem) => {
    await expect(runPage('x.md', text)).rejects.toThrow(problem);
  });
});

it('the text after a block speaks of its last two GETs', () => {
  const steps = readPage(
    page(
      '```sh',
      'redis-cli -p 1 GET a',
      'redis-cli -p 1 GET b',
      'redis-cli -p 2 GET b',
      '```',
      '',
      'Both show 12. When',
      '```ini',
      'not a command',
      '```',
    ),
  );
  expect(steps.map(({ line, shows }) => [line, shows])).toEqual([
    [2, null],
    [3, '12'],
    [4, '12'],
  ]);
});

it('a sample may differ in numbers, ids and times, and leave lines out', () => {
  const printed = 'orders (5d8e8ba1-2766-4179-81be-33419db5cc3e)\n\nFROM  LAG\n2     11.6 s\nanything\nend a1b2c3\n';
  const sample = ['orders (00000000-0000-0000-0000-000000000000)', '', 'FROM LAG', '1 0 ms', '...', 'end 4d5e6f'];
  expect(explainOutput(printed, { shows: null, output: sample })).toBeNull();
});
