import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HLC_MAX, HybridClock, hlcFromMs, hlcToMs, isClockValue } from '../../src/crdt/hybrid-clock.ts';
import { assertLaw } from '../law.ts';

const NOW_MS = 1_764_000_000_000;
const YEAR_2200_MS = Date.UTC(2200, 0, 1);

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
            const value = hlcFromMs(NOW_MS + offsetMs) + 7;
            clock.observe(value);
            latest = Math.max(latest, value);
            expect(clock.latest).toBe(latest);
            continue;
          }
          const value = clock.tick(NOW_MS + offsetMs);
          expect(value).toBeGreaterThan(latest);
          expect(value === latest + 1 || value === hlcFromMs(NOW_MS + offsetMs)).toBe(true);
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
    for (let i = 0; i < 1023; i++) clock.tick(NOW_MS);
    expect(hlcToMs(clock.latest)).toBe(NOW_MS);
    expect(hlcToMs(clock.tick(NOW_MS))).toBe(NOW_MS + 1);
    expect(clock.latest - first).toBe(1024);
  });

  it('ticks on above whatever it accepted, and accepts nothing that a double cannot count up from', () => {
    const anything = fc.oneof(
      fc.double(),
      fc.integer(),
      fc.constantFrom(NaN, Infinity, -Infinity, -1, 0.5, HLC_MAX - 1, HLC_MAX, HLC_MAX + 1, 2 ** 53, 2 ** 60, 1e300),
    );
    assertLaw(
      fc.array(fc.record({ kind: fc.constantFrom('tick', 'observe'), value: anything }), { maxLength: 30 }),
      (events) => {
        const clock = new HybridClock();
        for (const { kind, value } of events) {
          const before = clock.latest;
          if (kind === 'observe') {
            expect(clock.observe(value)).toBe(isClockValue(value));
            expect(clock.latest).toBe(isClockValue(value) ? Math.max(before, value) : before);
          } else expect(clock.tick(value)).toBeGreaterThan(before);
          expect(Number.isSafeInteger(clock.latest)).toBe(true);
        }
        for (let i = 0; i < 5; i++) {
          const before = clock.latest;
          expect(clock.tick(NOW_MS)).toBeGreaterThan(before);
        }
      },
      { runs: 300, print: (events) => JSON.stringify(events) },
    );
  });

  it('follows the wall clock exactly until 2200, and counts where the wall clock is out of its mind', () => {
    const clock = new HybridClock();
    expect(clock.tick(YEAR_2200_MS)).toBe(HLC_MAX);
    expect(hlcToMs(HLC_MAX)).toBe(YEAR_2200_MS);
    expect(clock.tick(YEAR_2200_MS + 1)).toBe(HLC_MAX + 1);
    expect(clock.tick(NaN)).toBe(HLC_MAX + 2);
    expect(clock.tick(-5)).toBe(HLC_MAX + 3);
  });

  it.each([
    [HLC_MAX - 1, true],
    [HLC_MAX, true],
    [HLC_MAX + 1, false],
    [0, true],
    [-1, false],
    [NaN, false],
    [Infinity, false],
    [1.5, false],
  ])('observes %d: %s', (value, accepted) => {
    expect(new HybridClock().observe(value)).toBe(accepted);
  });
});
