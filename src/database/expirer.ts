/**
 * Removes keys and fields whose time is over, step by step, as observed-removes: a write that this instance has not seen survives.
 *
 * One instance removes: the one whose time to live won, so the removal is replicated once. `mayExpireFor` lets another one step in when that
 * one is gone for long. What fired waits on its owner's shelf (expiries.ts), so a shelf is either ours to work off or costs nothing.
 *
 * A step touches so many timers and removes so many keys and fields, which make one batch; who calls it decides by the clock whether to go on. Fields and keys
 * share a batch, lest a million of the one keep the other waiting.
 *
 * Invariant: a step does a bounded number of removals, however many are due at once.
 */
import { copyBytes, SEGMENT_SHIFT } from '../memory/arena.ts';
import type { TimerWheel } from '../memory/timer-wheel.ts';
import { mapOf } from './container-type.ts';
import type { Database } from './database.ts';
import { KeyRef } from './key-ref.ts';

export interface ExpiryLimits {
  /** Timers touched per step and wheel: those that come nearer as well as those that fire. */
  readonly stepTimersMax: number;
  /** Keys and fields removed per step at most: they are one batch. */
  readonly batchRemovalsMax: number;
  /** Bytes of names in that batch, above which nothing is added to it. */
  readonly batchNameBytesMax: number;
}

export const EXPIRY_LIMITS: ExpiryLimits = {
  stepTimersMax: 512,
  batchRemovalsMax: 128,
  batchNameBytesMax: 64 * 1024,
};

/** Room for a usual name. */
const NAME_BYTES = 256;

export class Expirer {
  readonly #database: Database;
  readonly #limits: ExpiryLimits;
  readonly #ref = new KeyRef();
  /** The hash that `#ref` names the key of; 0: none. */
  #container = 0;
  #nameBytes = 0;
  /** Name of the field being removed: used again and again, since millions may go. */
  #field: Buffer = Buffer.alloc(NAME_BYTES);

  constructor(database: Database, limits: Partial<ExpiryLimits> = {}) {
    this.#database = database;
    this.#limits = { ...EXPIRY_LIMITS, ...limits };
  }

  /** Returns how much was done, in timers touched and removals; 0: nothing is left to do at this moment. */
  step(mayExpireFor: (instance: number) => boolean): number {
    const { expiries, nowMs } = this.#database.keyspace;
    const { stepTimersMax, batchRemovalsMax } = this.#limits;
    let done =
      2 * stepTimersMax - expiries.settleFields(nowMs, stepTimersMax) - expiries.settleKeys(nowMs, stepTimersMax);
    this.#nameBytes = 0;
    this.#container = 0;
    const own = this.#database.self.instance;
    let room = batchRemovalsMax;
    if (mayExpireFor(own)) room = this.#removeOf(own, room);
    for (const owner of expiries.owners) {
      if (room === 0) break;
      if (owner !== own && mayExpireFor(owner)) room = this.#removeOf(owner, room);
    }
    this.#database.commit();
    done += batchRemovalsMax - room;
    return done;
  }

  /** Returns what is left of the room; 0: the batch is full. */
  #removeOf(owner: number, room: number): number {
    const { expiries } = this.#database.keyspace;
    const forKeys = room >>> 1;
    const left = this.#workOff(expiries.fields, owner, room - forKeys, (timer) => this.#removeField(timer));
    return this.#workOff(expiries.keys, owner, left + forKeys, (timer) => this.#removeKey(timer));
  }

  #workOff(wheel: TimerWheel, owner: number, room: number, remove: (timer: number) => void): number {
    for (let timer = wheel.firstOn(owner); timer !== 0 && room > 0; timer = wheel.firstOn(owner)) {
      if (this.#nameBytes >= this.#limits.batchNameBytesMax) return 0;
      remove(timer);
      room--;
      // A record that is in no map waits to be freed: nobody sees it, and its timer goes with it.
      if (wheel.firstOn(owner) === timer) wheel.unlink(timer);
    }
    return room;
  }

  #removeKey(timer: number): void {
    const { keyspace, writer } = this.#database;
    const record = keyspace.expiries.find(keyspace.cells.expiryOfTimer(timer), keyspace.keys);
    if (record === 0) return;
    this.#container = 0;
    writer.remove(this.#refer(record));
  }

  #removeField(timer: number): void {
    const { keyspace, writer } = this.#database;
    const { cells, containers, expiries } = keyspace;
    const expiry = cells.expiryOfTimer(timer);
    const container = cells.expiryContainer(expiry);
    const field = expiries.find(expiry, mapOf(container));
    if (field === 0) return;
    const ref = this.#ref;
    // The fields of a hash mostly come one after another; with its last one the record goes too.
    if (container !== this.#container || ref.record === 0) {
      const record = expiries.findOwner(container, keyspace.keys);
      if (record === 0) return;
      this.#refer(record);
      this.#container = container;
    }
    this.#field = this.#copyName(field, this.#field);
    writer.removeField(ref, this.#field, 0, containers.nameLength(field));
  }

  #refer(record: number): KeyRef {
    const { keyspace } = this.#database;
    this.#nameBytes += keyspace.containers.nameLength(record);
    return keyspace.refer(this.#ref, record);
  }

  /** Puts the name into the buffer, or into a larger one. */
  #copyName(record: number, into: Buffer): Buffer {
    const { arena, containers } = this.#database.keyspace;
    const length = containers.nameLength(record);
    this.#nameBytes += length;
    const buffer = length > into.length ? Buffer.allocUnsafeSlow(length) : into;
    copyBytes(buffer, 0, arena.bytes[record >>> SEGMENT_SHIFT]!, containers.nameOffset(record), length);
    return buffer;
  }
}
