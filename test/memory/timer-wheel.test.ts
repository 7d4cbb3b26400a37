import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Arena, SEGMENT_MASK, SEGMENT_SHIFT } from '../../src/memory/arena.ts';
import { TimerWheel } from '../../src/memory/timer-wheel.ts';
import { assertLaw } from '../law.ts';

const NOW = 1_764_000_000_000;
const HOUR = 3_600_000;
/** The first time that is never due: eight digits of six bits. */
const END = 2 ** 48;

class Fixture {
  readonly arena = new Arena({ segmentBytes: 1 << 20 });
  readonly wheel = new TimerWheel(this.arena, { shelves: 2 });
  /** What is linked, by its timer: the oracle that a sorted list would be. */
  readonly times = new Map<number, number>();

  add(atMs: number): number {
    const block = this.arena.allocate(16);
    this.arena.floats[block >>> SEGMENT_SHIFT]![block & SEGMENT_MASK] = atMs;
    const timer = block + 1;
    this.wheel.add(timer);
    this.times.set(timer, atMs);
    return timer;
  }

  remove(timer: number): void {
    this.wheel.unlink(timer);
    this.times.delete(timer);
    this.arena.free(timer - 1);
  }

  /** Brings the wheel up to that time in pieces of the budget; returns how many pieces. */
  advance(nowMs: number, budget = 1_000_000): number {
    let pieces = 1;
    while (this.wheel.advance(nowMs, budget) === 0) pieces++;
    return pieces;
  }

  /** Takes what is due: those that are not after all, since the clock went back, are added again. */
  takeDue(nowMs: number): number[] {
    const due: number[] = [];
    for (let timer = this.wheel.firstDue; timer !== 0; timer = this.wheel.firstDue) {
      const atMs = this.times.get(timer)!;
      if (atMs > nowMs) {
        this.wheel.unlink(timer);
        this.wheel.add(timer);
      } else {
        due.push(atMs);
        this.remove(timer);
      }
    }
    return due;
  }
}

const ascending = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);

/** Far and near, crowded at some moments. */
const distance = fc.oneof(
  fc.integer({ min: -5, max: 70 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 400 * 24 * HOUR }),
  fc.constantFrom(64, 4096, HOUR, 200 * 365 * 24 * HOUR),
);
type Step =
  | { readonly add: number; readonly times: number }
  | { readonly remove: number }
  | { readonly wait: number; readonly budget: number }
  | { readonly shelve: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ add: distance, times: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ remove: fc.nat() }),
  fc.record({
    wait: fc.oneof(
      distance,
      distance.map((ms) => -ms),
    ),
    budget: fc.integer({ min: 1, max: 20 }),
  }),
  fc.record({ shelve: fc.nat() }),
);

describe('TimerWheel', () => {
  it('has ready exactly what a sorted list has due, whatever is added and removed and wherever the clock goes', () => {
    const check = (steps: readonly Step[]): void => {
      const f = new Fixture();
      let nowMs = NOW;
      f.wheel.begin(nowMs);
      for (const one of steps) {
        const known = [...f.times.keys()];
        if ('add' in one) {
          for (let i = 0; i < one.times; i++) f.add(nowMs + one.add);
        } else if ('remove' in one) {
          if (known.length > 0) f.remove(known[one.remove % known.length]!);
        } else if ('shelve' in one) {
          if (f.wheel.firstDue !== 0) f.wheel.shelve(f.wheel.firstDue, one.shelve % 2);
        } else {
          // Left in the middle at first: the clock may go anywhere from there.
          nowMs = Math.max(0, nowMs + one.wait);
          f.wheel.advance(nowMs, one.budget);
          if (one.budget % 2 === 0) continue;
          f.advance(nowMs, one.budget);
          const shelved: number[] = [];
          for (const shelf of [0, 1]) {
            for (let timer = f.wheel.firstOn(shelf); timer !== 0; timer = f.wheel.firstOn(shelf)) {
              shelved.push(f.times.get(timer)!);
              f.remove(timer);
            }
          }
          const expected = ascending([...f.times.values(), ...shelved].filter((atMs) => atMs <= nowMs));
          expect(ascending([...f.takeDue(nowMs), ...shelved])).toEqual(expected);
          expect(f.wheel.isAt(nowMs)).toBe(true);
        }
      }
      for (const timer of [...f.times.keys()]) f.remove(timer);
      expect(f.wheel.firstDue).toBe(0);
    };
    assertLaw(fc.array(step, { maxLength: 60 }), check, {
      runs: 300,
      print: (steps) => steps.map((one) => JSON.stringify(one)).join('\n'),
    });
  });

  it('never does more than its budget in one go, also where everything comes at one moment', () => {
    const f = new Fixture();
    f.wheel.begin(NOW);
    const atMs = NOW + 5 * HOUR;
    for (let i = 0; i < 10_000; i++) f.add(atMs + (i % 100));
    // Each comes down some levels, and each time counts.
    const pieces = f.advance(atMs - 1, 100);
    expect(pieces).toBeGreaterThan(90);
    expect(pieces).toBeLessThan(700);
    expect(f.wheel.firstDue).toBe(0);
    f.advance(atMs + 100, 100);
    expect(f.takeDue(atMs + 100)).toHaveLength(10_000);
  });

  it('jumps over years in a few steps, whatever is due then', () => {
    const f = new Fixture();
    f.wheel.begin(NOW);
    for (let i = 0; i < 20_000; i++) f.add(NOW + i * 60_000);
    expect(f.advance(NOW + 30 * 365 * 24 * HOUR, 1000)).toBe(1);
    expect(f.takeDue(NOW + 30 * 365 * 24 * HOUR)).toHaveLength(20_000);
  });

  it('goes back without touching what is far', () => {
    const f = new Fixture();
    f.wheel.begin(NOW);
    for (let i = 0; i < 20_000; i++) f.add(NOW + HOUR + i);
    expect(f.wheel.advance(NOW - 1000, 10)).toBe(10);
    expect(f.wheel.advance(NOW - 24 * HOUR, 10)).toBe(10);
    f.advance(NOW + HOUR + 9_999);
    expect(f.takeDue(NOW + HOUR + 9_999)).toHaveLength(10_000);
  });

  it('keeps order among what is due', () => {
    const f = new Fixture();
    f.wheel.begin(NOW);
    for (const ms of [500, 3, 70_000, 64, 4096, 3, 1]) f.add(NOW + ms);
    f.advance(NOW + 5000);
    expect(f.takeDue(NOW + 5000)).toEqual([1, 3, 3, 64, 500, 4096].map((ms) => NOW + ms));
  });

  it.each([
    ['the last ms that can be due', END - 1, true],
    ['the first that never is', END, false],
    ['the last ms of the last second of 64 bits', 2 ** 63, false],
    ['no end at all', Infinity, false],
    ['no time at all', NaN, true],
    ['a time long past', 0, true],
    ['a time before 1970', -5, true],
  ])('takes any time: %s', (_, atMs, isDue) => {
    const f = new Fixture();
    f.wheel.begin(NOW);
    f.add(atMs);
    expect(f.wheel.firstDue !== 0).toBe(isDue && !(atMs > NOW));
    f.advance(END + 5);
    expect(f.wheel.firstDue !== 0).toBe(isDue);
  });
});
