/**
 * How far ahead a clock may be whose operations a link takes in. A value that is once observed stays in this instance's clock, so a peer whose clock is a year
 * ahead would order all later writes here by that year, and last-writer-wins would not mean what it says until real time has caught up. So what is further
 * ahead than a bound waits, with its link, until time has caught up or the operator accepts it. The database does the check, at every batch and full sync.
 *
 * What this instance's own clock has reached already does no more harm and passes. Accepting holds for one link, until this instance's clock is within the bound again.
 */
import { hlcToMs } from '../crdt/hybrid-clock.ts';

export class ClockGuard {
  readonly #aheadMaxMs: () => number;
  /** The operator has said that what this link brings is to be taken in. */
  #isAccepted = false;
  /** It has been, further ahead than the bound. */
  #wasUsed = false;

  /** `aheadMaxMs` is asked every time, since it may be changed. */
  constructor(aheadMaxMs: () => number) {
    this.#aheadMaxMs = aheadMaxMs;
  }

  accept(): void {
    this.#isAccepted = true;
    this.#wasUsed = false;
  }

  /** `hlc`: the latest value of this instance's clock. */
  boundMs(nowMs: number, hlc: number): number {
    const aheadMaxMs = this.#aheadMaxMs();
    const ownAheadMs = hlcToMs(hlc) - nowMs;
    if (this.#isAccepted) {
      if (ownAheadMs > aheadMaxMs) this.#wasUsed = true;
      else if (this.#wasUsed) this.#isAccepted = false;
      if (this.#isAccepted) return Infinity;
    }
    return Math.max(aheadMaxMs, ownAheadMs);
  }

  /** For an operator: whose clock, by how much, and what can be done. */
  describe(clock: { readonly instance: number; readonly from: number; readonly aheadMs: number }): string {
    const { instance, from, aheadMs } = clock;
    const allowed = `at most ${this.#aheadMaxMs() / 1000} s are taken in`;
    const way = instance === from ? '' : `, by way of instance ${from}`;
    const advice = 'correct it, wait until time has caught up, or accept it: sync resume --accept-clock';
    return `the clock of instance ${instance} is ${(aheadMs / 1000).toFixed(1)} s ahead of this instance's, ${allowed}${way}; ${advice}`;
  }

  /** Wall clock at which what is so far ahead no longer is. */
  readyAtMs(nowMs: number, aheadMs: number): number {
    return nowMs + aheadMs - this.#aheadMaxMs();
  }
}
