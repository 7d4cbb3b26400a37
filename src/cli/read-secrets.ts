/**
 * Secrets that must not stand on the command line, where every user of the machine can read them (`ps`) and the shell keeps them: from a
 * file, from standard input, or from the environment.
 */
import { readFile } from 'node:fs/promises';
import { CrdbError } from '../errors.ts';

export interface PasswordSources {
  readonly flag: string | undefined;
  /** A path; `-` is standard input. */
  readonly file: string | undefined;
  /** What the environment gives to commands that are told nothing else. */
  readonly environment: string | undefined;
}

export interface StandardInput {
  readonly isTerminal: boolean;
  readonly read: () => Promise<string>;
}

/** The password of the database; undefined: none. Throws invalid_request when two are given, or the file cannot be used. */
export async function readPassword(sources: PasswordSources, stdin: StandardInput): Promise<string | undefined> {
  const { flag, file, environment } = sources;
  if (flag !== undefined && file !== undefined) throw refuse('--password and --password-file exclude each other');
  if (flag !== undefined) return flag;
  if (file === undefined) return environment;
  if (file === '-' && stdin.isTerminal) {
    throw refuse('--password-file -: standard input is a terminal, which would show the password', {
      hint: 'Pipe it in, or name a file: --password-file PATH',
    });
  }
  const text = file === '-' ? await stdin.read() : await readText('--password-file', file);
  const password = text.replace(/\r?\n$/, '');
  const where = file === '-' ? 'standard input' : file;
  if (password === '') throw refuse(`--password-file: ${where} is empty`);
  if (/[\r\n]/.test(password)) throw refuse(`--password-file: ${where} holds more than one line`);
  return password;
}

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** `admin.json` of a node, or a copy of it. */
export async function readLogin(path: string): Promise<Login> {
  const text = await readText('--instance: credentials', path);
  try {
    const { username, password } = JSON.parse(text) as Partial<Login>;
    if (typeof username === 'string' && typeof password === 'string') return { username, password };
  } catch {
    // what it holds may be secret: said is only what it is not
  }
  throw refuse(`--instance: ${path} holds no credentials: JSON with username and password is expected`, {
    hint: "copy admin.json from the node's folder: $CRDB_HOME/nodes/NAME/admin.json",
  });
}

export async function readText(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw refuse(`${what} ${path} cannot be read: ${(error as Error).message}`);
  }
}

function refuse(message: string, more: { readonly hint?: string } = {}): CrdbError {
  return new CrdbError('invalid_request', message, more);
}
