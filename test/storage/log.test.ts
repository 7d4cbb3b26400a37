import { describe, expect, it } from '@jest/globals';
import { FRAME } from '../../src/crdt/frame.ts';
import { framesOf } from '../../src/storage/log-frames.ts';
import { ManualClock, readAll, ToyInstance, turns } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

const ALWAYS = { persistence: { kind: 'aof', fsync: 'always' } } as const;
const EVERY_SEC_LOG = { persistence: { kind: 'aof', fsync: 'every-sec' } } as const;

async function start(options: Parameters<ToyInstance['start']>[2] = {}, disk = new MemoryDisk()) {
  const clock = new ManualClock();
  const instance = new ToyInstance();
  const { log, recovery } = await instance.start(disk, clock, options);
  return { disk, clock, instance, log, recovery };
}

const batchesIn = (bytes: Buffer): Buffer[] =>
  [...framesOf(bytes, 0, bytes.length)]
    .filter((frame) => frame.kind === FRAME.batch)
    .map((frame) => bytes.subarray(frame.start, frame.end));

describe('positions', () => {
  it('writes what was committed in a millisecond with one write, and syncs once per second', async () => {
    const { disk, clock, instance, log } = await start();
    const [writes, syncs] = [disk.writes, disk.syncs];
    for (let i = 0; i < 10; i++) instance.commit(1, Buffer.from(`value ${i}`));
    expect(log.unwrittenBytes).toBeGreaterThan(0);
    await clock.pass(6);
    expect(disk.writes - writes).toBe(1);
    expect(log.writtenPosition).toBe(log.endPosition);
    expect(log.durablePosition).toBeLessThan(log.endPosition);
    expect(log.publishPosition).toBe(log.endPosition);
    await clock.pass(2_000);
    expect(disk.syncs - syncs).toBe(1);
    expect(log.durablePosition).toBe(log.endPosition);
    expect(log.durableVector.covers(instance.vector)).toBe(true);
  });

  it('wakes feeds once per flush', async () => {
    const { clock, instance, log } = await start();
    let woken = 0;
    log.onPublishable = () => woken++;
    for (let i = 0; i < 10; i++) instance.commit(1, Buffer.from('x'));
    await clock.pass(6);
    expect(woken).toBe(1);
  });

  it('says once that a sync takes long', async () => {
    const { disk, clock, instance } = await start();
    disk.holdSyncs = true;
    instance.commit(1, Buffer.from('x'));
    await clock.pass(6_000);
    expect(instance.slowSyncsMs).toEqual([2_000]);
    disk.holdSyncs = false;
    disk.releaseSyncs();
    await clock.pass(2_000);
    expect(instance.slowSyncsMs).toHaveLength(1);
    expect(instance.log!.durablePosition).toBe(instance.log!.endPosition);
  });

  it('calls whoever waits for a position in order, and at once when it is durable', async () => {
    const { clock, instance, log } = await start();
    const called: number[] = [];
    instance.commit(1, Buffer.from('x'));
    log.whenDurable(log.endPosition, () => called.push(1));
    instance.commit(1, Buffer.from('y'));
    log.whenDurable(log.endPosition, () => called.push(2));
    expect(called).toEqual([]);
    await clock.pass(1_100);
    expect(called).toEqual([1, 2]);
    log.whenDurable(log.durablePosition, () => called.push(3));
    expect(called).toEqual([1, 2, 3]);
  });
});

describe('under every-sec, what a turn committed', () => {
  it('is with the system, in one write, when it was handed over', async () => {
    const { disk, instance, log } = await start();
    const writes = disk.writes;
    for (let i = 0; i < 10; i++) instance.commit(1, Buffer.from(`value ${i}`));
    log.handOver();
    expect(log.unwrittenBytes).toBe(0);
    expect(disk.writes - writes).toBe(1);
    log.handOver();
    expect(disk.writes - writes).toBe(1);
    const { recovery } = await start({}, disk);
    expect(recovery!.log.endPosition).toBe(log.endPosition);
  });

  it('waits for nobody while a sync runs, and goes with one write when that has taken its turn', async () => {
    const { disk, clock, instance, log } = await start();
    instance.commit(1, Buffer.from('x'));
    log.handOver();
    disk.holdSyncs = true;
    await clock.pass(1_000);
    expect(disk.heldSyncs).toBe(1);
    const writes = disk.writes;
    for (let i = 0; i < 10; i++) {
      instance.commit(1, Buffer.from('y'));
      log.handOver();
    }
    expect(log.unwrittenBytes).toBeGreaterThan(0);
    await turns();
    expect(log.unwrittenBytes).toBe(0);
    expect(disk.writes - writes).toBe(2);
    disk.holdSyncs = false;
    disk.releaseSyncs();
    await turns();
    instance.commit(1, Buffer.from('z'));
    log.handOver();
    expect(log.unwrittenBytes).toBe(0);
  });

  it.each([EVERY_SEC_LOG, ALWAYS])(
    'waits for room on a full disk, and loses nothing ($persistence.fsync)',
    async (how) => {
      const { disk, clock, instance, log } = await start({ ...how, segmentBytes: 200 });
      const frames = [instance.commit(1, Buffer.from('before'))];
      log.handOver();
      await clock.pass(1_100);
      disk.writeError = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      let acknowledged = 0;
      for (let i = 0; i < 20; i++) {
        frames.push(instance.commit(1, Buffer.alloc(30, i)));
        log.handOver();
        log.whenDurable(log.endPosition, () => acknowledged++);
        await clock.pass(300);
      }
      expect(log.noRoom?.message).toMatch('ENOSPC');
      expect(instance.room).toHaveLength(1);
      expect(acknowledged).toBe(0);
      expect(log.publishPosition).toBeLessThan(log.endPosition);
      disk.writeError = null;
      await clock.pass(5_000);
      expect(instance.room).toEqual([expect.any(Error), null]);
      expect([log.noRoom, acknowledged, instance.fatal]).toEqual([null, 20, []]);
      const again = new ToyInstance();
      await again.start(disk.afterCrash(), new ManualClock());
      expect(again.recovered).toEqual(frames);
    },
  );

  it('ends everything when more waits for room than memory may hold, or when it is to be closed', async () => {
    for (const how of ['too much', 'closed']) {
      const { disk, clock, instance, log } = await start({ roomUnwrittenBytesMax: 500 });
      disk.writeError = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      instance.commit(1, Buffer.alloc(100));
      await clock.pass(1_000);
      expect(instance.fatal).toEqual([]);
      if (how === 'closed') await log.close();
      else for (let i = 0; i < 6; i++) instance.commit(1, Buffer.alloc(100));
      expect(instance.fatal.map((error) => error.message)).toEqual(['ENOSPC']);
    }
  });

  it('ends everything when it cannot be written', async () => {
    const { disk, clock, instance, log } = await start();
    disk.writeError = new Error('ENOSPC: no space left on device');
    instance.commit(1, Buffer.from('x'));
    log.handOver();
    expect(instance.fatal.map((error) => error.message)).toEqual(['ENOSPC: no space left on device']);
    disk.writeError = null;
    instance.commit(1, Buffer.from('y'));
    log.handOver();
    await clock.pass(5_000);
    expect(log.unwrittenBytes).toBeGreaterThan(0);
    expect(instance.fatal).toHaveLength(1);
    await log.close();
  });
});

describe('under always', () => {
  it('neither publishes nor acknowledges before the sync has returned', async () => {
    const { disk, instance, log } = await start(ALWAYS);
    const durableBefore = log.durablePosition;
    disk.holdSyncs = true;
    let acknowledged = false;
    instance.commit(1, Buffer.from('x'));
    log.whenDurable(log.endPosition, () => (acknowledged = true));
    await turns();
    expect(disk.heldSyncs).toBe(1);
    expect(acknowledged).toBe(false);
    expect(log.publishPosition).toBe(durableBefore);
    expect(log.read(durableBefore, 100)).toHaveLength(0);
    disk.holdSyncs = false;
    disk.releaseSyncs();
    await turns();
    expect(acknowledged).toBe(true);
    expect(log.publishPosition).toBe(log.endPosition);
  });

  it('puts everything that is committed during a sync into the next group', async () => {
    const { disk, instance, log } = await start(ALWAYS);
    disk.holdSyncs = true;
    instance.commit(1, Buffer.from('first'));
    await turns();
    const writes = disk.writes;
    const acknowledged: number[] = [];
    for (let i = 0; i < 5; i++) {
      instance.commit(1, Buffer.from('more'));
      log.whenDurable(log.endPosition, () => acknowledged.push(i));
      await turns(2);
    }
    expect(disk.writes).toBe(writes);
    disk.holdSyncs = false;
    disk.releaseSyncs();
    await turns(8);
    expect(disk.writes).toBe(writes + 1);
    expect(acknowledged).toEqual([0, 1, 2, 3, 4]);
  });

  it.each(['writeError', 'syncError'] as const)(
    'ends everything at a %s: nothing is acknowledged any more',
    async (kind) => {
      const { disk, clock, instance, log } = await start(ALWAYS);
      let acknowledged = 0;
      disk[kind] = new Error('ENOSPC: no space left on device');
      instance.commit(1, Buffer.from('x'));
      log.whenDurable(log.endPosition, () => acknowledged++);
      await turns();
      expect(instance.fatal.map((error) => error.message)).toEqual(['ENOSPC: no space left on device']);
      disk[kind] = null;
      instance.commit(1, Buffer.from('y'));
      log.whenDurable(log.endPosition, () => acknowledged++);
      await clock.pass(5_000);
      expect(acknowledged).toBe(0);
      expect(instance.fatal).toHaveLength(1);
      await log.close();
    },
  );
});

describe('segments', () => {
  it('begins a new file when one is full; the files together are the log', async () => {
    const { disk, clock, instance, log } = await start({ segmentBytes: 500, memoryWindowBytes: 0 });
    const frames: Buffer[] = [];
    for (let i = 0; i < 40; i++) {
      frames.push(instance.commit(1 + (i % 3), Buffer.alloc(50, i)));
      await clock.pass(6);
    }
    const files = disk.names('/data').filter((name) => name.startsWith('log-'));
    expect(files.length).toBeGreaterThan(4);
    const bytes = Buffer.concat(files.map((name) => disk.bytesOf(`/data/${name}`)));
    expect(bytes.length).toBe(log.endPosition);
    expect(batchesIn(bytes)).toEqual(frames);
    expect(await readAll(log, 0)).toEqual(bytes);
  });

  it('keeps its segments small while the disk is stuck', async () => {
    const { disk, instance, log } = await start({ ...ALWAYS, segmentBytes: 8 << 20 });
    disk.holdSyncs = true;
    for (let i = 0; i < 40; i++) instance.commit(1, Buffer.alloc(1 << 20));
    await turns();
    disk.holdSyncs = false;
    disk.releaseSyncs();
    await turns(60);
    expect(log.durablePosition).toBe(log.endPosition);
    const sizes = disk
      .names('/data')
      .filter((name) => name.startsWith('log-'))
      .map((name) => disk.bytesOf(`/data/${name}`).length);
    expect(sizes.length).toBeGreaterThanOrEqual(4);
    expect(Math.max(...sizes)).toBeLessThan(14 << 20);
  });

  it('deletes segments only when a snapshot, the backlog and every feed let them go', async () => {
    const { disk, clock, instance, log } = await start({
      segmentBytes: 1_000,
      backlogBytesMax: 2_000,
      retainBytesMax: 20_000,
      memoryWindowBytes: 0,
    });
    const fill = async (count: number) => {
      for (let i = 0; i < count; i++) {
        instance.commit(1, Buffer.alloc(100));
        await clock.pass(6);
      }
      await clock.pass(1_000);
    };
    await fill(50);
    expect(log.startPosition).toBe(0);
    log.retain('feed', 3_000);
    await log.snapshotTaken(log.markSnapshot(), instance.vector);
    expect(log.startPosition).toBeGreaterThan(1_000);
    expect(log.startPosition).toBeLessThanOrEqual(3_000);
    expect(log.floor.get(0)).toBeGreaterThan(0);
    expect(await readAll(log, 0)).toBeNull();
    log.release('feed');
    await clock.pass(1_000);
    expect(log.startPosition).toBeGreaterThan(3_000);
    expect(log.endPosition - log.startPosition).toBeGreaterThanOrEqual(2_000);
    expect(disk.names('/data').filter((name) => name.startsWith('log-')).length).toBeLessThan(6);

    log.retain('slow', log.startPosition);
    await fill(250);
    await log.snapshotTaken(log.markSnapshot(), instance.vector);
    expect(log.endPosition - log.startPosition).toBeLessThan(5_000);
  });

  it('keeps a reader of a deleted segment going to the end of its read', async () => {
    const { clock, instance, log } = await start({ segmentBytes: 1_000, backlogBytesMax: 1_000, memoryWindowBytes: 0 });
    for (let i = 0; i < 200; i++) {
      instance.commit(1, Buffer.alloc(100));
      await clock.pass(6);
    }
    const reading = log.read(0, 100);
    await log.snapshotTaken(log.markSnapshot(), instance.vector);
    expect(await reading).toHaveLength(100);
  });
});

describe('where a feed starts', () => {
  it('is at a checkpoint from which every missing batch follows', async () => {
    const { clock, instance, log } = await start({ segmentBytes: 2_000 });
    const vectors = [];
    for (let i = 0; i < 100; i++) {
      instance.commit(1 + (i % 2), Buffer.alloc(60));
      vectors.push(instance.vector.clone());
      await clock.pass(6);
    }
    for (const have of vectors) {
      const location = log.locate(have, [0]);
      if (!('position' in location)) throw new Error('the log holds everything');
      const bytes = (await readAll(log, location.position))!;
      const seqs = batchesIn(bytes)
        .filter((batch) => batch[6] === 1)
        .map((batch) => batch.readUIntLE(11, 6));
      const wanted = Array.from({ length: 50 - have.get(0) }, (_, i) => have.get(0) + 1 + i);
      expect(seqs.filter((seq) => seq > have.get(0))).toEqual(wanted);
    }
    expect(log.locate(instance.vector, [0, 1])).toEqual({ position: log.endPosition });
  });

  it('is nowhere for a reader that lacks what a full sync brought', async () => {
    const { clock, instance, log } = await start();
    const before = instance.vector.clone();
    instance.commit(1, Buffer.from('x'));
    const snapshotVector = instance.vector.clone();
    const other = instance.origins.indexOf(2, 7);
    snapshotVector.set(other, 50);
    const vectorBefore = instance.vector.clone();
    instance.vector.raiseAll(snapshotVector);
    log.noteMerge({ file: '', vectorBefore, snapshotVector });
    instance.commit(2, Buffer.from('y'));
    await clock.pass(6);
    expect(log.locate(before, [other])).toEqual({ missing: { origin: other, have: 0, floor: 50 } });
    expect(log.locate(before, [0])).toEqual({ position: 0 });
    expect(log.locate(snapshotVector, [0, other])).toHaveProperty('position');
  });
});

describe('without a log file', () => {
  it.each(['snapshot', 'disabled'] as const)('keeps the backlog in memory (%s)', async (kind) => {
    const { disk, clock, instance, log } = await start({ persistence: { kind }, backlogBytesMax: 3 << 20 });
    for (let i = 0; i < 100; i++) {
      instance.commit(1, Buffer.alloc(100_000));
      await clock.pass(6);
    }
    expect(disk.names('/data')).toEqual(['manifest.json']);
    expect(log.durablePosition).toBe(log.endPosition);
    expect(log.endPosition - log.startPosition).toBeGreaterThanOrEqual(3 << 20);
    expect(log.endPosition - log.startPosition).toBeLessThan(5 << 20);
    const have = instance.vector.clone();
    have.set(0, log.floor.get(0));
    expect(log.locate(have, [0])).toEqual({ position: log.startPosition });
    have.set(0, log.floor.get(0) - 1);
    expect(log.locate(have, [0])).toHaveProperty('missing');
    expect(log.durableVector.get(0)).toBe(kind === 'disabled' ? 100 : 0);
    await log.close();
  });
});
