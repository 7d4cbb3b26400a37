/**
 * Progress of a command that takes a while, on standard error: a spinner on a terminal, otherwise one line when a step
 * starts and one when it ends, so that a log shows where the time went.
 */
import type { Waiting } from './waiting.ts';
import { durationText } from './output.ts';

export interface Steps {
  /** Runs the work under `title`; `report` replaces the detail shown behind it. The result and errors pass through. */
  run<T>(title: string, work: (report: (detail: string) => void) => Promise<T>): Promise<T>;
  note(text: string): void;
}

interface Line {
  write(text: string): void;
}

export const silentSteps: Steps = {
  run: (_title, work) => work(() => {}),
  note: () => {},
};

export function lineSteps(stderr: Line, waiting: Pick<Waiting, 'nowMs'>): Steps {
  return {
    async run(title, work) {
      const startMs = waiting.nowMs();
      stderr.write(`${title} ...\n`);
      try {
        const result = await work(() => {});
        stderr.write(`${title}: done (${durationText(waiting.nowMs() - startMs)})\n`);
        return result;
      } catch (error) {
        stderr.write(`${title}: failed\n`);
        throw error;
      }
    },
    note: (text) => stderr.write(`${text}\n`),
  };
}

export function spinnerSteps(stderr: NodeJS.WriteStream, color: boolean): Steps {
  return {
    async run(title, work) {
      const { default: ora } = await import('ora');
      // ora would take over Ctrl-C and the keyboard; both stay with the command.
      const spinner = ora({
        text: title,
        stream: stderr,
        discardStdin: false,
        ...(color ? {} : { color: false }),
      }).start();
      try {
        const result = await work((detail) => {
          spinner.text = detail === '' ? title : `${title}: ${detail}`;
        });
        spinner.succeed(title);
        return result;
      } catch (error) {
        spinner.fail(title);
        throw error;
      }
    },
    note: (text) => stderr.write(`${text}\n`),
  };
}
