import { describe, expect, it } from '@jest/globals';
import { Snapshotter, type SnapshotPolicy } from '../../src/storage/snapshotter.ts';
import { SnapshotSource, type SnapshotHandle } from '../../src/storage/snapshot-source.ts';
import { DIRECTORY, ManualClock, readAll, ToyInstance, turns, type StartOptions } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

const SMALL = { snapshotLogBytesMin: 300, snapshotReadBytes: 3, checkpointBytes: 50 };

async function open(options: StartOptions = {}) {
  const disk = new MemoryDisk();
  const clock = new ManualClock();
  const toy = new ToyInstance();
  const given = { backlogBytesMax: 400, segmentBytes: 400, ...SMALL, ...options };
  const { log, recovery } = await toy.start(disk, clock, given);
  const { persistence } = options;
  const policy: SnapshotPolicy =
    persistence?.kind === 'snapshot'
      ? { kind: 'snapshot', afterSeconds: 60, afterWrites: 1 }
      : { kind: persistence?.kind ?? 'aof' };
  let [taken, allowed] = [0, true];
  const snapshotter = new Snapshotter({
    disk,
    clock,
    directory: DIRECTORY,
    log,
    manifest: recovery.manifest,
    policy,
    vector: () => toy.vector,
    maySnapshot: () => allowed,
    beginSnapshot: () => {
      taken++;
      return toy.snapshot();
    },
    isSpoolNeeded: () => false,
    limits: given,
  });
  const maySnapshot = (): boolean => allowed;
  let dataBytes = Infinity;
  const source = new SnapshotSource({
    disk,
    clock,
    directory: DIRECTORY,
    log,
    snapshotter,
    maySnapshot,
    dataBytes: () => dataBytes,
    limits: given,
  });
  const acquire = async (): Promise<SnapshotHandle> => {
    const acquiring = source.acquire();
    acquiring.catch(() => {});
    await clock.pass(2_000);
    return acquiring;
  };
  const fill = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      toy.commit(1, Buffer.alloc(40, i));
      await clock.pass(3);
    }
  };
  return {
    disk,
    clock,
    toy,
    log,
    source,
    snapshotter,
    acquire,
    fill,
    taken: () => taken,
    allow: (value: boolean) => (allowed = value),
    shrinkTo: (bytes: number) => (dataBytes = bytes),
    snapshotFiles: () => disk.names(DIRECTORY).filter((name) => /^(snapshot|feed)-/.test(name)),
  };
}

async function content(handle: SnapshotHandle): Promise<string> {
  const pieces: Buffer[] = [];
  for (let piece = await handle.next(); piece !== null; piece = await handle.next()) {
    expect(piece.length).toBeLessThanOrEqual(SMALL.snapshotReadBytes);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

const KINDS = [{ kind: 'aof', fsync: 'every-sec' }, { kind: 'snapshot' }, { kind: 'disabled' }] as const;

describe.each(KINDS)('snapshots for peers, with persistence $kind', (persistence) => {
  it('are complete files that are shared while the log behind them is small', async () => {
    const { acquire, fill, taken, log, toy } = await open({ persistence });
    await fill(5);
    const first = await acquire();
    await fill(1);
    const second = await acquire();
    expect(taken()).toBe(1);
    expect(second.position).toBe(first.position);
    expect(first.vector.get(0)).toBe(5);
    expect(await content(second)).toBe('{"1":5}');
    await fill(10);
    const third = await acquire();
    expect(taken()).toBe(2);
    expect(third.vector.get(0)).toBe(16);
    expect(await content(first)).toBe('{"1":5}');
    const behind = await readAll(log, first.position);
    expect(behind).not.toBeNull();
    expect(behind!.length).toBeGreaterThan(11 * 40);
    expect(toy.vector.get(0)).toBe(16);
  });

  it('are taken anew once most of the data was deleted: a receiver may have no room for what was there', async () => {
    const { acquire, fill, taken, shrinkTo, snapshotter } = await open({ persistence, snapshotLogBytesMin: 0 });
    await fill(5);
    const first = await acquire();
    shrinkTo(snapshotter.newest!.bytes / 2);
    expect((await acquire()).position).toBe(first.position);
    shrinkTo(snapshotter.newest!.bytes / 2 - 1);
    await acquire();
    expect(taken()).toBe(2);
  });

  it('keep the log behind them until they are released, up to the limit', async () => {
    const { acquire, fill, log, clock } = await open({
      persistence,
      retainBytesMax: 3_000,
      memoryRetainBytesMax: 3_000,
    });
    await fill(5);
    const handle = await acquire();
    await fill(30);
    await clock.pass(2_000);
    expect(log.startPosition).toBeLessThanOrEqual(handle.position);
    await fill(60);
    await clock.pass(2_000);
    const isLost = (await readAll(log, handle.position)) === null;
    // With a log file the newest snapshot needs what is behind it, whoever reads.
    expect(isLost).toBe(persistence.kind !== 'aof');
    handle.release();
    await clock.pass(2_000);
    const again = await acquire();
    expect(again.vector.get(0)).toBe(95);
    expect(await readAll(log, again.position)).not.toBeNull();
  });

  it('wait until the database can begin one, and are refused when the instance stops', async () => {
    const { source, clock, allow, fill, snapshotter } = await open({ persistence });
    await fill(3);
    allow(false);
    const acquiring = source.acquire();
    await clock.pass(1_000);
    allow(true);
    await clock.pass(2_000);
    expect((await acquiring).vector.get(0)).toBe(3);
    await fill(20);
    allow(false);
    const refused = source.acquire();
    refused.catch(() => {});
    source.close();
    await clock.pass(1_000);
    await expect(refused).rejects.toThrow('the instance is stopping');
    allow(true);
    await snapshotter.finish(() => {});
  });

  it('are not read by a second peer once they turned out to be damaged', async () => {
    const { acquire, fill, taken, disk, snapshotFiles } = await open({ persistence });
    await fill(3);
    const handle = await acquire();
    disk.bytesOf(`${DIRECTORY}/${snapshotFiles()[0]!}`)[30]! ^= 1;
    await expect(content(handle)).rejects.toThrow(/is damaged/);
    handle.release();
    expect(await content(await acquire())).toBe('{"1":3}');
    expect(taken()).toBe(2);
  });
});

describe('snapshots for peers', () => {
  it('are temporary where nothing is persisted: gone with their last reader, or at the next start', async () => {
    const { acquire, fill, snapshotFiles, disk } = await open({ persistence: { kind: 'disabled' } });
    await fill(3);
    const [first, second] = [await acquire(), await acquire()];
    expect(snapshotFiles()).toHaveLength(1);
    first.release();
    first.release();
    expect(snapshotFiles()).toHaveLength(1);
    const again = new ToyInstance();
    await again.start(disk.clone(), new ManualClock());
    expect(again.recovered).toEqual([]);
    second.release();
    await turns();
    expect(snapshotFiles()).toEqual([]);
    await fill(3);
    await acquire();
    const killed = disk.clone();
    await new ToyInstance().start(killed, new ManualClock());
    expect(killed.names(DIRECTORY).filter((name) => name.startsWith('feed-'))).toEqual([]);
  });
});
