/**
 * What every command shares: --json, where results, progress and questions go, Ctrl-C, and the nodes of this home.
 *
 * A command's `run` returns its result document and prints its text with `this.show`. With --json the text is dropped and
 * oclif hands the returned document to `logJson`: one document, one line. Errors pass through untouched; `main.ts` turns
 * them into text or JSON and an exit code, in one place.
 */
import { text } from 'node:stream/consumers';
import { Command, type Config } from '@oclif/core';
import type { Clock } from '../host/host.ts';
import { createRealHost } from '../host/real-host.ts';
import type { ControlPlane } from './control-plane.ts';
import { readEnvironment, type Environment } from './environment.ts';
import { watchInterruption, type Interruption } from './interruption.ts';
import { createStyle, type Style } from './output.ts';
import { createConfirmation, type Confirmation } from './prompt.ts';
import type { StandardInput } from './read-secrets.ts';
import { exitInterrupted } from './report-error.ts';
import { lineSteps, spinnerSteps, type Steps } from './steps.ts';
import { UndoStack } from './undo-stack.ts';
import { waitingOn, type Waiting } from './waiting.ts';
import { watch } from './watch.ts';

const LEFT_HINT =
  'crdb-cli node status; stop a node with crdb-cli node stop NAME, its folder is nodes/NAME in CRDB_HOME';

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  protected readonly environment: Environment = readEnvironment();
  protected readonly clock: Clock = createRealHost().clock;
  protected readonly waiting: Waiting = waitingOn(this.clock);
  protected readonly style: Style = createStyle(this.environment.stdoutColor);
  /** What the command has to take back when it fails. */
  protected readonly undo = new UndoStack();
  readonly #interruption: Interruption;
  #watchesSignal = false;
  #isDone = false;
  /** Title of the step that runs, or was the last one: what an interruption may have cut off. */
  #step: string | null = null;

  constructor(argv: string[], config: Config) {
    super(argv, config);
    this.#interruption = watchInterruption({
      onFirst: () => {
        if (!this.#watchesSignal && !this.#isDone) this.#endInterrupted();
      },
      onSecond: () => this.#endInterrupted(),
    });
  }

  /** Aborted by Ctrl-C. A command that reads it must end soon after; for all others Ctrl-C simply ends the process. */
  protected get signal(): AbortSignal {
    this.#watchesSignal = true;
    return this.#interruption.signal;
  }

  #endInterrupted(): never {
    if (this.#isDone) process.exit(130);
    const json = this.jsonEnabled();
    const { left } = this.undo;
    if (left.length > 0) exitInterrupted(json, `Not taken back, so do it by hand: ${left.join(', ')}.`, LEFT_HINT);
    if (this.#step === null && !this.#watchesSignal) exitInterrupted(json);
    exitInterrupted(
      json,
      `${this.#step === null ? 'Something' : `"${this.#step}"`} had begun, and may still come to its end.`,
      'See what there is: crdb-cli node status',
    );
  }

  /** The nodes of this home. Loaded when asked for: help and usage errors need none of it. */
  protected async controlPlane(): Promise<ControlPlane> {
    const { createControlPlane } = await import('./real-control-plane.ts');
    return createControlPlane({ home: this.environment.home, version: this.config.version });
  }

  /** The result as text, on standard output. */
  protected show(text: string): void {
    if (!this.jsonEnabled()) process.stdout.write(`${text}\n`);
  }

  /** A result that is known while the command goes on, in the form that was asked for. */
  protected announce<T>(document: T, toText: (document: T) => string): void {
    if (this.jsonEnabled()) this.logJson(document);
    else this.show(toText(document));
  }

  /** For a command that handles Ctrl-C and termination itself. */
  protected releaseSignals(): void {
    this.#interruption.release();
  }

  /** Something beside the result, on standard error; not with --json. */
  protected note(text: string): void {
    if (!this.jsonEnabled()) process.stderr.write(`${text}\n`);
  }

  protected get stdin(): StandardInput {
    return { isTerminal: this.environment.stdinIsTerminal, read: () => text(process.stdin) };
  }

  protected steps(): Steps {
    const spins = this.environment.spinners && !this.jsonEnabled();
    const steps = spins
      ? spinnerSteps(process.stderr, this.environment.stderrColor)
      : lineSteps(process.stderr, this.waiting);
    return {
      ...steps,
      run: (title, work) => {
        this.#step = title;
        return steps.run(title, work);
      },
    };
  }

  protected confirmation(yes: boolean): Confirmation {
    return createConfirmation({ yes, mayAsk: this.environment.interactive && !this.jsonEnabled() });
  }

  /** Shows what `take` gives anew every second until Ctrl-C, which needs no words here: exit code 130. */
  protected async showAgainAndAgain(take: () => Promise<string>): Promise<void> {
    const isTerminal = this.environment.stdoutIsTerminal && !this.jsonEnabled();
    const screen = {
      isTerminal,
      isOpen: () => process.stdout.writable,
      write: (text: string) => process.stdout.write(text),
    };
    await watch(take, { screen, waiting: this.waiting, signal: this.signal });
    if (!this.signal.aborted) return;
    if (isTerminal) process.stdout.write('\n'); // below the ^C that the terminal shows
    this.exit(130);
  }

  override logJson(document: unknown): void {
    process.stdout.write(`${JSON.stringify(document)}\n`);
  }

  protected override catch(error: Error): Promise<never> {
    return Promise.reject(error);
  }

  /** Signals stay with this command: it ends in a moment, and says what it has done. */
  protected override async finally(): Promise<void> {
    this.#isDone = true;
  }
}
