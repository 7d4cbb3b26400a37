/**
 * Whether an instance answers its daemon. A process can run and serve nobody: stopped by a signal, busy with one endless command, waiting for
 * a disk that does not come back. The daemon says so and never kills it for that: a kill costs the last second of writes and minutes of
 * loading, and the same command or the same disk would meet the next process.
 *
 * One missed answer is nothing (the machine is busy or was asleep, the command long). Silent counts who has not answered for
 * UNRESPONSIVE_AFTER_MS, from the last answer on, and was asked several times meanwhile.
 */
import { UNRESPONSIVE_AFTER_MS, UNRESPONSIVE_MISSED_MIN } from './limits.ts';

export interface Moment {
  readonly monotonicMs: number;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
}

export type AnswerChange =
  { readonly type: 'silent'; readonly since: string } | { readonly type: 'answering'; readonly silentMs: number };

export class Answers {
  readonly #silentAfterMs: number;
  #last: Moment;
  #isSilent = false;
  #missed = 0;

  /** `from`: the process was started, or taken up. */
  constructor(from: Moment, silentAfterMs = UNRESPONSIVE_AFTER_MS) {
    this.#last = from;
    this.#silentAfterMs = silentAfterMs;
  }

  /** When it answered last, while it counts as unresponsive; null otherwise. */
  get silentSince(): string | null {
    return this.#isSilent ? this.#last.timestamp : null;
  }

  /** Returns what has changed by this, null: nothing. */
  answered(at: Moment): AnswerChange | null {
    const silentMs = at.monotonicMs - this.#last.monotonicMs;
    this.#last = at;
    this.#missed = 0;
    if (!this.#isSilent) return null;
    this.#isSilent = false;
    return { type: 'answering', silentMs };
  }

  missed(at: Moment): AnswerChange | null {
    this.#missed++;
    const isLong = at.monotonicMs - this.#last.monotonicMs >= this.#silentAfterMs;
    if (this.#isSilent || !isLong || this.#missed < UNRESPONSIVE_MISSED_MIN) return null;
    this.#isSilent = true;
    return { type: 'silent', since: this.#last.timestamp };
  }
}
