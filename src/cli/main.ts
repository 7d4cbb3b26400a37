/**
 * The way into the command line: runs the command that the arguments name and ends the process with the exit code of the
 * contract (docs/reference/exit-codes.md). oclif finds and parses commands; what it would print for failures is replaced
 * here, so that text, --json and exit codes follow one rule for commands, usage errors and unknown commands alike.
 * oclif is loaded last, because that takes most of the start: Ctrl-C is answered before.
 */
import type { Config } from '@oclif/core';
import type { CrdbError } from '../errors.ts';
import { watchStart } from './interruption.ts';
import { exitInterrupted, reportError } from './report-error.ts';
import { explainUnknownCommand, helpFor } from './suggest.ts';

/** `from`: file URL of the script in bin/, which tells oclif where the package is. Never returns normally. */
export async function main(argv: readonly string[], from: string): Promise<void> {
  const json = wantsJson(argv);
  watchStart(() => exitInterrupted(json));
  surviveClosedPipes();
  process.on('uncaughtException', (error) => process.exit(reportError(error, json)));
  process.on('unhandledRejection', (error) => process.exit(reportError(error, json)));
  process.exit(await runCommand(argv, from, json));
}

async function runCommand(argv: readonly string[], from: string, json: boolean): Promise<number> {
  let commands: readonly string[] = [];
  try {
    const oclif = await import('@oclif/core');
    const config = await oclif.Config.load(from);
    commands = config.commandIDs.map((id) => id.replaceAll(':', ' '));
    if (json && argumentsOf(argv)[0] === '--version') writeVersion(config);
    else await oclif.run(argumentsOf(argv), config);
  } catch (error) {
    const exitCode = requestedExit(error);
    if (exitCode !== null) return exitCode;
    return reportError(unknownCommand(error, commands) ?? error, json, helpFor(argv, commands));
  } finally {
    await flushed(process.stdout);
  }
  return 0;
}

/** `crdb-cli help create` is what many type first, and `crdb-cli version`. */
function argumentsOf(argv: readonly string[]): string[] {
  if (argv[0] === 'version') return ['--version', ...argv.slice(1)];
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];
}

function writeVersion({ version, platform, arch }: Config): void {
  process.stdout.write(`${JSON.stringify({ version, platform, arch, node: process.version })}\n`);
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

/** oclif knows an unknown command only as a sentence, with everything up to the first flag in it. */
function unknownCommand(error: unknown, commands: readonly string[]): CrdbError | null {
  const match = error instanceof Error ? /^command (.+) not found\.?$/i.exec(error.message) : null;
  if (match === null) return null;
  return explainUnknownCommand(match[1]!.split(/[: ]/), commands);
}

/** `this.exit(code)` inside a command, and the end of --help and --version. */
function requestedExit(error: unknown): number | null {
  if (!(error instanceof Error) || (error as { code?: unknown }).code !== 'EEXIT') return null;
  return (error as { oclif?: { exit?: number } }).oclif?.exit ?? 0;
}

/** With `| head` the reader goes early. That is its right: what follows is dropped, and no work is cut off half-way. */
function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writable) stream.write('', () => resolve());
    else resolve();
  });
}
