/**
 * Laws at the limits: whatever is accepted one below, at and one above a limit is carried by everything that it meets afterwards: the batch, a partial sync, a
 * snapshot, a crash and the recovery from both, a full sync. What is not accepted is refused before it changes anything.
 *
 * Where exactly a value lies against a limit depends on what surrounds it (names, headers, checksums), so lengths run through all places from well below to
 * just above.
 */
import { describe, expect, it } from '@jest/globals';
import { startInstance } from '../instance/start.ts';
import { SCALED_DOWN, BATCH_BYTES_MAX, CHUNK_BYTES_MAX, CONTROL_BYTES_MAX } from './limits.ts';
import type { SimulatedInstance } from './instance/simulated-instance.ts';
import type { Machine } from './world/machine.ts';
import { SimulatedWorld } from './world/world.ts';

const { storageLimits, databaseLimits, replicationLimits } = SCALED_DOWN;
const LIMITS = {
  'a control frame': CONTROL_BYTES_MAX,
  'a chunk of a file': CHUNK_BYTES_MAX,
  'a piece of a snapshot': storageLimits.snapshotPieceBytes!,
  'a slice of a snapshot': storageLimits.snapshotSliceBytes!,
  'a value that goes into a snapshot whole': databaseLimits.snapshotValueBytes!,
  'a group of the log': storageLimits.groupBytesMax!,
  'a read of recovery': storageLimits.recoveryReadBytes!,
  'a read of a feed': replicationLimits.feedReadBytes!,
  'a batch': BATCH_BYTES_MAX,
};
/** What may surround a value, bytes. A batch keeps more free (see the writer). */
const BELOW = 72;
const BATCH_RESERVE = 4096;

const IDS = [1, 2, 3];
const AOF = { kind: 'aof', fsync: 'every-sec' } as const;

class Trial {
  readonly world = new SimulatedWorld({ seed: 7 });
  readonly machines = new Map<number, Machine>(IDS.map((id) => [id, this.world.addMachine(`instance${id}`)]));
  readonly instances = new Map<number, SimulatedInstance>();

  async start(id: number): Promise<SimulatedInstance> {
    const instance = await startInstance(this.world, this.machines.get(id)!, { persistence: AOF, ids: IDS, id });
    this.instances.set(id, instance);
    return instance;
  }

  async level(): Promise<void> {
    const describe = ({ database: { vector, origins } }: SimulatedInstance): string =>
      JSON.stringify([...vector.entries()].map(([index, seq]) => [JSON.stringify(origins.at(index)), seq]).sort());
    const isLevel = (): boolean =>
      new Set([...this.instances.values()].map(describe)).size === 1 &&
      [...this.instances.values()].every(({ database }) => database.isSettled);
    for (let i = 0; i < 120 && !isLevel(); i++) await this.world.run(this.world.nowMs + 500);
    expect(isLevel()).toBe(true);
  }

  /** Each instance shows the same, and has shown that it can read all of it. */
  expectEverywhere(read: (instance: SimulatedInstance) => unknown, expected: unknown): void {
    for (const instance of this.instances.values()) expect(read(instance)).toEqual(expected);
    expect(new Set([...this.instances.values()].map(({ database }) => database.digest())).size).toBe(1);
  }

  /** Through a snapshot, a kill, a recovery, and a full sync of an instance that has nothing and whose log's beginning is gone. */
  async throughEverything(read: (instance: SimulatedInstance) => unknown, expected: unknown): Promise<void> {
    await this.level();
    this.expectEverywhere(read, expected);
    const snapshot = this.instances.get(1)!.engine.snapshot();
    await this.world.run(this.world.nowMs + 60_000);
    await snapshot;
    this.machines.get(1)!.kill();
    this.instances.delete(1);
    await this.start(1);
    await this.level();
    this.expectEverywhere(read, expected);
    await this.start(3);
    await this.level();
    this.expectEverywhere(read, expected);
  }
}

const run = (instance: SimulatedInstance, ...commands: string[][]) => instance.execute(commands);

describe('a value whose length is about that of', () => {
  it.each(Object.entries(LIMITS))('%s is carried by everything, or refused', async (_name, limit) => {
    const trial = new Trial();
    const first = await trial.start(1);
    await trial.start(2);
    const accepted = new Map<string, number>();
    for (let length = limit - BELOW; length <= limit + 1; length++) {
      for (const [key, size] of [
        [`k${length}`, length],
        [`r${length}`, length - BATCH_RESERVE],
      ] as const) {
        if (size <= 0) continue;
        const { refused, seq } = run(first, ['SET', key, 'v'.repeat(size)]);
        if (refused === null) accepted.set(key, size);
        else expect(seq).toBe(0);
      }
      if (length % 8 === 0) await trial.world.run(trial.world.nowMs + 20);
    }
    expect(accepted.size).toBeGreaterThan(0);
    const names = [...accepted.keys()];
    const read = (instance: SimulatedInstance): unknown =>
      run(instance, ...names.map((name) => ['STRLEN', name]), ['DBSIZE']).replies;
    await trial.throughEverything(read, [...accepted.values(), accepted.size]);
  });
});

const { smallContainerEntries, smallKeyspaceKeys } = databaseLimits as Record<string, number>;

describe('removing', () => {
  it.each([smallContainerEntries!, 2 * smallContainerEntries!].flatMap((n) => [n - 1, n, n + 1]))(
    'a hash of %i counters and a set of as many members takes away what it has seen, and nothing else',
    async (count) => {
      const trial = new Trial();
      const first = await trial.start(1);
      const second = await trial.start(2);
      const names = Array.from({ length: count }, (_, i) => `e${i}`);
      for (const name of names) run(first, ['HINCRBY', 'h', name, '5']);
      run(first, ['SADD', 'g', ...names]);
      await trial.level();
      trial.world.network.cut('instance1', 'instance2');
      trial.world.network.cut('instance2', 'instance1');
      run(second, ['HINCRBY', 'h', 'e0', '2'], ['SADD', 'g', 'e1']);
      run(first, ['DEL', 'h', 'g']);
      expect(run(first, ['EXISTS', 'h', 'g']).replies).toEqual([0]);
      trial.world.network.healAll();
      const read = (instance: SimulatedInstance): unknown =>
        run(instance, ['HGETALL', 'h'], ['SMEMBERS', 'g'], ['HLEN', 'h'], ['SCARD', 'g'], ['DBSIZE']).replies;
      await trial.throughEverything(read, [['e0', '2'], ['e1'], 1, 1, 2]);
    },
  );

  it.each([-1, 0, 1].map((more) => smallKeyspaceKeys! + more))(
    'all of %i keys by FLUSHALL takes away what it has seen, and nothing else',
    async (count) => {
      const trial = new Trial();
      const first = await trial.start(1);
      const second = await trial.start(2);
      for (let i = 0; i < count; i++) run(first, ['INCRBY', `k${i}`, '5']);
      await trial.level();
      trial.world.network.cut('instance1', 'instance2');
      trial.world.network.cut('instance2', 'instance1');
      run(second, ['INCRBY', 'k0', '2'], ['SET', 'new', 'x']);
      run(first, ['FLUSHALL']);
      expect(run(first, ['DBSIZE'], ['EXISTS', 'k0']).replies).toEqual([0, 0]);
      trial.world.network.healAll();
      const read = (instance: SimulatedInstance): unknown =>
        run(instance, ['GET', 'k0'], ['GET', 'new'], ['DBSIZE']).replies;
      await trial.throughEverything(read, ['2', 'x', 2]);
    },
  );
});
