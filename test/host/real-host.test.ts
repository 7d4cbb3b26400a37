import { describe, expect, it } from '@jest/globals';
import { createRealHost } from '../../src/host/real-host.ts';

const { clock, random } = createRealHost();

describe('the real clock', () => {
  it('tells whole milliseconds, and a time that never goes back', () => {
    expect(Number.isInteger(clock.nowMs())).toBe(true);
    const first = clock.monotonicMs();
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(first);
  });

  it('calls once after a delay, repeatedly with a period, and not at all when cancelled', async () => {
    const calls: string[] = [];
    clock.after(1, () => calls.push('cancelled')).cancel();
    clock.after(1, () => calls.push('after'));
    await new Promise<void>((resolve) => {
      let count = 0;
      const timer = clock.every(5, () => {
        calls.push('every');
        if (++count < 3) return;
        timer.cancel();
        clock.soon(resolve);
      });
    });
    expect(calls).toEqual(['after', 'every', 'every', 'every']);
  });
});

describe('the real randomness', () => {
  it('covers 32 bits and any number of bytes, never twice the same', () => {
    const numbers = Array.from({ length: 3_000 }, () => random.uint32());
    expect(new Set(numbers).size).toBeGreaterThan(2_990);
    expect(Math.max(...numbers)).toBeGreaterThan(0xf000_0000);
    expect(random.bytes(16)).toHaveLength(16);
    expect(random.bytes(16)).not.toEqual(random.bytes(16));
  });
});
