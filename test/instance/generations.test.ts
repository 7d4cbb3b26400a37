import { describe, expect, it } from '@jest/globals';
import type { Persistence } from '../../src/instance/config.ts';
import type { SimulatedInstance } from '../simulation/instance/simulated-instance.ts';
import { SimulatedWorld } from '../simulation/world/world.ts';
import { startInstance } from './start.ts';

const EVERY_SEC: Persistence = { kind: 'aof', fsync: 'every-sec' };
const ALWAYS: Persistence = { kind: 'aof', fsync: 'always' };
const SNAPSHOT: Persistence = { kind: 'snapshot', afterSeconds: 60, afterWrites: 1 };

/** Its generations over three runs that end like that, each with a write; before the third its clock goes back by an hour. */
async function generationsOf(persistence: Persistence, ending: 'kill' | 'loseCurrent'): Promise<number[]> {
  const world = new SimulatedWorld({ seed: 1 });
  const machine = world.addMachine('instance1');
  const generations: number[] = [];
  for (const jumpMs of [0, 0, -3_600_000]) {
    machine.clock.jump(jumpMs);
    const instance = await startInstance(world, machine, { persistence, ids: [1, 2] });
    instance.execute([['SET', 'k', 'v']]);
    generations.push(instance.database.self.generation);
    machine[ending]();
  }
  return generations;
}

describe('The generation of an instance', () => {
  it.each<[string, Persistence, 'kill' | 'loseCurrent']>([
    ['was killed and had persisted nothing', { kind: 'disabled' }, 'kill'],
    ['was killed and takes snapshots', SNAPSHOT, 'kill'],
    ['lost its power', EVERY_SEC, 'loseCurrent'],
  ])('goes up when it %s and starts again, within a second and with a clock that went back', async (_what, ...how) => {
    const [first, second, third] = await generationsOf(...how);
    expect(second).toBeGreaterThan(first!);
    expect(third).toBeGreaterThan(second!);
  });

  it.each<[string, Persistence, 'kill' | 'loseCurrent']>([
    ['was killed, and the system had all its writes', EVERY_SEC, 'kill'],
    ['lost its power, and had synced before it published', ALWAYS, 'loseCurrent'],
  ])('stays when it %s', async (_what, ...how) => {
    const [first, second, third] = await generationsOf(...how);
    expect([second, third]).toEqual([first, first]);
  });

  it.each([EVERY_SEC, ALWAYS])(
    'goes up when a backup was put back, before anything can be written',
    async (persistence) => {
      const world = new SimulatedWorld({ seed: 1 });
      const machines = [world.addMachine('instance1'), world.addMachine('instance2')];
      const start = (id: 1 | 2): Promise<SimulatedInstance> =>
        startInstance(world, machines[id - 1]!, { persistence, ids: [1, 2], id });
      const second = await start(2);
      let first = await start(1);
      first.execute([['SET', 'k', 'old']]);
      await world.run(world.nowMs + 5000);
      await stop(world, first);
      machines[0]!.stop();
      const backup = machines[0]!.disk.backUp();
      first = await start(1);
      for (let i = 0; i < 10; i++) first.execute([['INCR', 'counter']]);
      await world.run(world.nowMs + 5000);
      machines[0]!.kill();

      machines[0]!.disk.restore(backup);
      // Nobody can tell it that it has been further once.
      world.network.cut('instance1', 'instance2');
      world.network.cut('instance2', 'instance1');
      // Not further than a clock may be ahead, seen from there.
      machines[0]!.clock.jump(-30_000);
      first = await start(1);
      first.execute([['SADD', 'set', 'written before it met anybody']]);
      // A clock that is so far behind takes nothing in; somebody has set it right.
      machines[0]!.clock.jump(3_600_000);
      world.network.healAll();
      await world.run(world.nowMs + 20_000);
      for (const instance of [first, second]) {
        const reads = [
          ['GET', 'counter'],
          ['SMEMBERS', 'set'],
        ];
        expect(instance.execute(reads).replies).toEqual(['10', ['written before it met anybody']]);
      }
      expect(first.database.digest()).toBe(second.database.digest());
    },
  );

  it.each([EVERY_SEC, ALWAYS, SNAPSHOT])(
    'goes up beyond the one that peers know when an older state was put back unseen, and what was lost comes back ($kind)',
    async (persistence) => {
      const world = new SimulatedWorld({ seed: 2 });
      const machines = [world.addMachine('instance1'), world.addMachine('instance2')];
      const start = (id: 1 | 2): Promise<SimulatedInstance> =>
        startInstance(world, machines[id - 1]!, { persistence, ids: [1, 2], id });
      const second = await start(2);
      let first = await start(1);
      first.execute([['SET', 'k', 'old']]);
      await world.run(world.nowMs + 5_000);
      await stop(world, first);
      machines[0]!.stop();
      const older = machines[0]!.disk.backUp();
      const generations = [first.database.self.generation];
      // Longer once, under the generation of the older state, and then shorter, under a newer one.
      for (const count of [10, 2]) {
        first = await start(1);
        generations.push(first.database.self.generation);
        for (let i = 0; i < count; i++) first.execute([['INCR', `counter ${count}`]]);
        // The peer needs its time to notice that the one before has lost its power.
        await world.run(world.nowMs + 30_000);
        machines[0]!.loseCurrent();
      }
      machines[0]!.disk.restore(older, 'rolled back');
      first = await start(1);
      await world.run(world.nowMs + 30_000);
      first.execute([['SET', 'k', 'new']]);
      await world.run(world.nowMs + 10_000);
      expect(first.database.self.generation).toBeGreaterThan(Math.max(...generations));
      for (const instance of [first, second]) {
        const reads = [
          ['GET', 'k'],
          ['GET', 'counter 10'],
          ['GET', 'counter 2'],
        ];
        expect(instance.execute(reads).replies).toEqual(['new', '10', '2']);
      }
      expect(first.engine.links()).toMatchObject([{ state: 'streaming', lagOperations: 0 }]);
      expect(second.engine.links()).toMatchObject([{ state: 'streaming', lagOperations: 0 }]);
      expect(first.database.digest()).toBe(second.database.digest());
    },
  );
});

async function stop(world: SimulatedWorld, instance: SimulatedInstance): Promise<void> {
  const stopped = instance.stop();
  await world.run(world.nowMs + 1000);
  await stopped;
}
