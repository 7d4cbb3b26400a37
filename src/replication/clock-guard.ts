/**
 * Whether what a link brings may be taken in by its clock. A value that is once observed stays in this instance's clock, so a peer whose clock is a year ahead
 * would order all later writes here by that year, and last-writer-wins would not mean what it says until real time has caught up. So what is further
 * ahead than a bound waits, with its link, until time has caught up or the operator accepts it.
 *
 * What this instance's own clock has reached already does no harm any more and passes. Accepting holds for one link, until what it brings is within the bound again.
 */
import { hlcToMs, isHlc } from '../crdt/hybrid-clock.ts';

export type ClockVerdict =
  | { readonly kind: 'fine' }
  /** No clock says that. */
  | { readonly kind: 'absurd' }
  | { readonly kind: 'ahead'; readonly aheadMs: number; readonly readyAtMs: number };

const FINE: ClockVerdict = { kind: 'fine' };
const ABSURD: ClockVerdict = { kind: 'absurd' };

export class ClockGuard {
  /** The operator has said that this link's clocks are to be followed. */
  #isAccepted = false;
  /** The furthest that was met beyond the bound. */
  #furthest = 0;

  accept(): void {
    this.#isAccepted = true;
  }

  get isAccepted(): boolean {
    return this.#isAccepted;
  }

  /** `own`: the latest value of this instance's clock. */
  judge(hlc: number, now: { readonly nowMs: number; readonly own: number; readonly aheadMaxMs: number }): ClockVerdict {
    if (!isHlc(hlc)) return ABSURD;
    const aheadMs = hlcToMs(hlc) - now.nowMs;
    if (aheadMs <= now.aheadMaxMs) {
      if (this.#isAccepted && hlcToMs(this.#furthest) - now.nowMs <= now.aheadMaxMs) this.#isAccepted = false;
      return FINE;
    }
    if (hlc > this.#furthest) this.#furthest = hlc;
    if (this.#isAccepted || hlc <= now.own) return FINE;
    return { kind: 'ahead', aheadMs, readyAtMs: hlcToMs(hlc) - now.aheadMaxMs };
  }
}

/** For an operator: whose clock, by how much, and what can be done. */
export function describeClockAhead(options: {
  readonly instance: number;
  readonly from: number;
  readonly aheadMs: number;
  readonly aheadMaxMs: number;
}): string {
  const { instance, from, aheadMs, aheadMaxMs } = options;
  const by = `${(aheadMs / 1000).toFixed(1)} s ahead of this instance's, at most ${aheadMaxMs / 1000} s are taken in`;
  const way = instance === from ? '' : `, by way of instance ${from}`;
  return `the clock of instance ${instance} is ${by}${way}; correct it, wait until time has caught up, or accept it with sync resume --accept-clock`;
}
