import { describe, expect, it } from '@jest/globals';
import { createRealHost } from '../../src/host/real-host.ts';
import * as limits from '../../src/instance/limits.ts';
import { warmUp } from '../../src/instance/warm-up.ts';

describe('The rehearsal of a process', () => {
  it('writes, replicates and takes snapshots, and ends in time', () => {
    const { clock } = createRealHost();
    const start = clock.monotonicMs();
    const { database, peer, snapshots } = warmUp(clock);
    expect(clock.monotonicMs() - start).toBeLessThan(limits.WARM_UP_MS + 200);
    expect(database.keyCount).toBeGreaterThan(100);
    expect(peer.digest()).toBe(database.digest());
    expect(snapshots).toBeGreaterThan(0);
  });

  it('ends on a machine whose clock stands still', () => {
    const { clock } = createRealHost();
    const { database, peer, snapshots } = warmUp({ ...clock, nowMs: () => 0, monotonicMs: () => 0, soon: () => {} });
    expect(database.keyCount).toBeGreaterThan(1000);
    expect(peer.digest()).toBe(database.digest());
    expect(snapshots).toBeGreaterThan(1);
  });
});
