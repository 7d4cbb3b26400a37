import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PageRuns } from '../../src/memory/page-runs.ts';
import { assertLaw } from '../law.ts';

const PAGES = 400;
/** Pages 1..PAGES are free at first; page 0 and the one behind belong to nobody. */
function make(): PageRuns {
  const runs = new PageRuns(PAGES + 2);
  runs.grow(1);
  runs.give(1, PAGES);
  return runs;
}

/** Positive: takes a run of that many pages; otherwise gives the n-th run that was taken back. */
const step = fc.oneof(
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: -50, max: 0 }),
);

describe('PageRuns', () => {
  it('never gives out a page twice, finds a run wherever one is, and joins what comes back', () => {
    const check = (steps: readonly number[]): void => {
      const runs = make();
      const isTaken = Array.from({ length: PAGES + 2 }, (_, page) => page === 0 || page > PAGES);
      const taken: { readonly page: number; readonly count: number }[] = [];
      const longestFree = (): number => {
        let longest = 0;
        for (let page = 1, length = 0; page <= PAGES; page++) {
          length = isTaken[page] ? 0 : length + 1;
          longest = Math.max(longest, length);
        }
        return longest;
      };
      for (const n of steps) {
        if (n > 0) {
          const page = runs.take(n);
          expect(page !== 0).toBe(longestFree() >= n);
          if (page === 0) continue;
          expect(isTaken.slice(page, page + n)).not.toContain(true);
          isTaken.fill(true, page, page + n);
          taken.push({ page, count: n });
        } else if (taken.length > 0) {
          const [run] = taken.splice(-n % taken.length, 1);
          isTaken.fill(false, run!.page, run!.page + run!.count);
          runs.give(run!.page, run!.count);
        }
      }
      for (const { page, count } of taken) runs.give(page, count);
      expect(runs.take(PAGES)).toBe(1);
      expect(runs.take(1)).toBe(0);
    };
    assertLaw(fc.array(step, { maxLength: 60, size: 'max' }), check, { runs: 100, print: (steps) => steps.join(' ') });
  });

  it('takes from the run that fits best, so that long ones stay whole', () => {
    const runs = make();
    const [small, wall, large] = [runs.take(5), runs.take(1), runs.take(300)];
    runs.take(PAGES - 306);
    runs.give(large, 300);
    runs.give(small, 5);
    expect(wall).toBe(6);
    expect(runs.take(4)).toBe(small);
    expect(runs.take(300)).toBe(large);
  });

  it('keeps its runs when it grows', () => {
    const runs = make();
    expect(runs.take(10)).toBe(1);
    runs.grow(2);
    runs.give(PAGES + 10, 50);
    expect(runs.take(PAGES - 10)).toBe(11);
    expect(runs.take(50)).toBe(PAGES + 10);
  });
});
