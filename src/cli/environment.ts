/**
 * What the command line takes from its surroundings, read once: the only place that touches `process.env`.
 *
 * Everything else receives an `Environment`, so a service under test never depends on the shell that started the test.
 */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

export interface Environment {
  /** Directory of the nodes' records and data: CRDB_HOME, else the user's data directory. Absolute. */
  readonly home: string;
  /** CRDB_PASSWORD: the password of a database that a command is told nothing else about. */
  readonly password: string | undefined;
  /** Somebody sits in front of standard input and standard error, and this is not a CI run: a question can be answered. */
  readonly interactive: boolean;
  /** Standard input is a terminal. */
  readonly stdinIsTerminal: boolean;
  /** Standard error is a terminal outside CI: spinners are welcome. */
  readonly spinners: boolean;
  /** Standard output is a terminal. */
  readonly stdoutIsTerminal: boolean;
  readonly stdoutColor: boolean;
  readonly stderrColor: boolean;
  /** Columns of standard output; Infinity where no terminal breaks lines. */
  readonly columns: number;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: { readonly isTTY?: boolean };
  readonly stdout: { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: { readonly isTTY?: boolean };
}

/** What a terminal has that does not tell its size. */
const COLUMNS_UNKNOWN = 80;

export function readEnvironment(from: Surroundings = process): Environment {
  const { env } = from;
  const ci = isSet(env['CI']);
  const color = !isSet(env['NO_COLOR']) && env['TERM'] !== 'dumb';
  const stdoutIsTerminal = from.stdout.isTTY === true;
  const stderrIsTerminal = from.stderr.isTTY === true;
  return {
    home: homeDirectory(env),
    password: env['CRDB_PASSWORD'] === '' ? undefined : env['CRDB_PASSWORD'],
    stdinIsTerminal: from.stdin.isTTY === true,
    interactive: from.stdin.isTTY === true && stderrIsTerminal && !ci,
    spinners: stderrIsTerminal && !ci && env['TERM'] !== 'dumb',
    stdoutIsTerminal,
    stdoutColor: color && stdoutIsTerminal,
    stderrColor: color && stderrIsTerminal,
    columns: stdoutIsTerminal ? (from.stdout.columns ?? COLUMNS_UNKNOWN) : Infinity,
  };
}

/** Per the XDG base directory rules a relative XDG_DATA_HOME is ignored; a relative CRDB_HOME is the operator's word. */
function homeDirectory(env: Surroundings['env']): string {
  const own = env['CRDB_HOME'];
  if (isSet(own)) return resolve(own);
  const dataHome = env['XDG_DATA_HOME'];
  if (isSet(dataHome) && isAbsolute(dataHome)) return join(dataHome, 'crdb-cli');
  return join(homedir(), '.local', 'share', 'crdb-cli');
}

/** An empty variable counts as absent, as the NO_COLOR convention asks; `CI=false` is what some shells export for "no". */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '' && value !== 'false';
}
