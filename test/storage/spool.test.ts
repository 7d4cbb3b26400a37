import { describe, expect, it } from '@jest/globals';
import { spoolPosition } from '../../src/storage/file-names.ts';
import { readSnapshotFile } from '../../src/storage/snapshot-file.ts';
import { Spools, type Spool } from '../../src/storage/spool.ts';
import { DIRECTORY, turns } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

async function readAll(disk: MemoryDisk, spool: Spool): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  await readSnapshotFile(disk, `${DIRECTORY}/${spool.file}`, (bytes) => {
    pieces.push(Buffer.from(bytes));
    return Promise.resolve();
  });
  return Buffer.concat(pieces);
}

function bytesOf(count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  for (let i = 0; i < count; i++) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

const openSpools = (disk: MemoryDisk): Spools => new Spools({ disk, directory: DIRECTORY, endPosition: () => 4096 });
const makeSpool = (disk: MemoryDisk): Spool => openSpools(disk).create(3);

describe('a spool', () => {
  it('keeps what it was given', async () => {
    const disk = new MemoryDisk();
    const spool = makeSpool(disk);
    const bytes = bytesOf(1_000_003);
    for (let at = 0; at < bytes.length; at += 7_777) {
      // The sender's buffer is reused for the next bytes.
      const lent = Buffer.from(bytes.subarray(at, at + 7_777));
      spool.append(lent);
      lent.fill(0);
    }
    await spool.finish();
    expect((await readAll(disk, spool)).equals(bytes)).toBe(true);
    await spool.discard();
  });

  it('has its final name only when it is complete and durable', async () => {
    const disk = new MemoryDisk();
    const spool = makeSpool(disk);
    spool.append(bytesOf(100));
    await turns();
    expect(disk.names(DIRECTORY)).toEqual([`${spool.file}.tmp`]);
    await spool.finish();
    expect(spool.file).toBe('merge-0000000000004096-3-1');
    expect(disk.afterCrash().names(DIRECTORY)).toEqual([spool.file]);
    await spool.discard();
    expect(disk.names(DIRECTORY)).toEqual([]);
  });

  it('asks its sender to wait while the disk is behind, and tells when to go on', async () => {
    const spool = makeSpool(new MemoryDisk());
    let drained = 0;
    spool.onDrain = () => drained++;
    let going = true;
    let sent = 0;
    while (going && sent < 100) {
      going = spool.append(bytesOf(256 * 1024));
      sent++;
    }
    expect(sent).toBeLessThan(100);
    expect(drained).toBe(0);
    await turns(100);
    expect(drained).toBe(1);
    await spool.finish();
  });

  it('reports a full disk at the end, lets its sender go on until then, and leaves nothing', async () => {
    const disk = new MemoryDisk();
    const spool = makeSpool(disk);
    let drained = 0;
    spool.onDrain = () => drained++;
    await turns();
    disk.writeError = new Error('ENOSPC: no space left on device');
    while (spool.append(bytesOf(1024 * 1024))) continue;
    await turns(20);
    expect(drained).toBe(1);
    await expect(spool.finish()).rejects.toThrow('ENOSPC');
    await spool.discard();
    expect(disk.names(DIRECTORY)).toEqual([]);
  });

  it('can be discarded while it is being received', async () => {
    const disk = new MemoryDisk();
    const spool = makeSpool(disk);
    spool.append(bytesOf(3_000_000));
    await spool.discard();
    expect(disk.names(DIRECTORY)).toEqual([]);
  });

  it('that is discarded takes nothing from the next one, though the log has not moved and the disk is slow', async () => {
    const disk = new MemoryDisk();
    const spools = openSpools(disk);
    const first = spools.create(3);
    first.append(bytesOf(600_000));
    const discarding = first.discard();
    const second = spools.create(3);
    second.append(bytesOf(100));
    await Promise.all([second.finish(), discarding]);
    expect(disk.names(DIRECTORY)).toEqual([second.file]);
    expect(await readAll(disk, second)).toEqual(bytesOf(100));
  });

  it('is known by its name, and so is one of an earlier release', () => {
    const { file } = makeSpool(new MemoryDisk());
    expect(['merge-0000000000004096-3', file, `${file}.tmp`].map(spoolPosition)).toEqual([4096, 4096, null]);
  });

  it('is needed until a snapshot is taken behind the frame that names it', async () => {
    const spools = openSpools(new MemoryDisk());
    const spool = spools.create(3);
    await spool.finish();
    expect(spools.isNeeded(spool.file, 9_000)).toBe(true);
    spool.noteMerged(10_000);
    expect(spools.isNeeded(spool.file, 9_000)).toBe(true);
    expect(spools.isNeeded('merge-0000000000004096-3-7', 9_000)).toBe(false);
    expect(spools.isNeeded(spool.file, 10_000)).toBe(false);
  });
});
