/**
 * The instance's log lines: event first, one line each; JSON when not a terminal.
 *
 * Invariant: never throws, never blocks on its reader.
 */
export type LogLevel = 'error' | 'info' | 'debug';

export type Logger = (level: LogLevel, line: string) => void;

/** `write`: takes whole lines. `minimum`: what is quieter is dropped. */
export function createLogger(options: {
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
  readonly json: boolean;
  readonly minimum: LogLevel;
}): Logger {
  const rank = { error: 0, info: 1, debug: 2 } as const;
  return (level, line) => {
    if (rank[level] > rank[options.minimum]) return;
    const at = new Date(options.nowMs()).toISOString();
    options.write(options.json ? `${JSON.stringify({ at, level, event: line })}\n` : `${at} ${level} ${line}\n`);
  };
}
