/**
 * Showing something again and again until Ctrl-C: redrawn in place on a terminal, otherwise one picture after the other.
 * Ends quietly when nobody reads any more (`| head`). Ctrl-C does not wait for an answer that is on its way.
 */
import { WATCH_MS } from './limits.ts';
import type { Waiting } from './waiting.ts';

export interface WatchScreen {
  readonly isTerminal: boolean;
  /** False once the reader has gone. */
  readonly isOpen: () => boolean;
  readonly write: (text: string) => void;
}

/** Returns when the signal is aborted or the reader has gone; errors of `take` pass through. */
export async function watch(
  take: () => Promise<string>,
  {
    screen,
    waiting,
    signal,
  }: { readonly screen: WatchScreen; readonly waiting: Waiting; readonly signal: AbortSignal },
): Promise<void> {
  const interrupted = new Promise<null>((resolve) =>
    signal.addEventListener('abort', () => resolve(null), { once: true }),
  );
  while (screen.isOpen() && !signal.aborted) {
    const picture = await Promise.race([take(), interrupted]);
    if (picture === null) return;
    screen.write(
      screen.isTerminal
        ? `${TO_TOP}${picture.replaceAll('\n', `${ERASE_LINE_END}\n`)}${ERASE_BELOW}\n`
        : `${picture}\n`,
    );
    await waiting.sleep(WATCH_MS, signal).catch(() => {});
  }
}

const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';
const TO_TOP = '\u001b[H';
