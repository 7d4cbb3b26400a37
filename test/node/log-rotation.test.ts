import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readLogTail } from '../../src/node/files.ts';
import { LOG_BYTES_MAX } from '../../src/node/limits.ts';
import { rotateLog } from '../../src/node/log-rotation.ts';
import { createOn, eventually, TestNodes } from './nodes.ts';

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crdb-log-'));
  log = join(folder, 'node.log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a log that is too large', () => {
  it('is set aside while its process goes on writing, and no line is torn', async () => {
    const lines = 4000;
    const script = `let n = 0; const t = setInterval(() => { for (let i = 0; i < 40; i++) console.log('line ' + n++);
      if (n >= ${lines}) clearInterval(t); }, 1)`;
    const descriptor = openSync(log, 'a', 0o600);
    const writer = spawn(process.execPath, ['-e', script], { stdio: ['ignore', descriptor, descriptor] });
    const ended = once(writer, 'exit');
    await eventually('it has grown', () => rotateLog(log, 4096));
    await ended;
    const before = readFileSync(`${log}.1`, 'utf8').trim().split('\n');
    const after = readFileSync(log, 'utf8').trim().split('\n');
    expect(before[0]).toBe('line 0');
    expect(after.at(-1)).toBe(`line ${lines - 1}`);
    expect([...before, ...after].filter((line) => !/^line \d+$/.test(line))).toEqual([]);
    expect(statSync(`${log}.1`).mode & 0o777).toBe(0o600);
  });

  it('replaces the one that was set aside before; a smaller one and an absent one are left', () => {
    expect(rotateLog(log, 3)).toBe(false);
    writeFileSync(log, 'old');
    expect(rotateLog(log, 3)).toBe(false);
    writeFileSync(`${log}.1`, 'older');
    expect(rotateLog(log, 2)).toBe(true);
    expect([readFileSync(log, 'utf8'), readFileSync(`${log}.1`, 'utf8')]).toEqual(['', 'old']);
  });

  it('still gives its last line, though it is shorter than when the process started', async () => {
    writeFileSync(log, 'the reason\n');
    expect(await readLogTail(log, 1000, 1)).toEqual(['the reason']);
    expect(await readLogTail(log, 11, 1)).toEqual([]);
  });

  it('is found by the daemon, be it its own or that of an instance', async () => {
    const nodes = new TestNodes();
    try {
      const node = await nodes.start('eu');
      const guid = await createOn([node], 'orders');
      const own = join(nodes.home, 'nodes', 'eu', 'node.log');
      writeFileSync(own, '');
      const logs = [own, join(nodes.folder('eu', guid), 'instance.log')];
      for (const path of logs) truncateSync(path, LOG_BYTES_MAX + 1);
      await eventually('both are set aside', () => logs.every((path) => existsSync(`${path}.1`)));
      expect(logs.map((path) => statSync(path).size)).toEqual([0, 0]);
    } finally {
      await nodes.close();
    }
  });
});
