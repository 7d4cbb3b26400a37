/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): wall-clock milliseconds and a counter in one number.
 *
 * A value is `milliseconds * 1024 + counter`, an integer that a double holds exactly until the year 2248. It orders concurrent
 * writes by wall clock where clocks are sane, and never contradicts causality where they are not.
 *
 * No input can break it. A value is observed only up to the year 2200 (`HLC_MAX`): what is later, or no such integer, is refused, since one
 * that a double no longer counts up from would stop every clock that observes it, for good. The 48 years above it are room for ticks: at
 * a million a second they last for ever. A wall clock out of its mind (before 1970, beyond 2200, not a number) is not looked at. How far ahead of the
 * own clock a value may be is not decided here: see src/replication/clock-guard.ts.
 *
 * Invariant: every value handed out is larger than every value handed out or observed before.
 */
const COUNTER_STEPS = 1024;

/** 2200-01-01T00:00:00Z */
const MS_MAX = Date.UTC(2200, 0, 1);

/** The latest value that is observed. */
export const HLC_MAX = MS_MAX * COUNTER_STEPS;

/** Whether a number read from somewhere can be the value of a clock. */
export const isClockValue = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= HLC_MAX;

export class HybridClock {
  #latest = 0;

  get latest(): number {
    return this.#latest;
  }

  /** The next value for a local event at wall-clock `nowMs`. A spent counter runs over into the milliseconds. */
  tick(nowMs: number): number {
    const wall = Math.floor(nowMs) * COUNTER_STEPS;
    this.#latest = wall > this.#latest && wall <= HLC_MAX ? wall : this.#latest + 1;
    return this.#latest;
  }

  /** Takes in a value of another clock. False, and nothing changes, when it is none (`isClockValue`). */
  observe(value: number): boolean {
    if (!isClockValue(value)) return false;
    if (value > this.#latest) this.#latest = value;
    return true;
  }
}

/** Wall-clock milliseconds of a value. */
export const hlcToMs = (value: number): number => Math.floor(value / COUNTER_STEPS);

/** The first value of a millisecond. */
export const hlcFromMs = (ms: number): number => ms * COUNTER_STEPS;
