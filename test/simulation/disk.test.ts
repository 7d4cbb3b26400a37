import { describe, expect, it } from '@jest/globals';
import { SimulatedWorld } from './world/world.ts';
import type { Machine, SimulatedHost } from './world/machine.ts';

const SEEDS = Array.from({ length: 60 }, (_, i) => i + 1);

interface Setup {
  readonly world: SimulatedWorld;
  readonly machine: Machine;
  readonly host: SimulatedHost;
}

function startMachine(seed: number): Setup {
  const world = new SimulatedWorld({ seed });
  const machine = world.addMachine('a');
  return { world, machine, host: machine.start() };
}

/** Runs the work to its end, in the world's time. */
async function perform<T>(world: SimulatedWorld, work: () => Promise<T>): Promise<T> {
  let done = false;
  const result = work().finally(() => (done = true));
  await world.run(world.nowMs + 60_000, () => done);
  return result;
}

async function readAfterPowerLoss({ world, machine }: Setup, path: string): Promise<string | null> {
  machine.loseCurrent();
  const next = machine.start();
  const bytes = await perform(world, () => next.disk.readFile(path));
  return bytes === null ? null : Buffer.from(bytes).toString();
}

describe('the simulated disk', () => {
  it('reads back what was written, across writes, truncations and reopening', async () => {
    const { world, host } = startMachine(1);
    const text = await perform(world, async () => {
      const file = await host.disk.open('/d/f', 'create');
      await file.write(Buffer.from('hello world'), 0);
      await file.write(Buffer.from('HELLO'), 0);
      await file.truncate(8);
      await file.close();
      const again = await host.disk.open('/d/f', 'create');
      const bytes = Buffer.alloc(20);
      const count = await again.read(bytes, 1);
      return bytes.toString('latin1', 0, count) + String(await again.size());
    });
    expect(text).toBe('ELLO wo8');
  });

  it('never loses what was synced, and loses, keeps or tears what was not', async () => {
    const outcomes = new Set<string>();
    for (const seed of SEEDS) {
      const setup = startMachine(seed);
      await perform(setup.world, async () => {
        const file = await setup.host.disk.open('/d/log', 'create');
        await file.write(Buffer.from('synced.'), 0);
        await file.sync();
        await file.write(Buffer.from('abcdef'), 7);
        await file.write(Buffer.from('ghijkl'), 13);
      });
      const text = await readAfterPowerLoss(setup, '/d/log');
      expect('synced.abcdefghijkl'.startsWith(text!)).toBe(true);
      expect(text!.startsWith('synced.')).toBe(true);
      outcomes.add(text!);
    }
    expect(outcomes).toContain('synced.');
    expect(outcomes).toContain('synced.abcdefghijkl');
    expect(outcomes.size).toBeGreaterThan(4);
  });

  it('keeps completed writes when only the process dies', async () => {
    for (const seed of SEEDS) {
      const { world, machine, host } = startMachine(seed);
      await perform(world, async () => {
        const file = await host.disk.open('/d/log', 'create');
        await file.write(Buffer.from('written'), 0);
      });
      machine.kill();
      const next = machine.start();
      expect(Buffer.from((await perform(world, () => next.disk.readFile('/d/log')))!).toString()).toBe('written');
    }
  });

  it('replaces a file wholly or not at all, and for good once the promise has settled', async () => {
    const outcomes = new Set<string | null>();
    for (const seed of SEEDS) {
      const setup = startMachine(seed);
      await perform(setup.world, () => setup.host.disk.replaceFile('/d/manifest', Buffer.from('first')));
      const settled = setup.host.disk.replaceFile('/d/manifest', Buffer.from('second')).then(() => 'settled');
      if (seed % 2 === 0) expect(await perform(setup.world, () => settled)).toBe('settled');
      const text = await readAfterPowerLoss(setup, '/d/manifest');
      if (seed % 2 === 0) expect(text).toBe('second');
      else outcomes.add(text);
    }
    expect([...outcomes].sort()).toEqual(['first', 'second']);
  });

  it('may lose a new file that was never synced, and bring back one that was removed', async () => {
    const found = new Set<string>();
    for (const seed of SEEDS) {
      const setup = startMachine(seed);
      await perform(setup.world, async () => {
        const kept = await setup.host.disk.open('/d/kept', 'create');
        await kept.sync();
        await setup.host.disk.open('/d/new', 'create');
        await setup.host.disk.replaceFile('/d2/removed', Buffer.from('x'));
        await setup.host.disk.remove('/d2/removed');
      });
      setup.machine.loseCurrent();
      found.add(setup.machine.disk.describe().join(','));
    }
    expect([...found].sort()).toEqual([
      '/d/kept 0',
      '/d/kept 0,/d/new 0',
      '/d/kept 0,/d/new 0,/d2/removed 1',
      '/d/kept 0,/d2/removed 1',
    ]);
  });

  it('never settles a promise of a dead process', async () => {
    const { world, machine, host } = startMachine(9);
    let settled = false;
    const note = (): boolean => (settled = true);
    void host.disk.open('/d/f', 'create').then(note, note);
    machine.kill();
    void host.disk.readFile('/d/f').then(note, note);
    await world.run(10_000);
    expect(settled).toBe(false);
  });
});
