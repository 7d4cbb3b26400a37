/**
 * Lets others have their turn while an instance loads, counts what was loaded, and ends the loading when it is not wanted any more.
 *
 * Loading is one long computation; the endpoint must answer all the while (-LOADING, INFO, the control channel), and a stop must not wait
 * for gigabytes. So whoever loads calls `rest` between slices, and `isDue` tells cheaply whether that is worth the call.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../host/host.ts';
import type { StorageLimits } from './limits.ts';

export interface RecoveryProgress {
  readonly phase: 'snapshot' | 'log';
  readonly loadedBytes: number;
  /** Of the files to be read. It may grow: the log names full syncs that were merged. */
  readonly totalBytes: number;
}

/** The instance shall end before it was loaded. Nothing on disk has been changed by then that a next start would miss. */
export class LoadingStopped extends Error {
  constructor() {
    super('the instance was stopped while it was loading');
  }
}

export class LoadingPace {
  readonly #clock: Clock;
  readonly #limits: StorageLimits;
  readonly #onProgress: (progress: RecoveryProgress) => void;
  readonly #isStopping: () => boolean;
  #turnEndsAtMs: number;
  #phase: RecoveryProgress['phase'] = 'snapshot';
  #loadedBytes = 0;
  #totalBytes = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly limits: StorageLimits;
    readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
    readonly isStopping?: (() => boolean) | undefined;
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#onProgress = options.onProgress ?? (() => {});
    this.#isStopping = options.isStopping ?? (() => false);
    this.#turnEndsAtMs = this.#clock.monotonicMs() + this.#limits.recoveryTurnMs;
  }

  enter(phase: RecoveryProgress['phase']): void {
    this.#phase = phase;
  }

  /** There is more to load than was known. */
  expect(bytes: number): void {
    this.#totalBytes += bytes;
  }

  /** So much of what was expected has been loaded, or need not be. */
  count(bytes: number): void {
    this.#loadedBytes += bytes;
    assert(this.#loadedBytes <= this.#totalBytes, 'nothing is loaded that was not expected');
  }

  /** Whether others shall have their turn now. To be asked once per slice of `recoverySliceBytes`. */
  get isDue(): boolean {
    return this.#clock.monotonicMs() >= this.#turnEndsAtMs;
  }

  /** Gives up the turn. Throws LoadingStopped. */
  async rest(): Promise<void> {
    this.report();
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
    if (this.#isStopping()) throw new LoadingStopped();
    this.#turnEndsAtMs = this.#clock.monotonicMs() + this.#limits.recoveryTurnMs;
  }

  report(): void {
    this.#onProgress({ phase: this.#phase, loadedBytes: this.#loadedBytes, totalBytes: this.#totalBytes });
  }
}
