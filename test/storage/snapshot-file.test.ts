import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { ChunkFileReader, ChunkFileWriter } from '../../src/storage/chunk-file.ts';
import { STORAGE_LIMITS } from '../../src/storage/limits.ts';
import { readSnapshotFile, SnapshotAbandoned, writeSnapshotFile } from '../../src/storage/snapshot-file.ts';
import { ManualClock } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

const PATH = '/data/snapshot';

class Pieces {
  readonly vector = new VersionVector();
  readonly #pieces: Buffer[];
  #next = 0;
  isAborted = false;

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = [...pieces];
  }

  get isAtEnd(): boolean {
    return this.#next > this.#pieces.length;
  }

  next(): Buffer | null {
    return this.#pieces[this.#next++] ?? null;
  }

  abort(): void {
    this.isAborted = true;
  }
}

/** Time goes on by itself, by so much with every reading: a process that is off the CPU at the worst moment. */
class LeapingClock extends ManualClock {
  #ms = 0;
  readonly #leapMs: () => number;

  constructor(leapMs: () => number) {
    super();
    this.#leapMs = leapMs;
  }

  override monotonicMs(): number {
    return (this.#ms += this.#leapMs());
  }
}

async function readAll(disk: MemoryDisk, path = PATH): Promise<Buffer> {
  const read: Buffer[] = [];
  await readSnapshotFile(disk, path, (bytes) => void read.push(Buffer.from(bytes)));
  return Buffer.concat(read);
}

describe('a snapshot file', () => {
  it('has everything that the reader gives, wherever the process pauses between two looks at the clock', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 20 }),
        fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 30 }),
        fc.constantFrom(1, 8, 64),
        async (pieces, leaps, chunkBytesMax) => {
          const disk = new MemoryDisk();
          let reading = 0;
          const clock = new LeapingClock(() => leaps[reading++ % leaps.length]!);
          const reader = new Pieces(pieces.map((piece) => Buffer.from(piece)));
          const limits = { chunkBytesMax, snapshotSliceBytes: 60 };
          await writeSnapshotFile({ disk, clock, path: PATH, position: 7, limits }, reader);
          expect(reader.isAtEnd).toBe(true);
          expect(await readAll(disk)).toEqual(Buffer.concat(pieces));
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([-1, 0, 1])('is cut into chunks that can be read, whatever the size of a piece (limit %+d)', async (more) => {
    for (const times of [1, 2]) {
      const disk = new MemoryDisk();
      const piece = Buffer.alloc(times * STORAGE_LIMITS.chunkBytesMax + more, 'x');
      await writeSnapshotFile({ disk, clock: new ManualClock(), path: PATH, position: 0 }, new Pieces([piece]));
      const reader = await ChunkFileReader.open(disk, PATH);
      const sizes: number[] = [];
      for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) sizes.push(chunk.length);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(STORAGE_LIMITS.chunkBytesMax);
      expect((await readAll(disk)).equals(piece)).toBe(true);
    }
  });

  it('is read whatever the limits of the instance that wrote it', async () => {
    const disk = new MemoryDisk();
    const writer = await ChunkFileWriter.create(disk, PATH, 0, 16 * 1024 * 1024);
    const bytes = Buffer.alloc(16 * 1024 * 1024 + 1, 'y');
    await writer.append(bytes);
    await writer.finish();
    expect((await readAll(disk)).equals(bytes)).toBe(true);
  });

  it('is not left behind when it is given up, or the disk fails, and the reader is let go', async () => {
    const disk = new MemoryDisk();
    const given = new Pieces([Buffer.from('a'), Buffer.from('b')]);
    const options = { disk, clock: new LeapingClock(() => 1), path: PATH, position: 0 };
    await expect(writeSnapshotFile({ ...options, isAbandoned: () => true }, given)).rejects.toThrow(SnapshotAbandoned);
    expect(given.isAborted).toBe(true);
    const failing = new Pieces([Buffer.from('a')]);
    const writing = writeSnapshotFile(options, failing);
    disk.writeError = new Error('ENOSPC: no space left on device');
    await expect(writing).rejects.toThrow('ENOSPC');
    expect(failing.isAborted).toBe(true);
    expect(disk.names('/data')).toEqual([]);
  });
});
