/**
 * What a link does with a batch: applies it, or keeps it until what it depends on is here. Nothing that the database refuses, or that is too far ahead in time, has
 * changed anything: the link is given up and the same batch comes again.
 */
import { AssertionError } from '../base/assert.ts';
import { ClockAheadError } from '../database/applier.ts';
import { ArenaFullError } from '../memory/arena.ts';
import type { ApplyTurns } from './apply-turns.ts';
import { ClockGuard } from './clock-guard.ts';
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
  readonly #events: IntakeEvents;
  readonly #guard: ClockGuard;

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
    this.#events = options.events;
    this.#guard = new ClockGuard(options.clockAheadMaxMs);
    this.early = new EarlyBatches(options.limits);
  }

  acceptClock(): void {
    this.#guard.accept();
  }

  /** How far ahead the clock of what is taken in now may be. Within a turn. */
  get clockAheadMsMax(): number {
    return this.#guard.boundMs(this.#turns.nowMs, this.#database.hlc);
  }

  /** A whole BATCH frame, within a turn. Whether the database changed. */
  take(bytes: Uint8Array, start: number, end: number): boolean {
    const database = this.#database;
    if (this.early.count > 0) {
      const origin = originOfBatch(bytes, start, database.origins);
      if (this.early.holds(origin)) {
        this.#keep(bytes, start, end);
        return false;
      }
    }
    try {
      const outcome = database.applyBatch(bytes, start, end, this.clockAheadMsMax);
      if (outcome === 'early') this.#keep(bytes, start, end);
      return outcome === 'applied';
    } catch (error) {
      this.fail(error, 'a batch cannot be applied');
      return false;
    }
  }

  /** Tries what came early. Returns how many batches left the buffer. */
  retry(isOver: () => boolean): number {
    const before = this.early.count;
    try {
      this.early.retry(this.#database, this.clockAheadMsMax, isOver);
    } catch (error) {
      this.fail(error, 'a batch cannot be applied');
    }
    return before - this.early.count;
  }

  /**
   * Gives the link up for what the database has thrown. Where there is no room there may be some later; a clock is waited for; what is not understood
   * needs an operator.
   */
  fail(error: unknown, what: string): void {
    if (error instanceof AssertionError || !(error instanceof Error)) throw error;
    if (!(error instanceof ClockAheadError)) {
      return this.#events.onFailed(`${what}: ${error.message}`, !(error instanceof ArenaFullError));
    }
    const { instance, aheadMs } = error;
    this.clockReadyAtMs = this.#guard.readyAtMs(this.#turns.nowMs, aheadMs);
    this.#events.onClockAhead(this.#guard.describe({ instance: instance || this.#from, from: this.#from, aheadMs }));
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    const isFirst = this.early.count === 0;
    this.early.add(originOfBatch(bytes, start, this.#database.origins), bytes, start, end);
    if (this.early.isFull) this.#events.onEarlyFull();
    if (isFirst) this.#events.onEarly();
  }
}
