/**
 * The client's own books: what was asked for and acknowledged, kept apart from anything the engine says about itself.
 *
 * Two keys are written by nothing else: a counter that only grows and a set that only grows. What they must hold is the sum of the increments
 * and the union of the members whose batches survived; a batch that was acknowledged under a promise must survive.
 */
import type { OriginName, Context } from './batch-decoder.ts';
import { DivergenceError } from './compare.ts';
import type { Visible } from './oracle.ts';

export const COUNTER_KEY = 'ledger-counter';
export const SET_KEY = 'ledger-set';

interface Entry {
  readonly origin: OriginName;
  readonly seq: number;
  readonly amount: number;
  readonly member: string;
}

export class Ledger {
  #entries: Entry[] = [];
  #settledSum = 0;
  readonly #settledMembers = new Set<string>();
  readonly #acknowledged = new Map<OriginName, number>();

  /** A client asked for these two and was told that they happened, as one batch. */
  note(origin: OriginName, seq: number, amount: number, member: string): void {
    this.#entries.push({ origin, seq, amount, member });
  }

  /** The durability setting promised that this batch is never lost. */
  acknowledge(origin: OriginName, seq: number): void {
    this.#acknowledged.set(origin, Math.max(seq, this.#acknowledged.get(origin) ?? 0));
  }

  /** Everybody has what `vector` covers, and nothing else will come back: checks and settles the books. */
  settle(vector: Context, read: (key: string) => Visible): void {
    for (const [origin, seq] of this.#acknowledged) {
      if ((vector.get(origin) ?? 0) >= seq) continue;
      throw new DivergenceError(
        `${origin}@${seq} was acknowledged as durable, but only @${vector.get(origin) ?? 0} is there`,
      );
    }
    for (const entry of this.#entries) {
      if ((vector.get(entry.origin) ?? 0) < entry.seq) continue;
      this.#settledSum += entry.amount;
      this.#settledMembers.add(entry.member);
    }
    this.#entries = [];
    const counter = read(COUNTER_KEY);
    const shown = counter.type === 'string' ? counter.value : 'nothing';
    if (shown !== String(this.#settledSum) && !(shown === 'nothing' && this.#settledMembers.size === 0)) {
      throw new DivergenceError(`${COUNTER_KEY} shows ${shown}, clients have counted ${this.#settledSum}`);
    }
    const set = read(SET_KEY);
    const members = new Set(set.type === 'set' ? set.members : []);
    const missing = [...this.#settledMembers].find((member) => !members.has(member));
    if (missing !== undefined || members.size !== this.#settledMembers.size) {
      const what = missing === undefined ? 'a member that nobody added' : `no ${missing}`;
      throw new DivergenceError(`${SET_KEY} has ${what}`);
    }
  }
}
