import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stopNode } from '../../src/node/detach.ts';
import { listNodes, readNode } from '../../src/node/home.ts';
import { createOn, eventually, isListening, processRuns, TestNodes, type TestNode } from './nodes.ts';

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.close());

const instanceOf = async (node: TestNode) => (await node.client.nodeStatus()).instances[0]!;

describe('an instance that crashes', () => {
  it('is started again, and the node tells how often and why', async () => {
    const node = await nodes.start('eu');
    const guid = await createOn([node], 'orders');
    const before = await instanceOf(node);
    process.kill(before.pid!, 'SIGKILL');
    await eventually('it runs again', async () => {
      const now = await instanceOf(node);
      return now.process === 'running' && now.pid !== before.pid;
    });
    expect(await instanceOf(node)).toMatchObject({
      restarts: 1,
      last_exit: 'killed by SIGKILL',
      endpoint: before.endpoint,
    });
    expect((await node.client.syncStatus(guid)).process).toBe('running');
  });
});

describe('an instance whose port another program has taken', () => {
  it('is tried again until it has it, and who has it is told', async () => {
    const first = await nodes.start('eu');
    const guid = await createOn([first], 'orders');
    const { endpoint } = await instanceOf(first);
    await first.stop();
    const [host, port] = endpoint.split(':') as [string, string];
    const thief = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => thief.listen(Number(port), host, resolve));
    try {
      const second = await nodes.start('eu');
      const words = new RegExp(`^port ${port} on ${host} is in use by .+, process ${process.pid}$`);
      await eventually('it has tried more than once', async () => (await instanceOf(second)).restarts > 1);
      expect((await instanceOf(second)).last_exit).toMatch(words);
      expect((await second.client.syncStatus(guid)).last_exit).toMatch(words);
      await new Promise((resolve) => thief.close(resolve));
      await eventually('it runs', async () => (await instanceOf(second)).process === 'running');
    } finally {
      thief.close();
    }
  });
});

describe('a daemon that goes and comes back', () => {
  it('listens where it did before, unless it is told otherwise', async () => {
    const first = await nodes.start('eu', '127.0.0.2');
    const { port } = new URL(first.info.url);
    await first.stop();
    const second = await nodes.startWithoutPort('eu');
    expect(second.info.url).toBe(`https://127.0.0.2:${port}`);
    expect(second.record.host).toBe('127.0.0.2');
    await second.stop();
    expect((await nodes.start('eu', '127.0.0.1')).record.host).toBe('127.0.0.1');
  });

  it('takes up an instance that ran on without it', async () => {
    const first = await nodes.start('eu');
    const guid = await createOn([first], 'orders');
    const { pid, endpoint } = await instanceOf(first);
    await first.stop({ keepInstances: true });
    expect(processRuns(pid!)).toBe(true);
    const second = await nodes.start('eu');
    await eventually('it is adopted', async () => (await instanceOf(second)).process === 'running');
    expect(await instanceOf(second)).toMatchObject({ guid, pid, endpoint, restarts: 0 });
    // It may have missed a change of its configuration meanwhile, so it is told again.
    const calls = join(nodes.folder('eu', guid), 'data', 'calls.log');
    await eventually('it is configured', () => readFileSync(calls, 'utf8').includes('CRDT.CONFIGURE'));
    process.kill(pid!, 'SIGKILL');
    await eventually('an adopted instance is restarted as well', async () => {
      const now = await instanceOf(second);
      return now.process === 'running' && now.pid !== pid;
    });
  });

  it('starts an instance that ended while there was no daemon', async () => {
    const first = await nodes.start('eu');
    await createOn([first], 'orders');
    const { pid } = await instanceOf(first);
    await first.stop();
    expect(processRuns(pid!)).toBe(false);
    const second = await nodes.start('eu');
    await eventually('it runs again', async () => (await instanceOf(second)).process === 'running');
  });

  it('comes back under the same admin address', async () => {
    const first = await nodes.start('eu');
    await first.stop();
    const again = await nodes.startWithoutPort('eu');
    expect(again.record.adminUrl).toBe(first.record.adminUrl);
    expect(again.certificate).toBe(first.certificate);
  });

  it('is refused while another one runs for the same node', async () => {
    await nodes.start('eu');
    await expect(nodes.start('eu')).rejects.toMatchObject({ code: 'node_already_running' });
  });
});

describe('stopping a node', () => {
  it('leaves no process and no listener, and the node known', async () => {
    const node = await nodes.start('eu');
    await createOn([node], 'orders');
    const { pid, endpoint } = await instanceOf(node);
    await node.client.shutdown();
    await node.stopped;
    expect(processRuns(pid!)).toBe(false);
    expect(await isListening(endpoint)).toBe(false);
    expect(await isListening(node.record.adminUrl.replace('https://', ''))).toBe(false);
    expect(await listNodes(nodes.home)).toMatchObject([{ cluster: 'eu', alive: false, process: null }]);
    expect(await stopNode(nodes.home, 'eu')).toBe(false);
  });

  it('also ends instances whose daemon is dead', async () => {
    const node = await nodes.start('eu');
    await createOn([node], 'orders');
    const { pid, endpoint } = await instanceOf(node);
    await node.stop({ keepInstances: true });
    expect(await stopNode(nodes.home, 'eu')).toBe(true);
    expect(processRuns(pid!)).toBe(false);
    expect(await isListening(endpoint)).toBe(false);
  });

  it('names a node that does not exist', async () => {
    await expect(stopNode(nodes.home, 'eu')).rejects.toMatchObject({ code: 'node_not_found' });
    expect(await readNode(nodes.home, 'eu')).toBeNull();
  });
});
