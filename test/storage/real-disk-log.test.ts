import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execa } from 'execa';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createRealHost } from '../../src/host/real-host.ts';
import { Snapshotter } from '../../src/storage/snapshotter.ts';
import { ToyInstance } from './fixture.ts';

const { disk, clock } = createRealHost();
let directory = '';

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'storage-'));
});

afterEach(() => fs.rm(directory, { recursive: true }));

describe('the log on a real disk', () => {
  it('survives restarts with a snapshot, a torn tail and a repair', async () => {
    const first = new ToyInstance(directory);
    const { log, recovery } = await first.start(disk, clock, {
      persistence: { kind: 'aof', fsync: 'always' },
      segmentBytes: 1_500,
    });
    const until = (position: number): Promise<void> => new Promise((resolve) => log.whenDurable(position, resolve));
    for (let i = 0; i < 30; i++) {
      first.commit(1, Buffer.alloc(100, i));
      await until(log.endPosition);
    }
    const snapshotter = new Snapshotter({
      disk,
      clock,
      directory,
      log,
      manifest: recovery.manifest,
      policy: { kind: 'aof' },
      vector: () => first.vector,
      maySnapshot: () => true,
      beginSnapshot: () => first.snapshot(),
      isSpoolNeeded: () => false,
    });
    await snapshotter.run();
    const frames: Buffer[] = [];
    for (let i = 0; i < 30; i++) {
      frames.push(first.commit(1, Buffer.alloc(100, i)));
      await until(log.endPosition);
    }
    await log.close();

    const newest = path.join(directory, (await disk.list(directory)).filter((name) => name.startsWith('log-')).at(-1)!);
    await fs.truncate(newest, (await fs.stat(newest)).size - 5);
    const second = new ToyInstance(directory);
    const torn = await second.start(disk, clock);
    expect(second.recovered).toEqual([Buffer.from('snapshot {"1":30}'), ...frames]);
    expect(torn.recovery.cutBytes).toBeGreaterThan(0);
    await torn.log.close();

    const damaged = path.join(
      directory,
      (await disk.list(directory)).filter((name) => name.startsWith('log-')).at(-3)!,
    );
    const bytes = await fs.readFile(damaged);
    bytes[bytes.length - 500]! ^= 1;
    await fs.writeFile(damaged, bytes);
    await expect(new ToyInstance(directory).start(disk, clock)).rejects.toThrow(path.basename(damaged));

    const repair = (...args: string[]) =>
      execa(process.execPath, ['--import', 'tsx', 'src/storage/repair.ts', ...args], { reject: false });
    expect(await repair()).toMatchObject({ exitCode: 2 });
    const shown = await repair(directory);
    expect(shown).toMatchObject({ exitCode: 3 });
    expect(shown.stdout).toContain(path.basename(damaged));
    expect(await repair(directory, '--apply')).toMatchObject({ exitCode: 0 });
    expect((await repair(directory)).stdout).toContain('needs no repair');

    const third = new ToyInstance(directory);
    const repaired = await third.start(disk, clock);
    expect(third.recovered.length).toBeGreaterThan(1);
    expect(third.recovered).toEqual(second.recovered.slice(0, third.recovered.length));
    expect(repaired.recovery.keepsGeneration).toBe(false);
    await repaired.log.close();
  });

  it('gathers commits, and lets feeds read from files what memory no longer holds', async () => {
    const toy = new ToyInstance(directory);
    const { log } = await toy.start(disk, clock, { memoryWindowBytes: 0, segmentBytes: 100_000 });
    for (let i = 0; i < 1_000; i++) toy.commit(1, Buffer.alloc(1_000, i));
    const deadlineMs = Date.now() + 10_000;
    while (log.writtenPosition < log.endPosition && Date.now() < deadlineMs)
      await new Promise((resolve) => setImmediate(resolve));
    const bytes = await log.read(0, 10_000);
    expect(bytes).toHaveLength(10_000);
    await log.close();
  });
});
