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
import { copyBytes, SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import { addExact, formatExact, parseExact, subtractExact, type ExactNumber } from './exact-number.ts';
import type { OriginTable, VersionVector } from './version-vector.ts';

export const CELL_KEY_OFFSET = 40;
export const CELL = { next: 0, hash: 1, keyLength: 2, valueLength: 3, meta: 4, attributes: 5 } as const;
/** Float indexes within the record. */
export const CELL_SEQ = 3;
export const CELL_HLC = 4;

/** Flags of a record (low half of `meta`) and of a SIBLING attribute. */
export const FLAG = {
  /** There is a register. */
  register: 1,
  /** The register's write also said "no time to live". */
  persists: 2,
  /** Snapshot epoch: toggles when the record has been written to a snapshot. */
  epoch: 4,
  /** Seen in the full sync that is being merged. */
  marked: 8,
  /** Counted as visible by the owner of the map. */
  visible: 16,
} as const;

export const TAG = { sibling: 1, counter: 2, expiry: 3, hash: 4, set: 5, dot: 6 } as const;

const SIBLING_BYTES = 32;
const COUNTER_BYTES = 64;
const EXPIRY_BYTES = 24;
/** Float indexes in a COUNTER: frame, n, total, cutN, cutTotal, cutSeq; word 14 is the cut's origin. */
const COUNTER = { frame: 1, n: 2, total: 3, cutN: 4, cutTotal: 5, cutSeq: 6 } as const;
const COUNTER_CUT_ORIGIN = 14;
/** Flags of a COUNTER: the float holds the address of a text instead of a number. */
const TOTAL_IS_TEXT = 1;
const CUT_IS_TEXT = 2;

export interface Dot {
  /** Origin index. */
  readonly origin: number;
  readonly seq: number;
}

/** What a reset observed of one origin's counter. */
export interface CounterCut {
  readonly origin: number;
  readonly frame: number;
  readonly n: number;
  readonly total: ExactNumber;
}

export interface CounterEntry extends CounterCut {
  readonly cutN: number;
  readonly cutTotal: ExactNumber;
  /** The dot of the reset that raised the cut last; seq 0: never cut. */
  readonly cutOrigin: number;
  readonly cutSeq: number;
}

/** null covers everything: a local operation has observed all there is. */
export type Context = VersionVector | null;

export class Cells {
  readonly #arena: Arena;
  readonly #origins: OriginTable;

  constructor(arena: Arena, origins: OriginTable) {
    this.#arena = arena;
    this.#origins = origins;
  }

  /** A record with no register yet, with room for a value of that length; linked into the map. `flags`: initial. */
  create(
    maps: ByteMap,
    map: number,
    hash: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    valueRoom: number,
    flags: number,
  ): number {
    const record = this.#arena.allocate(CELL_KEY_OFFSET + length + valueRoom);
    const words = this.#arena.words[record >>> SEGMENT_SHIFT]!;
    const at = (record & SEGMENT_MASK) << 1;
    words[at + CELL.hash] = hash;
    words[at + CELL.keyLength] = length;
    words[at + CELL.valueLength] = 0;
    words[at + CELL.meta] = flags;
    words[at + CELL.attributes] = 0;
    copyBytes(this.#arena.bytes[record >>> SEGMENT_SHIFT]!, (at << 2) + CELL_KEY_OFFSET, bytes, start, length);
    maps.add(map, record);
    return record;
  }

  /** Frees the record and its sibling, counter and expiry attributes. It must be unlinked, and its containers gone. */
  destroy(record: number): void {
    let attribute = this.#word(record, CELL.attributes);
    while (attribute !== 0) {
      const next = this.#word(attribute, 0);
      this.#freeAttribute(attribute);
      attribute = next;
    }
    this.#arena.free(record);
  }

  flags(record: number): number {
    return this.#word(record, CELL.meta) & 0xffff;
  }

  setFlag(record: number, flag: number): void {
    this.#arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.meta]! |= flag;
  }

  clearFlag(record: number, flag: number): void {
    this.#arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.meta]! &= ~flag;
  }

  // ---------------------------------------------------------------- register

  /**
   * Applies a register write. Returns the record's address, which changes when the value needs more room. `spare`: bytes of room to
   * keep behind the value (for APPEND).
   */
  writeRegister(
    maps: ByteMap,
    map: number,
    record: number,
    write: {
      readonly origin: number;
      readonly seq: number;
      readonly hlc: number;
      readonly persists: boolean;
      readonly context: Context;
    },
    bytes: Uint8Array,
    start: number,
    length: number,
    spare = 0,
  ): number {
    if (this.#word(record, CELL.attributes) !== 0) this.#dropSiblings(record, write.context);
    const words = this.#arena.words[record >>> SEGMENT_SHIFT]!;
    const at = (record & SEGMENT_MASK) << 1;
    const meta = words[at + CELL.meta]!;
    if ((meta & FLAG.register) !== 0 && !this.#covers(write.context, meta >>> 16, this.#float(record, CELL_SEQ))) {
      const loses = this.#orderAgainst(record, write.hlc, write.origin, write.seq) > 0;
      if (loses) {
        this.#addSibling(record, write, write.persists, bytes, start, length);
        return record;
      }
      this.#demoteRegister(record);
    } else if (this.#word(record, CELL.attributes) !== 0 && this.#betterSibling(record, write) !== 0) {
      // The register itself is observed, but a concurrent value is above the new one.
      this.#addSibling(record, write, write.persists, bytes, start, length);
      this.#forgetRegister(record);
      return this.promoteSibling(maps, map, record);
    }
    return this.#overwrite(maps, map, record, write, bytes, start, length, spare);
  }

  /** Drops the register and siblings that the context covers. Returns the record's address. */
  dropRegister(maps: ByteMap, map: number, record: number, context: Context): number {
    if (this.#word(record, CELL.attributes) !== 0) this.#dropSiblings(record, context);
    const meta = this.#word(record, CELL.meta);
    if ((meta & FLAG.register) === 0) return record;
    if (!this.#covers(context, meta >>> 16, this.#float(record, CELL_SEQ))) return record;
    this.#forgetRegister(record);
    return this.promoteSibling(maps, map, record);
  }

  /** Drops the one value with that dot, if it is there. Returns the record's address. */
  dropValue(maps: ByteMap, map: number, record: number, dot: Dot): number {
    const meta = this.#word(record, CELL.meta);
    const isOwn = meta >>> 16 === dot.origin && this.#float(record, CELL_SEQ) === dot.seq;
    if ((meta & FLAG.register) !== 0 && isOwn) {
      this.#forgetRegister(record);
      return this.promoteSibling(maps, map, record);
    }
    const a = this.#siblingWith(record, dot);
    if (a !== 0) {
      this.#unlinkAttribute(record, a);
      this.#arena.free(a);
    }
    return record;
  }

  /** The value with that dot, if it is there, no longer says "no time to live". */
  clearPersists(record: number, origin: number, seq: number): void {
    const meta = this.#word(record, CELL.meta);
    if ((meta & FLAG.register) !== 0 && meta >>> 16 === origin && this.#float(record, CELL_SEQ) === seq) {
      this.clearFlag(record, FLAG.persists);
      return;
    }
    const a = this.#siblingWith(record, { origin, seq });
    if (a !== 0) this.#setWord(a, 1, this.#word(a, 1) & ~(FLAG.persists << 8));
  }

  /** Drops the one time to live with that dot. */
  dropExpiryDot(record: number, dot: Dot): void {
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      if (this.#word(a, 1) >>> 16 !== dot.origin || this.#float(a, 1) !== dot.seq) continue;
      this.#unlinkAttribute(record, a);
      this.#arena.free(a);
      return;
    }
  }

  #siblingWith(record: number, dot: Dot): number {
    let a = this.attribute(record, TAG.sibling);
    while (a !== 0 && (this.#word(a, 1) >>> 16 !== dot.origin || this.#float(a, 1) !== dot.seq)) {
      a = this.nextAttribute(a, TAG.sibling);
    }
    return a;
  }

  /** Calls back for the register and every sibling. */
  eachValue(
    record: number,
    visit: (value: {
      origin: number;
      seq: number;
      hlc: number;
      persists: boolean;
      address: number;
      byteOffset: number;
      length: number;
    }) => void,
  ): void {
    const meta = this.#word(record, CELL.meta);
    if ((meta & FLAG.register) !== 0) {
      visit({
        origin: meta >>> 16,
        seq: this.#float(record, CELL_SEQ),
        hlc: this.#float(record, CELL_HLC),
        persists: (meta & FLAG.persists) !== 0,
        address: record,
        byteOffset: this.valueOffset(record),
        length: this.#word(record, CELL.valueLength),
      });
    }
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      const tag = this.#word(a, 1);
      visit({
        origin: tag >>> 16,
        seq: this.#float(a, 1),
        hlc: this.#float(a, 2),
        persists: ((tag >>> 8) & FLAG.persists) !== 0,
        address: a,
        byteOffset: ((a & SEGMENT_MASK) << 3) + SIBLING_BYTES,
        length: this.#word(a, 6),
      });
    }
  }

  hasRegister(record: number): boolean {
    return (this.#word(record, CELL.meta) & FLAG.register) !== 0;
  }

  /** Offset of the register's value in the bytes of the record's segment; `CELL.valueLength` is its length. */
  valueOffset(record: number): number {
    return ((record & SEGMENT_MASK) << 3) + CELL_KEY_OFFSET + this.#word(record, CELL.keyLength);
  }

  /** Puts the highest sibling in the place of a register that was dropped. Returns the record's address. */
  promoteSibling(maps: ByteMap, map: number, record: number): number {
    let best = 0;
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      if (best === 0 || this.#compareSiblings(a, best) > 0) best = a;
    }
    if (best === 0) return record;
    this.#unlinkAttribute(record, best);
    const tag = this.#word(best, 1);
    const write = { origin: tag >>> 16, seq: this.#float(best, 1), hlc: this.#float(best, 2) };
    const persists = ((tag >>> 8) & FLAG.persists) !== 0;
    const moved = this.#overwrite(
      maps,
      map,
      record,
      { ...write, persists },
      this.#arena.bytes[best >>> SEGMENT_SHIFT]!,
      ((best & SEGMENT_MASK) << 3) + SIBLING_BYTES,
      this.#word(best, 6),
      0,
    );
    this.#arena.free(best);
    return moved;
  }

  #overwrite(
    maps: ByteMap,
    map: number,
    record: number,
    write: { readonly origin: number; readonly seq: number; readonly hlc: number; readonly persists: boolean },
    bytes: Uint8Array,
    start: number,
    length: number,
    spare: number,
  ): number {
    const keyLength = this.#word(record, CELL.keyLength);
    const needed = CELL_KEY_OFFSET + keyLength + length;
    const capacity = this.#arena.capacity(record);
    if (needed > capacity || (spare === 0 && capacity > 256 && needed < capacity >>> 1)) {
      record = this.#move(maps, map, record, needed + spare);
    }
    const seg = record >>> SEGMENT_SHIFT;
    const words = this.#arena.words[seg]!;
    const at = (record & SEGMENT_MASK) << 1;
    words[at + CELL.valueLength] = length;
    const flags = (words[at + CELL.meta]! & 0xffff & ~FLAG.persists) | FLAG.register;
    words[at + CELL.meta] = flags | (write.persists ? FLAG.persists : 0) | (write.origin << 16);
    const floats = this.#arena.floats[seg]!;
    const floatAt = record & SEGMENT_MASK;
    floats[floatAt + CELL_SEQ] = write.seq;
    floats[floatAt + CELL_HLC] = write.hlc;
    copyBytes(this.#arena.bytes[seg]!, (at << 2) + CELL_KEY_OFFSET + keyLength, bytes, start, length);
    return record;
  }

  /** Moves the record, header and key only, to a block of at least that many bytes. */
  #move(maps: ByteMap, map: number, record: number, byteCount: number): number {
    const copy = this.#arena.allocate(byteCount);
    const length = CELL_KEY_OFFSET + this.#word(record, CELL.keyLength);
    const from = (record & SEGMENT_MASK) << 3;
    copyBytes(
      this.#arena.bytes[copy >>> SEGMENT_SHIFT]!,
      (copy & SEGMENT_MASK) << 3,
      this.#arena.bytes[record >>> SEGMENT_SHIFT]!,
      from,
      length,
    );
    maps.replace(map, record, copy);
    this.#arena.free(record);
    return copy;
  }

  #forgetRegister(record: number): void {
    const words = this.#arena.words[record >>> SEGMENT_SHIFT]!;
    const at = (record & SEGMENT_MASK) << 1;
    words[at + CELL.meta] = words[at + CELL.meta]! & 0xffff & ~(FLAG.register | FLAG.persists);
    words[at + CELL.valueLength] = 0;
  }

  #demoteRegister(record: number): void {
    const meta = this.#word(record, CELL.meta);
    const write = {
      origin: meta >>> 16,
      seq: this.#float(record, CELL_SEQ),
      hlc: this.#float(record, CELL_HLC),
    };
    this.#addSibling(
      record,
      write,
      (meta & FLAG.persists) !== 0,
      this.#arena.bytes[record >>> SEGMENT_SHIFT]!,
      this.valueOffset(record),
      this.#word(record, CELL.valueLength),
    );
    this.#forgetRegister(record);
  }

  #addSibling(
    record: number,
    write: { readonly origin: number; readonly seq: number; readonly hlc: number },
    persists: boolean,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void {
    const sibling = this.#arena.allocate(SIBLING_BYTES + length);
    const words = this.#arena.words[sibling >>> SEGMENT_SHIFT]!;
    const at = (sibling & SEGMENT_MASK) << 1;
    words[at + 1] = TAG.sibling | ((persists ? FLAG.persists : 0) << 8) | (write.origin << 16);
    words[at + 6] = length;
    this.#setFloat(sibling, 1, write.seq);
    this.#setFloat(sibling, 2, write.hlc);
    copyBytes(this.#arena.bytes[sibling >>> SEGMENT_SHIFT]!, (at << 2) + SIBLING_BYTES, bytes, start, length);
    this.linkAttribute(record, sibling);
  }

  #dropSiblings(record: number, context: Context): void {
    let a = this.attribute(record, TAG.sibling);
    while (a !== 0) {
      const next = this.nextAttribute(a, TAG.sibling);
      if (this.#covers(context, this.#word(a, 1) >>> 16, this.#float(a, 1))) {
        this.#unlinkAttribute(record, a);
        this.#arena.free(a);
      }
      a = next;
    }
  }

  #betterSibling(record: number, write: { hlc: number; origin: number; seq: number }): number {
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      const order = this.#compare(
        this.#float(a, 2),
        this.#word(a, 1) >>> 16,
        this.#float(a, 1),
        write.hlc,
        write.origin,
        write.seq,
      );
      if (order > 0) return a;
    }
    return 0;
  }

  /** Positive: the record's register is above a write with that time and dot. */
  #orderAgainst(record: number, hlc: number, origin: number, seq: number): number {
    return this.#compare(
      this.#float(record, CELL_HLC),
      this.#word(record, CELL.meta) >>> 16,
      this.#float(record, CELL_SEQ),
      hlc,
      origin,
      seq,
    );
  }

  #compareSiblings(a: number, b: number): number {
    return this.#compare(
      this.#float(a, 2),
      this.#word(a, 1) >>> 16,
      this.#float(a, 1),
      this.#float(b, 2),
      this.#word(b, 1) >>> 16,
      this.#float(b, 1),
    );
  }

  /** Later hlc, then smaller instance id, then later generation, then later seq. */
  #compare(hlcA: number, originA: number, seqA: number, hlcB: number, originB: number, seqB: number): number {
    if (hlcA !== hlcB) return hlcA - hlcB;
    const a = this.#origins.at(originA);
    const b = this.#origins.at(originB);
    if (a.instance !== b.instance) return b.instance - a.instance;
    return a.generation !== b.generation ? a.generation - b.generation : seqA - seqB;
  }

  // ---------------------------------------------------------------- counter

  /** Whether any increment is not cut: then the counter alone makes the cell exist. */
  hasCounter(record: number): boolean {
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      if (this.#float(a, COUNTER.n) > this.#float(a, COUNTER.cutN)) return true;
    }
    return false;
  }

  /** Sum of all increments that are not cut. */
  counterSum(record: number): ExactNumber {
    let sum: ExactNumber = 0;
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      sum = addExact(sum, subtractExact(this.#total(a), this.#cutTotal(a)));
    }
    return sum;
  }

  /**
   * What the next increment of that origin says: the frame and n to name, and the total so far. A frame that is cut whole, and was begun by
   * an earlier batch, is followed by a new one: `seq`, the batch being written.
   */
  nextIncrement(
    record: number,
    origin: number,
    seq: number,
  ): { readonly frame: number; readonly n: number; readonly total: ExactNumber } {
    const a = record === 0 ? 0 : this.#counterOf(record, origin);
    if (a === 0) return { frame: seq, n: 1, total: 0 };
    const frame = this.#float(a, COUNTER.frame);
    const n = this.#float(a, COUNTER.n);
    if (n === this.#float(a, COUNTER.cutN) && frame < seq) return { frame: seq, n: 1, total: 0 };
    return { frame, n: n + 1, total: this.#total(a) };
  }

  applyIncrement(record: number, origin: number, frame: number, n: number, total: ExactNumber): void {
    let a = this.#counterOf(record, origin);
    if (a === 0) a = this.#addCounter(record, origin, frame);
    else if (this.#float(a, COUNTER.frame) < frame) this.#resetCounter(a, frame);
    else if (this.#float(a, COUNTER.frame) > frame || this.#float(a, COUNTER.n) >= n) return;
    this.#setFloat(a, COUNTER.n, n);
    this.#setNumber(a, COUNTER.total, TOTAL_IS_TEXT, total);
  }

  /** What a reset issued now observes. Entries that are cut whole already are left out. */
  observedCuts(record: number): readonly CounterCut[] {
    let cuts: CounterCut[] | null = null;
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      const n = this.#float(a, COUNTER.n);
      if (n === this.#float(a, COUNTER.cutN)) continue;
      cuts ??= [];
      cuts.push({ origin: this.#word(a, 1) >>> 16, frame: this.#float(a, COUNTER.frame), n, total: this.#total(a) });
    }
    return cuts ?? NO_CUTS;
  }

  /** Raises the cut of one origin's counter to what a reset, whose dot is given, has observed. */
  applyCut(record: number, cut: CounterCut, reset: Dot): void {
    const a = this.#counterOf(record, cut.origin);
    if (a === 0 || this.#float(a, COUNTER.frame) !== cut.frame || this.#float(a, COUNTER.cutN) >= cut.n) return;
    this.#setFloat(a, COUNTER.cutN, cut.n);
    this.#setNumber(a, COUNTER.cutTotal, CUT_IS_TEXT, cut.total);
    this.#setFloat(a, COUNTER.cutSeq, reset.seq);
    this.#setWord(a, COUNTER_CUT_ORIGIN, reset.origin);
  }

  eachCounter(record: number, visit: (entry: CounterEntry) => void): void {
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      visit({
        origin: this.#word(a, 1) >>> 16,
        frame: this.#float(a, COUNTER.frame),
        n: this.#float(a, COUNTER.n),
        total: this.#total(a),
        cutN: this.#float(a, COUNTER.cutN),
        cutTotal: this.#cutTotal(a),
        cutOrigin: this.#word(a, COUNTER_CUT_ORIGIN),
        cutSeq: this.#float(a, COUNTER.cutSeq),
      });
    }
  }

  /** Joins another instance's entry into this cell: the later frame; within one frame the higher n and the higher cut. */
  mergeCounter(record: number, entry: CounterEntry): void {
    this.applyIncrement(record, entry.origin, entry.frame, entry.n, entry.total);
    if (entry.cutN === 0) return;
    this.applyCut(
      record,
      { origin: entry.origin, frame: entry.frame, n: entry.cutN, total: entry.cutTotal },
      { origin: entry.cutOrigin, seq: entry.cutSeq },
    );
  }

  /** Frees counters that are cut whole by a reset that every instance has applied. Returns whether such counters remain. */
  dropStableCounters(record: number, stable: VersionVector): boolean {
    let remain = false;
    let a = this.attribute(record, TAG.counter);
    while (a !== 0) {
      const next = this.nextAttribute(a, TAG.counter);
      if (this.#float(a, COUNTER.n) === this.#float(a, COUNTER.cutN)) {
        if (stable.coversDot(this.#word(a, COUNTER_CUT_ORIGIN), this.#float(a, COUNTER.cutSeq))) {
          this.#unlinkAttribute(record, a);
          this.#freeAttribute(a);
        } else {
          remain = true;
        }
      }
      a = next;
    }
    return remain;
  }

  #counterOf(record: number, origin: number): number {
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      if (this.#word(a, 1) >>> 16 === origin) return a;
    }
    return 0;
  }

  #addCounter(record: number, origin: number, frame: number): number {
    const a = this.#arena.allocate(COUNTER_BYTES);
    this.#setWord(a, 1, TAG.counter | (origin << 16));
    this.#clearCounter(a, frame);
    this.linkAttribute(record, a);
    return a;
  }

  #resetCounter(a: number, frame: number): void {
    this.#freeNumbers(a);
    this.#clearCounter(a, frame);
  }

  #clearCounter(a: number, frame: number): void {
    const floats = this.#arena.floats[a >>> SEGMENT_SHIFT]!;
    const at = a & SEGMENT_MASK;
    floats.fill(0, at + COUNTER.n, at + 8);
    floats[at + COUNTER.frame] = frame;
    this.#setWord(a, 1, this.#word(a, 1) & 0xffff00ff);
  }

  #total(a: number): ExactNumber {
    return this.#number(a, COUNTER.total, TOTAL_IS_TEXT);
  }

  #cutTotal(a: number): ExactNumber {
    return this.#number(a, COUNTER.cutTotal, CUT_IS_TEXT);
  }

  #number(a: number, index: number, textFlag: number): ExactNumber {
    const value = this.#float(a, index);
    if (((this.#word(a, 1) >>> 8) & textFlag) === 0) return value;
    const bytes = this.#arena.bytes[value >>> SEGMENT_SHIFT]!;
    const at = ((value & SEGMENT_MASK) << 3) + 4;
    return parseExact(bytes.toString('latin1', at, at + this.#word(value, 0)));
  }

  #setNumber(a: number, index: number, textFlag: number, value: ExactNumber): void {
    const tag = this.#word(a, 1);
    if (((tag >>> 8) & textFlag) !== 0) this.#arena.free(this.#float(a, index));
    if (typeof value === 'number') {
      this.#setWord(a, 1, tag & ~(textFlag << 8));
      this.#setFloat(a, index, value);
      return;
    }
    const text = formatExact(value);
    const address = this.#arena.allocate(4 + text.length);
    this.#setWord(address, 0, text.length);
    this.#arena.bytes[address >>> SEGMENT_SHIFT]!.write(text, ((address & SEGMENT_MASK) << 3) + 4, 'latin1');
    this.#setWord(a, 1, tag | (textFlag << 8));
    this.#setFloat(a, index, address);
  }

  #freeNumbers(a: number): void {
    const flags = this.#word(a, 1) >>> 8;
    if ((flags & TOTAL_IS_TEXT) !== 0) this.#arena.free(this.#float(a, COUNTER.total));
    if ((flags & CUT_IS_TEXT) !== 0) this.#arena.free(this.#float(a, COUNTER.cutTotal));
  }

  // ---------------------------------------------------------------- time to live

  /** Visible expiry in ms since 1970; Infinity: explicitly none; -1: nothing said. */
  expiry(record: number): number {
    let latest = -1;
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      latest = Math.max(latest, this.#float(a, 2));
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
      if (this.#float(a, 2) !== visible) continue;
      const origin = this.#word(a, 1) >>> 16;
      if (owner < 0 || this.#origins.at(origin).instance < this.#origins.at(owner).instance) owner = origin;
    }
    return owner;
  }

  writeExpiry(record: number, dot: Dot, atMs: number, context: Context): void {
    this.dropExpiry(record, context);
    this.addExpiry(record, dot, atMs);
  }

  /** Drops the times to live that the context covers, those that plain SETs implied included. */
  dropExpiry(record: number, context: Context): void {
    const meta = this.#word(record, CELL.meta);
    if ((meta & FLAG.persists) !== 0 && this.#covers(context, meta >>> 16, this.#float(record, CELL_SEQ))) {
      this.clearFlag(record, FLAG.persists);
    }
    let a = this.#word(record, CELL.attributes);
    while (a !== 0) {
      const next = this.#word(a, 0);
      const tag = this.#word(a, 1);
      const kind = tag & 0xff;
      if ((kind === TAG.expiry || kind === TAG.sibling) && this.#covers(context, tag >>> 16, this.#float(a, 1))) {
        if (kind === TAG.sibling) {
          this.#setWord(a, 1, tag & ~(FLAG.persists << 8));
        } else {
          this.#unlinkAttribute(record, a);
          this.#arena.free(a);
        }
      }
      a = next;
    }
  }

  addExpiry(record: number, dot: Dot, atMs: number): void {
    const a = this.#arena.allocate(EXPIRY_BYTES);
    this.#setWord(a, 1, TAG.expiry | (dot.origin << 16));
    this.#setFloat(a, 1, dot.seq);
    this.#setFloat(a, 2, atMs);
    this.linkAttribute(record, a);
  }

  eachExpiry(record: number, visit: (expiry: { origin: number; seq: number; atMs: number }) => void): void {
    for (let a = this.attribute(record, TAG.expiry); a !== 0; a = this.nextAttribute(a, TAG.expiry)) {
      visit({ origin: this.#word(a, 1) >>> 16, seq: this.#float(a, 1), atMs: this.#float(a, 2) });
    }
  }

  #anyPersists(record: number): boolean {
    if ((this.#word(record, CELL.meta) & FLAG.persists) !== 0) return true;
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      if (((this.#word(a, 1) >>> 8) & FLAG.persists) !== 0) return true;
    }
    return false;
  }

  // ---------------------------------------------------------------- attributes

  /** First attribute with that tag; 0: none. */
  attribute(record: number, tag: number): number {
    const first = this.#word(record, CELL.attributes);
    return first === 0 || (this.#word(first, 1) & 0xff) === tag ? first : this.nextAttribute(first, tag);
  }

  nextAttribute(attribute: number, tag: number): number {
    let a = this.#word(attribute, 0);
    while (a !== 0 && (this.#word(a, 1) & 0xff) !== tag) a = this.#word(a, 0);
    return a;
  }

  linkAttribute(record: number, attribute: number): void {
    this.#setWord(attribute, 0, this.#word(record, CELL.attributes));
    this.#setWord(record, CELL.attributes, attribute);
  }

  /** Unlinks an attribute that the caller frees. */
  unlinkAttribute(record: number, attribute: number): void {
    this.#unlinkAttribute(record, attribute);
  }

  #unlinkAttribute(record: number, attribute: number): void {
    const next = this.#word(attribute, 0);
    let a = this.#word(record, CELL.attributes);
    if (a === attribute) {
      this.#setWord(record, CELL.attributes, next);
      return;
    }
    while (this.#word(a, 0) !== attribute) a = this.#word(a, 0);
    this.#setWord(a, 0, next);
  }

  #freeAttribute(a: number): void {
    const tag = this.#word(a, 1) & 0xff;
    assert(tag !== TAG.hash && tag !== TAG.set, 'containers are freed by their own type');
    if (tag === TAG.counter) this.#freeNumbers(a);
    this.#arena.free(a);
  }

  #covers(context: Context, origin: number, seq: number): boolean {
    return context === null || context.coversDot(origin, seq);
  }

  #word(address: number, index: number): number {
    return this.#arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index]!;
  }

  #setWord(address: number, index: number, value: number): void {
    this.#arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index] = value;
  }

  #float(address: number, index: number): number {
    return this.#arena.floats[address >>> SEGMENT_SHIFT]![(address & SEGMENT_MASK) + index]!;
  }

  #setFloat(address: number, index: number, value: number): void {
    this.#arena.floats[address >>> SEGMENT_SHIFT]![(address & SEGMENT_MASK) + index] = value;
  }
}

const NO_CUTS: readonly CounterCut[] = [];
