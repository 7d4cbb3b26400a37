/**
 * Work of any length in slices of bounded time, between which everybody else has a turn.
 *
 * Invariant: never two slices in one turn, and none after `stop`.
 */
import type { Clock, Timer } from '../host/host.ts';

export interface SlicerOptions {
  readonly clock: Clock;
  /** Time a slice may take, ms; the step that is under way then is finished. */
  readonly sliceMs: number;
  /** Rest between two slices, ms; 0: the next turn of the event loop. */
  readonly pauseMs: number;
  /** Called before each slice; false: not now, try again with the next `wake`. */
  readonly begin: () => boolean;
  /** A step of bounded work; returns whether there is more. */
  readonly step: () => boolean;
  readonly end: () => void;
}

export class Slicer {
  readonly #options: SlicerOptions;
  #isWaiting = false;
  #isStopped = false;
  #timer: Timer | null = null;

  constructor(options: SlicerOptions) {
    this.#options = options;
  }

  /** There may be something to do. */
  wake(): void {
    if (!this.#isWaiting && !this.#isStopped) this.#schedule(0);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #schedule(pauseMs: number): void {
    this.#isWaiting = true;
    const { clock } = this.#options;
    if (pauseMs === 0) clock.soon(() => this.#run());
    else this.#timer = clock.after(pauseMs, () => this.#run());
  }

  #run(): void {
    this.#isWaiting = false;
    const { clock, sliceMs, pauseMs, begin, step, end } = this.#options;
    if (this.#isStopped || !begin()) return;
    const untilMs = clock.monotonicMs() + sliceMs;
    let isMore: boolean;
    do isMore = step();
    while (isMore && clock.monotonicMs() < untilMs);
    end();
    if (isMore) this.#schedule(pauseMs);
  }
}
