/**
 * The client's own books: what was asked for and acknowledged, kept apart from anything the engine says about itself.
 *
 * Two keys are written by nothing else, always together: a counter that only grows and a set whose members name the increments. The counter
 * must be the sum of what clients asked for in the batches that survived, each counted once; a batch that was acknowledged under
 * a promise must survive. A batch is known by its member, not by its dot: one that nobody saw may be lost and its dot come again.
 */
import type { Batch, OriginName, Context } from './batch-decoder.ts';
import { DivergenceError } from './compare.ts';
import type { Visible } from './oracle.ts';

export const COUNTER_KEY = 'ledger-counter';
export const SET_KEY = 'ledger-set';

export class Ledger {
  /** Member -> what was added to the counter in the same batch. */
  readonly #open = new Map<string, number>();
  #settledSum = 0;
  readonly #settledMembers = new Set<string>();
  readonly #acknowledged = new Map<OriginName, number>();

  /** A client added to the counter and, in the same batch, a member that names it. */
  note(amount: number, member: string): void {
    this.#open.set(member, amount);
  }

  /** The durability setting promised that this batch is never lost. */
  acknowledge(origin: OriginName, seq: number): void {
    this.#acknowledged.set(origin, Math.max(seq, this.#acknowledged.get(origin) ?? 0));
  }

  /** Takes what survived into the books; the rest is lost. To be called with all batches since the last call. */
  settle(batches: readonly Batch[]): void {
    for (const effect of batches.flatMap((batch) => batch.effects)) {
      if (effect.kind !== 'add-member' || effect.key !== SET_KEY) continue;
      this.#settledSum += this.#open.get(effect.member) ?? NaN;
      this.#settledMembers.add(effect.member);
    }
    this.#open.clear();
  }

  /** Checks the books against what an instance with that vector shows. */
  check(vector: Context, read: (key: string) => Visible): void {
    for (const [origin, seq] of this.#acknowledged) {
      if ((vector.get(origin) ?? 0) >= seq) continue;
      throw new DivergenceError(
        `${origin}@${seq} was acknowledged as durable, but only @${vector.get(origin) ?? 0} is there`,
      );
    }
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
