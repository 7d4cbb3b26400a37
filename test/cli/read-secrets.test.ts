import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readLogin, readPassword, type PasswordSources } from '../../src/cli/read-secrets.ts';
import { failure } from './fake-control-plane.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crdb-secret-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(folder, 'a secret');
  writeFileSync(path, text);
  return path;
}

const read = (sources: Partial<PasswordSources>, piped = 'from stdin\n', isTerminal = false) =>
  readPassword(
    { flag: undefined, file: undefined, environment: undefined, ...sources },
    { isTerminal, read: async () => piped },
  );

describe('the password of a database', () => {
  it('is the flag, else the file or standard input, else the environment, else none', async () => {
    expect(await read({ flag: 'x', environment: 'y' })).toBe('x');
    expect(await read({ file: file('from a file\n'), environment: 'y' })).toBe('from a file');
    expect(await read({ file: '-', environment: 'y' })).toBe('from stdin');
    expect(await read({ environment: 'y' })).toBe('y');
    expect(await read({})).toBeUndefined();
  });

  it('keeps blanks and loses one end of line', async () => {
    expect(await read({ file: file(' a b \r\n') })).toBe(' a b ');
    expect(await read({ file: file('ü') })).toBe('ü');
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['given twice', () => read({ flag: 'x', file: '-' }), 'exclude each other'],
    ['of an empty file', () => read({ file: file('\n') }), 'is empty'],
    ['of several lines', () => read({ file: file('a\nb\n') }), 'holds more than one line'],
    [
      'of a file that is not there',
      () => read({ file: '/nowhere' }),
      '--password-file /nowhere cannot be read: ENOENT',
    ],
    ['typed on a terminal', () => read({ file: '-' }, '', true), 'standard input is a terminal'],
  ])('is refused %s', async (_how, attempt, message) => {
    const error = await failure(attempt());
    expect([error.exitCode, error.message]).toEqual([2, expect.stringContaining(message)]);
    expect(error.message).not.toMatch(/a\nb/);
  });
});

describe('the credentials of a node', () => {
  it('are read from its admin.json', async () => {
    expect(await readLogin(file('{"username":"admin","password":"p","more":1}'))).toEqual({
      username: 'admin',
      password: 'p',
    });
  });

  it.each(['geheim', '{"username":"admin"}', '[]', 'null'])('are refused and not repeated: %s', async (text) => {
    const error = await failure(readLogin(file(text)));
    expect(error.message).toContain('holds no credentials');
    expect(error.message).not.toContain('geheim');
    expect(error.hint).toContain('admin.json');
  });
});
