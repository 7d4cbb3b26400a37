/**
 * A hierarchical timing wheel of timers that lie in the arena: which of a hundred million is due next, without sorting, sampling or searching.
 *
 * A *timer* is 16 bytes of some arena block: its time (f64, ms since 1970), then two words that link it. It is named by the address of its links, so the
 * time lies one unit before. Adding and unlinking are O(1); each timer is touched once per level that it comes down, six times at most and mostly less.
 *
 * Structure (Varghese and Lauck 1987, https://doi.org/10.1145/37499.37504; laid out by absolute digits as in tokio's timer): times are numbers with eight digits
 * of 6 bits. A timer stands on the level of the highest digit in which its time differs from the wheel's clock, in the slot that this digit names. So
 * everything on a lower level is due before everything on a higher one, and a slot's list is looked at when the clock reaches the slot: on level 0 all of
 * it is due, above it is spread over the levels below. A slot that the clock has passed as a whole is due as a whole. A jump forward costs one step per slot in use.
 *
 * Lists are circular with a sentinel each, so unlinking needs to know nothing but the timer, and two lists are joined with four writes. Hence the
 * clock may also go *backward* at no cost: all timers on the levels below the highest digit that changes share the old clock's digits above it, that is
 * they all belong into one slot now.
 *
 * What is due waits, in order, in a list of its own; the owner of the wheel takes it from there, to one of `shelves` for what cannot be dealt with yet. Work
 * is counted in timers and slots touched, never in milliseconds: `advance` stops at its budget, in the middle of a slot too.
 *
 * Invariant: a timer that is linked is in exactly one list; every timer that is neither due nor on a shelf is later than the clock, except those of the slot that is
 * being spread.
 */
import { SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from './arena.ts';

const DIGIT_BITS = 6;
const DIGITS = 1 << DIGIT_BITS;
const LEVELS = 8;
const SLOTS = LEVELS * DIGITS;
/** Times from here on (the year 10889) are never due. */
const TIME_END = 2 ** (LEVELS * DIGIT_BITS);
/** A time is looked at in two halves, since bit operations reach 32 bits. */
const HALF_LEVELS = LEVELS / 2;
const HALF = 2 ** (HALF_LEVELS * DIGIT_BITS);

/** Lists beside the slots: what is due, what never will be, and the shelves after them. */
const DUE = SLOTS;
const NEVER = SLOTS + 1;
const SHELVES = SLOTS + 2;

const NONE = -1;

export class TimerWheel {
  readonly #arena: Arena;
  readonly #shelves: number;
  /** The sentinels, one unit each; 0: nothing was ever added, and nothing is paid for. */
  #lists = 0;
  /** Slots that may hold timers, a bit each: two words per level. A bit without timers is cleared when met. */
  readonly #used = new Int32Array(2 * LEVELS);
  #clockMs = 0;
  /** The slot that the clock has reached and that is being spread. */
  #spreading = NONE;

  constructor(arena: Arena, options: { readonly shelves: number }) {
    this.#arena = arena;
    this.#shelves = options.shelves;
  }

  /** Sets the clock of a wheel that has never been advanced, lest everything have a long way down from the year 1970. */
  begin(nowMs: number): void {
    if (this.#clockMs === 0) this.advance(nowMs, 1);
  }

  /** Links a timer whose time is set, in whole ms: fractions count as the next one. */
  add(timer: number): void {
    if (this.#lists === 0) this.#createLists();
    const atMs = this.timeOf(timer);
    if (atMs >= TIME_END) this.#append(NEVER, timer);
    // Not "<=": what is no time at all is due too, or nobody would look at it ever again.
    else if (!(atMs > this.#clockMs)) this.#append(DUE, timer);
    else this.#place(timer, Math.ceil(atMs));
  }

  /**
   * Moves the clock and gathers what is due by then, touching about `budget` timers and slots at most. Returns what is left of the budget; 0: there
   * may be more to do.
   */
  advance(nowMs: number, budget: number): number {
    const target = Math.min(Math.max(0, Math.floor(nowMs)), TIME_END - 1);
    if (target < this.#clockMs) this.#turnBack(target);
    while (budget > 0) {
      if (this.#spreading !== NONE) {
        budget = this.#spread(this.#spreading, budget);
        continue;
      }
      const slot = this.#firstSlot();
      const startMs = slot === NONE ? Infinity : this.#startOf(slot);
      if (startMs > target) {
        this.#clockMs = target;
        return budget;
      }
      budget--;
      const endMs = startMs + DIGITS ** (slot >>> DIGIT_BITS) - 1;
      if (endMs <= target) {
        this.#clockMs = endMs;
        this.#join(slot, DUE);
        this.#clearUsed(slot);
      } else {
        this.#clockMs = startMs;
        this.#spreading = slot;
      }
    }
    return 0;
  }

  /** Whether all that is due at that time is in the list of what is due, or on a shelf. */
  isAt(nowMs: number): boolean {
    return nowMs < TIME_END && this.#clockMs === Math.max(0, Math.floor(nowMs)) && this.#spreading === NONE;
  }

  /** The first of what is due; 0: none. */
  get firstDue(): number {
    return this.#first(DUE);
  }

  /** Takes a timer from where it is to the end of a shelf. */
  shelve(timer: number, shelf: number): void {
    this.unlink(timer);
    this.#append(SHELVES + shelf, timer);
  }

  /** The first timer on the shelf; 0: none. */
  firstOn(shelf: number): number {
    return this.#first(SHELVES + shelf);
  }

  isLinked(timer: number): boolean {
    return timerIsLinked(this.#arena, timer);
  }

  unlink(timer: number): void {
    unlinkTimer(this.#arena, timer);
  }

  timeOf(timer: number): number {
    return this.#arena.floats[(timer - 1) >>> SEGMENT_SHIFT]![(timer - 1) & SEGMENT_MASK]!;
  }

  // ---------------------------------------------------------------- the clock

  /** Moves the timers of a slot that the clock has reached to where they belong now. */
  #spread(slot: number, budget: number): number {
    for (let timer = this.#first(slot); timer !== 0 && budget > 0; timer = this.#first(slot)) {
      this.unlink(timer);
      this.add(timer);
      budget--;
    }
    if (this.#first(slot) === 0) {
      this.#spreading = NONE;
      this.#clearUsed(slot);
    }
    return budget;
  }

  /** What was due may not be any more: whoever takes it has to look. */
  #turnBack(target: number): void {
    if (this.#lists === 0) {
      this.#clockMs = target;
      return;
    }
    for (let shelf = 0; shelf < this.#shelves; shelf++) this.#join(SHELVES + shelf, DUE);
    const level = highestLevel(this.#clockMs, target);
    const slot = level * DIGITS + digitAt(this.#clockMs, level);
    for (let lower = 0; lower < level * DIGITS; lower++) this.#join(lower, slot);
    this.#used.fill(0, 0, 2 * level);
    this.#setUsed(slot);
    if (this.#spreading >>> DIGIT_BITS <= level) this.#spreading = NONE;
    this.#clockMs = target;
  }

  /** The slot in use whose time comes first: the lowest level's lowest. */
  #firstSlot(): number {
    for (let i = 0; i < this.#used.length; i++) {
      for (let bits = this.#used[i]!; bits !== 0; bits = this.#used[i]!) {
        const slot = i * 32 + (31 - Math.clz32(bits & -bits));
        if (this.#first(slot) !== 0) return slot;
        this.#clearUsed(slot);
      }
    }
    return NONE;
  }

  #startOf(slot: number): number {
    const span = DIGITS ** (slot >>> DIGIT_BITS);
    const above = span * DIGITS;
    return Math.floor(this.#clockMs / above) * above + (slot & (DIGITS - 1)) * span;
  }

  #place(timer: number, atMs: number): void {
    if (atMs >= TIME_END) return this.#append(NEVER, timer);
    const level = highestLevel(this.#clockMs, atMs);
    const slot = level * DIGITS + digitAt(atMs, level);
    this.#append(slot, timer);
    this.#setUsed(slot);
  }

  #setUsed(slot: number): void {
    this.#used[slot >>> 5]! |= 1 << (slot & 31);
  }

  #clearUsed(slot: number): void {
    this.#used[slot >>> 5]! &= ~(1 << (slot & 31));
  }

  // ---------------------------------------------------------------- lists

  #createLists(): void {
    const count = SHELVES + this.#shelves;
    this.#lists = this.#arena.allocate(8 * count);
    for (let i = 0; i < count; i++) this.#link(this.#lists + i, this.#lists + i);
  }

  #first(list: number): number {
    if (this.#lists === 0) return 0;
    const sentinel = this.#lists + list;
    const first = nextOf(this.#arena, sentinel);
    return first === sentinel ? 0 : first;
  }

  #append(list: number, timer: number): void {
    const sentinel = this.#lists + list;
    const last = previousOf(this.#arena, sentinel);
    this.#link(last, timer);
    this.#link(timer, sentinel);
  }

  /** Appends one list to another and leaves it empty. */
  #join(from: number, to: number): void {
    const first = this.#first(from);
    if (first === 0) return;
    const source = this.#lists + from;
    const target = this.#lists + to;
    this.#link(previousOf(this.#arena, target), first);
    this.#link(previousOf(this.#arena, source), target);
    this.#link(source, source);
  }

  #link(before: number, after: number): void {
    this.#arena.words[before >>> SEGMENT_SHIFT]![(before & SEGMENT_MASK) << 1] = after;
    this.#arena.words[after >>> SEGMENT_SHIFT]![((after & SEGMENT_MASK) << 1) + 1] = before;
  }
}

/** Says of a timer's links that they are in no list. */
export function clearTimer(arena: Arena, timer: number): void {
  const words = arena.words[timer >>> SEGMENT_SHIFT]!;
  const at = (timer & SEGMENT_MASK) << 1;
  words[at] = 0;
  words[at + 1] = 0;
}

export const timerIsLinked = (arena: Arena, timer: number): boolean => nextOf(arena, timer) !== 0;

/** Takes a linked timer out of whichever list of whichever wheel it is in. */
export function unlinkTimer(arena: Arena, timer: number): void {
  const next = nextOf(arena, timer);
  const previous = previousOf(arena, timer);
  arena.words[previous >>> SEGMENT_SHIFT]![(previous & SEGMENT_MASK) << 1] = next;
  arena.words[next >>> SEGMENT_SHIFT]![((next & SEGMENT_MASK) << 1) + 1] = previous;
  clearTimer(arena, timer);
}

function nextOf(arena: Arena, timer: number): number {
  return arena.words[timer >>> SEGMENT_SHIFT]![(timer & SEGMENT_MASK) << 1]!;
}

function previousOf(arena: Arena, timer: number): number {
  return arena.words[timer >>> SEGMENT_SHIFT]![((timer & SEGMENT_MASK) << 1) + 1]!;
}

/** Level of the highest digit in which two different times differ. */
function highestLevel(aMs: number, bMs: number): number {
  const high = Math.floor(aMs / HALF) ^ Math.floor(bMs / HALF);
  if (high !== 0) return HALF_LEVELS + levelOfBits(high);
  return levelOfBits((aMs % HALF) ^ (bMs % HALF));
}

const levelOfBits = (bits: number): number => ((31 - Math.clz32(bits)) / DIGIT_BITS) | 0;

function digitAt(ms: number, level: number): number {
  const half = level < HALF_LEVELS ? ms % HALF : Math.floor(ms / HALF);
  return (half >>> (DIGIT_BITS * (level % HALF_LEVELS))) & (DIGITS - 1);
}
