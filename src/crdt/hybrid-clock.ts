/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): wall-clock milliseconds and a counter in one number.
 *
 * A value is `milliseconds * 4096 + counter`, an integer that a double holds exactly until the year 2039. It orders concurrent
 * writes by wall clock where clocks are sane, and never contradicts causality where they are not.
 *
 * Invariant: every value handed out is larger than every value handed out or observed before.
 */
const COUNTER_STEPS = 4096;

export class HybridClock {
  #latest = 0;

  get latest(): number {
    return this.#latest;
  }

  /** The next value for a local event at wall-clock `nowMs`. A spent counter runs over into the milliseconds. */
  tick(nowMs: number): number {
    const wall = nowMs * COUNTER_STEPS;
    this.#latest = wall > this.#latest ? wall : this.#latest + 1;
    return this.#latest;
  }

  observe(value: number): void {
    if (value > this.#latest) this.#latest = value;
  }
}

/** Wall-clock milliseconds of a value. */
export const hlcToMs = (value: number): number => Math.floor(value / COUNTER_STEPS);

/** Whether the number can be a value of such a clock. */
export const isClockValue = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
