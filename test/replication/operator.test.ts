/** What an operator orders and what waits for one: resync, clocks too far ahead, lines in the log. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { hlcFromMs } from '../../src/crdt/hybrid-clock.ts';
import { ArenaFullError } from '../../src/memory/arena.ts';
import { nameOf, World, type FakeInstance } from './fake-instance.ts';

let world: World;

async function start(count: number, options: Parameters<World['add']>[1] = {}): Promise<FakeInstance[]> {
  world = new World();
  const instances = Array.from({ length: count }, (_, i) => world.add(i + 1, options));
  world.start();
  await world.clock.run(200);
  return instances;
}

afterEach(() => {
  world.stop();
  for (const instance of world.instances.values()) {
    expect(instance.database.incomingOpen).toBe(0);
    expect(instance.snapshots.open).toBe(0);
    expect([...instance.log.retained.keys()]).toEqual([]);
  }
});

describe('a resync', () => {
  it('asks from what is applied now, or makes a full sync, and is counted at both sides', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    a.write('x');
    await world.converge();
    expect(b.replication.resync({ from: 1, full: false })).toBeNull();
    await world.clock.run(100);
    expect(b.link(1).lastSync!.reason).toMatch(/^partial: asked from offset 1 /);
    expect(b.replication.resync({ full: true })).toBeNull();
    await world.clock.run(200);
    expect(b.link(1)).toMatchObject({
      state: 'streaming',
      lastSync: { kind: 'full', reason: 'full: ordered by the operator' },
      syncs: { full: 1, partialOk: 2, partialErr: 0 },
    });
    expect(a.replication.counters).toMatchObject({ full: 1, partialOk: 2, partialErr: 0 });
    a.write('after');
    await world.converge();
    a.replication.resetCounters();
    b.replication.resetCounters();
    expect(a.replication.counters).toMatchObject({ full: 0, partialOk: 0, partialErr: 0 });
    expect(b.link(1).syncs).toEqual({ full: 0, partialOk: 0, partialErr: 0 });
  });

  it('counts a partial one that could not be granted', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    a.write('x');
    await world.converge();
    b.replication.pause();
    a.write('y');
    await world.clock.run(50);
    a.log.trim();
    b.replication.resume();
    await world.converge();
    expect(a.replication.counters).toMatchObject({ full: 1, partialErr: 1 });
    expect(b.link(1).syncs).toMatchObject({ full: 1, partialErr: 1 });
  });

  it('mends a link that an error has stopped', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    b.database.refuses = new Error('an effect of kind 77 is not known to this release');
    a.write('x');
    await world.clock.run(50);
    expect(b.link(1)).toMatchObject({
      state: 'waiting',
      lastError: 'a batch cannot be applied: an effect of kind 77 is not known to this release',
    });
    b.database.refuses = null;
    await world.clock.run(5000);
    expect(b.database.ops.size).toBe(0);
    expect(b.replication.resync({ from: 1, full: false })).toBeNull();
    await world.converge(200);
  });

  it('is refused with the reason where it cannot be done', async () => {
    const [, b] = (await start(3)) as [FakeInstance, FakeInstance, FakeInstance];
    expect(b.replication.resync({ from: 9, full: false })).toBe(
      'instance 9 is no peer of this one, its peers are 1, 3',
    );
    b.replication.pause(1);
    expect(b.replication.resync({ from: 1, full: true })).toBe(
      'the link from instance 1 is paused: resume first, that is a resync too',
    );
    expect(b.replication.resync({ full: false })).toBeNull();
    b.replication.pause(3);
    expect(b.replication.resync({ full: false })).toBe('all links are paused: resume first, that is a resync too');
  });

  it('of all links is made one full sync after the other', async () => {
    const [a, b, c] = (await start(3)) as [FakeInstance, FakeInstance, FakeInstance];
    for (const instance of [a, b, c]) for (let i = 0; i < 500; i++) instance.write(`${instance.id}-${i}`);
    await world.converge();
    c.database.feedMs = 1;
    expect(c.replication.resync({ full: true })).toBeNull();
    let together = 0;
    await world.clock.until(() => {
      const loading = c.replication.status().filter(({ state }) => state === 'full-sync').length;
      together = Math.max(together, loading);
      return c.log.merges.length === 2;
    }, 'both were made');
    expect(together).toBe(1);
    await world.clock.run(100);
    expect(c.replication.status().map(({ state }) => state)).toEqual(['streaming', 'streaming']);
  });

  it('joins the full sync that runs', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    for (let i = 0; i < 3000; i++) a.write(`a${i}`);
    await world.converge();
    b.database.feedMs = 3;
    b.replication.resync({ full: true });
    await world.clock.until(() => b.link(1).state === 'full-sync', 'it runs');
    expect(b.replication.resync({ full: true })).toBeNull();
    await world.clock.until(() => b.link(1).state === 'streaming', 'it is done');
    expect(b.log.merges).toHaveLength(1);
  });
});

describe('a clock that is too far ahead', () => {
  const ahead = (ms: number): number => hlcFromMs(world.clock.view().nowMs() + ms);

  it.each([
    [59_900, true],
    [60_000, true],
    [61_000, false],
  ])('by %d ms is taken in: %s', async (ms, isTaken) => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    a.database.hlc = ahead(ms);
    a.write('x');
    await world.clock.run(20);
    expect(b.database.ops.size).toBe(isTaken ? 1 : 0);
    expect(b.link(1).state).toBe(isTaken ? 'streaming' : 'waiting');
  });

  it('holds its link, says whose clock it is and by how much, and goes on by itself when time has caught up', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    a.write('before');
    await world.converge();
    a.database.hlc = ahead(70_000);
    a.write('x');
    await world.clock.run(50);
    expect(b.link(1).lastError).toBe(
      "the clock of instance 1 is 70.0 s ahead of this instance's, at most 60 s are taken in; correct it, wait until time has caught up, or accept it: sync resume --accept-clock",
    );
    const connections = world.network.connections.length;
    await world.clock.run(8000);
    expect(b.database.ops.size).toBe(1);
    expect(world.network.connections.length).toBe(connections);
    await world.converge(4000);
    expect(b.link(1)).toMatchObject({ state: 'streaming', lastError: null });
    b.write('the other way is open all the time');
    await world.converge();
  });

  it('goes on at once when the operator accepts it, and is looked at again once it has been caught up with', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    a.database.hlc = ahead(3_600_000);
    a.write('x');
    await world.clock.run(50);
    expect(b.replication.acceptClock(9)).toMatch(/^instance 9 is no peer/);
    expect(b.replication.acceptClock(1)).toBeNull();
    await world.converge(200);
    a.database.hlc = ahead(3_700_000);
    a.write('y');
    await world.converge(200);
    await world.clock.run(3_800_000);
    a.write('z');
    await world.converge(200);
    a.database.hlc = ahead(3_600_000);
    a.write('wrong again');
    await world.clock.run(50);
    expect(b.link(1).state).toBe('waiting');
  });

  it('is not got around by another instance, not even by what depends on it', async () => {
    const [a, b, c] = (await start(3)) as [FakeInstance, FakeInstance, FakeInstance];
    b.replication.acceptClock(1);
    a.database.hlc = ahead(600_000);
    a.write('x');
    await world.clock.run(3000);
    b.write('has seen x');
    await world.clock.run(3000);
    expect(b.database.ops.size).toBe(2);
    expect(c.database.ops.size).toBe(0);
    expect(c.link(1).lastError).toMatch(/^the clock of instance 1 is 600.0 s ahead/);
    expect(c.link(2)).toMatchObject({ state: 'streaming', lagOperations: 1 });
    c.replication.acceptClock(undefined);
    await world.converge(1000);
  });

  it('is named where it comes by way of another', async () => {
    const [a, b, c] = (await start(3)) as [FakeInstance, FakeInstance, FakeInstance];
    world.network.cut(nameOf(1), nameOf(3));
    a.write('by way of b');
    await world.converge(3000);
    b.replication.acceptClock(1);
    a.database.hlc = ahead(600_000);
    a.write('x');
    await world.clock.run(100);
    expect(c.link(2).lastError).toMatch(
      /^the clock of instance 1 is (600.0|599.9) s ahead of this instance's, at most 60 s are taken in, by way of instance 2;/,
    );
    c.replication.acceptClock(2);
    await world.converge(5000);
  });

  it('in a full sync is seen before anything is loaded', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    a.database.hlc = ahead(100_000);
    a.write('x');
    a.log.trim();
    world.start();
    await world.clock.run(200);
    expect(b.link(1)).toMatchObject({ state: 'waiting', fullSync: null });
    expect(b.link(1).lastError).toMatch(/^the clock of instance 1 is (99|100)\.\d s ahead/);
    expect([...b.spool.files.keys()]).toEqual([]);
    b.replication.acceptClock(1);
    await world.converge(500);
  });

  it('follows the bound that is set', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    b.replication.setClockAheadMax(1000);
    a.database.hlc = ahead(5000);
    a.write('x');
    await world.clock.run(50);
    expect(b.link(1).lastError).toContain('at most 1 s are taken in');
  });

  it('that is none at all is refused', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    a.database.hlc = Infinity;
    a.write('x');
    await world.clock.run(50);
    expect(b.link(1)).toMatchObject({
      state: 'waiting',
      lastError: expect.stringContaining('its clock says Infinity'),
    });
  });
});

describe('what the database has no room for', () => {
  it('is tried again until there is', async () => {
    const [a, b] = (await start(2)) as [FakeInstance, FakeInstance];
    b.database.refuses = new ArenaFullError(64);
    a.write('x');
    await world.clock.run(1000);
    expect(b.link(1).lastError).toMatch(/^a batch cannot be applied: no room/);
    b.database.refuses = null;
    await world.converge(6000);
  });

  it('does not throw where it had come early', async () => {
    const [a, b, c] = (await start(3)) as [FakeInstance, FakeInstance, FakeInstance];
    c.replication.pause(1);
    a.write('cause');
    await world.clock.until(() => b.database.ops.size === 1, 'b has it');
    b.write('effect');
    await world.clock.run(100);
    c.replication.resume(1);
    await world.clock.until(() => {
      if (c.database.ops.size === 1) c.database.refuses = new ArenaFullError(64);
      return c.link(2).lastError !== null || c.database.ops.size === 2;
    }, 'the early one was tried');
    c.database.refuses = null;
    await world.converge(10_000);
  });
});

describe('the log', () => {
  it('has one line when a link goes down, one when it fails otherwise, and none per attempt', async () => {
    const [, b] = (await start(2)) as [FakeInstance, FakeInstance];
    const down = (): string[] => b.lines.filter((line) => line.startsWith('info link waiting'));
    expect(down()).toEqual([]);
    world.network.cut(nameOf(1), nameOf(2));
    await world.clock.run(30_000);
    expect(down()).toEqual([
      'info link waiting from instance 1: connection reset',
      'info link waiting from instance 1: connect c1.example.com:12000: refused',
    ]);
    world.network.mend(nameOf(1), nameOf(2));
    await world.clock.run(10_000);
    expect(b.lines.findLast((line) => line.includes('link'))).toMatch(/^info link streaming from instance 1: partial/);
  });
});
