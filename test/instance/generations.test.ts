import { describe, expect, it } from '@jest/globals';
import type { Persistence } from '../../src/instance/config.ts';
import { SimulatedInstance } from '../simulation/instance/simulated-instance.ts';
import type { Machine } from '../simulation/world/machine.ts';
import { SimulatedWorld } from '../simulation/world/world.ts';

async function start(world: SimulatedWorld, machine: Machine, persistence: Persistence): Promise<SimulatedInstance> {
  const starting = SimulatedInstance.start(machine.start(), {
    id: 1,
    ids: [1, 2],
    persistence,
    backlogBytesMax: 100_000,
    logSegmentBytes: 100_000,
    onLog: () => undefined,
    onFatal: (reason) => world.fail(new Error(reason)),
  });
  await world.run(world.nowMs + 1000);
  return starting;
}

describe('The generation of an instance', () => {
  it.each<[string, Persistence]>([
    ['persisted nothing', { kind: 'disabled' }],
    ['was killed', { kind: 'aof', fsync: 'every-sec' }],
    ['takes snapshots', { kind: 'snapshot', afterSeconds: 60, afterWrites: 1 }],
  ])(
    'goes up when it %s and starts again, within a second and with a clock that went back',
    async (_what, persistence) => {
      const world = new SimulatedWorld({ seed: 1 });
      const machine = world.addMachine('instance1');
      const generations: number[] = [];
      for (const jumpMs of [0, 0, -3_600_000]) {
        machine.clock.jump(jumpMs);
        const instance = await start(world, machine, persistence);
        instance.execute([['SET', 'k', 'v']]);
        generations.push(instance.database.self.generation);
        machine.kill();
      }
      expect(generations[1]).toBeGreaterThan(generations[0]!);
      expect(generations[2]).toBeGreaterThan(generations[1]!);
    },
  );
});
