/**
 * The clock of one simulated machine: the world's time, seen through an offset, a drift and jumps.
 *
 * The wall clock may be wrong and may jump in both directions; the monotonic clock and the timers only drift. Both belong to the
 * machine and go on while its process is down; timers belong to the process and die with it.
 *
 * Time passes within a turn: each reading costs a little, so does the work done since the last one, and now and then the scheduler takes the
 * machine away for milliseconds. The machine is then *ahead* of the world: what it plans counts from its own time, and its timers wait until it is free
 * again. Other machines go on meanwhile.
 *
 * Invariant: `monotonicMs` never goes back, whatever the wall clock does.
 */
import type { Clock, Timer } from '../../../src/host/host.ts';
import type { SimulatedEvent } from './event-queue.ts';
import { SeededRandom } from './random.ts';
import type { SimulatedWorld } from './world.ts';

/** Virtual time that `soon` takes, ms: more than nothing, so that a loop of `soon` cannot stop the world's time. */
const SOON_MS = 0.01;
/** What a step of work takes (see work-meter.ts), ms: a slow machine, on which a slice of two milliseconds is two thousand steps. */
const STEP_MS = 0.001;

/** What a reading of the clock costs, and how often the machine is taken away between two of them. */
export interface Pace {
  readonly readingMs: number;
  readonly pauseChance: number;
  readonly pauseMsMean: number;
}

/** Time stands still within a turn: for tests that count on exact times. */
export const STILL: Pace = { readingMs: 0, pauseChance: 0, pauseMsMean: 0 };

export class MachineClock {
  readonly #world: SimulatedWorld;
  readonly #drift: number;
  readonly #random: SeededRandom;
  #offsetMs: number;
  /** By the world's time: until then the machine is busy. */
  #busyUntilMs = 0;
  #stepsSeen = 0;
  pace: Pace = STILL;

  /** `drift`: how much faster than the world, e.g. 0.0001. */
  constructor(world: SimulatedWorld, name: string, options: { readonly offsetMs: number; readonly drift: number }) {
    this.#world = world;
    this.#random = new SeededRandom(world.seed, `clock ${name}`);
    this.#offsetMs = options.offsetMs;
    this.#drift = options.drift;
  }

  get wallMs(): number {
    return Math.floor(this.#world.epochMs + this.#offsetMs + this.monotonicMs);
  }

  get monotonicMs(): number {
    return (this.#world.nowMs + this.aheadMs) * (1 + this.#drift);
  }

  /** How far this machine is ahead of the world, because its turn has taken that long. */
  get aheadMs(): number {
    return Math.max(0, this.#busyUntilMs - this.#world.nowMs);
  }

  /** A process reads the clock: that, and what it did before, takes time. */
  spend(): void {
    const { readingMs, pauseChance, pauseMsMean } = this.pace;
    if (readingMs === 0) return;
    const pauseMs = this.#random.chance(pauseChance) ? this.#random.exponential(pauseMsMean) : 0;
    this.#take(readingMs + pauseMs);
  }

  /** A turn ends: what it did since the last reading takes time too. */
  endTurn(): void {
    if (this.pace.readingMs > 0) this.#take(0);
  }

  #take(ms: number): void {
    const steps = this.#world.turnSteps;
    const work = Math.max(0, steps - this.#stepsSeen) * STEP_MS;
    this.#stepsSeen = steps;
    this.#busyUntilMs = this.#world.nowMs + this.aheadMs + ms + work;
  }

  beginTurn(): void {
    this.#stepsSeen = 0;
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
    this.#machine.spend();
    return this.#machine.wallMs;
  }

  monotonicMs(): number {
    this.#machine.spend();
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
    let event: SimulatedEvent;
    const plan = (waitMs: number): void => {
      event = this.#world.schedule(waitMs, this.#name, () => {
        if (!this.#alive) return;
        const busyMs = this.#machine.aheadMs;
        if (busyMs > 0) plan(busyMs);
        else fn();
      });
    };
    plan(this.#machine.aheadMs + delayMs);
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }
}
