/**
 * Tells the log which keys hold several types, so that an operator can find them. An application that confuses two names does so with many keys,
 * so only the first of each period have a line of their own; how many more there were is said at its end.
 */
import { quote } from '../base/quote.ts';
import { TYPE_NAMES, type KeyRef, type Type } from '../database/key-ref.ts';
import { TYPE_CONFLICT_KEY_BYTES, TYPE_CONFLICT_LINES, TYPE_CONFLICT_PERIOD_MS } from './limits.ts';
import type { Logger } from './logger.ts';

export class TypeConflictLog {
  readonly #log: Logger;
  readonly #monotonicMs: () => number;
  #periodStartedAtMs = -Infinity;
  #count = 0;

  constructor(options: { readonly log: Logger; readonly monotonicMs: () => number }) {
    this.#log = options.log;
    this.#monotonicMs = options.monotonicMs;
  }

  /** `types`: all of the key, the visible one first. */
  note(ref: KeyRef, types: readonly Type[]): void {
    this.endPeriod();
    if (this.#count === 0) this.#periodStartedAtMs = this.#monotonicMs();
    if (++this.#count > TYPE_CONFLICT_LINES) return;
    const [visible, ...hidden] = types.map((type) => TYPE_NAMES[type]!);
    const name = ref.toString();
    const shown = quote(name.slice(0, TYPE_CONFLICT_KEY_BYTES));
    const rest = name.length > TYPE_CONFLICT_KEY_BYTES ? `... (${name.length} bytes)` : '';
    this.#log('info', `type conflict on key ${shown}${rest}: ${visible} hides ${hidden.join(' and ')}`);
  }

  /** Sums up the period if it is over; to be called now and then. */
  endPeriod(): void {
    if (this.#count === 0 || this.#monotonicMs() - this.#periodStartedAtMs < TYPE_CONFLICT_PERIOD_MS) return;
    const untold = this.#count - TYPE_CONFLICT_LINES;
    this.#count = 0;
    if (untold > 0) this.#log('info', `type conflicts on ${untold} more keys, not named here; INFO crdt counts them`);
  }
}
