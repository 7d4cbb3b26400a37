/**
 * What an instance does by itself with its data, in slices: removes what has expired, carries out what takes effect at once and is settled late, frees what
 * nobody can need any more.
 *
 * Each kind has a budget of its own, so that none keeps another waiting: a million keys that are due do not keep memory from being given back.
 */
import type { Database } from '../database/database.ts';
import { Expirer } from '../database/expirer.ts';
import type { Stability } from '../database/stability.ts';
import { ValueRef } from '../database/value-ref.ts';
import type { Clock, Timer } from '../host/host.ts';
import type { Log } from '../storage/log.ts';
import * as limits from './limits.ts';
import { Slicer } from './slicer.ts';

export interface HousekeepingOptions {
  readonly clock: Clock;
  readonly database: Database;
  readonly log: Pick<Log, 'writtenPosition' | 'wake'>;
  /** Whether this instance removes what that one's times to live have ended. */
  readonly mayExpireFor: (instance: number) => boolean;
  readonly stability: () => Stability;
  readonly collectGarbage: () => void;
}

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #expiry: Slicer;
  readonly #settling: Slicer;
  readonly #collection: Slicer;
  #timers: readonly Timer[] = [];
  /** Memory that the arena had given up a period ago and V8 had not freed, bytes; and for how many periods it has been just that. */
  #droppedBytes = 0;
  #steadyPeriods = 0;

  constructor(options: HousekeepingOptions) {
    const { clock, database, mayExpireFor, stability } = options;
    this.#options = options;
    const shared = { clock, begin: () => this.#begin(), end: () => this.#end() };
    const expirer = new Expirer(database);
    this.#expiry = new Slicer({
      ...shared,
      sliceMs: limits.EXPIRY_SLICE_MS,
      pauseMs: limits.EXPIRY_PAUSE_MS,
      step: () => expirer.step(mayExpireFor) > 0,
    });
    this.#settling = new Slicer({
      ...shared,
      sliceMs: limits.SETTLE_SLICE_MS,
      pauseMs: 0,
      step: () => database.settleStep(limits.SETTLE_STEP),
    });
    this.#collection = new Slicer({
      ...shared,
      sliceMs: limits.COLLECT_SLICE_MS,
      pauseMs: limits.COLLECT_PAUSE_MS,
      step: () => database.collectStep(stability(), limits.COLLECT_STEP),
    });
  }

  start(): void {
    const { clock } = this.#options;
    this.#timers = [
      clock.every(limits.EXPIRY_PERIOD_MS, () => {
        this.#expiry.wake();
        this.#settling.wake();
      }),
      clock.every(limits.HOUSEKEEPING_PERIOD_MS, () => {
        this.#collection.wake();
        this.#giveMemoryBack();
      }),
    ];
  }

  /** There is something to settle: not in a tenth of a second, but now. */
  settleSoon(): void {
    this.#settling.wake();
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    for (const slicer of [this.#expiry, this.#settling, this.#collection]) slicer.stop();
  }

  /** V8 frees what was dropped when it collects garbage, which an idle process may never do: at once where it is much, else when no more comes. */
  #giveMemoryBack(): void {
    const { clock, database, collectGarbage } = this.#options;
    const { arena } = database.keyspace;
    arena.trim();
    const { droppedBytes } = arena;
    this.#steadyPeriods = droppedBytes === this.#droppedBytes ? this.#steadyPeriods + 1 : 0;
    this.#droppedBytes = droppedBytes;
    if (droppedBytes === 0) return;
    // A collection that finds one under way finishes that one, which keeps what was dropped since it began: so not once only, but ever less often.
    if (this.#steadyPeriods === 0 ? droppedBytes < limits.DROPPED_BYTES_MAX : !isPowerOf2(this.#steadyPeriods)) return;
    // In a turn of its own: what was looked at in this one is in use until it ends.
    clock.soon(() => {
      ValueRef.forgetAll();
      collectGarbage();
    });
  }

  #begin(): boolean {
    const { clock, database } = this.#options;
    if (database.writer.isOpen) return false;
    database.setTime(clock.nowMs());
    return true;
  }

  /** What was written goes the way of all writes. */
  #end(): void {
    const { database, log } = this.#options;
    if (database.log.end !== log.writtenPosition) log.wake();
  }
}

function isPowerOf2(n: number): boolean {
  return Number.isInteger(Math.log2(n));
}
