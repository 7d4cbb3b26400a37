/**
 * The cell: a register plus a counter plus a time to live. A string key, a hash field and a sorted-set score are all this one thing.
 *
 * A cell is an entry of a byte map. Its record holds what nearly every cell has and nothing more: the register's one value with its dot and
 * time. Whatever is rare hangs off it as a list of *attributes*: concurrent values (siblings), counter totals per
 * origin, times to live, and, for keys, the containers (hash, set) that live under the same name.
 *
 *   record      0 next | 1 hash | 2 key length | 3 value length | 4 flags, origin << 16 | 5 attributes | seq f64 | hlc f64 | key | value
 *   attribute   0 next | 1 tag, flags << 8, origin << 16 | ...
 *
 * Rules (semantics.md, architecture.md section 4). *Register*: a write drops the values whose dots its context covers, then adds itself; of
 * several the highest hlc is visible. *Counter*: per origin a frame (the seq that began it), n (increments so far), their
 * total, and the cut: n and total that a reset observed; the sum of (total - cut total) counts. Only the origin itself begins a new frame,
 * and only when the old one is cut whole: by causal delivery everyone has seen that cut before. *Time to live*: siblings like a
 * register's, the longest is visible; a plain SET also says "no time to live" (flag PERSISTS, under the register's dot).
 *
 * Invariant: the record's own register is the visible one; siblings are all concurrent to it and to each other.
 */
import { assert } from '../base/assert.ts';
import { clearTimer, timerIsLinked, unlinkTimer, type TimerWheel } from '../memory/timer-wheel.ts';
import { CellCounters } from './cell-counter.ts';
import { CELL, CELL_SEQ, FLAG, TAG, type Context, type Dot } from './cell-record.ts';

export {
  CELL,
  CELL_HLC,
  CELL_KEY_OFFSET,
  CELL_SEQ,
  EPOCH_MASK,
  EPOCH_STEP,
  FLAG,
  TAG,
  type Context,
  type Dot,
} from './cell-record.ts';
export type { CounterCut, CounterEntry } from './cell-counter.ts';

/** EXPIRY attribute, see below: its size, and the unit at which its links begin. */
const EXPIRY_BYTES = 40;
const EXPIRY_TIMER = 3;
const EXPIRY_HASH = 8;
const EXPIRY_CONTAINER = 9;
/** Bit of an EXPIRY attribute's tag: it was armed, and its time has come. */
const EXPIRY_FIRED = 1 << 8;

/**
 * EXPIRY attribute: 0 next | 1 tag, fired << 8, origin << 16 | seq f64 | ms since 1970, f64 (Infinity: PERSIST) | timer's links (2 words) | 8 hash of its record |
 * 9 the container that the record is a field of, 0: it is a key.
 *
 * Time and links are a timer of `memory/timer-wheel.ts`: the attribute that is visible is *armed*, that is linked into a wheel, all others are not. Armed ones
 * know how to find their record, which moves when its value grows; they do not. Records outside the live maps are not armed.
 */
export class Cells extends CellCounters {
  /** Frees the record and its sibling, counter and expiry attributes. It must be unlinked, and its containers gone. */
  destroy(record: number): void {
    let attribute = this.word(record, CELL.attributes);
    while (attribute !== 0) {
      const next = this.word(attribute, 0);
      this.#freeAttribute(attribute);
      attribute = next;
    }
    this.arena.free(record);
  }

  /** Visible expiry in ms since 1970; Infinity: explicitly none; -1: nothing said. */
  expiry(record: number): number {
    let latest = -1;
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      latest = Math.max(latest, this.float(a, 2));
    }
    if (latest >= 0 && latest !== Infinity && this.#anyPersists(record)) return Infinity;
    return latest;
  }

  /**
   * After a change of the record's times to live: arms the visible one in that wheel if it is finite, and disarms the others. `container`: the hash whose field
   * the record is; 0: it is a key. Returns whether the visible one is finite.
   */
  armExpiry(wheel: TimerWheel, record: number, container: number): boolean {
    const visible = this.#visibleExpiry(record);
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      if (a !== visible) this.#disarm(a);
    }
    if (visible === 0) return false;
    if (!timerIsLinked(this.arena, visible + EXPIRY_TIMER)) {
      this.setWord(visible, EXPIRY_HASH, this.word(record, CELL.hash));
      this.setWord(visible, EXPIRY_CONTAINER, container);
      wheel.add(visible + EXPIRY_TIMER);
    }
    return true;
  }

  /** Origin index of the visible, finite expiry; -1: none. */
  expiryOwner(record: number): number {
    const visible = this.#visibleExpiry(record);
    return visible === 0 ? -1 : this.expiryOrigin(visible);
  }

  /** Before a record leaves the live maps for another place than freedom. */
  disarmExpiry(record: number): void {
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) this.#disarm(a);
  }

  #disarm(expiry: number): void {
    this.setWord(expiry, 1, this.word(expiry, 1) & ~EXPIRY_FIRED);
    if (timerIsLinked(this.arena, expiry + EXPIRY_TIMER)) unlinkTimer(this.arena, expiry + EXPIRY_TIMER);
  }

  /** The EXPIRY attribute of a timer met in a wheel. */
  expiryOfTimer(timer: number): number {
    return timer - EXPIRY_TIMER;
  }

  /** What an armed attribute knows: whose it is, and where its record is. `origin`: index. */
  expiryOrigin(expiry: number): number {
    return this.word(expiry, 1) >>> 16;
  }

  recordHash(expiry: number): number {
    return this.word(expiry, EXPIRY_HASH);
  }

  expiryContainer(expiry: number): number {
    return this.word(expiry, EXPIRY_CONTAINER);
  }

  /** The attribute that is armed; 0: none is. */
  armedExpiry(record: number): number {
    let a = this.attribute(record, TAG.expiry);
    while (a !== 0 && !timerIsLinked(this.arena, a + EXPIRY_TIMER)) a = this.nextAttribute(a, TAG.expiry);
    return a;
  }

  /** Whether the wheel has found that the record's visible time to live is over; before that it may be over too. */
  hasFired(record: number): boolean {
    let a = this.attribute(record, TAG.expiry);
    while (a !== 0 && (this.word(a, 1) & EXPIRY_FIRED) === 0) a = this.nextAttribute(a, TAG.expiry);
    return a !== 0;
  }

  setFired(expiry: number, isFired: boolean): void {
    const tag = this.word(expiry, 1);
    this.setWord(expiry, 1, isFired ? tag | EXPIRY_FIRED : tag & ~EXPIRY_FIRED);
  }

  /** The attribute of the visible expiry if that is finite; else 0. Of equal ones the smaller instance id's: it owns the removal. */
  #visibleExpiry(record: number): number {
    const visible = this.expiry(record);
    if (!(visible >= 0) || visible === Infinity) return 0;
    let found = 0;
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      if (this.float(a, 2) !== visible) continue;
      if (found === 0 || this.#instanceOf(a) < this.#instanceOf(found)) found = a;
    }
    return found;
  }

  #instanceOf(expiry: number): number {
    return this.origins.at(this.expiryOrigin(expiry)).instance;
  }

  /** Whether that origin (index) is a generation of the instance. */
  isOf(origin: number, instance: number): boolean {
    return origin >= 0 && this.origins.at(origin).instance === instance;
  }

  writeExpiry(record: number, dot: Dot, atMs: number, context: Context): void {
    this.dropExpiry(record, context);
    this.addExpiry(record, dot, atMs);
  }

  /** Drops the times to live that the context covers, those that plain SETs implied included. */
  dropExpiry(record: number, context: Context): void {
    const meta = this.word(record, CELL.meta);
    if ((meta & FLAG.persists) !== 0 && this.covers(context, meta >>> 16, this.float(record, CELL_SEQ))) {
      this.clearFlag(record, FLAG.persists);
    }
    let a = this.word(record, CELL.attributes);
    while (a !== 0) {
      const next = this.word(a, 0);
      const tag = this.word(a, 1);
      const kind = tag & 0xff;
      if ((kind === TAG.expiry || kind === TAG.sibling) && this.covers(context, tag >>> 16, this.float(a, 1))) {
        if (kind === TAG.sibling) {
          this.setWord(a, 1, tag & ~(FLAG.persists << 8));
        } else {
          this.unlinkAttribute(record, a);
          this.#freeExpiry(a);
        }
      }
      a = next;
    }
  }

  addExpiry(record: number, dot: Dot, atMs: number): void {
    const a = this.arena.allocate(EXPIRY_BYTES);
    this.setWord(a, 1, TAG.expiry | (dot.origin << 16));
    this.setFloat(a, 1, dot.seq);
    this.setFloat(a, 2, atMs);
    clearTimer(this.arena, a + EXPIRY_TIMER);
    this.linkAttribute(record, a);
  }

  eachExpiry(record: number, visit: (expiry: { origin: number; seq: number; atMs: number }) => void): void {
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      visit({ origin: this.word(a, 1) >>> 16, seq: this.float(a, 1), atMs: this.float(a, 2) });
    }
  }

  hasExpiryDot(record: number, origin: number, seq: number): boolean {
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      if (this.word(a, 1) >>> 16 === origin && this.float(a, 1) === seq) return true;
    }
    return false;
  }

  #anyPersists(record: number): boolean {
    if ((this.word(record, CELL.meta) & FLAG.persists) !== 0) return true;
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      if (((this.word(a, 1) >>> 8) & FLAG.persists) !== 0) return true;
    }
    return false;
  }

  /** Drops the one time to live with that dot. */
  dropExpiryDot(record: number, dot: Dot): void {
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      if (this.word(a, 1) >>> 16 !== dot.origin || this.float(a, 1) !== dot.seq) continue;
      this.unlinkAttribute(record, a);
      this.#freeExpiry(a);
      return;
    }
  }

  #freeAttribute(a: number): void {
    const tag = this.word(a, 1) & 0xff;
    assert(tag !== TAG.hash && tag !== TAG.set, 'containers are freed by their own type');
    if (tag === TAG.counter) this.freeCounter(a);
    else if (tag === TAG.expiry) this.#freeExpiry(a);
    else this.arena.free(a);
  }

  #freeExpiry(a: number): void {
    if (timerIsLinked(this.arena, a + EXPIRY_TIMER)) unlinkTimer(this.arena, a + EXPIRY_TIMER);
    this.arena.free(a);
  }
}
