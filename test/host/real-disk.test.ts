import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { RealDisk } from '../../src/host/real-disk.ts';

const disk = new RealDisk();
let directory = '';

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'disk-'));
});

afterEach(() => fs.rm(directory, { recursive: true }));

describe('the real disk', () => {
  it('writes and reads at offsets, and reports what a file ends with', async () => {
    const file = await disk.open(`${directory}/a`, 'create');
    await file.write(Buffer.from('hello world'), 0);
    await file.write(Buffer.from('W'), 6);
    await file.sync();
    const bytes = Buffer.alloc(20);
    expect(await file.read(bytes, 6)).toBe(5);
    expect(bytes.subarray(0, 5).toString()).toBe('World');
    await file.truncate(5);
    expect(await file.size()).toBe(5);
    await file.close();
  });

  it('opens an existing file without truncating it, and makes it readable by its owner only', async () => {
    await disk.replaceFile(`${directory}/a`, Buffer.from('kept'));
    const file = await disk.open(`${directory}/a`, 'create');
    expect(await file.size()).toBe(4);
    await file.close();
    expect((await fs.stat(`${directory}/a`)).mode & 0o777).toBe(0o600);
  });

  it('replaces a file as a whole and leaves no temporary one', async () => {
    await disk.replaceFile(`${directory}/a`, Buffer.from('a longer first content'));
    await disk.replaceFile(`${directory}/a`, Buffer.from('second'));
    expect(Buffer.from((await disk.readFile(`${directory}/a`))!).toString()).toBe('second');
    expect(await disk.list(directory)).toEqual(['a']);
  });

  it('tells a file from its copy, though everything about them is the same', async () => {
    let told = '';
    await disk.replaceFile(`${directory}/a`, (identity) => Buffer.from((told = identity)));
    expect(await disk.identify(`${directory}/a`)).toBe(told);
    await disk.rename(`${directory}/a`, `${directory}/moved`);
    expect(await disk.identify(`${directory}/moved`)).toBe(told);
    execFileSync('cp', ['-a', `${directory}/moved`, `${directory}/a`]);
    expect(await disk.identify(`${directory}/a`)).not.toBe(told);
    // As a backup tool does it: the old file goes, its number is free for the new one.
    await disk.remove(`${directory}/moved`);
    execFileSync('cp', ['-a', `${directory}/a`, `${directory}/moved`]);
    expect(await disk.identify(`${directory}/moved`)).not.toBe(told);
    expect(await disk.identify(`${directory}/absent`)).toBeNull();
  });

  it('takes absence for an answer where that is no error, and rejects where it is', async () => {
    expect(await disk.readFile(`${directory}/absent`)).toBeNull();
    expect(await disk.list(`${directory}/absent`)).toEqual([]);
    await disk.remove(`${directory}/absent`);
    await expect(disk.open(`${directory}/absent`, 'read')).rejects.toThrow('ENOENT');
    await disk.makeDirectory(`${directory}/b/c`);
    await disk.makeDirectory(`${directory}/b/c`);
    expect(await disk.list(directory)).toEqual(['b']);
  });

  it('rejects what the system refuses', async () => {
    await disk.replaceFile(`${directory}/a`, Buffer.from('x'));
    const file = await disk.open(`${directory}/a`, 'read');
    await expect(file.write(Buffer.from('y'), 0)).rejects.toThrow('EBADF');
    await file.close();
  });
});
