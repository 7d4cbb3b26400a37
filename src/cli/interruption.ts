/**
 * Ctrl-C and termination. A command that changes something must be able to take it back, so the first signal only aborts
 * an `AbortSignal` that the services watch between their steps; they undo and fail with `interrupted` (exit code 130).
 * A second signal ends the process at once: the operator's last word, answered with what is left behind.
 *
 * Until there is a command (the command line is still being loaded) a signal ends the process, which has touched nothing. When the
 * command is done, signals come too late: its result is reported as it is.
 */
import { CrdbError } from '../errors.ts';

export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back to Node's default. */
  release(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function watchInterruption(handlers: {
  readonly onFirst: (reason: CrdbError) => void;
  /** Ends the process. */
  readonly onSecond: () => never;
}): Interruption {
  const controller = new AbortController();
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) handlers.onSecond();
    const reason = new CrdbError('interrupted', `Interrupted (${name})`);
    controller.abort(reason);
    handlers.onFirst(reason);
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of SIGNALS) process.off(name, interrupt);
    },
  };
}

/** Calls `end` for a signal that arrives before anybody else handles signals. */
export function watchStart(end: () => never): void {
  for (const name of SIGNALS) process.on(name, () => process.listenerCount(name) > 1 || end());
}
