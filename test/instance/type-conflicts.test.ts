import { describe, expect, it } from '@jest/globals';
import { makeArgs } from '../../src/resp/args.ts';
import { KeyRef, TYPE } from '../../src/database/key-ref.ts';
import { createInstancePort } from '../../src/instance/instance-port.ts';
import { TypeConflictLog } from '../../src/instance/type-conflict-log.ts';
import type { SimulatedInstance } from '../simulation/instance/simulated-instance.ts';
import type { Machine } from '../simulation/world/machine.ts';
import { SimulatedWorld } from '../simulation/world/world.ts';
import { startInstance } from './start.ts';

const IDS = [1, 2] as const;

class Pair {
  readonly world = new SimulatedWorld({ seed: 1 });
  readonly machines: readonly Machine[] = IDS.map((id) => this.world.addMachine(`instance${id}`));
  readonly logs: Record<number, string[]> = { 1: [], 2: [] };
  readonly instances: SimulatedInstance[] = [];

  async start(id: number): Promise<void> {
    this.instances[id - 1] = await startInstance(this.world, this.machines[id - 1]!, {
      persistence: { kind: 'aof', fsync: 'every-sec' },
      ids: IDS,
      id,
      onLog: (line) => void this.logs[id]!.push(line),
    });
  }

  execute(id: number, ...command: string[]): void {
    this.instances[id - 1]!.execute([command]);
  }

  /** Each does something that the other has not heard of, then they hear of everything. */
  async concurrently(first: readonly string[], second: readonly string[]): Promise<void> {
    for (const { engine } of this.instances) engine.pause();
    this.execute(1, ...first);
    this.execute(2, ...second);
    for (const { engine } of this.instances) engine.resume();
    await this.level();
  }

  async level(): Promise<void> {
    const digest = ({ database }: SimulatedInstance): string => JSON.stringify(database.digest());
    await this.world.run(this.world.nowMs + 2000);
    expect(digest(this.instances[0]!)).toBe(digest(this.instances[1]!));
  }

  port(id: number): ReturnType<typeof createInstancePort> {
    const { engine } = this.instances[id - 1]!;
    const options = { config: engine.config, pid: 1, log: () => undefined, onShutdown: () => undefined };
    return createInstancePort(engine, options, () => undefined);
  }

  /** What INFO crdt shows. */
  shown(id: number): string {
    const { type_conflicts: arisen, type_conflict_keys: keys } = this.port(id).info()['crdt']!;
    return `${arisen} arisen, ${keys} keys`;
  }

  told(id: number): string[] {
    return this.logs[id]!.filter((line) => line.includes('type conflict'));
  }
}

describe('Instances that give one name to different types', () => {
  it('both say so once in INFO and in the log, with the key to look at', async () => {
    const pair = new Pair();
    for (const id of IDS) await pair.start(id);
    await pair.concurrently(['SET', 'cart:7', 'text'], ['HSET', 'cart:7', 'f', 'v']);
    const line = 'info type conflict on key "cart:7": hash hides string';
    for (const id of IDS) expect([pair.shown(id), ...pair.told(id)]).toEqual(['1 arisen, 1 keys', line]);

    pair.execute(1, 'DEL', 'cart:7');
    await pair.level();
    for (const id of IDS) expect(pair.shown(id)).toBe('1 arisen, 0 keys');
    await pair.concurrently(['SADD', 'cart:7', 'm'], ['HSET', 'cart:7', 'f', 'v']);
    for (const id of IDS) expect(pair.shown(id)).toBe('2 arisen, 1 keys');

    pair.port(1).resetStats();
    expect([pair.shown(1), pair.shown(2)]).toEqual(['0 arisen, 1 keys', '2 arisen, 1 keys']);
  });

  it('do not count again what a restart brings back', async () => {
    const pair = new Pair();
    for (const id of IDS) await pair.start(id);
    await pair.concurrently(['SET', 'k', 'text'], ['SADD', 'k', 'm']);
    pair.machines[0]!.kill();
    pair.logs[1] = [];
    await pair.start(1);
    await pair.level();
    expect([pair.shown(1), ...pair.told(1)]).toEqual(['0 arisen, 1 keys']);
  });
});

describe('The log of type conflicts', () => {
  const lines: string[] = [];
  let nowMs = 0;
  const log = new TypeConflictLog({ log: (level, line) => lines.push(`${level} ${line}`), monotonicMs: () => nowMs });
  const note = (name: string): void => {
    const { bytes, starts, lengths } = makeArgs([Buffer.from(name, 'latin1')]);
    const ref = Object.assign(new KeyRef(), { bytes, start: starts[0], length: lengths[0] });
    log.note(ref, [TYPE.hash, TYPE.set, TYPE.string]);
  };

  it('shows any name on one line, shortened', () => {
    note('a\n"\\\xff');
    note('x'.repeat(300));
    expect(lines.splice(0)).toEqual([
      'info type conflict on key "a\\n\\"\\\\\\xff": hash hides set and string',
      `info type conflict on key "${'x'.repeat(100)}"... (300 bytes): hash hides set and string`,
    ]);
  });

  it('names ten keys a minute and counts the others', () => {
    for (let i = 2; i < 1000; i++) note(`k${i}`);
    log.endPeriod();
    expect(lines.splice(0)).toHaveLength(8);
    nowMs += 60_000;
    log.endPeriod();
    log.endPeriod();
    expect(lines.splice(0)).toEqual(['info type conflicts on 990 more keys, not named here; INFO crdt counts them']);
    note('k');
    expect(lines.splice(0)).toEqual(['info type conflict on key "k": hash hides set and string']);
    nowMs += 60_000;
    log.endPeriod();
    expect(lines).toEqual([]);
  });
});
