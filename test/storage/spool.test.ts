import { describe, expect, it } from '@jest/globals';
import { FileSpool, MemorySpool, type Spool } from '../../src/storage/spool.ts';
import { DIRECTORY, turns } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

async function readAll(spool: Spool): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let piece = await spool.next(); piece !== null; piece = await spool.next()) pieces.push(piece);
  return Buffer.concat(pieces);
}

function bytesOf(count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  for (let i = 0; i < count; i++) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

const makeFileSpool = (disk: MemoryDisk): FileSpool =>
  new FileSpool({ disk, directory: DIRECTORY, position: 4096, from: 3 });

describe('a spool', () => {
  it.each([
    ['a file', () => makeFileSpool(new MemoryDisk())],
    ['memory', () => new MemorySpool()],
  ])('gives back what it was given, in slices (%s)', async (_, make) => {
    const spool = make();
    const bytes = bytesOf(1_000_003);
    for (let at = 0; at < bytes.length; at += 7_777) {
      // The sender's buffer is reused for the next bytes.
      const lent = Buffer.from(bytes.subarray(at, at + 7_777));
      spool.append(lent);
      lent.fill(0);
    }
    await spool.finish();
    expect(spool.receivedBytes).toBe(bytes.length);
    expect((await readAll(spool)).equals(bytes)).toBe(true);
    await spool.discard();
  });

  it('has its final name only when it is complete and durable', async () => {
    const disk = new MemoryDisk();
    const spool = makeFileSpool(disk);
    spool.append(bytesOf(100));
    await turns();
    expect(disk.names(DIRECTORY)).toEqual([`${spool.file}.tmp`]);
    await spool.finish();
    expect(spool.file).toBe('merge-0000000000004096-3');
    expect(disk.afterCrash().names(DIRECTORY)).toEqual([spool.file]);
    await spool.discard();
    expect(disk.names(DIRECTORY)).toEqual([]);
  });

  it('asks its sender to wait while the disk is behind, and tells when to go on', async () => {
    const spool = makeFileSpool(new MemoryDisk());
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
    const spool = makeFileSpool(disk);
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
    const spool = makeFileSpool(disk);
    spool.append(bytesOf(3_000_000));
    await spool.discard();
    expect(disk.names(DIRECTORY)).toEqual([]);
  });
});
