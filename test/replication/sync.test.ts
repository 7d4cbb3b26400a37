import { describe, expect, it } from '@jest/globals';
import { nameOf, World } from './fake-instance.ts';

describe('two instances', () => {
  it('exchange what they have and stay level', async () => {
    const world = new World();
    const a = world.add(1);
    const b = world.add(2);
    for (let i = 0; i < 100; i++) a.write(`a${i}`);
    for (let i = 0; i < 50; i++) b.write(`b${i}`);
    world.start();
    await world.converge(2000);
    expect(a.database.ops.size).toBe(150);
    await world.clock.run(1100);
    expect(b.link(1)).toMatchObject({
      state: 'streaming',
      lagOperations: 0,
      lagMs: 0,
      backlogCovered: true,
      offset: 100,
    });
    expect(b.link(1).lastSync).toMatchObject({ kind: 'partial' });
    expect(b.link(1).lastSync!.reason).toMatch(/^partial: asked from offset 0 of [0-9a-f]{6}, the log holds 0 to 100$/);
    a.write('more');
    await world.clock.run(10);
    expect(b.database.digest()).toBe(a.database.digest());
    world.stop();
  });

  it('make a full sync where the backlog does not reach, and keep what the other has not seen', async () => {
    const world = new World();
    const a = world.add(1);
    const b = world.add(2);
    for (let i = 0; i < 2000; i++) a.write(`a${i}`);
    a.log.trim();
    b.write('only at b');
    world.start();
    await world.converge(5000);
    expect(b.link(1).lastSync).toMatchObject({ kind: 'full' });
    expect(b.log.merges).toEqual(['merge-1-1']);
    a.write('after');
    await world.converge(1000);
    expect(b.link(1).state).toBe('streaming');
    expect(b.link(1).lastSync).toMatchObject({ kind: 'full' });
    world.stop();
  });

  it('go on partially after the connection broke', async () => {
    const world = new World();
    const a = world.add(1);
    const b = world.add(2);
    world.start();
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 50; i++) a.write(`${round}-${i}`);
      await world.clock.run(3);
      world.network.breakAll(nameOf(1), nameOf(2));
    }
    await world.converge(10_000);
    expect(b.link(1).lastSync).toMatchObject({ kind: 'partial' });
    world.stop();
  });
});
