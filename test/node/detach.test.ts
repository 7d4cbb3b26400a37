/** The daemon as a process of its own, as the command line starts it. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../../src/admin/client.ts';
import { removeNode, startDetached, stopNode, type DetachOptions } from '../../src/node/detach.ts';
import { readNode, type LocalNode } from '../../src/node/home.ts';
import { listOrphans } from '../../src/node/orphans.ts';
import { createRequest } from '../../src/admin/contract.ts';
import { eventually, FAKE_INSTANCE, freePort, isListening, processRuns, taskEnd, TestNodes } from './nodes.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'node', 'main.ts');

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.close());

const options = async (more: Partial<DetachOptions> = {}): Promise<DetachOptions> => ({
  home: nodes.home,
  cluster: 'eu',
  version: '0.0.0-test',
  adminPort: await freePort(),
  entry: { flags: ['--import', 'tsx'], script: MAIN },
  instanceScript: FAKE_INSTANCE,
  ...more,
});

const clientOf = ({ cluster, adminUrl, credentials, certificate }: LocalNode): AdminClient =>
  nodes.client({ name: cluster, url: adminUrl, credentials, certificate });

async function createOn(node: LocalNode, name: string): Promise<void> {
  const { cluster, adminUrl, certificate } = node;
  const client = clientOf(node);
  const request = createRequest.parse({
    name,
    instances: [{ cluster: { name: cluster, url: adminUrl, certificate } }],
  });
  expect(await taskEnd(client, await client.createDatabase(request))).toMatchObject({ status: 'finished' });
}

describe('a detached node', () => {
  it('answers when it is started, logs events as JSON, and is gone when it is stopped', async () => {
    const node = await startDetached(await options());
    await createOn(node, 'orders');
    const status = await clientOf(node).nodeStatus();
    const [instance] = status.instances;
    expect(status).toMatchObject({
      cluster: 'eu',
      version: '0.0.0-test',
      pid: node.process!.pid,
      admin_url: node.adminUrl,
    });
    await expect(startDetached(await options())).rejects.toMatchObject({ code: 'node_already_running' });
    expect(await stopNode(nodes.home, 'eu')).toBe(true);
    expect(processRuns(status.pid)).toBe(false);
    expect(processRuns(instance!.pid!)).toBe(false);
    expect(await isListening(instance!.endpoint)).toBe(false);
    expect(await readNode(nodes.home, 'eu')).toMatchObject({ alive: false });
    const lines = readFileSync(join(nodes.home, 'nodes', 'eu', 'node.log'), 'utf8')
      .trim()
      .split('\n');
    const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events).toEqual(expect.arrayContaining(['node_ready', 'instance_ready', 'node_stopping', 'node_stopped']));
  });

  it('says why it did not start, under the code of the cause', async () => {
    const holder = createServer();
    const adminPort = await new Promise<number>((resolve) =>
      holder.listen(0, '127.0.0.1', () => resolve((holder.address() as { port: number }).port)),
    );
    try {
      const failure = startDetached(await options({ adminPort }));
      await expect(failure).rejects.toMatchObject({ code: 'port_in_use' });
      await expect(failure).rejects.toThrow(
        new RegExp(`The admin port ${adminPort} on 127.0.0.1 is in use by .+, process ${process.pid}$`),
      );
      await expect(failure).rejects.toMatchObject({ hint: expect.stringContaining('--admin-port') });
      // It has never run: nothing of it is left, neither its certificate nor a log.
      expect(readdirSync(nodes.home)).toEqual([]);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  });

  it('shows the last lines of a daemon that ended without a word of its own', async () => {
    const script = join(import.meta.dirname, 'fixtures', 'crashing-node.mjs');
    await expect(startDetached(await options({ entry: { flags: [], script } }))).rejects.toThrow('the disk is on fire');
  });

  it('leaves its instance running when it is killed, takes it up again, and removes everything in the end', async () => {
    const killed = await startDetached(await options());
    await createOn(killed, 'orders');
    const [before] = (await clientOf(killed).nodeStatus()).instances;
    process.kill(killed.process!.pid, 'SIGKILL');
    await eventually('the daemon is dead', async () => (await readNode(nodes.home, 'eu'))?.alive === false);
    expect(processRuns(before!.pid!)).toBe(true);
    expect(await listOrphans(nodes.home, 'eu')).toEqual([before]);
    const next = await startDetached(await options());
    await eventually('the instance is adopted', async () => {
      const [now] = (await clientOf(next).nodeStatus()).instances;
      return now?.process === 'running' && now.pid === before!.pid;
    });
    process.kill(next.process!.pid, 'SIGKILL');
    await eventually('the daemon is dead again', async () => (await readNode(nodes.home, 'eu'))?.alive === false);
    await removeNode(nodes.home, 'eu');
    expect(processRuns(before!.pid!)).toBe(false);
    expect(readdirSync(join(nodes.home, 'nodes'))).toEqual([]);
  });
});
