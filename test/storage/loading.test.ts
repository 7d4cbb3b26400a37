import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CrdbError } from '../../src/errors.ts';
import { ChunkFileWriter } from '../../src/storage/chunk-file.ts';
import { LoadingStopped, type RecoveryProgress } from '../../src/storage/loading-pace.ts';
import { ManifestStore, readManifest } from '../../src/storage/manifest.ts';
import { planRepair } from '../../src/storage/repair-log.ts';
import { DIRECTORY, ManualClock, ToyInstance, type StartOptions } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

/** The overhead of a batch in the log, and of the seal behind it. */
const BATCH_BYTES = 33;

class TickingClock extends ManualClock {
  #ticks = 0;

  override monotonicMs(): number {
    return ++this.#ticks;
  }
}

/** A directory with these batches, one group each, left by a crash or a clean stop. */
async function write(sizes: readonly number[], options: StartOptions & { clean?: boolean } = {}) {
  const { clean = false, ...start } = options;
  const disk = new MemoryDisk();
  const clock = new ManualClock();
  const toy = new ToyInstance();
  const { log } = await toy.start(disk, clock, start);
  const frames: Buffer[] = [];
  for (const [i, size] of sizes.entries()) {
    frames.push(toy.commit(1 + (i % 2), Buffer.alloc(size, i)));
    await clock.pass(3);
  }
  await clock.pass(1_100);
  if (clean) await log.close();
  return { disk: clean ? disk : disk.afterCrash(), frames };
}

async function load(disk: MemoryDisk, options: StartOptions = {}, clock = new ManualClock()) {
  const toy = new ToyInstance();
  const { log, recovery } = await toy.start(disk, clock, options);
  return { toy, log, recovery };
}

describe('loading', () => {
  it('finds the same in pieces of any size, with batches of any size against the piece, the group and the segment', async () => {
    const limit = 256;
    const edges = [-1, 0, 1].flatMap((more) => [limit, 2 * limit].map((edge) => edge - BATCH_BYTES + more));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constantFrom(...edges), fc.nat({ max: 700 })), { minLength: 1, maxLength: 12 }),
        fc.constantFrom(1, 7, 64, limit - 1, limit, limit + 1, 100_000),
        fc.boolean(),
        async (sizes, recoveryReadBytes, clean) => {
          const limits = { segmentBytes: limit, groupBytesMax: limit, checkpointBytes: limit, clean };
          const { disk, frames } = await write(sizes, limits);
          const { toy, recovery, log } = await load(disk, { recoveryReadBytes, recoverySliceBytes: 100 });
          expect(toy.recovered).toEqual(frames);
          expect(recovery).toMatchObject({ clean, cutBytes: 0 });
          expect(log.floor.get(0)).toBe(0);
          expect(await planRepair(disk, DIRECTORY)).toBeNull();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('tells torn tails from damage in pieces of any size', async () => {
    const { disk } = await write([50, 60, 70], { persistence: { kind: 'aof', fsync: 'always' } });
    const name = `${DIRECTORY}/${disk.names(DIRECTORY).find((file) => file.startsWith('log-'))!}`;
    const whole = disk.bytesOf(name);
    for (const recoveryReadBytes of [1, 16, 1_000]) {
      for (const at of [whole.length - 40, 150]) {
        const copy = disk.clone();
        copy.put(name, whole);
        copy.bytesOf(name)[at]! ^= 1;
        const found = await load(copy, { recoveryReadBytes }).catch((error: Error) => error);
        if (at === 150) expect((found as CrdbError).message).toMatch(/damaged in log-.*position/);
        else expect((found as Awaited<ReturnType<typeof load>>).toy.recovered).toHaveLength(2);
      }
    }
  });

  it('lets others have their turn, and says how far it is', async () => {
    const { disk } = await write(Array.from({ length: 60 }, () => 300));
    const progress: RecoveryProgress[] = [];
    let othersTurns = 0;
    let isLoading = true;
    const other = (): void => {
      othersTurns++;
      if (isLoading) setImmediate(other);
    };
    setImmediate(other);
    await load(
      disk,
      { recoverySliceBytes: 500, recoveryTurnMs: 2, onProgress: (step) => void progress.push(step) },
      new TickingClock(),
    );
    isLoading = false;
    expect(othersTurns).toBeGreaterThan(10);
    expect(progress.length).toBeGreaterThan(10);
    for (const [i, { loadedBytes, totalBytes }] of progress.entries()) {
      expect(loadedBytes).toBeGreaterThanOrEqual(progress[i - 1]?.loadedBytes ?? 0);
      expect(loadedBytes).toBeLessThanOrEqual(totalBytes);
    }
    const last = progress.at(-1)!;
    expect(last).toEqual({ phase: 'log', loadedBytes: last.totalBytes, totalBytes: last.totalBytes });
  });

  it('ends soon when the instance is stopped, and the next start finds everything, clean', async () => {
    const { disk, frames } = await write(
      Array.from({ length: 30 }, () => 300),
      { clean: true },
    );
    let left = 3;
    const pace = { recoverySliceBytes: 500, recoveryTurnMs: 2, isStopping: () => --left === 0 };
    await expect(load(disk, pace, new TickingClock())).rejects.toThrow(LoadingStopped);
    expect(left).toBe(0);
    const { toy, recovery } = await load(disk);
    expect(toy.recovered).toEqual(frames);
    expect(recovery).toMatchObject({ clean: true, keepsGeneration: true });
  });

  it('refuses a snapshot that was not written to its end, and says what to do', async () => {
    const { disk } = await write([10], { clean: true });
    const writer = await ChunkFileWriter.create(disk, `${DIRECTORY}/snapshot-0000000000000000`, 0);
    await writer.append(Buffer.from('{"1":1,'));
    await writer.finish();
    const copy = disk.clone();
    const manifest = (await readManifest(copy, DIRECTORY))!;
    await new ManifestStore(copy, DIRECTORY, manifest).update({
      snapshot: { file: 'snapshot-0000000000000000', position: 0, bytes: writer.fileBytes },
    });
    const error = await load(copy).catch((error: Error) => error);
    expect(error).toBeInstanceOf(CrdbError);
    expect((error as CrdbError).message).toMatch(/snapshot-0+ is damaged: the snapshot in it has no end/);
    expect((error as CrdbError).hint).toMatch(/Restore the data directory from a backup, or move it away/);
  });
});
