import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HybridClock, hlcToMs } from '../../src/crdt/hybrid-clock.ts';
import { assertLaw } from '../law.ts';

const NOW_MS = 1_764_000_000_000;
const YEAR_2039_MS = Date.UTC(2039, 0, 1);

/** ticks: wall clock offsets, which may jump back; observed: values of others, as offsets in ms. */
const event = fc.record({ kind: fc.constantFrom('tick', 'observe'), offsetMs: fc.integer({ min: -5000, max: 5000 }) });

describe('HybridClock', () => {
  it('hands out only values above all that it handed out or observed, and follows the wall clock where that is ahead', () => {
    assertLaw(
      fc.array(event, { maxLength: 50 }),
      (events) => {
        const clock = new HybridClock();
        let latest = 0;
        for (const { kind, offsetMs } of events) {
          if (kind === 'observe') {
            const value = (NOW_MS + offsetMs) * 4096 + 7;
            clock.observe(value);
            latest = Math.max(latest, value);
            expect(clock.latest).toBe(latest);
            continue;
          }
          const value = clock.tick(NOW_MS + offsetMs);
          expect(value).toBeGreaterThan(latest);
          expect(value === latest + 1 || value === (NOW_MS + offsetMs) * 4096).toBe(true);
          expect(clock.latest).toBe(value);
          latest = value;
        }
      },
      { runs: 100, print: (events) => JSON.stringify(events) },
    );
  });

  it('counts on within a millisecond and runs over into the next when the counter is spent', () => {
    const clock = new HybridClock();
    const first = clock.tick(NOW_MS);
    for (let i = 0; i < 4095; i++) clock.tick(NOW_MS);
    expect(hlcToMs(clock.latest)).toBe(NOW_MS);
    expect(hlcToMs(clock.tick(NOW_MS))).toBe(NOW_MS + 1);
    expect(clock.latest - first).toBe(4096);
  });

  it('is exact until 2039', () => {
    const clock = new HybridClock();
    const value = clock.tick(YEAR_2039_MS);
    expect(Number.isSafeInteger(value)).toBe(true);
    expect(clock.tick(YEAR_2039_MS) - value).toBe(1);
    expect(hlcToMs(value)).toBe(YEAR_2039_MS);
  });
});
