import { crc32 } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FRAME } from '../../src/crdt/frame.ts';
import { CrdbError } from '../../src/errors.ts';
import { applyRepair, planRepair } from '../../src/storage/repair-log.ts';
import { Snapshotter } from '../../src/storage/snapshotter.ts';
import { Spools } from '../../src/storage/spool.ts';
import { DIRECTORY, encodeBatch, ManualClock, readAll, ToyInstance, turns, type StartOptions } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

const ALWAYS = { persistence: { kind: 'aof', fsync: 'always' } } as const;

/** Runs `story` on a fresh instance, without a clean end. Returns all frames that were committed. */
async function run(
  disk: MemoryDisk,
  options: StartOptions,
  story: (toy: ToyInstance, clock: ManualClock) => Promise<void>,
) {
  const clock = new ManualClock();
  const toy = new ToyInstance();
  await toy.start(disk, clock, options);
  await story(toy, clock);
}

async function restart(disk: MemoryDisk, options: StartOptions = {}) {
  const toy = new ToyInstance();
  const { log, recovery } = await toy.start(disk, new ManualClock(), options);
  return { toy, log, recovery };
}

const newest = (disk: MemoryDisk): string =>
  `${DIRECTORY}/${disk
    .names(DIRECTORY)
    .filter((name) => name.startsWith('log-'))
    .at(-1)!}`;

describe('recovery', () => {
  it('finds exactly what was committed, across segments and clean restarts', async () => {
    let disk = new MemoryDisk();
    const frames: Buffer[] = [];
    for (let round = 0; round < 3; round++) {
      const clock = new ManualClock();
      const toy = new ToyInstance();
      const { log, recovery } = await toy.start(disk, clock, { segmentBytes: 400 });
      expect(toy.recovered).toEqual(frames);
      expect(recovery.fresh).toBe(round === 0);
      expect(recovery.clean).toBe(round > 0);
      expect(recovery.keepsGeneration).toBe(round > 0);
      for (let i = 0; i < 20; i++) {
        frames.push(toy.commit(1 + (i % 2), Buffer.alloc(i * 3, i)));
        if (i % 3 === 0) await clock.pass(6);
      }
      await log.close();
      disk = disk.afterCrash();
    }
    const { toy, log } = await restart(disk);
    expect(toy.recovered).toEqual(frames);
    expect(log.startPosition).toBe(0);
    expect(log.locate(toy.vector.clone(), [0, 1])).toEqual({ position: log.endPosition });
    const have = toy.vector.clone();
    have.set(0, 25);
    const location = log.locate(have, [0]);
    expect(location).toHaveProperty('position');
    const rest = await readAll(log, (location as { position: number }).position);
    expect(rest!.includes(encodeBatch(1, 7, 26, Buffer.alloc(30, 10)))).toBe(true);
  });

  it('cuts a torn tail at any byte of the last group, and nothing else', async () => {
    const disk = new MemoryDisk();
    let intact = 0;
    const frames: Buffer[] = [];
    await run(disk, {}, async (toy, clock) => {
      for (let i = 0; i < 5; i++) frames.push(toy.commit(1, Buffer.alloc(10 + i, i)));
      await clock.pass(1_500);
      intact = toy.log!.writtenPosition;
      for (let i = 0; i < 3; i++) toy.commit(2, Buffer.alloc(20, i));
      await clock.pass(6);
    });
    const unsynced = disk.bytesOf(newest(disk)).length - intact;
    expect(unsynced).toBeGreaterThan(100);
    for (let kept = 0; kept < unsynced; kept++) {
      const copy = disk.clone();
      copy.bootId = 'after a power failure';
      copy.put(newest(disk), disk.bytesOf(newest(disk)).subarray(0, intact + kept));
      const { toy, log, recovery } = await restart(copy);
      expect(toy.recovered).toEqual(frames);
      expect(recovery.cutBytes).toBe(kept);
      expect(recovery.log.endPosition).toBe(intact);
      expect(recovery.keepsGeneration).toBe(false);
      toy.commit(1, Buffer.from('goes on'));
      await log.close();
      const again = await restart(copy.afterCrash());
      expect(again.toy.recovered).toHaveLength(frames.length + 1);
      expect(again.recovery).toMatchObject({ cutBytes: 0, clean: true });
    }
  });

  it('detects any flipped bit: as damage, or as a torn tail at the end, never as other data', async () => {
    const disk = new MemoryDisk();
    const frames: string[] = [];
    await run(disk, { segmentBytes: 300, ...ALWAYS }, async (toy) => {
      for (let i = 0; i < 12; i++) {
        frames.push(toy.commit(1 + (i % 2), Buffer.alloc(20, i)).toString('hex'));
        await turns(4);
      }
    });
    const names = disk.names(DIRECTORY).filter((name) => name.startsWith('log-'));
    expect(names.length).toBeGreaterThan(2);
    let [cut, refused] = [0, 0];
    for (const name of names) {
      for (let at = 0; at < disk.bytesOf(`${DIRECTORY}/${name}`).length; at++) {
        const copy = disk.clone();
        copy.bytesOf(`${DIRECTORY}/${name}`)[at]! ^= 1 << (at % 8);
        const error = await restart(copy).then(
          ({ toy, recovery }) => {
            const found = toy.recovered.map((frame) => frame.toString('hex'));
            expect(found).toEqual(frames.slice(0, found.length));
            expect(found.length).toBe(frames.length - 1);
            expect(recovery.cutBytes).toBeGreaterThan(0);
            expect(recovery.clean).toBe(false);
            cut++;
            return null;
          },
          (error: Error) => error,
        );
        if (error === null) continue;
        expect(error).toBeInstanceOf(CrdbError);
        expect(error.message).toContain(name);
        expect(error.message).toMatch(/position \d+/);
        expect((error as CrdbError).hint).toContain(`repair.js ${DIRECTORY}`);
        refused++;
      }
    }
    expect(cut).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(cut);
  });

  it('takes a hole among unsynced groups for a torn tail: later pages may reach the disk first', async () => {
    const disk = new MemoryDisk();
    let [synced, firstEnd] = [0, 0];
    await run(disk, {}, async (toy, clock) => {
      toy.commit(1, Buffer.from('synced'));
      await clock.pass(1_100);
      synced = toy.log!.durablePosition;
      toy.commit(1, Buffer.from('lost'));
      await clock.pass(6);
      firstEnd = toy.log!.writtenPosition;
      toy.commit(1, Buffer.from('written, but behind a hole'));
      await clock.pass(6);
    });
    disk.bytesOf(newest(disk)).fill(0, synced, firstEnd);
    const { toy, recovery } = await restart(disk);
    expect(toy.recovered).toHaveLength(1);
    expect(recovery.cutBytes).toBeGreaterThan(firstEnd - synced);
  });

  it('loses nothing that was durable, whatever a power failure leaves of the rest', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ commits: fc.integer({ min: 0, max: 4 }), passMs: fc.integer({ min: 0, max: 900 }) }), {
          maxLength: 12,
        }),
        fc.nat(),
        fc.constantFrom('every-sec', 'always'),
        async (steps, keep, fsync) => {
          const disk = new MemoryDisk();
          const frames: string[] = [];
          const options = { segmentBytes: 250, persistence: { kind: 'aof', fsync } } as const;
          let [durable, acknowledged] = [0, 0];
          await run(disk, options, async (toy, clock) => {
            for (const { commits, passMs } of steps) {
              for (let i = 0; i < commits; i++) {
                frames.push(toy.commit(1 + (i % 3), Buffer.alloc(15, i)).toString('hex'));
                const count = frames.length;
                toy.log!.whenDurable(toy.log!.endPosition, () => (acknowledged = count));
              }
              await clock.pass(passMs);
            }
            durable = toy.log!.durablePosition;
          });
          const survivor = disk.afterCrash((bytes) => keep % (bytes + 1));
          const { toy, recovery } = await restart(survivor, options);
          const found = toy.recovered.map((frame) => frame.toString('hex'));
          expect(found).toEqual(frames.slice(0, found.length));
          expect(found.length).toBeGreaterThanOrEqual(acknowledged);
          expect(recovery.log.endPosition).toBeGreaterThanOrEqual(durable);
          expect(recovery.keepsGeneration).toBe(fsync === 'always');
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps the generation after a crash only if everything was synced before it was published', async () => {
    const disk = new MemoryDisk();
    await restart(disk, ALWAYS);
    const second = await restart(disk.afterCrash(), ALWAYS);
    expect(second.recovery).toMatchObject({ clean: false, keepsGeneration: true });
    const third = disk.afterCrash();
    expect((await restart(third)).recovery).toMatchObject({ clean: false, keepsGeneration: true });
    // That restart ran under every-sec, and was not ended cleanly.
    const fourth = third.afterCrash();
    const crashed = await restart(fourth, { ...ALWAYS, beginsGeneration: false });
    expect(crashed.recovery).toMatchObject({ clean: false, keepsGeneration: false });
    // And that one crashed before its new generation was in the manifest: the old one is still not to be continued.
    const fifth = fourth.afterCrash();
    expect((await restart(fifth, ALWAYS)).recovery).toMatchObject({ clean: false, keepsGeneration: false });
  });

  it('keeps the generation of a killed process while the system that has its writes is running', async () => {
    const disk = new MemoryDisk();
    const frames: Buffer[] = [];
    await run(disk, {}, async (toy) => {
      frames.push(toy.commit(1, Buffer.from('x')));
      toy.log!.handOver();
      await turns();
    });
    const killed = await restart(disk.clone());
    expect(killed.toy.recovered).toEqual(frames);
    expect(killed.recovery).toMatchObject({ clean: false, keepsGeneration: true, doubt: null });
    // A process cannot do that.
    const cut = disk.clone();
    cut.put(newest(cut), Buffer.concat([cut.bytesOf(newest(cut)), Buffer.from('torn')]));
    expect((await restart(cut)).recovery.doubt).toBe('the last run did not end cleanly, and its log is cut');
    const survivor = disk.afterCrash((bytes) => bytes);
    const crashed = await restart(survivor, { beginsGeneration: false });
    expect(crashed.toy.recovered).toEqual(frames);
    expect(crashed.recovery.doubt).toBe('the last run did not end cleanly, nor did the system since');
    // Killed before its new generation was in the manifest: it vouches for neither.
    expect((await restart(survivor)).recovery.keepsGeneration).toBe(false);
    expect((await restart(survivor)).recovery.keepsGeneration).toBe(true);
  });

  it.each([ALWAYS, {}])('takes the directory for a copy when a backup was put in its place', async (options) => {
    const disk = new MemoryDisk();
    await run(disk, options, (toy) => toy.log!.close());
    expect((await restart(disk.clone(), options)).recovery.keepsGeneration).toBe(true);
    const backup = disk.backup();
    const { recovery, log } = await restart(backup, options);
    expect(recovery).toMatchObject({ clean: true, keepsGeneration: false });
    expect(recovery.doubt).toBe('the data directory is a copy of the one that was written');
    await log.close();
    expect((await restart(backup, options)).recovery.keepsGeneration).toBe(true);
  });

  it('knows a generation that reached the log before the manifest', async () => {
    const disk = new MemoryDisk();
    await run(disk, ALWAYS, async (toy) => {
      const frame = Buffer.alloc(17);
      frame.writeUInt32LE(13, 0);
      frame[4] = FRAME.generation;
      frame.writeUInt32LE(71, 5);
      toy.buffer.append(frame);
      toy.log!.wake();
      await turns();
    });
    expect((await restart(disk)).recovery.manifest.current.generation).toBe(71);
  });

  it('does not believe a clean marker that is older than a run without a log file', async () => {
    const disk = new MemoryDisk();
    const first = await restart(disk);
    await first.log.close();
    const second = await restart(disk, { persistence: { kind: 'snapshot' } });
    expect(second.recovery.keepsGeneration).toBe(true);
    expect((await restart(disk.afterCrash())).recovery).toMatchObject({ clean: false, keepsGeneration: false });
  });

  it('refuses a directory of another instance, without a manifest, and with a damaged or newer one', async () => {
    const disk = new MemoryDisk();
    await run(disk, {}, () => Promise.resolve());
    const path = `${DIRECTORY}/manifest.json`;
    const manifest = disk.bytesOf(path).toString();
    const starting = async (content: string | null): Promise<string> => {
      const copy = disk.clone();
      if (content === null) await copy.remove(path);
      else copy.put(path, Buffer.from(content));
      return restart(copy).then(
        () => 'started',
        (error: Error) => error.message,
      );
    };
    expect(await starting(manifest)).toBe('started');
    expect(await starting(manifest.replace('"logged": true', '"logged": false'))).toMatch(/damaged: its checksum/);
    expect(await starting(manifest.slice(0, 40))).toMatch(/damaged: it is not JSON/);
    expect(await starting(manifest.replace('"version": 1', '"version": 2'))).toMatch(/a newer release wrote it/);
    expect(await starting(null)).toMatch(/has no manifest.json, but data: log-0/);
    const other = new ToyInstance();
    disk.put(path, Buffer.from(manifest));
    await expect(
      import('../../src/storage/recovery.ts').then(({ recover }) =>
        recover({
          disk,
          clock: new ManualClock(),
          bootId: disk.bootId,
          directory: DIRECTORY,
          origins: other.origins,
          guid: 'guid-2',
          instanceId: 1,
          target: null as never,
        }),
      ),
    ).rejects.toThrow(/holds instance 1 of database guid-1, not instance 1 of guid-2/);
  });
});

describe('snapshots', () => {
  async function withSnapshots(options: StartOptions = {}) {
    const disk = new MemoryDisk();
    const clock = new ManualClock();
    const toy = new ToyInstance();
    const { log, recovery } = await toy.start(disk, clock, { segmentBytes: 400, backlogBytesMax: 800, ...options });
    const policy =
      options.persistence?.kind === 'snapshot'
        ? ({ kind: 'snapshot', afterSeconds: 60, afterWrites: 5 } as const)
        : ({ kind: 'aof' } as const);
    const spools = new Spools({ disk, directory: DIRECTORY, endPosition: () => log.endPosition });
    const snapshotter = new Snapshotter({
      disk,
      clock,
      directory: DIRECTORY,
      log,
      manifest: recovery.manifest,
      policy,
      vector: () => toy.vector,
      maySnapshot: () => true,
      beginSnapshot: () => toy.snapshot(),
      isSpoolNeeded: (file, position) => spools.isNeeded(file, position),
    });
    const fill = async (count: number): Promise<Buffer[]> => {
      const frames: Buffer[] = [];
      for (let i = 0; i < count; i++) {
        frames.push(toy.commit(1, Buffer.alloc(40, i)));
        await clock.pass(6);
      }
      return frames;
    };
    const take = async (): Promise<void> => {
      const taking = snapshotter.run();
      await clock.pass(2_000);
      await taking;
    };
    return { disk, clock, toy, log, snapshotter, spools, fill, take };
  }

  it('replace the log before them, but for the backlog; what follows is replayed on top', async () => {
    const { disk, toy, log, fill, take } = await withSnapshots();
    await fill(30);
    await take();
    await fill(20);
    await take();
    expect(disk.names(DIRECTORY).filter((name) => name.startsWith('snapshot-'))).toHaveLength(1);
    expect(log.startPosition).toBeGreaterThan(0);
    const frames = await fill(3);
    await log.close();
    const after = await restart(disk.afterCrash());
    expect(after.toy.recovered).toEqual([Buffer.from('snapshot {"1":50}'), ...frames]);
    expect(after.recovery.clean).toBe(true);
    expect(after.log.floor.get(0)).toBe(log.floor.get(0));
    expect(after.log.startPosition).toBe(log.startPosition);
    const have = toy.vector.clone();
    have.set(0, log.floor.get(0));
    const location = after.log.locate(have, [0]);
    expect(location).toEqual({ position: after.log.startPosition });
    expect((await readAll(after.log, after.log.startPosition))!.includes(frames[2]!)).toBe(true);
  });

  it('count only when they are complete: a crash at any moment finds the old one and all of the log', async () => {
    for (let stop = 0; stop < 40; stop++) {
      const { disk, snapshotter, fill, take, clock } = await withSnapshots(ALWAYS);
      await fill(5);
      await take();
      await fill(5);
      void snapshotter.run();
      if (stop % 2) await clock.pass(1);
      for (let i = 0; i < stop; i++) await Promise.resolve();
      const { toy } = await restart(disk.afterCrash());
      expect(toy.vector.get(toy.origins.indexOf(1, 7))).toBe(10);
    }
  });

  it('are refused when a bit of them is flipped', async () => {
    const { disk, fill, take, log } = await withSnapshots();
    await fill(5);
    await take();
    await log.close();
    const path = `${DIRECTORY}/${disk.names(DIRECTORY).find((name) => name.startsWith('snapshot-'))!}`;
    for (let at = 0; at < disk.bytesOf(path).length; at++) {
      const copy = disk.clone();
      copy.bytesOf(path)[at]! ^= 1 << (at % 8);
      await expect(restart(copy)).rejects.toThrow(/snapshot-\d+ is damaged/);
    }
  });

  it('are refused when they are of another release, with both versions', async () => {
    const { disk, fill, take, log } = await withSnapshots();
    await fill(5);
    await take();
    await log.close();
    const bytes = disk.bytesOf(`${DIRECTORY}/${disk.names(DIRECTORY).find((name) => name.startsWith('snapshot-'))!}`);
    bytes.writeUInt16LE(1, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 18)), 18);
    await expect(restart(disk)).rejects.toThrow(
      /snapshot-\d+ is damaged: it has format version 1, this release reads version 2/,
    );
  });

  it('cost only the backlog when a segment before them is damaged', async () => {
    const { disk, fill, take, log } = await withSnapshots({ backlogBytesMax: 100_000 });
    await fill(30);
    await take();
    await log.close();
    const segments = disk.names(DIRECTORY).filter((name) => name.startsWith('log-'));
    disk.bytesOf(`${DIRECTORY}/${segments[1]!}`)[100]! ^= 1;
    const { toy, log: after } = await restart(disk);
    expect(toy.recovered).toEqual([Buffer.from('snapshot {"1":30}')]);
    expect(after.startPosition).toBe(Number(segments[2]!.slice(4)));
    expect(after.floor.get(0)).toBeGreaterThan(0);
    expect(disk.names(DIRECTORY)).not.toContain(segments[0]);
  });

  it.each(['while it was received', 'when it was on disk'])(
    'do not take away a full sync that was joined after they began, %s',
    async (when) => {
      const { disk, clock, toy, log, spools, snapshotter, fill, take } = await withSnapshots();
      const spool = spools.create(2);
      const receive = async (): Promise<void> => {
        spool.append(Buffer.from('{"2":40}'));
        await spool.finish();
      };
      await fill(10);
      if (when === 'when it was on disk') await receive();
      const taking = snapshotter.run();
      if (when === 'while it was received') await receive();
      const vectorBefore = toy.vector.clone();
      const snapshotVector = toy.vector.clone();
      snapshotVector.set(toy.origins.indexOf(2, 7), 40);
      toy.vector.raiseAll(snapshotVector);
      spool.noteMerged(log.noteMerge({ file: spool.file, vectorBefore, snapshotVector }));
      await clock.pass(2_000);
      await taking;
      const { recovered } = (await restart(disk.afterCrash())).toy;
      expect(recovered).toEqual([Buffer.from('snapshot {"1":10}'), Buffer.from('merge {"2":40}')]);
      // The next one has it.
      await fill(1);
      await take();
      expect(disk.names(DIRECTORY)).not.toContain(spool.file);
      await log.close();
      expect((await restart(disk.afterCrash())).toy.recovered).toHaveLength(1);
    },
  );

  it('follow the policy where there is no log file', async () => {
    const { disk, clock, toy, snapshotter, fill, log, take } = await withSnapshots({
      persistence: { kind: 'snapshot' },
    });
    await fill(4);
    await clock.pass(61_000);
    expect(snapshotter.wanted()).toBe(false);
    await fill(1);
    expect(snapshotter.wanted()).toBe(true);
    await take();
    expect(snapshotter.wanted()).toBe(false);
    expect(log.durableVector.get(0)).toBe(5);
    await fill(9);
    expect(snapshotter.wanted()).toBe(false);
    await log.close();
    const after = await restart(disk.afterCrash(), { persistence: { kind: 'snapshot' } });
    expect(after.toy.recovered).toEqual([Buffer.from('snapshot {"1":5}')]);
    expect(after.log.endPosition).toBeLessThan(log.endPosition);
    expect(toy.vector.get(0)).toBe(14);
  });
});

describe('a merged full sync', () => {
  it('is replayed from its spool at its place in the log, and raises the floor', async () => {
    const disk = new MemoryDisk();
    const clock = new ManualClock();
    const toy = new ToyInstance();
    const { log } = await toy.start(disk, clock);
    const before = toy.commit(1, Buffer.from('before'));
    const spool = new Spools({ disk, directory: DIRECTORY, endPosition: () => log.endPosition }).create(2);
    for (const byte of Buffer.from('{"2":40}')) spool.append(Buffer.from([byte]));
    await spool.finish();
    const vectorBefore = toy.vector.clone();
    const snapshotVector = toy.vector.clone();
    snapshotVector.set(toy.origins.indexOf(2, 7), 40);
    toy.vector.raiseAll(snapshotVector);
    spool.noteMerged(log.noteMerge({ file: spool.file, vectorBefore, snapshotVector }));
    const after = toy.commit(2, Buffer.from('after'));
    await clock.pass(1_100);
    const again = await restart(disk.afterCrash());
    expect(again.toy.recovered).toEqual([before, Buffer.from('merge {"2":40}'), after]);
    const origin = again.toy.origins.indexOf(2, 7);
    expect(again.log.floor.get(origin)).toBe(40);
    expect(again.log.floor.get(again.toy.origins.indexOf(1, 7))).toBe(0);
  });
});

describe('repair', () => {
  async function damaged() {
    const disk = new MemoryDisk();
    const frames: Buffer[] = [];
    await run(disk, { segmentBytes: 300, ...ALWAYS }, async (toy) => {
      for (let i = 0; i < 12; i++) {
        frames.push(toy.commit(1, Buffer.alloc(20, i)));
        await turns(4);
      }
    });
    const names = disk.names(DIRECTORY).filter((name) => name.startsWith('log-'));
    return { disk, frames, names, before: Buffer.concat(names.map((name) => disk.bytesOf(`${DIRECTORY}/${name}`))) };
  }

  it.each(['a group', 'a header', 'a missing file'])(
    'cuts the log at %s, keeps what it cut, and the instance starts',
    async (what) => {
      const { disk, frames, names, before } = await damaged();
      const path = `${DIRECTORY}/${names[1]!}`;
      if (what === 'a missing file') await disk.remove(path);
      else disk.bytesOf(path)[what === 'a header' ? 7 : 200]! ^= 1;
      await expect(restart(disk)).rejects.toThrow(/damaged in log-/);
      const plan = (await planRepair(disk, DIRECTORY))!;
      expect(plan.keptBatches).toBeGreaterThan(0);
      await applyRepair(disk, DIRECTORY, plan);
      expect(await planRepair(disk, DIRECTORY)).toBeNull();
      const { toy, recovery } = await restart(disk.clone());
      expect(toy.recovered).toEqual(frames.slice(0, plan.keptBatches));
      expect(recovery.keepsGeneration).toBe(false);
      const dropped = disk.names(DIRECTORY).filter((name) => name.startsWith('dropped-'));
      const droppedBytes = dropped.reduce((sum, name) => sum + disk.bytesOf(`${DIRECTORY}/${name}`).length, 0);
      expect(droppedBytes).toBe(plan.droppedBytes);
      if (what !== 'a missing file') expect(plan.position + droppedBytes).toBe(before.length);
    },
  );

  it('finds nothing to do in a sound log or one with a torn tail', async () => {
    const { disk } = await damaged();
    expect(await planRepair(disk, DIRECTORY)).toBeNull();
    disk.put(newest(disk), disk.bytesOf(newest(disk)).subarray(0, -3));
    expect(await planRepair(disk, DIRECTORY)).toBeNull();
  });
});
