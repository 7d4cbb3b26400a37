import { describe, expect, it } from '@jest/globals';
import type { Persistence } from '../../src/instance/config.ts';
import { SimulatedWorld } from '../simulation/world/world.ts';
import { startInstance } from './start.ts';

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
        const instance = await startInstance(world, machine, { persistence, ids: [1, 2] });
        instance.execute([['SET', 'k', 'v']]);
        generations.push(instance.database.self.generation);
        machine.kill();
      }
      expect(generations[1]).toBeGreaterThan(generations[0]!);
      expect(generations[2]).toBeGreaterThan(generations[1]!);
    },
  );
});
