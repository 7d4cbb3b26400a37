/**
 * The daemon's log: one line per event, event first, then its fields. Text on a terminal, JSON otherwise.
 * error = someone must look; info = an important change of state.
 */
import { timestamp } from './system.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export interface LogTarget {
  readonly isTTY?: boolean;
  write(line: string): unknown;
}

export function createLog(target: LogTarget): Log {
  const render = target.isTTY === true ? textLine : jsonLine;
  return {
    info: (event, fields = {}) => void target.write(render(event, 'info', fields)),
    error: (event, fields = {}) => void target.write(render(event, 'error', fields)),
  };
}

export const silentLog: Log = { info: () => {}, error: () => {} };

function jsonLine(event: string, level: string, fields: LogFields): string {
  return `${JSON.stringify({ event, level, time: timestamp(), ...fields })}\n`;
}

function textLine(event: string, level: string, fields: LogFields): string {
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${/[\s"]/.test(`${value}`) ? JSON.stringify(value) : value}`,
  );
  return `${[event, level, timestamp(), ...rest].join(' ')}\n`;
}
