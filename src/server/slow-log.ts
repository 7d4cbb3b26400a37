/** The latest commands that took long, newest first. */
import type { Session, SlowEntry } from '../redis-commands/session.ts';
import type { Args } from '../resp/args.ts';
import { SLOWLOG_ENTRIES, SLOWLOG_MICROS, SLOWLOG_WORD_CHARS, SLOWLOG_WORDS } from './limits.ts';

export class SlowLog {
  /** Microseconds; negative: off. */
  thresholdMicros = SLOWLOG_MICROS;
  entriesMax = SLOWLOG_ENTRIES;
  #entries: SlowEntry[] = [];
  #nextId = 0;

  get length(): number {
    return this.#entries.length;
  }

  list(count: number): readonly SlowEntry[] {
    return this.#entries.slice(0, count);
  }

  clear(): void {
    this.#entries = [];
  }

  note(session: Session, args: Args, micros: number, nowMs: number): void {
    const shown = Math.min(args.count, SLOWLOG_WORDS);
    const words = Array.from({ length: shown }, (_, i) => Buffer.from(shorten(args.latin1(i)), 'latin1'));
    if (args.count > shown) words[shown - 1] = Buffer.from(`... (${args.count - shown + 1} more arguments)`);
    const { remote, name } = session;
    this.#entries.unshift({ id: this.#nextId++, atSeconds: Math.floor(nowMs / 1000), micros, words, remote, name });
    if (this.#entries.length > this.entriesMax) this.#entries.length = this.entriesMax;
  }
}

const shorten = (word: string): string =>
  word.length <= SLOWLOG_WORD_CHARS
    ? word
    : `${word.slice(0, SLOWLOG_WORD_CHARS)}... (${word.length - SLOWLOG_WORD_CHARS} more bytes)`;
