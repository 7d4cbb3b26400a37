import { afterEach, describe, expect, it } from '@jest/globals';
import { World, type FakeInstance } from './fake-instance.ts';

let world: World;

afterEach(() => world.stop());

/** The first knows one feature more than the second. */
function start(
  options: Parameters<World['add']>[1] = {},
  more: readonly string[] = ['text', 'zset'],
): [FakeInstance, FakeInstance] {
  world = new World();
  return [world.add(1, { ...options, capabilities: more }), world.add(2, options)];
}

const REASON =
  'instance 2 does not know zset, which an operation of instance 1 needs: upgrade it to the release of instance 1';

describe('a peer of an earlier release', () => {
  it('is sent what it knows, and nothing from what it does not know on, and both sides say why', async () => {
    const [a, b] = start();
    world.start();
    a.write('old');
    b.write('and the other way');
    await world.converge();
    a.write('more');
    a.write('needs:zset 1');
    a.write('after it');
    await world.clock.run(100);
    expect([...b.database.ops.values()].map(({ text }) => text).sort()).toEqual(['and the other way', 'more', 'old']);
    expect(b.link(1)).toMatchObject({ state: 'waiting', lastError: REASON });
    expect(a.replication.feeds()).toMatchObject([{ peer: 2, stage: 'closed', lastError: REASON }]);
    b.database.capabilities = a.database.capabilities;
    expect(b.replication.resync({ full: false })).toBeNull();
    await world.converge(200);
    expect(a.replication.feeds()).toMatchObject([{ stage: 'streaming', lastError: null }]);
  });

  it('goes on by itself after its upgrade', async () => {
    const [a, b] = start();
    a.write('needs:zset 1');
    world.start();
    await world.clock.run(1000);
    expect(b.database.ops.size).toBe(0);
    b.database.capabilities = a.database.capabilities;
    await world.converge(40_000);
  });

  it.each([1, 7, 100, 4096])(
    'is looked after although a batch is read in slices of %d bytes',
    async (feedReadBytes) => {
      const [a, b] = start({ limits: { feedReadBytes: Math.max(feedReadBytes, 32) } });
      const long = 'x'.repeat(3000);
      for (let i = 0; i < 20; i++) a.write(`${i} ${long}`);
      a.write(`needs:zset ${long}`);
      world.start();
      await world.clock.until(() => b.link(1).lastError !== null, 'it is refused');
      expect(b.database.ops.size).toBe(20);
      expect(b.link(1).lastError).toBe(REASON);
    },
  );

  it('is sent no full sync that holds what it does not know', async () => {
    const [a, b] = start();
    a.write('old');
    a.log.trim();
    a.database.features = ['text', 'zset'];
    world.start();
    await world.clock.until(() => b.link(1).lastError !== null, 'it is refused');
    expect(b.link(1).lastError).toMatch(/^instance 2 does not know zset, which the snapshot needs/);
    expect(b.database.ops.size).toBe(0);
    a.database.features = ['text'];
    await world.converge(40_000);
  });
});
