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

const EXPIRY_BYTES = 24;

/** EXPIRY attribute: 0 next | 1 tag, origin << 16 | seq f64 | ms since 1970, f64 (Infinity: PERSIST). */
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

  /** Origin index of the visible, finite expiry; -1: none. Of equal ones the smaller instance id owns it. */
  expiryOwner(record: number): number {
    const visible = this.expiry(record);
    if (visible < 0 || visible === Infinity) return -1;
    let owner = -1;
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      if (this.float(a, 2) !== visible) continue;
      const origin = this.word(a, 1) >>> 16;
      if (owner < 0 || this.origins.at(origin).instance < this.origins.at(owner).instance) owner = origin;
    }
    return owner;
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
          this.arena.free(a);
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
      this.arena.free(a);
      return;
    }
  }

  #freeAttribute(a: number): void {
    const tag = this.word(a, 1) & 0xff;
    assert(tag !== TAG.hash && tag !== TAG.set, 'containers are freed by their own type');
    if (tag === TAG.counter) this.freeCounter(a);
    else this.arena.free(a);
  }
}
