import { describe, expect, it } from '@jest/globals';
import type { Persistence } from '../../src/instance/config.ts';
import type { SimulatedInstance } from '../simulation/instance/simulated-instance.ts';
import { SimulatedWorld } from '../simulation/world/world.ts';
import { startInstance } from './start.ts';

const SNAPSHOT: Persistence = { kind: 'snapshot', afterSeconds: 3600, afterWrites: 1 };
const EVERY_SEC: Persistence = { kind: 'aof', fsync: 'every-sec' };

/** Enough that a snapshot of it takes many turns. */
function fill(instance: SimulatedInstance, keys = 8_000): void {
  for (let i = 0; i < keys; i++) instance.execute([['SET', `key:${i}`, 'v'.repeat(100)]]);
}

/** Lets the world go on until it has happened. */
async function during<T>(world: SimulatedWorld, happening: Promise<T>): Promise<T> {
  let isOver = false;
  const ended = happening.finally(() => {
    isOver = true;
  });
  ended.catch(() => {});
  for (let turns = 0; turns < 1_000 && !isOver; turns++) await world.run(world.nowMs + 100);
  return ended;
}

const stop = (world: SimulatedWorld, instance: SimulatedInstance): Promise<void> => during(world, instance.stop());

describe('A clean stop', () => {
  it.each([
    ['snapshots are all there is', SNAPSHOT],
    ['there is a log', EVERY_SEC],
  ])('keeps what was written while a snapshot was running (%s)', async (_, persistence) => {
    const world = new SimulatedWorld({ seed: 3 });
    const machine = world.addMachine('instance1');
    const first = await startInstance(world, machine, { persistence, ids: [1] });
    fill(first);
    const running = first.engine.snapshot();
    expect(first.database.isSnapshotting).toBe(true);
    for (let i = 0; i < 50; i++) first.execute([['SET', `late:${i}`, 'v']]);
    await stop(world, first);
    await running;
    machine.stop();
    const second = await startInstance(world, machine, { persistence, ids: [1] });
    expect(second.database.keyCount).toBe(8_050);
    expect(second.database.isSnapshotting).toBe(false);
  });

  it('writes no snapshot when the newest one has everything', async () => {
    const world = new SimulatedWorld({ seed: 4 });
    const machine = world.addMachine('instance1');
    const first = await startInstance(world, machine, { persistence: SNAPSHOT, ids: [1] });
    fill(first, 10);
    await stop(world, first);
    machine.stop();
    const files = await during(world, machine.disk.attach().list('/data'));
    const second = await startInstance(world, machine, { persistence: SNAPSHOT, ids: [1] });
    await stop(world, second);
    machine.stop();
    expect(await during(world, machine.disk.attach().list('/data'))).toEqual(files);
  });

  it('leaves every snapshot for peers that is read to its reader, and refuses new ones', async () => {
    const world = new SimulatedWorld({ seed: 5 });
    const machine = world.addMachine('instance1');
    const first = await startInstance(world, machine, { persistence: { kind: 'disabled' }, ids: [1] });
    fill(first, 100);
    const handle = await during(world, first.engine.snapshots.acquire());
    await stop(world, first);
    await expect(first.engine.snapshots.acquire()).rejects.toThrow('the instance is stopping');
    let bytes = 0;
    for (let piece = await handleNext(); piece !== null; piece = await handleNext()) bytes += piece.length;
    expect(bytes).toBeGreaterThan(100 * 100);
    handle.release();

    function handleNext(): Promise<Buffer | null> {
      return during(world, handle.next());
    }
  });
});

describe('Publishing', () => {
  it('can be held, until a new generation is on disk; a later hold outlasts an earlier one', async () => {
    const world = new SimulatedWorld({ seed: 6 });
    const machine = world.addMachine('instance1');
    const instance = await startInstance(world, machine, { persistence: EVERY_SEC, ids: [1] });
    instance.execute([['SET', 'k', 'old']]);
    await world.run(world.nowMs + 2_000);
    const { log } = instance.engine;
    const before = log.publishPosition;
    const release = log.holdPublishing();
    instance.execute([['SET', 'k', 'new']]);
    await world.run(world.nowMs + 2_000);
    expect(log.writtenPosition).toBeGreaterThan(before);
    expect(log.publishPosition).toBe(before);
    const later = log.holdPublishing();
    release();
    expect(log.publishPosition).toBe(before);
    later();
    expect(log.publishPosition).toBe(log.writtenPosition);
  });
});
