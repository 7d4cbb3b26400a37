/**
 * The clock of one simulated machine: the world's time, seen through an offset, a drift and jumps.
 *
 * The wall clock may be wrong and may jump in both directions; the monotonic clock and the timers only drift. Both belong to the
 * machine and go on while its process is down; timers belong to the process and die with it.
 *
 * Invariant: `monotonicMs` never goes back, whatever the wall clock does.
 */
import type { Clock, Timer } from '../../../src/host/host.ts';
import type { SimulatedWorld } from './world.ts';

/** Virtual time that `soon` takes, ms: more than nothing, so that a loop of `soon` cannot stop the world's time. */
const SOON_MS = 0.01;

export class MachineClock {
  readonly #world: SimulatedWorld;
  readonly #drift: number;
  #offsetMs: number;

  /** `drift`: how much faster than the world, e.g. 0.0001. */
  constructor(world: SimulatedWorld, options: { readonly offsetMs: number; readonly drift: number }) {
    this.#world = world;
    this.#offsetMs = options.offsetMs;
    this.#drift = options.drift;
  }

  get wallMs(): number {
    return Math.floor(this.#world.epochMs + this.#offsetMs + this.monotonicMs);
  }

  get monotonicMs(): number {
    return this.#world.nowMs * (1 + this.#drift);
  }

  /** Milliseconds that this wall clock is ahead of the world's time. */
  get errorMs(): number {
    return this.#offsetMs + this.#world.nowMs * this.#drift;
  }

  jump(byMs: number): void {
    this.#offsetMs += byMs;
  }

  /** As a time daemon does at last: the wall clock is right from now on, but for the drift. */
  correct(): void {
    this.#offsetMs = -this.#world.nowMs * this.#drift;
  }

  /** How long the world waits until this machine has seen `delayMs` pass. */
  toWorldMs(delayMs: number): number {
    return Math.max(0, delayMs) / (1 + this.#drift);
  }
}

/** The clock as one process sees it. After `kill` none of its timers fires. */
export class ProcessClock implements Clock {
  readonly #world: SimulatedWorld;
  readonly #machine: MachineClock;
  readonly #name: string;
  #alive = true;

  constructor(world: SimulatedWorld, machine: MachineClock, name: string) {
    this.#world = world;
    this.#machine = machine;
    this.#name = name;
  }

  nowMs(): number {
    return this.#machine.wallMs;
  }

  monotonicMs(): number {
    return this.#machine.monotonicMs;
  }

  after(delayMs: number, fn: () => void): Timer {
    return this.#schedule(Math.max(SOON_MS, this.#machine.toWorldMs(delayMs)), fn);
  }

  every(periodMs: number, fn: () => void): Timer {
    let timer: Timer | null = null;
    let cancelled = false;
    const arm = (): void => {
      timer = this.after(periodMs, () => {
        fn();
        if (!cancelled) arm();
      });
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        timer?.cancel();
      },
    };
  }

  soon(fn: () => void): void {
    this.#schedule(SOON_MS, fn);
  }

  kill(): void {
    this.#alive = false;
  }

  #schedule(delayMs: number, fn: () => void): Timer {
    if (!this.#alive) return { cancel: () => undefined };
    const event = this.#world.schedule(delayMs, this.#name, () => {
      if (this.#alive) fn();
    });
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }
}
