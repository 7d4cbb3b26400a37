/** Stopping takes as long as an instance writes, and not longer than one that is stuck deserves. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stopNode } from '../../src/node/detach.ts';
import { createOn, eventually, processRuns, TestNodes, type TestNode } from './nodes.ts';

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.close());

const instanceOf = async (node: TestNode) => (await node.client.nodeStatus()).instances[0]!;
/** What `large-` writes: 30 times 1000 bytes in one and a half seconds; it is called stuck after one. */
const LARGE_BYTES = 30_000;

describe('an instance that writes its last for longer than a stuck one is waited for', () => {
  it('is let, and how far it is can be seen', async () => {
    const node = await nodes.start('eu');
    const guid = await createOn([node], 'large-orders');
    await node.client.shutdown();
    await eventually('it is being stopped, and has written something', async () => {
      const { process, stopping } = await instanceOf(node);
      return process === 'stopping' && stopping !== null && stopping.written_bytes > 0;
    });
    await node.stopped;
    expect(statSync(join(nodes.folder('eu', guid), 'data', 'snapshot')).size).toBe(LARGE_BYTES);
  });

  it('is let as well by who ends the instances of a dead daemon, and who waits is told', async () => {
    const node = await nodes.start('eu');
    const guid = await createOn([node], 'large-orders');
    await node.stop({ keepInstances: true });
    const told: string[] = [];
    expect(await stopNode(nodes.home, 'eu', { report: (detail) => told.push(detail) })).toBe(true);
    expect(statSync(join(nodes.folder('eu', guid), 'data', 'snapshot')).size).toBe(LARGE_BYTES);
    expect(told.at(-1)).toMatch(/^large-orders: 0\.0 MB written$/);
  });

  it('is killed when a second word forces it', async () => {
    const node = await nodes.start('eu');
    const guid = await createOn([node], 'large-orders');
    const { pid } = await instanceOf(node);
    void node.stop();
    const snapshot = join(nodes.folder('eu', guid), 'data', 'snapshot');
    await eventually('it writes', () => existsSync(snapshot));
    await node.client.shutdown({ force: true });
    await node.stopped;
    expect(processRuns(pid!)).toBe(false);
    expect(statSync(snapshot).size).toBeLessThan(LARGE_BYTES);
  });
});

describe('an instance that is told to stop and does nothing', () => {
  it.each(['stuck-orders', 'stubborn-orders'])('is killed in the end: %s', async (name) => {
    const node = await nodes.start('eu');
    await createOn([node], name);
    const { pid } = await instanceOf(node);
    await node.stop();
    expect(processRuns(pid!)).toBe(false);
  });

  it('is killed at once when it is forced', async () => {
    const node = await nodes.start('eu');
    await createOn([node], 'stuck-orders');
    const { pid } = await instanceOf(node);
    await node.client.shutdown({ force: true });
    await node.stopped;
    expect(processRuns(pid!)).toBe(false);
  });
});

describe('an instance that is stopped by a signal', () => {
  it('is called unresponsive with what to do, is not killed, and is well again when it goes on', async () => {
    const node = await nodes.start('eu');
    const guid = await createOn([node], 'orders');
    const { pid } = await instanceOf(node);
    process.kill(pid!, 'SIGSTOP');
    await eventually('it is noticed', async () => (await instanceOf(node)).process === 'unresponsive');
    const { unresponsive } = await instanceOf(node);
    expect(unresponsive!.reason).toContain(`kill -CONT ${pid}`);
    expect(Date.parse(unresponsive!.since)).toBeLessThan(Date.now());
    expect(await node.client.syncStatus(guid)).toMatchObject({ process: 'unresponsive', unresponsive, links: [] });
    process.kill(pid!, 'SIGCONT');
    await eventually('it is well', async () => (await instanceOf(node)).process === 'running');
    expect(await instanceOf(node)).toMatchObject({ pid, restarts: 0, unresponsive: null });
  });

  it('can be stopped for good', async () => {
    const node = await nodes.start('eu');
    await createOn([node], 'orders');
    const { pid } = await instanceOf(node);
    process.kill(pid!, 'SIGSTOP');
    await node.stop();
    expect(processRuns(pid!)).toBe(false);
  });
});
