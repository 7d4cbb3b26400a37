/**
 * Waiting for something to become true, bounded and interruptible. Services receive a `Waiting`, so that tests run
 * without real time.
 */
import type { Clock } from '../host/host.ts';
import { POLL_MS } from './limits.ts';

export interface Waiting {
  /** Milliseconds from an arbitrary start; never goes back. */
  nowMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as that is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export function waitingOn(clock: Clock): Waiting {
  return {
    nowMs: () => clock.monotonicMs(),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const stop = (): void => {
          timer.cancel();
          reject(signal.reason);
        };
        const timer = clock.after(ms, () => {
          signal.removeEventListener('abort', stop);
          resolve();
        });
        signal.addEventListener('abort', stop, { once: true });
      }),
  };
}

/**
 * Asks `probe` until it gives something other than null, at most `withinMs`. Returns null when the time is over.
 * Whatever `probe` throws ends the wait, and so does the signal, with its reason.
 */
export async function pollUntil<T>(
  waiting: Waiting,
  options: { readonly withinMs: number; readonly signal: AbortSignal },
  probe: () => Promise<T | null>,
): Promise<T | null> {
  const deadlineMs = waiting.nowMs() + options.withinMs;
  for (;;) {
    options.signal.throwIfAborted();
    const found = await probe();
    if (found !== null) return found;
    if (waiting.nowMs() >= deadlineMs) return null;
    await waiting.sleep(POLL_MS, options.signal);
  }
}
