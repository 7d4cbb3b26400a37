import { describe, expect, it } from '@jest/globals';
import type { Clock, Timer } from '../../src/host/host.ts';
import { createRealHost } from '../../src/host/real-host.ts';
import * as limits from '../../src/instance/limits.ts';
import { rehearse } from '../../src/instance/rehearsal/rehearse.ts';

/** A machine so slow that one turn takes all the time there is. */
function slow(clock: Clock): Clock {
  let nowMs = 0;
  return Object.create(clock, { monotonicMs: { value: () => (nowMs += limits.REHEARSAL_MS) } }) as Clock;
}

/** One whose time does not end it. */
const still = (clock: Clock): Clock => Object.create(clock, { monotonicMs: { value: () => 0 } }) as Clock;

describe('The rehearsal of a process', () => {
  it('writes, replicates and takes snapshots, and ends in time', async () => {
    const host = createRealHost();
    const start = host.clock.monotonicMs();
    const { database, peer, snapshots } = await rehearse(host);
    expect(host.clock.monotonicMs() - start).toBeLessThan(limits.REHEARSAL_MS + 600);
    expect(database.keyCount).toBeGreaterThan(100);
    expect(peer.keyCount).toBeGreaterThan(100);
    expect(snapshots).toBeGreaterThan(0);
  });

  it('leaves no timer running', async () => {
    const host = createRealHost();
    let running = 0;
    const every = (periodMs: number, fn: () => void): Timer => {
      running++;
      const timer = host.clock.every(periodMs, fn);
      return { cancel: () => (timer.cancel(), running--) };
    };
    await rehearse({ ...host, clock: Object.create(host.clock, { every: { value: every } }) as Clock });
    expect(running).toBe(0);
  });

  it('ends on a machine whose clock stands still', async () => {
    const host = createRealHost();
    const { database, peer, snapshots } = await rehearse({ ...host, clock: still(host.clock) });
    expect(database.keyCount).toBeGreaterThan(1000);
    expect(peer.keyCount).toBeGreaterThan(1000);
    expect(snapshots).toBeGreaterThan(1);
  });

  it('ends on a machine that is too slow for it', async () => {
    const host = createRealHost();
    const { snapshots } = await rehearse({ ...host, clock: slow(host.clock) });
    expect(snapshots).toBeLessThan(2);
  });
});
