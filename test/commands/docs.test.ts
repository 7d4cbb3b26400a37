/** The reference pages against the commands and the error table: what is missing there is missing for operators. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { BaseCommand } from '../../src/cli/base-command.ts';
import { ERROR_KINDS } from '../../src/errors.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const page = (name: string): string => readFileSync(join(ROOT, 'docs', 'reference', name), 'utf8');
const names = readdirSync(join(ROOT, 'commands'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => path.replace(/\.ts$/, ''));

/** From the heading that starts with `title` to the next one. */
function section(text: string, title: string): string {
  const found = text
    .split(/^## /m)
    .find((part) => part.startsWith(title) || part.split('\n')[0]!.split(', ').includes(title));
  if (found === undefined) throw new Error(`no section "## ${title}"`);
  return found;
}

describe('the reference', () => {
  it.each(names)('of %s names its flags and its document', async (path) => {
    const command = path.replaceAll('/', ' ');
    const { default: Command } = (await import(join(ROOT, 'commands', `${path}.ts`))) as {
      default: typeof BaseCommand;
    };
    const text = section(page('cli.md'), `\`crdb-cli ${command}`);
    const flags = Object.keys(Command.flags ?? {}).filter((flag) => flag !== 'crdb-guid');
    expect(flags.filter((flag) => !text.includes(`\`--${flag}`))).toEqual([]);
    expect(section(page('json-output.md'), command)).toContain('{"');
  });

  it('of exit codes names every error code with its exit code', () => {
    const text = page('exit-codes.md');
    for (const [code, { exitCode }] of Object.entries(ERROR_KINDS))
      expect(text).toContain(`| \`${code}\` | ${exitCode} |`);
  });
});
