/**
 * Applying is bounded per event-loop turn, all links of an instance together, so that clients keep being answered while a backlog of
 * millions is caught up with. A link that meets the end of the turn stops reading and is called again in the next one.
 *
 * And it goes no faster than the disk: what is applied stands in the log, which memory holds until it is written. Were it not bounded here, a peer with a
 * faster disk would fill the memory, and clients, whose writes wait for the disk, would wait as long as the peer has more.
 */
import type { Clock } from '../host/host.ts';
import type { ReplicationLimits } from './limits.ts';
import type { DatabasePort, LogPort } from './ports.ts';

export class ApplyTurns {
  readonly #clock: Clock;
  readonly #database: DatabasePort;
  readonly #log: LogPort;
  readonly #limits: ReplicationLimits;
  /** Wall clock when this turn began. */
  nowMs = 0;
  #endsAtMs = 0;
  #isRunning = false;
  #framesUntilReading = 0;
  #over = false;
  #isWaitingForDisk = false;
  #waiting = new Set<() => void>();

  constructor(options: {
    readonly clock: Clock;
    readonly database: DatabasePort;
    readonly log: LogPort;
    readonly limits: ReplicationLimits;
  }) {
    this.#clock = options.clock;
    this.#database = options.database;
    this.#log = options.log;
    this.#limits = options.limits;
  }

  /** Before batches are applied: begins a turn if none is running, and tells the database the time. */
  enter(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#over = false;
    this.#framesUntilReading = this.#limits.applyFramesPerClockReading;
    this.#endsAtMs = this.#clock.monotonicMs() + this.#limits.applyTurnMs;
    this.nowMs = this.#clock.nowMs();
    this.#database.setTime(this.nowMs);
    this.#clock.soon(() => this.#next());
  }

  /** Asked before every batch. */
  readonly isOver = (): boolean => {
    if (this.#over) return true;
    if (this.#isAheadOfDisk) {
      this.#over = true;
      return true;
    }
    if (--this.#framesUntilReading > 0) return false;
    this.#framesUntilReading = this.#limits.applyFramesPerClockReading;
    this.#over = this.#clock.monotonicMs() >= this.#endsAtMs;
    return this.#over;
  };

  /** The same after something that takes long: the clock is looked at. */
  look(): boolean {
    this.#framesUntilReading = 1;
    return this.isOver();
  }

  /** Calls `resume` in the next turn. The same function waits once. */
  wait(resume: () => void): void {
    this.#waiting.add(resume);
    this.enter();
  }

  #waitForDisk(): void {
    if (this.#isWaitingForDisk) return;
    this.#isWaitingForDisk = true;
    this.#log.wake();
    this.#clock.after(this.#limits.applyDiskCheckMs, () => {
      this.#isWaitingForDisk = false;
      this.#next();
    });
  }

  get #isAheadOfDisk(): boolean {
    return this.#log.unwrittenBytes > this.#limits.applyUnwrittenBytesMax;
  }

  #next(): void {
    this.#isRunning = false;
    if (this.#waiting.size === 0) return;
    if (this.#isAheadOfDisk) {
      this.#waitForDisk();
      return;
    }
    const waiting = [...this.#waiting];
    this.#waiting = new Set();
    for (let i = 0; i < waiting.length; i++) {
      if (this.#isRunning && this.#over) {
        // Whoever had no part of this turn is first in the next.
        this.#waiting = new Set([...waiting.slice(i), ...this.#waiting]);
        return;
      }
      waiting[i]!();
    }
  }
}
