/**
 * What a link does with a batch: looks at its clock, applies it, or keeps it until what it depends on is here. Nothing that the database refuses, or that is too
 * far ahead in time, has changed anything: the link is given up and the same batch comes again.
 */
import { AssertionError } from '../base/assert.ts';
import { BATCH, readF64 } from '../crdt/frame.ts';
import type { ApplyTurns } from './apply-turns.ts';
import { ClockGuard, describeClockAhead } from './clock-guard.ts';
import { EarlyBatches, originOfBatch } from './early-batches.ts';
import type { ReplicationLimits } from './limits.ts';
import type { DatabasePort } from './ports.ts';

export interface IntakeEvents {
  /** The first early batch after none. */
  onEarly(): void;
  /** No further early batch has room. */
  onEarlyFull(): void;
  onFailed(message: string, permanent: boolean): void;
  onClockAhead(message: string): void;
}

export class Intake {
  readonly early: EarlyBatches;
  /** Wall clock at which what was too far ahead no longer is. */
  clockReadyAtMs = 0;
  readonly #from: number;
  readonly #database: DatabasePort;
  readonly #turns: ApplyTurns;
  readonly #clockAheadMaxMs: () => number;
  readonly #events: IntakeEvents;
  readonly #guard = new ClockGuard();

  constructor(options: {
    readonly from: number;
    readonly database: DatabasePort;
    readonly turns: ApplyTurns;
    readonly limits: ReplicationLimits;
    readonly clockAheadMaxMs: () => number;
    readonly events: IntakeEvents;
  }) {
    this.#from = options.from;
    this.#database = options.database;
    this.#turns = options.turns;
    this.#clockAheadMaxMs = options.clockAheadMaxMs;
    this.#events = options.events;
    this.early = new EarlyBatches(options.limits);
  }

  acceptClock(): void {
    this.#guard.accept();
  }

  /** A whole BATCH frame, within a turn. Whether the database changed. */
  take(bytes: Uint8Array, start: number, end: number): boolean {
    const database = this.#database;
    const origin = originOfBatch(bytes, start, database.origins);
    if (!this.mayTakeIn(readF64(bytes, start + BATCH.hlc), origin)) return false;
    if (this.early.count > 0 && this.early.holds(origin)) {
      this.#keep(origin, bytes, start, end);
      return false;
    }
    try {
      const outcome = database.applyBatch(bytes, start, end);
      if (outcome === 'early') this.#keep(origin, bytes, start, end);
      return outcome === 'applied';
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** Tries what came early. Returns how many batches left the buffer. */
  retry(isOver: () => boolean): number {
    try {
      return this.early.retry(this.#database, isOver);
    } catch (error) {
      this.#fail(error);
      return 0;
    }
  }

  /** False: what carries this value is not taken in. `origin`: index, or -1 for the instance that is pulled from. */
  mayTakeIn(hlc: number, origin: number): boolean {
    const aheadMaxMs = this.#clockAheadMaxMs();
    const verdict = this.#guard.judge(hlc, { nowMs: this.#turns.nowMs, own: this.#database.hlc, aheadMaxMs });
    if (verdict.kind === 'fine') return true;
    const instance = origin < 0 ? this.#from : this.#database.origins.at(origin).instance;
    if (verdict.kind === 'absurd') {
      this.#events.onFailed(`an operation of instance ${instance} carries the time ${hlc}, which no clock says`, true);
      return false;
    }
    this.clockReadyAtMs = verdict.readyAtMs;
    const { aheadMs } = verdict;
    this.#events.onClockAhead(describeClockAhead({ instance, from: this.#from, aheadMs, aheadMaxMs }));
    return false;
  }

  #keep(origin: number, bytes: Uint8Array, start: number, end: number): void {
    const isFirst = this.early.count === 0;
    this.early.add(origin, bytes, start, end);
    if (this.early.isFull) this.#events.onEarlyFull();
    if (isFirst) this.#events.onEarly();
  }

  /** Where there is no room there may be some later; what is not understood waits for an operator. */
  #fail(error: unknown): void {
    if (error instanceof AssertionError || !(error instanceof Error)) throw error;
    this.#events.onFailed(`a batch cannot be applied: ${error.message}`, error.name !== 'ArenaFullError');
  }
}
