/**
 * When keys and hash fields expire: two timing wheels (memory/timer-wheel.ts) of the EXPIRY attributes themselves, one for keys and one for fields. Nothing
 * is copied and nothing sampled: a volatile key costs the attribute that it has anyway.
 *
 * A key or field is *armed* while its visible time to live is finite. When that is over, its timer *fires*: it goes to the shelf of the instance that owns the removal
 * and waits there until somebody removes it (expirer.ts). So what others must remove is never in the way of what this instance must.
 *
 * Fields fire into their hash as well, which counts those that are expired but not removed. Once the wheel of fields has been brought up to this moment
 * (`settleFields`) a hash knows how many fields a client sees without looking at any.
 *
 * When the clock goes back, all that fired is looked at again: what is not over any more is counted back in.
 *
 * Invariant: armed is exactly the visible time to live of each volatile key and field in the live maps, once it has been settled; fired fields are counted as
 * expired by their hash exactly while they have a value.
 */
import type { Cells } from '../crdt/cell.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import type { Arena } from '../memory/arena.ts';
import { TimerWheel } from '../memory/timer-wheel.ts';
import { mapOf } from './container-type.ts';
import type { Containers } from './containers.ts';

/** Timers that a reader of one hash brings up to date at least; for a large hash it is half of what walking through it would touch. */
const READ_TIMERS_MIN = 256;
/** One per instance id. */
const SHELVES = 256;

export class Expiries {
  readonly keys: TimerWheel;
  readonly fields: TimerWheel;
  /** Instances that own, or owned, something that fired. */
  readonly owners = new Set<number>();
  readonly #cells: Cells;
  readonly #containers: Containers;
  readonly #origins: OriginTable;
  #wanted = 0;
  readonly #holdsWanted = (record: number): boolean => this.#cells.hasAttribute(record, this.#wanted);

  constructor(arena: Arena, parts: { cells: Cells; containers: Containers; origins: OriginTable }) {
    this.keys = new TimerWheel(arena, { shelves: SHELVES });
    this.fields = new TimerWheel(arena, { shelves: SHELVES });
    this.#cells = parts.cells;
    this.#containers = parts.containers;
    this.#origins = parts.origins;
  }

  /** After a change of the key's contents. Returns whether it is volatile: visible or not, its time to live is finite. */
  armKey(record: number, nowMs: number): boolean {
    this.keys.begin(nowMs);
    return this.#cells.armExpiry(this.keys, record, 0);
  }

  /** The same for a field, after it was counted as visible or not. */
  armField(hash: number, field: number, nowMs: number): boolean {
    this.fields.begin(nowMs);
    const isVolatile = this.#cells.armExpiry(this.fields, field, hash);
    this.#containers.hashes.countExpired(hash, field);
    return isVolatile;
  }

  /** Brings the keys' wheel up to that moment, as far as the budget (timers touched) goes. Returns what is left of it; 0: there may be more. */
  settleKeys(nowMs: number, budget: number): number {
    const { keys } = this;
    budget = keys.advance(nowMs, budget);
    for (let timer = keys.firstDue; timer !== 0 && budget > 0; timer = keys.firstDue, budget--) {
      if (keys.timeOf(timer) > nowMs) this.#rearm(keys, timer);
      else this.#shelve(keys, timer);
    }
    return budget;
  }

  /** The same for the fields' wheel. */
  settleFields(nowMs: number, budget: number): number {
    const { fields } = this;
    budget = fields.advance(nowMs, budget);
    for (let timer = fields.firstDue; timer !== 0 && budget > 0; timer = fields.firstDue, budget--) {
      const isDue = !(fields.timeOf(timer) > nowMs);
      this.#setFired(timer, isDue);
      if (isDue) this.#shelve(fields, timer);
      else this.#rearm(fields, timer);
    }
    return budget;
  }

  /**
   * Whether every field whose time is over at that moment is counted as expired by the hash. Does a part of what is missing, so that whoever walks
   * through the hash instead does so a few times at most.
   */
  settleHash(hash: number, nowMs: number): boolean {
    const { fields } = this;
    if (!fields.isAt(nowMs) || fields.firstDue !== 0) {
      const records = this.#containers.hashes.entryCount(hash);
      this.settleFields(nowMs, READ_TIMERS_MIN + (records >>> 1));
    }
    return fields.isAt(nowMs) && fields.firstDue === 0;
  }

  /** The record of an armed attribute in the map it belongs to; 0: it is not there. */
  find(expiry: number, map: number): number {
    this.#wanted = expiry;
    return this.#containers.fields.findByHash(map, this.#cells.recordHash(expiry), this.#holdsWanted);
  }

  /** The record of the key whose container that is; 0: it is not there. */
  findOwner(container: number, keys: number): number {
    this.#wanted = container;
    return this.#containers.fields.findByHash(keys, this.#containers.hashes.keyHash(container), this.#holdsWanted);
  }

  #setFired(timer: number, isFired: boolean): void {
    const cells = this.#cells;
    const expiry = cells.expiryOfTimer(timer);
    cells.setFired(expiry, isFired);
    const container = cells.expiryContainer(expiry);
    const field = this.find(expiry, mapOf(container));
    if (field !== 0) this.#containers.hashes.countExpired(container, field);
  }

  #shelve(wheel: TimerWheel, timer: number): void {
    const { instance } = this.#origins.at(this.#cells.expiryOrigin(this.#cells.expiryOfTimer(timer)));
    this.owners.add(instance);
    wheel.shelve(timer, instance);
  }

  #rearm(wheel: TimerWheel, timer: number): void {
    wheel.unlink(timer);
    wheel.add(timer);
  }
}
