/**
 * One bash as a reader has it open: commands typed one after the other, variables and folders kept between them.
 *
 * Standard input of a command is empty, so that none of them reads what is typed next. `kill` ends the shell with everything that runs in it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Shell {
  readonly #process: ChildProcess;
  #stdout = '';
  #stderr = '';
  #look: () => void = () => {};

  constructor(options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> }) {
    this.#process = spawn('bash', ['--noprofile', '--norc'], {
      ...options,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#process.stdout!.setEncoding('utf8').on('data', (text: string) => this.#take(() => (this.#stdout += text)));
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => this.#take(() => (this.#stderr += text)));
    this.#process.on('exit', () => this.#look());
    this.#process.stdin!.on('error', () => {});
  }

  /** Rejects when the command has not ended within the limit, or has ended the shell. */
  run(command: string, withinMs: number): Promise<Outcome> {
    const mark = `end-${randomUUID()}`;
    const ended = new RegExp(`${mark} (\\d+)\\n$`);
    this.#stdout = this.#stderr = '';
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        this.#look = () => {};
        act();
      };
      const fail = (why: string) => () => reject(new Error(`${why}\n${this.#stdout}${this.#stderr}`));
      const timer = setTimeout(() => end(fail(`did not end within ${withinMs} ms`)), withinMs);
      this.#look = () => {
        const exit = ended.exec(this.#stdout);
        if (exit !== null && ended.test(this.#stderr)) {
          const [stdout, stderr] = [this.#stdout, this.#stderr].map((text) => text.replace(ended, ''));
          end(() => resolve({ exitCode: Number(exit[1]), stdout: stdout!, stderr: stderr! }));
        } else if (this.#process.exitCode !== null || this.#process.signalCode !== null) end(fail('ended the shell'));
      };
      this.#process.stdin!.write(
        `{ ${command}\n} </dev/null; code=$?; echo "${mark} $code" >&2; echo "${mark} $code"\n`,
      );
    });
  }

  kill(): void {
    try {
      process.kill(-this.#process.pid!, 'SIGKILL');
    } catch {
      // It has ended already, and all that ran in it.
    }
  }

  #take(note: () => void): void {
    note();
    this.#look();
  }
}
