/**
 * The one question the command line asks: whether to go ahead with something that cannot be undone. Asked on a terminal
 * only, and never with --yes, --json or in CI: a script must not hang on a question.
 */
import { CrdbError } from '../errors.ts';

export interface Confirmation {
  /** Returns when the operator agrees; throws confirmation_required otherwise. */
  confirm(question: string): Promise<void>;
}

export function createConfirmation(options: {
  readonly yes: boolean;
  readonly mayAsk: boolean;
  readonly ask?: (question: string) => Promise<boolean>;
}): Confirmation {
  const ask = options.ask ?? askOnTerminal;
  return {
    async confirm(question) {
      if (options.yes) return;
      if (!options.mayAsk) {
        throw new CrdbError(
          'confirmation_required',
          `Nothing was changed: "${question}" needs an answer, and nobody can be asked here`,
        );
      }
      if (!(await ask(question)))
        throw new CrdbError('confirmation_required', 'Nothing was changed: the answer was no', { hint: '' });
    },
  };
}

async function askOnTerminal(question: string): Promise<boolean> {
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ output: process.stderr });
  const { agreed } = await prompt<{ agreed: boolean }>([
    { type: 'confirm', name: 'agreed', message: question, default: false },
  ]);
  return agreed;
}
