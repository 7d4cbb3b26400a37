/**
 * Ctrl-C and termination. A command that changes something must be able to take it back, so the first signal only aborts
 * an `AbortSignal` that the services watch between their steps; they undo and fail with `interrupted` (exit code 130).
 * A second signal ends the process at once: the operator's last word.
 */
import { CrdbError } from '../errors.ts';

export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back to Node's default. */
  release(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function watchInterruption(onFirst: () => void): Interruption {
  const controller = new AbortController();
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new CrdbError('interrupted', `Interrupted (${name})`));
    onFirst();
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of SIGNALS) process.off(name, interrupt);
    },
  };
}
