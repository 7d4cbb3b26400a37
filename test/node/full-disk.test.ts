/**
 * What a full disk does to the node's own files. No test can fill a disk everywhere, so a file is made impossible to replace instead: the
 * same call fails.
 */
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createOn, eventually, TestNodes } from './nodes.ts';

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.close());

describe('a node that cannot record the pid of an instance', () => {
  it('looks after the one that it has started, and starts no second one beside it', async () => {
    const node = await nodes.start('eu');
    const guid = await createOn([node], 'orders');
    const record = join(nodes.folder('eu', guid), 'instance.pid');
    const instance = async () => (await node.client.nodeStatus()).instances[0]!;
    const before = await instance();
    rmSync(record);
    mkdirSync(record);
    process.kill(before.pid!, 'SIGKILL');
    await eventually('it runs again', async () => {
      const now = await instance();
      return now.process === 'running' && now.pid !== before.pid;
    });
    expect(await instance()).toMatchObject({ restarts: 1, last_exit: 'killed by SIGKILL' });
    rmdirSync(record);
  });
});
