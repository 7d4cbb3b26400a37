/**
 * A home of its own for a test that uses the command line as an operator does: `bin/run.js` as a child process, a fresh
 * CRDB_HOME, no terminal. Needs a build (`npm run build`; `npm test` makes one).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { TEST_NODE } from '../test-node.ts';
import './own-ports.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const RUN = join(ROOT, 'bin', 'run.js');
const COMMAND_MS_MAX = 120_000;

export interface RunResult {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliHome {
  /** CRDB_HOME; does not exist until a command makes it. */
  readonly path: string;
  run(
    args: readonly string[],
    options?: { readonly env?: Record<string, string>; readonly input?: string },
  ): Promise<RunResult>;
  /** `run` with --json, and the one document on standard output. */
  json<T>(args: readonly string[]): Promise<{ readonly exitCode: number | undefined; readonly document: T }>;
  /** The command as a running process: signals, lines. */
  start(args: readonly string[]): ReturnType<typeof startCommand>;
  /** Processes that carry this home in their command line, or run an instance of it. */
  processes(): number[];
  /** Stops all nodes and removes the home. */
  cleanUp(): Promise<void>;
}

export async function createCliHome(): Promise<CliHome> {
  if (!existsSync(join(ROOT, 'dist', 'src', 'cli', 'main.js')))
    throw new Error('There is no build. Try: npm run build');
  const parent = await mkdtemp(join(tmpdir(), 'crdb-cli-'));
  const path = join(parent, 'home');
  const options = (env: Record<string, string> = {}) => ({
    reject: false as const,
    timeout: COMMAND_MS_MAX,
    cwd: parent,
    env: { CRDB_HOME: path, NODE_ENV: 'production', ...env },
  });
  const run: CliHome['run'] = async (args, { env, input } = {}) => {
    const child = await execa(TEST_NODE, [RUN, ...args], {
      ...options(env),
      ...(input === undefined ? { stdin: 'ignore' } : { input }),
    });
    return { exitCode: child.exitCode, stdout: child.stdout, stderr: child.stderr };
  };
  return {
    path,
    run,
    async json<T>(args: readonly string[]) {
      const { exitCode, stdout } = await run([...args, '--json']);
      return { exitCode, document: JSON.parse(stdout) as T };
    },
    start: (args) => startCommand(args, { cwd: parent, home: path }),
    processes: () => processesOf(path),
    async cleanUp() {
      if (existsSync(path)) await run(['node', 'stop', '--all']);
      for (const pid of processesOf(path)) process.kill(pid, 'SIGKILL');
      await rm(parent, { recursive: true, force: true });
    },
  };
}

function startCommand(args: readonly string[], { cwd, home }: { readonly cwd: string; readonly home: string }) {
  const env = { CRDB_HOME: home, NODE_ENV: 'production' };
  return execa(TEST_NODE, [RUN, ...args], { reject: false, timeout: COMMAND_MS_MAX, cwd, env, stdin: 'ignore' });
}

/** Processes with this home in their command line. */
export function processesOf(path: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => commandLine(pid).includes(path))
    .map(Number);
}

/** Empty for a process that has ended, a zombie included. */
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
