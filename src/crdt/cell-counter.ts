/**
 * The counter of a cell: one COUNTER attribute per origin that ever added to it.
 *
 *   COUNTER   0 next | 1 tag, flags << 8, origin << 16 | frame f64 | n f64 | total f64 | cutN f64 | cutTotal f64 | cutSeq f64 | 14 cut's origin
 *
 * An increment carries its origin's frame (the seq that began it), n (increments in the frame so far) and their total, so applying it is
 * idempotent and two states join by the higher n. A reset carries, per origin, the frame, n and total it observed; a receiver raises the cut to it,
 * so two concurrent resets do not cancel twice. What counts is total - cutTotal, summed over the origins. Only the origin itself begins a new
 * frame, and only when the old one is cut whole: by causal delivery everyone has seen that cut before.
 *
 * Integers stop at the bounds of 64 bits, what INCRBYFLOAT makes does not; so a frame that INCRBYFLOAT has added to is marked as *decimal*. The
 * mark belongs to the total: every later increment of the frame carries it, two states join by the higher n, and it ends with the frame.
 *
 * Invariant: cutN <= n; an entry with cutN = n contributes nothing and is kept until its reset is stable.
 */
import { SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import { CELL, FLAG, TAG, type Dot } from './cell-record.ts';
import { CellRegisters } from './cell-register.ts';
import { addExact, formatExact, parseExact, subtractExact, type ExactNumber } from './exact-number.ts';

const COUNTER_BYTES = 64;
/** Float indexes in a COUNTER; word 14 is the cut's origin. */
const COUNTER = { frame: 1, n: 2, total: 3, cutN: 4, cutTotal: 5, cutSeq: 6 } as const;
const COUNTER_CUT_ORIGIN = 14;
/** Flags of a COUNTER: the float holds the address of a text instead of a number. */
const TOTAL_IS_TEXT = 1;
const CUT_IS_TEXT = 2;
/** INCRBYFLOAT has added to the frame. */
const IS_DECIMAL = 4;

/** What a reset observed of one origin's counter. */
export interface CounterCut {
  /** Origin index. */
  readonly origin: number;
  readonly frame: number;
  readonly n: number;
  readonly total: ExactNumber;
}

export interface CounterEntry extends CounterCut {
  readonly isDecimal: boolean;
  readonly cutN: number;
  readonly cutTotal: ExactNumber;
  /** The dot of the reset that raised the cut last; seq 0: never cut. */
  readonly cutOrigin: number;
  readonly cutSeq: number;
}

const NO_CUTS: readonly CounterCut[] = [];

/** What an origin's next increment says, and what its total and mark have been so far. */
class NextIncrement {
  frame = 0;
  n = 0;
  total: ExactNumber = 0;
  isDecimal = false;

  begin(seq: number): this {
    this.frame = seq;
    this.n = 1;
    this.total = 0;
    this.isDecimal = false;
    return this;
  }
}

export class CellCounters extends CellRegisters {
  readonly #next = new NextIncrement();

  /** Whether that attribute, the first of its record, is a counter and the only one: nothing else need be looked for. */
  isLoneCounter(a: number): boolean {
    const words = this.arena.words[a >>> SEGMENT_SHIFT]!;
    const at = (a & SEGMENT_MASK) << 1;
    return (words[at + 1]! & 0xff) === TAG.counter && words[at] === 0;
  }

  /** Whether any increment of that counter is not cut. */
  counts(a: number): boolean {
    const floats = this.arena.floats[a >>> SEGMENT_SHIFT]!;
    const at = a & SEGMENT_MASK;
    return floats[at + COUNTER.n]! > floats[at + COUNTER.cutN]!;
  }

  /**
   * The number that a cell shows which one instance alone counts: a safe integer, and no register, no other origin, no time to live. NaN: there is more to
   * it. Most counters are like that, and this is all that an INCR has to read of them.
   */
  loneCount(record: number): number {
    const recordWords = this.arena.words[record >>> SEGMENT_SHIFT]!;
    const recordAt = (record & SEGMENT_MASK) << 1;
    const a = recordWords[recordAt + CELL.attributes]!;
    if (a === 0 || (recordWords[recordAt + CELL.meta]! & FLAG.register) !== 0) return NaN;
    const words = this.arena.words[a >>> SEGMENT_SHIFT]!;
    const at = (a & SEGMENT_MASK) << 1;
    // No flag either: both numbers stand there as such.
    if (words[at] !== 0 || (words[at + 1]! & 0xffff) !== TAG.counter) return NaN;
    const floats = this.arena.floats[a >>> SEGMENT_SHIFT]!;
    const floatAt = a & SEGMENT_MASK;
    const count = floats[floatAt + COUNTER.total]! - floats[floatAt + COUNTER.cutTotal]!;
    return Number.isSafeInteger(count) ? count : NaN;
  }

  /** Whether any increment is not cut: then the counter alone makes the cell exist. */
  hasCounter(record: number): boolean {
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      if (this.float(a, COUNTER.n) > this.float(a, COUNTER.cutN)) return true;
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

  /** Whether any frame that counts is marked as decimal. */
  hasDecimals(record: number): boolean {
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      if (this.#isDecimal(a) && this.float(a, COUNTER.n) > this.float(a, COUNTER.cutN)) return true;
    }
    return false;
  }

  /**
   * What the next increment of that origin says: the frame and n to name, the total and the mark so far. A frame that is cut whole, and was begun by
   * an earlier batch, is followed by a new one: `seq`, the batch being written. A reused object: read it, do not keep it.
   */
  nextIncrement(record: number, origin: number, seq: number): Readonly<NextIncrement> {
    const next = this.#next;
    const a = record === 0 ? 0 : this.#counterOf(record, origin);
    if (a === 0) return next.begin(seq);
    const floats = this.arena.floats[a >>> SEGMENT_SHIFT]!;
    const at = a & SEGMENT_MASK;
    const frame = floats[at + COUNTER.frame]!;
    const n = floats[at + COUNTER.n]!;
    if (n === floats[at + COUNTER.cutN]! && frame < seq) return next.begin(seq);
    next.frame = frame;
    next.n = n + 1;
    next.total = this.#total(a);
    next.isDecimal = this.#isDecimal(a);
    return next;
  }

  applyIncrement(
    record: number,
    origin: number,
    frame: number,
    n: number,
    total: ExactNumber,
    isDecimal: boolean,
  ): void {
    let a = this.#counterOf(record, origin);
    if (a === 0) {
      a = this.#addCounter(record, origin, frame);
    } else {
      const floats = this.arena.floats[a >>> SEGMENT_SHIFT]!;
      const at = a & SEGMENT_MASK;
      if (floats[at + COUNTER.frame]! < frame) this.#resetCounter(a, frame);
      else if (floats[at + COUNTER.frame]! > frame || floats[at + COUNTER.n]! >= n) return;
    }
    this.setFloat(a, COUNTER.n, n);
    this.#setNumber(a, COUNTER.total, TOTAL_IS_TEXT, total);
    if (isDecimal) this.setWord(a, 1, this.word(a, 1) | (IS_DECIMAL << 8));
  }

  /** What a reset issued now observes. Entries that are cut whole already are left out. */
  observedCuts(record: number): readonly CounterCut[] {
    let cuts: CounterCut[] | null = null;
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      const n = this.float(a, COUNTER.n);
      if (n === this.float(a, COUNTER.cutN)) continue;
      cuts ??= [];
      cuts.push({ origin: this.word(a, 1) >>> 16, frame: this.float(a, COUNTER.frame), n, total: this.#total(a) });
    }
    return cuts ?? NO_CUTS;
  }

  /** Raises the cut of one origin's counter to what a reset, whose dot is given, has observed. */
  applyCut(record: number, cut: CounterCut, reset: Dot): void {
    const a = this.#counterOf(record, cut.origin);
    if (a === 0 || this.float(a, COUNTER.frame) !== cut.frame || this.float(a, COUNTER.cutN) > cut.n) return;
    this.setFloat(a, COUNTER.cutN, cut.n);
    this.#setNumber(a, COUNTER.cutTotal, CUT_IS_TEXT, cut.total);
    this.setFloat(a, COUNTER.cutSeq, reset.seq);
    this.setWord(a, COUNTER_CUT_ORIGIN, reset.origin);
  }

  eachCounter(record: number, visit: (entry: CounterEntry) => void): void {
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      visit({
        origin: this.word(a, 1) >>> 16,
        frame: this.float(a, COUNTER.frame),
        n: this.float(a, COUNTER.n),
        total: this.#total(a),
        isDecimal: this.#isDecimal(a),
        cutN: this.float(a, COUNTER.cutN),
        cutTotal: this.#cutTotal(a),
        cutOrigin: this.word(a, COUNTER_CUT_ORIGIN),
        cutSeq: this.float(a, COUNTER.cutSeq),
      });
    }
  }

  /** Joins another instance's entry into this cell: the later frame; within one frame the higher n and the higher cut. */
  mergeCounter(record: number, entry: CounterEntry): void {
    this.applyIncrement(record, entry.origin, entry.frame, entry.n, entry.total, entry.isDecimal);
    if (entry.cutN === 0) return;
    this.applyCut(
      record,
      { origin: entry.origin, frame: entry.frame, n: entry.cutN, total: entry.cutTotal },
      { origin: entry.cutOrigin, seq: entry.cutSeq },
    );
  }

  /** Frees one origin's counter. */
  dropCounter(record: number, origin: number): void {
    const a = this.#counterOf(record, origin);
    if (a === 0) return;
    this.unlinkAttribute(record, a);
    this.freeCounter(a);
  }

  /**
   * Frees counters that are cut whole by a reset that is final: every instance has applied it, and nothing of the counter's origin that has not seen it
   * can come any more. Returns whether such counters remain.
   */
  dropFinalCounters(record: number, isFinal: (origin: number, reset: Dot) => boolean): boolean {
    let remain = false;
    let a = this.attribute(record, TAG.counter);
    while (a !== 0) {
      const next = this.nextAttribute(a, TAG.counter);
      if (this.float(a, COUNTER.n) === this.float(a, COUNTER.cutN)) {
        const reset = { origin: this.word(a, COUNTER_CUT_ORIGIN), seq: this.float(a, COUNTER.cutSeq) };
        if (isFinal(this.word(a, 1) >>> 16, reset)) {
          this.unlinkAttribute(record, a);
          this.freeCounter(a);
        } else {
          remain = true;
        }
      }
      a = next;
    }
    return remain;
  }

  hasCounterOf(record: number, origin: number): boolean {
    return this.#counterOf(record, origin) !== 0;
  }

  #counterOf(record: number, origin: number): number {
    for (let a = this.attribute(record, TAG.counter); a !== 0; a = this.nextAttribute(a, TAG.counter)) {
      if (this.word(a, 1) >>> 16 === origin) return a;
    }
    return 0;
  }

  #addCounter(record: number, origin: number, frame: number): number {
    const a = this.arena.allocate(COUNTER_BYTES);
    this.setWord(a, 1, TAG.counter | (origin << 16));
    this.#clearCounter(a, frame);
    this.linkAttribute(record, a);
    return a;
  }

  #resetCounter(a: number, frame: number): void {
    this.freeNumbers(a);
    this.#clearCounter(a, frame);
  }

  #clearCounter(a: number, frame: number): void {
    const floats = this.arena.floats[a >>> SEGMENT_SHIFT]!;
    const at = a & SEGMENT_MASK;
    floats.fill(0, at + COUNTER.n, at + 8);
    floats[at + COUNTER.frame] = frame;
    this.setWord(a, 1, this.word(a, 1) & 0xffff00ff);
  }

  #isDecimal(a: number): boolean {
    return ((this.word(a, 1) >>> 8) & IS_DECIMAL) !== 0;
  }

  #total(a: number): ExactNumber {
    return this.#number(a, COUNTER.total, TOTAL_IS_TEXT);
  }

  #cutTotal(a: number): ExactNumber {
    return this.#number(a, COUNTER.cutTotal, CUT_IS_TEXT);
  }

  #number(a: number, index: number, textFlag: number): ExactNumber {
    const value = this.float(a, index);
    if (((this.word(a, 1) >>> 8) & textFlag) === 0) return value;
    const bytes = this.arena.bytes[value >>> SEGMENT_SHIFT]!;
    const at = ((value & SEGMENT_MASK) << 3) + 4;
    return parseExact(bytes.toString('latin1', at, at + this.word(value, 0)));
  }

  #setNumber(a: number, index: number, textFlag: number, value: ExactNumber): void {
    const tag = this.word(a, 1);
    if (((tag >>> 8) & textFlag) !== 0) this.arena.free(this.float(a, index));
    if (typeof value === 'number') {
      this.setWord(a, 1, tag & ~(textFlag << 8));
      this.setFloat(a, index, value);
      return;
    }
    const text = formatExact(value);
    const address = this.arena.allocate(4 + text.length);
    this.setWord(address, 0, text.length);
    this.arena.bytes[address >>> SEGMENT_SHIFT]!.write(text, ((address & SEGMENT_MASK) << 3) + 4, 'latin1');
    this.setWord(a, 1, tag | (textFlag << 8));
    this.setFloat(a, index, address);
  }

  protected freeNumbers(a: number): void {
    const flags = this.word(a, 1) >>> 8;
    if ((flags & TOTAL_IS_TEXT) !== 0) this.arena.free(this.float(a, COUNTER.total));
    if ((flags & CUT_IS_TEXT) !== 0) this.arena.free(this.float(a, COUNTER.cutTotal));
  }

  protected freeCounter(a: number): void {
    this.freeNumbers(a);
    this.arena.free(a);
  }
}
