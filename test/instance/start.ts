/** One instance on a machine of the simulated world: the first, unless told otherwise. */
import type { Persistence } from '../../src/instance/config.ts';
import { SimulatedInstance } from '../simulation/instance/simulated-instance.ts';
import type { Machine } from '../simulation/world/machine.ts';
import type { SimulatedWorld } from '../simulation/world/world.ts';

export async function startInstance(
  world: SimulatedWorld,
  machine: Machine,
  options: {
    readonly persistence: Persistence;
    readonly ids: readonly number[];
    readonly id?: number;
    readonly onLog?: (line: string) => void;
  },
): Promise<SimulatedInstance> {
  const starting = SimulatedInstance.start(machine.start(), {
    id: options.id ?? 1,
    ids: options.ids,
    persistence: options.persistence,
    backlogBytesMax: 100_000,
    logSegmentBytes: 100_000,
    arenaSegmentBytes: 1 << 20,
    arenaBytesMax: 1 << 28,
    onLog: options.onLog ?? (() => undefined),
    onFatal: (reason) => world.fail(new Error(reason)),
  });
  await world.run(world.nowMs + 1000);
  return starting;
}
