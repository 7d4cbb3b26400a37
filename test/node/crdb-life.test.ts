import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createOn,
  eventually,
  holdPort,
  holdPortBehindFree,
  isListening,
  processRuns,
  requestFor,
  taskEnd,
  TestNodes,
} from './nodes.ts';

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.close());

const endpointPort = (endpoint: string): number => Number(endpoint.split(':')[1]);

describe('creating a database', () => {
  it('starts an instance on every cluster, each with its own port and id', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const guid = await createOn(all, 'orders');
    const [eu, us] = await Promise.all(all.map((node) => node.client.getDatabase(guid)));
    expect(eu).toMatchObject({ guid, name: 'orders', local_instance_id: 1 });
    expect(us).toEqual({ ...eu, local_instance_id: 2 });
    expect(eu!.instances.map((one) => [one.id, one.cluster.name])).toEqual([
      [1, 'eu'],
      [2, 'us'],
    ]);
    const [first, second] = eu!.instances.map((one) => one.endpoint);
    expect(endpointPort(first!)).toBeGreaterThanOrEqual(12_000);
    expect(endpointPort(second!)).toBeGreaterThan(endpointPort(first!));
    expect(await isListening(first!)).toBe(true);
    expect(await isListening(second!)).toBe(true);
    const sync = await all[1]!.client.syncStatus(guid);
    expect(sync).toMatchObject({ instance: 2, cluster: 'us', process: 'running', offset: 7 });
    expect(sync.links.map((link) => [link.from, link.endpoint])).toEqual([[1, first]]);
  });

  it('keeps what is secret in files that only the owner can read, and out of its answers', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const request = requestFor('orders', all);
    const secret = {
      ...request,
      default_db_config: { ...request.default_db_config, authentication_redis_pass: 'pass-of-orders' },
    };
    const { client } = all[0]!;
    const { crdb_guid: guid } = await taskEnd(client, await client.createDatabase(secret));
    const folder = nodes.folder('us', guid!);
    expect(JSON.parse(readFileSync(join(folder, 'instance.json'), 'utf8'))).toMatchObject({
      password: 'pass-of-orders',
      instanceId: 2,
    });
    const node = join(nodes.home, 'nodes', 'us');
    for (const file of [
      join(folder, 'instance.json'),
      join(folder, 'database.json'),
      join(node, 'admin.json'),
      join(node, 'key.pem'),
    ]) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    const answer = JSON.stringify([await all[1]!.client.listDatabases(), await all[1]!.client.nodeStatus()]);
    const password = all[0]!.credentials.password;
    for (const word of ['pass-of-orders', password, all[1]!.credentials.password]) expect(answer).not.toContain(word);
  });

  it('hands the bound for clocks to the instances, and keeps it over a change of the file', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const request = requestFor('orders', all);
    const config = { ...request.default_db_config, crdt_clock_ahead_max_ms: 5_000 };
    const { client } = all[0]!;
    const task = await client.createDatabase({ ...request, default_db_config: config });
    const { crdb_guid: guid } = await taskEnd(client, task);
    await client.changeSync(guid!, { action: 'pause' });
    const file = JSON.parse(readFileSync(join(nodes.folder('eu', guid!), 'instance.json'), 'utf8')) as unknown;
    expect(file).toMatchObject({ clockAheadMaxMs: 5_000, peers: [{ paused: true }] });
  });

  it('tells why an instance ended that Node.js itself gave up', async () => {
    const node = await nodes.start('eu');
    const { client } = node;
    const ended = await taskEnd(client, await client.createDatabase(requestFor('throwing-orders', [node])));
    expect(ended.errors[0]!.description).toContain('exit code 1: TypeError: a bug at its start');
  });

  it('waits for an instance that is loading', async () => {
    const all = [await nodes.start('eu')];
    const guid = await createOn(all, 'slow-orders');
    expect((await all[0]!.client.nodeStatus()).instances).toMatchObject([{ guid, process: 'running', restarts: 0 }]);
  });

  it('gives the asked port to the first instance on a machine and the next one to the second', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const next = await holdPortBehindFree();
    await next.release();
    const port = next.port - 1;
    const guid = await createOn(all, 'orders', port);
    const { instances } = await all[0]!.client.getDatabase(guid);
    expect(instances.map((one) => one.endpoint)).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${port + 1}`]);
  });

  it('refuses a name that exists, on this node at once and on another one by its task', async () => {
    const [eu, us, asia] = [await nodes.start('eu'), await nodes.start('us'), await nodes.start('asia')];
    await createOn([eu, us], 'orders');
    await expect(us.client.createDatabase(requestFor('orders', [us, asia]))).rejects.toMatchObject({
      code: 'database_exists',
    });
    const ended = await taskEnd(asia.client, await asia.client.createDatabase(requestFor('orders', [asia, us])));
    expect(ended).toMatchObject({ status: 'failed', errors: [{ cluster_name: 'us', error_code: 'database_exists' }] });
    expect(await asia.client.listDatabases()).toEqual([]);
  });

  it('names a port that is taken, and leaves nothing', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const { port: taken, release } = await holdPortBehindFree();
    const { client } = all[0]!;
    const ended = await taskEnd(client, await client.createDatabase(requestFor('orders', all, taken - 1)));
    expect(ended).toMatchObject({ status: 'failed', errors: [{ cluster_name: 'us', error_code: 'port_in_use' }] });
    expect(ended.errors[0]!.description).toContain(`${taken}`);
    expect(await client.listDatabases()).toEqual([]);
    expect(readdirSync(join(nodes.home, 'nodes', 'eu', 'databases'))).toEqual([]);
    expect(await isListening(`127.0.0.1:${taken - 1}`)).toBe(false);
    await release();
  });

  it('takes everything back when the instance of one cluster does not start', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const { client } = all[0]!;
    const ended = await taskEnd(client, await client.createDatabase(requestFor('broken-on-us-orders', all)));
    expect(ended).toMatchObject({ status: 'failed', errors: [{ cluster_name: 'us', error_code: 'instance_failed' }] });
    expect(ended.errors[0]!.description).toContain('the log is damaged at 4096');
    for (const node of all) {
      expect(await node.client.listDatabases()).toEqual([]);
      expect((await node.client.nodeStatus()).instances).toEqual([]);
      expect(readdirSync(join(nodes.home, 'nodes', node.cluster, 'databases'))).toEqual([]);
    }
    // Name and ports are free again.
    await createOn(all, 'broken-on-none-orders');
  });

  it('changes nothing when a cluster cannot be reached', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    await all[1]!.stop();
    const { client } = all[0]!;
    const ended = await taskEnd(client, await client.createDatabase(requestFor('orders', all)));
    expect(ended.errors).toMatchObject([{ cluster_name: 'us', error_code: 'node_unreachable' }]);
    expect(ended.errors[0]!.description).toContain(all[1]!.info.url);
    expect(await client.listDatabases()).toEqual([]);
  });

  it('refuses clusters it cannot be the coordinator of', async () => {
    const [eu, us] = [await nodes.start('eu'), await nodes.start('us')];
    const create = (list: Parameters<typeof requestFor>[1]) => eu.client.createDatabase(requestFor('orders', list));
    await expect(create([us])).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(create([eu, us, us])).rejects.toThrow('us is given twice');
    const ended = await taskEnd(eu.client, await create([eu, { ...us, info: { ...us.info, name: 'asia' } }]));
    expect(ended.errors[0]!.description).toContain('is a node of us, not of asia');
  });
});

describe('deleting a database', () => {
  it('leaves no process, no file and no listener on any cluster', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const guid = await createOn(all, 'orders');
    const { instances } = await all[0]!.client.getDatabase(guid);
    const pids = await Promise.all(all.map(async (node) => (await node.client.nodeStatus()).instances[0]!.pid!));
    // Any participating node coordinates: it has kept what it needs to reach the others.
    const { client } = all[1]!;
    expect(await taskEnd(client, await client.deleteDatabase(guid))).toMatchObject({
      status: 'finished',
      operation: 'delete_crdb',
    });
    for (const pid of pids) expect(processRuns(pid)).toBe(false);
    for (const { endpoint } of instances) expect(await isListening(endpoint)).toBe(false);
    for (const node of all) {
      expect(readdirSync(join(nodes.home, 'nodes', node.cluster, 'databases'))).toEqual([]);
      await expect(node.client.getDatabase(guid)).rejects.toMatchObject({ code: 'database_not_found' });
    }
  });

  it('finds a node of the same home where it is now: its port may have been taken while it was stopped', async () => {
    const [eu, us] = [await nodes.start('eu'), await nodes.start('us')];
    const guid = await createOn([eu, us], 'orders');
    await us.stop();
    const { port: taken, release } = await holdPort(us.record.adminPort);
    const moved = await nodes.startWithoutPort('us');
    expect(moved.record.adminPort).not.toBe(taken);
    expect(await taskEnd(eu.client, await eu.client.deleteDatabase(guid))).toMatchObject({ status: 'finished' });
    await release();
    expect((await moved.client.nodeStatus()).instances).toEqual([]);
  });

  it('touches nothing when one cluster cannot be reached', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const guid = await createOn(all, 'orders');
    await all[1]!.stop();
    const { client } = all[0]!;
    const ended = await taskEnd(client, await client.deleteDatabase(guid));
    expect(ended).toMatchObject({ status: 'failed', errors: [{ cluster_name: 'us', error_code: 'node_unreachable' }] });
    expect((await client.nodeStatus()).instances).toMatchObject([{ guid, process: 'running' }]);
    expect(existsSync(nodes.folder('us', guid))).toBe(true);
  });

  it('kills a process, whose last words are not wanted', async () => {
    const node = await nodes.start('eu');
    for (const name of ['stubborn-orders', 'large-orders']) {
      const guid = await createOn([node], name);
      const pid = (await node.client.nodeStatus()).instances[0]!.pid!;
      expect(await taskEnd(node.client, await node.client.deleteDatabase(guid))).toMatchObject({ status: 'finished' });
      expect(processRuns(pid)).toBe(false);
    }
  });
});

describe('pausing and resuming', () => {
  it('says whether anything changed, and lasts over a restart of the process', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const guid = await createOn(all, 'orders');
    const { client } = all[0]!;
    expect(await client.changeSync(guid, { action: 'pause' })).toEqual({ changed: true, links: [2] });
    expect(await client.changeSync(guid, { action: 'pause', from: 2 })).toEqual({ changed: false, links: [] });
    expect((await client.syncStatus(guid)).links).toMatchObject([{ from: 2, state: 'paused' }]);
    const { pid } = (await client.nodeStatus()).instances[0]!;
    process.kill(pid!, 'SIGKILL');
    await eventually('the instance runs again', async () => {
      const [now] = (await client.nodeStatus()).instances;
      return now!.process === 'running' && now!.pid !== pid;
    });
    expect((await client.syncStatus(guid)).links).toMatchObject([{ from: 2, state: 'paused' }]);
    expect(await client.changeSync(guid, { action: 'resume', from: 2 })).toEqual({ changed: true, links: [2] });
    await expect(client.changeSync(guid, { action: 'pause', from: 9 })).rejects.toMatchObject({
      code: 'instance_not_found',
    });
  });
});

describe('ordering a resync', () => {
  it('tells the instance which links, and how they are to sync', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us'), await nodes.start('asia')];
    const guid = await createOn(all, 'orders');
    const { client } = all[0]!;
    expect(await client.resync(guid, { full: false })).toEqual({ links: [2, 3] });
    expect(await client.resync(guid, { from: 3, full: true })).toEqual({ links: [3] });
    expect((await client.syncStatus(guid)).links.map(({ last_sync: sync }) => sync?.kind)).toEqual(['partial', 'full']);
    const calls = readFileSync(join(nodes.folder('eu', guid), 'data', 'calls.log'), 'utf8');
    expect(calls.match(/^CRDT\.RESYNC.*$/gm)).toEqual([
      'CRDT.RESYNC FROM 2',
      'CRDT.RESYNC FROM 3',
      'CRDT.RESYNC FROM 3 FULL',
    ]);
  });

  it('is refused for a paused link, an unknown peer and an instance that does not run', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const guid = await createOn(all, 'orders');
    const { client } = all[0]!;
    await expect(client.resync(guid, { from: 9, full: false })).rejects.toMatchObject({ code: 'instance_not_found' });
    await client.changeSync(guid, { action: 'pause' });
    await expect(client.resync(guid, { full: true })).rejects.toMatchObject({
      code: 'link_paused',
      message: 'Instance 1 does not pull from 2: that link is paused',
      hint: 'crdb-cli sync resume orders --instance 1 --from 2',
    });
    await client.changeSync(guid, { action: 'resume' });
    process.kill((await client.nodeStatus()).instances[0]!.pid!, 'SIGSTOP');
    await eventually(
      'it is called unresponsive',
      async () => (await client.nodeStatus()).instances[0]!.process === 'unresponsive',
    );
    await expect(client.resync(guid, { full: true })).rejects.toThrow('has not answered since');
  });

  it('accepts a clock that is ahead', async () => {
    const all = [await nodes.start('eu'), await nodes.start('us')];
    const guid = await createOn(all, 'orders');
    const { client } = all[0]!;
    expect(await client.changeSync(guid, { action: 'resume', from: 2, accept_clock: true })).toEqual({
      ...{ changed: true, links: [2] },
    });
    const calls = readFileSync(join(nodes.folder('eu', guid), 'data', 'calls.log'), 'utf8');
    expect(calls).toContain('CRDT.RESUME FROM 2 ACCEPT-CLOCK');
    await expect(client.changeSync(guid, { action: 'pause', accept_clock: true })).rejects.toThrow('accept_clock');
  });
});
