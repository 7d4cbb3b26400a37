/**
 * The pulling side's acknowledgements on one link: what is applied here, what is durable here.
 *
 * When: `ackMinMs` after something was applied from this link, `ackMaxMs` after anything else changed, at once when asked, and every
 * `ackIdleMs` as a sign of life. When durability is what the peer waits for (it asked), a change of that counts like an application.
 */
import { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Timer } from '../host/host.ts';
import type { ReplicationLimits } from './limits.ts';
import type { Ack } from './messages.ts';

export class AckSender {
  readonly #clock: Clock;
  readonly #limits: ReplicationLimits;
  readonly #read: () => Ack;
  readonly #send: (ack: Ack) => void;
  readonly #applied = new VersionVector();
  readonly #durable = new VersionVector();
  #sentAtMs: number;
  #timer: Timer | null = null;
  #askedForDurable = false;

  constructor(options: {
    readonly clock: Clock;
    readonly limits: ReplicationLimits;
    /** The vectors as they are now; copied here. */
    readonly read: () => Ack;
    readonly send: (ack: Ack) => void;
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#read = options.read;
    this.#send = options.send;
    this.#sentAtMs = this.#clock.monotonicMs();
  }

  /** Batches of this link were applied. */
  noteApplied(): void {
    if (this.#timer) return;
    const sinceMs = this.#clock.monotonicMs() - this.#sentAtMs;
    this.#timer = this.#clock.after(Math.max(0, this.#limits.ackMinMs - sinceMs), () => {
      this.#timer = null;
      this.sendNow();
    });
  }

  /** More is on disk. */
  noteDurable(): void {
    if (!this.#askedForDurable) return;
    if (this.#durable.covers(this.#applied)) this.#askedForDurable = false;
    else this.noteApplied();
  }

  /** The peer waits. */
  noteAsked(): void {
    this.#askedForDurable = true;
    this.sendNow();
  }

  /** To be called about every second. */
  tick(): void {
    const sinceMs = this.#clock.monotonicMs() - this.#sentAtMs;
    if (sinceMs >= this.#limits.ackIdleMs || (sinceMs >= this.#limits.ackMaxMs && this.#isChanged())) this.sendNow();
  }

  sendNow(): void {
    const ack = this.#read();
    this.#applied.copyFrom(ack.applied);
    this.#durable.copyFrom(ack.durable);
    this.#sentAtMs = this.#clock.monotonicMs();
    this.#send(ack);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #isChanged(): boolean {
    const { applied, durable } = this.#read();
    return !this.#applied.covers(applied) || !this.#durable.covers(durable);
  }
}
