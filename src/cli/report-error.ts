/** The one place where a failure leaves the process: text on standard error or a JSON document on standard output. */
import { writeSync } from 'node:fs';
import { CrdbError } from '../errors.ts';
import { describeError, errorDocument, errorText } from './describe-error.ts';

/** Prints the failure. Returns the exit code, which is the same for both forms. `help`: as describeError takes it. */
export function reportError(error: unknown, json: boolean, help?: string): number {
  const shown = describeError(error, help);
  if (json) writeWhole(1, `${JSON.stringify(errorDocument(shown))}\n`);
  else writeWhole(2, `${errorText(shown)}\n`);
  return shown.exitCode;
}

/** Ctrl-C, and nothing is waited for. `what`: what became of the work, a sentence. */
export function exitInterrupted(json: boolean, what = 'Nothing was changed.', hint = ''): never {
  process.exit(reportError(new CrdbError('interrupted', `Interrupted. ${what}`, { hint }), json));
}

/** Synchronous, because the process ends next; a reader that has gone is no failure of its own. */
function writeWhole(descriptor: 1 | 2, text: string): void {
  try {
    writeSync(descriptor, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN') (descriptor === 1 ? process.stdout : process.stderr).write(text);
    else if (code !== 'EPIPE') throw error;
  }
}
