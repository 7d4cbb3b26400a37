/**
 * Runs a page as a reader would, in a fresh home, against the build of this tree. Needs a build, as every test that uses the command line.
 *
 * Pages show the default ports. Here those may be taken, by tests beside this one or by a database that somebody really uses, so each port of a page
 * stands for a free one: commands are rewritten before they run, what they print is rewritten back. A `create` without --port is given the port that
 * it would choose on an idle machine.
 *
 * Afterwards nothing that the page has started is left, whether it succeeded or not.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { signalProcess } from '../../src/node/process-identity.ts';
import { createCliHome, RUN, type CliHome } from '../e2e/cli-home.ts';
import { explainOutput, looksOnly, readPage, type Step } from './page.ts';
import { Shell, type Outcome } from './shell.ts';

const COMMAND_MS_MAX = 90_000;
const PROMISE_MS_MAX = 30_000;
const RETRY_MS = 100;

/** Ports that pages may use: endpoints, admin APIs. */
const PAGE_PORTS = [...count(12_000, 8), ...count(9443, 4)];
const SYSTEM_FOLDERS = ['/usr/local/bin', '/usr/bin', '/bin'];
const FIRST_PORT_MIN = 20_000;
const FIRST_PORT_MAX = 31_000;

/** Throws naming page and line when something is not as the page says. Returns how many commands were run. */
export async function runPage(name: string, markdown: string): Promise<number> {
  const steps = readPage(markdown);
  const home = await createCliHome();
  const folder = dirname(home.path);
  const shell = new Shell({ cwd: folder, env: environmentOf(home, folder) });
  try {
    const ports = await choosePorts();
    await shell.run('readonly CRDB_HOME', COMMAND_MS_MAX);
    for (const step of steps) await runStep(name, step, { shell, ports, home });
    return steps.length;
  } finally {
    shell.kill();
    await removeHome(home);
  }
}

/** Not stopped but killed: pages are many, and how a node is stopped has its own tests. A daemon may just have started what it lost. */
async function removeHome(home: CliHome): Promise<void> {
  for (let left = home.processes(); left.length > 0; left = home.processes()) {
    for (const pid of left) signalProcess({ pid, startTime: null }, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  rmSync(home.path, { recursive: true, force: true });
  await home.cleanUp();
}

interface Reader {
  readonly shell: Shell;
  readonly home: CliHome;
  /** Of the page to those that are used. */
  readonly ports: ReadonlyMap<number, number>;
}

async function runStep(name: string, step: Step, { shell, ports, home }: Reader): Promise<void> {
  const where = `${name}:${step.line}: ${step.command}`;
  const typed = replacePorts(withPort(step.command, home), ports);
  const back = new Map([...ports].map(([page, used]) => [used, page]));
  const isPromise = step.shows !== null || step.output !== null;
  const deadline = Date.now() + PROMISE_MS_MAX;
  for (;;) {
    const outcome = await shell.run(typed, COMMAND_MS_MAX).catch((error: Error) => {
      throw new Error(`${where}\n${error.message}`);
    });
    const problem = explain(step, { ...outcome, stdout: replacePorts(outcome.stdout, back) });
    if (problem === null) return;
    if (!isPromise || !looksOnly(step.command) || Date.now() > deadline) throw new Error(`${where}\n${problem}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function explain(step: Step, { exitCode, stdout, stderr }: Outcome): string | null {
  if (exitCode === step.exitCode) return explainOutput(stdout, step);
  return `exit code ${exitCode}, the page says ${step.exitCode}\n${stdout}${stderr}`;
}

/** The first port after those of the databases that are there, as on a machine where nothing else runs. */
function withPort(command: string, home: CliHome): string {
  if (!/^(npx )?crdb-cli create\b/.test(command) || command.includes('--port')) return command;
  const nodes = existsSync(home.path) ? readdirSync(home.path, { recursive: true, encoding: 'utf8' }) : [];
  return `${command} --port ${PAGE_PORTS[0]! + nodes.filter((path) => path.endsWith('/instance.json')).length}`;
}

const replacePorts = (text: string, ports: ReadonlyMap<number, number>): string =>
  text.replace(/(?<![\d.])\d{4,5}(?!\.?\d)/g, (digits) => `${ports.get(Number(digits)) ?? digits}`);

/** `npx crdb-cli` and `crdb-cli` are this tree's; redis-cli fails when the server answers with an error. */
function environmentOf(home: CliHome, folder: string): Record<string, string> {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const programs = {
    npx: `[ "$1" = crdb-cli ] || exit 127\nshift\nexec crdb-cli "$@"`,
    'redis-cli': `exec '${findProgram('redis-cli')}' -e "$@"`,
  };
  // As npm installs it: the program's place can be told from the link.
  symlinkSync(RUN, join(bin, 'crdb-cli'));
  for (const [program, script] of Object.entries(programs)) {
    writeFileSync(join(bin, program), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, program), 0o755);
  }
  const path = [bin, dirname(process.execPath), ...SYSTEM_FOLDERS].join(':');
  return { PATH: path, HOME: folder, CRDB_HOME: home.path, NODE_ENV: 'production' };
}

/** The real one, not the script of the same name. */
function findProgram(name: string): string {
  const path = SYSTEM_FOLDERS.map((folder) => join(folder, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

/** Free ports in the order of the page's, as `create` counts on when it takes those after the first. Below the range that the system gives out. */
async function choosePorts(): Promise<ReadonlyMap<number, number>> {
  for (;;) {
    const first = FIRST_PORT_MIN + Math.floor(Math.random() * (FIRST_PORT_MAX - FIRST_PORT_MIN));
    const used = count(first, PAGE_PORTS.length);
    const free = await Promise.all(used.map(isFree));
    if (free.every(Boolean)) return new Map(PAGE_PORTS.map((port, index) => [port, used[index]!]));
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });
}

function count(first: number, length: number): number[] {
  return Array.from({ length }, (_, index) => first + index);
}
