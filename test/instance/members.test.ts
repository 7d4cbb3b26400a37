import { describe, expect, it } from '@jest/globals';
import { SimulatedWorld } from '../simulation/world/world.ts';
import { startInstance } from './start.ts';

const AGAIN = [['SADD', 'set', 'member']] as const;

describe('SADD of a member that is there', () => {
  it('is written again only where another instance might be removing it', async () => {
    const world = new SimulatedWorld({ seed: 1 });
    const machine = world.addMachine('instance1');
    const instance = await startInstance(world, machine, { persistence: { kind: 'disabled' }, ids: [1] });
    expect(instance.execute(AGAIN).seq).toBe(1);
    expect(instance.execute(AGAIN)).toMatchObject({ replies: [0], seq: 0 });
    const { config } = instance.engine;
    const peer = { id: 2, cluster: 'instance2', host: 'instance2', port: 12000, paused: false };
    instance.engine.configure({ ...config, peers: [peer] });
    expect(instance.execute(AGAIN)).toMatchObject({ replies: [0], seq: 2 });
    instance.engine.configure({ ...config, peers: [] });
    expect(instance.execute(AGAIN)).toMatchObject({ replies: [0], seq: 3 });
  });
});
