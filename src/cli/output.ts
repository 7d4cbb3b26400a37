/**
 * How results look on a terminal: tables, indented fields, and the few colours. Colour only ever repeats what a word
 * says already, and is off where NO_COLOR is set or the output is not a terminal.
 */
import { Chalk, type ChalkInstance } from 'chalk';

export interface Style {
  readonly heading: (text: string) => string;
  readonly good: (text: string) => string;
  readonly careful: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly quiet: (text: string) => string;
}

export function createStyle(color: boolean): Style {
  const chalk: ChalkInstance = new Chalk({ level: color ? 1 : 0 });
  return { heading: chalk.bold, good: chalk.green, careful: chalk.yellow, bad: chalk.red, quiet: chalk.dim };
}

export const PLAIN = createStyle(false);

/** Left-aligned columns, two spaces apart, no trailing blanks. Cells may be coloured: only visible characters count. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], style: Style = PLAIN): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => visibleLength(row[column] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - visibleLength(cell))))
      .join('  ')
      .trimEnd();
  return [style.heading(line(header)), ...rows.map(line)].join('\n');
}

/** `title: value` lines, indented by two spaces per level. */
export function fields(entries: readonly (readonly [string, string])[], level = 0): string {
  return entries.map(([title, value]) => `${'  '.repeat(level)}${title}: ${value}`.trimEnd()).join('\n');
}

/** `1 instance`, `2 instances`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Milliseconds for a reader: `12 ms`, `3.4 s`, `2 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const hours = Math.floor(seconds / 3600);
  return hours < 48
    ? `${hours} h ${Math.floor((seconds % 3600) / 60)} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Bytes for a reader, in powers of 1000: `812 bytes`, `1.2 kB`, `34.5 MB`, `6.7 GB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const [unit, size] = bytes < 1e6 ? ['kB', 1e3] : bytes < 1e9 ? ['MB', 1e6] : ['GB', 1e9];
  return `${(bytes / (size as number)).toFixed(1)} ${unit}`;
}

/** `1,234,567`. */
export function numberText(number: number): string {
  return number.toLocaleString('en-US');
}

/** Without the codes of colours. */
export function visibleLength(text: string): number {
  // eslint-disable-next-line no-control-regex -- colour codes are control characters
  return text.replace(/\u001b\[[0-9;]*m/g, '').length;
}
