/**
 * The occasions on which replication goes on with what is missing, instead of sending everything again, with real processes and a real
 * network between them. Each is checked by what the instances have counted: a full sync would converge as well.
 */
import { cpSync, renameSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';
import { TcpProxy } from './tcp-proxy.ts';

jest.setTimeout(180_000);

/** Enough that a full sync is another thing than a partial one. */
const KEYS = 5_000;

async function fill(database: LiveDatabase): Promise<void> {
  const wire = await database.connect(0);
  const writes = Array.from({ length: KEYS }, (_, i) => ['SET', `key:${i}`, `value of ${i}`]);
  await wire.pipeline(writes, (reply) => expect(reply).toBe('OK'));
  wire.close();
  await database.converged();
}

/** Writes at every instance; returns when all of them have it. */
async function writeEverywhere(database: LiveDatabase, mark: string, clusters = [0, 1]): Promise<void> {
  for (const cluster of clusters) await write(database, cluster, mark);
}

async function write(database: LiveDatabase, cluster: number, mark: string): Promise<void> {
  expect(await database.ask(cluster, 'SET', `${mark}:${cluster}`, mark)).toBe('OK');
  await database.ask(cluster, 'INCR', 'counter');
}

async function arrived(database: LiveDatabase, at: number, mark: string, from: number): Promise<void> {
  await eventually(
    `${mark} of instance ${from + 1} is at instance ${at + 1}`,
    async () => (await database.ask(at, 'GET', `${mark}:${from}`)) === mark,
    60_000,
  );
}

describe('a partial sync of two instances', () => {
  let database: LiveDatabase;
  /** Between instance 2, which pulls, and instance 1. */
  let proxy: TcpProxy;
  beforeAll(async () => {
    database = await LiveDatabase.create();
    proxy = await TcpProxy.start(database.config(0).port);
    await database.lead(1, 0, proxy.port);
    await fill(database);
  });
  afterAll(async () => {
    await database.cleanUp();
    await proxy.close();
  });

  it('follows when a link is lost and comes back', async () => {
    const before = await database.syncsServed(0);
    proxy.cut();
    await eventually('the link is down', async () => (await database.status(1)).links[0]!.state !== 'streaming');
    await writeEverywhere(database, 'while the link was cut');
    proxy.mend();
    await database.converged();
    expect(await database.syncsServed(0)).toEqual({ ...before, partialOk: before.partialOk + 1 });
    expect((await database.status(1)).links[0]!.lastSync).toMatchObject({ kind: 'partial' });
  });

  it('follows when a connection is lost in the middle of a stream', async () => {
    const before = await database.syncsServed(0);
    const wire = await database.connect(0);
    const writes = Array.from({ length: KEYS }, (_, i) => ['INCR', `count:${i % 100}`]);
    let replies = 0;
    await wire.pipeline(writes, () => {
      if (++replies === KEYS / 2) proxy.drop();
    });
    wire.close();
    await database.converged();
    expect(await database.syncsServed(0)).toEqual({ ...before, partialOk: before.partialOk + 1 });
    expect(await database.ask(1, 'GET', 'count:7')).toBe(`${KEYS / 100}`);
  });

  it('follows in both directions when a process is killed', async () => {
    const [killed, other] = [0, 1];
    const before = await database.syncsServed(other);
    await database.killInstance(killed);
    await write(database, other, 'while the other one was dead');
    await arrived(database, killed, 'while the other one was dead', other);
    await write(database, killed, 'after the kill');
    await database.converged();
    expect(await database.syncsServed(killed)).toEqual({ full: 0, partialOk: 1, partialErr: 0 });
    expect(await database.syncsServed(other)).toEqual({ ...before, partialOk: before.partialOk + 1 });
  });

  it('follows in both directions after a clean restart, and the replication ID is the same', async () => {
    const [restarted, other] = [0, 1];
    const before = await database.syncsServed(other);
    const { replicationId } = await database.status(restarted);
    await database.stopNode(restarted);
    await write(database, other, 'while the other one was stopped');
    await database.startNode(restarted);
    await arrived(database, restarted, 'while the other one was stopped', other);
    await database.converged();
    expect((await database.status(restarted)).replicationId).toBe(replicationId);
    expect(await database.syncsServed(restarted)).toEqual({ full: 0, partialOk: 1, partialErr: 0 });
    expect(await database.syncsServed(other)).toEqual({ ...before, partialOk: before.partialOk + 1 });
  });

  it('follows when an instance comes back as a new generation, and brings back what it has lost', async () => {
    const [restored, other] = [0, 1];
    const { dataDirectory: data } = database.config(restored);
    await database.stopNode(restored);
    cpSync(data, `${data}.backup`, { recursive: true });
    await database.startNode(restored);
    await writeEverywhere(database, 'after the backup');
    await database.converged();
    const before = await database.syncsServed(other);
    const { replicationId } = await database.status(restored);
    await database.stopNode(restored);
    rmSync(data, { recursive: true });
    renameSync(`${data}.backup`, data);
    await database.startNode(restored);
    await arrived(database, restored, 'after the backup', restored);
    await writeEverywhere(database, 'as a new generation');
    await database.converged();
    expect((await database.status(restored)).replicationId).not.toBe(replicationId);
    expect(await database.syncsServed(restored)).toEqual({ full: 0, partialOk: 1, partialErr: 0 });
    expect(await database.syncsServed(other)).toEqual({ ...before, partialOk: before.partialOk + 1 });
  });
});

describe('a partial sync of three instances', () => {
  let database: LiveDatabase;
  /** Between instances 1 and 3, one for each direction. */
  let proxies: readonly TcpProxy[];
  beforeAll(async () => {
    database = await LiveDatabase.createOn(3);
    const [one, three] = [await TcpProxy.start(database.config(0).port), await TcpProxy.start(database.config(2).port)];
    await database.lead(2, 0, one.port);
    await database.lead(0, 2, three.port);
    proxies = [one, three];
    await fill(database);
  });
  afterAll(async () => {
    await database.cleanUp();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  });

  const counts = () => Promise.all([0, 1, 2].map((cluster) => database.syncsServed(cluster)));

  it('is not even needed while another instance relays, and follows when the link is back', async () => {
    const before = await counts();
    for (const proxy of proxies) proxy.cut();
    await writeEverywhere(database, 'around the cut', [0, 1, 2]);
    await arrived(database, 2, 'around the cut', 0);
    await arrived(database, 0, 'around the cut', 2);
    expect(await database.ask(2, 'GET', 'counter')).toBe('3');
    expect(await counts()).toEqual(before);
    for (const proxy of proxies) proxy.mend();
    await database.converged();
    const [one, two, three] = before;
    expect(await counts()).toEqual([
      { ...one, partialOk: one!.partialOk + 1 },
      two,
      { ...three, partialOk: three!.partialOk + 1 },
    ]);
  });
});

describe('a resync that an operator orders', () => {
  let database: LiveDatabase;
  beforeAll(async () => {
    database = await LiveDatabase.create();
    await fill(database);
  });
  afterAll(() => database.cleanUp());

  interface Resynced {
    readonly status: string;
    readonly links: readonly { readonly kind: string | null; readonly reason: string | null }[];
  }
  const link = ['--instance', '2', '--from', '1'];
  const resync = (...args: readonly string[]) => database.home.json<Resynced>(['sync', 'resync', 'orders', ...args]);

  it('is a partial one, or a full one that is merged and flushes nothing', async () => {
    const before = await database.syncsServed(0);
    const partial = await resync(...link, '--yes');
    expect(partial).toMatchObject({ exitCode: 0, document: { status: 'resynced', links: [{ kind: 'partial' }] } });
    expect(await database.syncsServed(0)).toEqual({ ...before, partialOk: before.partialOk + 1 });
    // What the source has not seen stays.
    await database.changeSync('pause', 0);
    await write(database, 1, 'unseen by the source');
    const full = await resync(...link, '--full', '--yes');
    expect(full).toMatchObject({ exitCode: 0, document: { status: 'resynced', links: [{ kind: 'full' }] } });
    expect(full.document.links[0]!.reason).toMatch(/operator/);
    expect((await database.syncsServed(0)).full).toBe(before.full + 1);
    expect(await database.ask(1, 'GET', 'unseen by the source:1')).toBe('unseen by the source');
    await database.changeSync('resume', 0);
    await database.converged();
    expect(await database.ask(1, 'GET', 'key:7')).toBe('value of 7');
  });

  it('is refused without a yes, and for a link that is paused', async () => {
    const { exitCode, stderr } = await database.home.run(['sync', 'resync', 'orders', ...link]);
    expect([exitCode, stderr]).toEqual([5, expect.stringContaining('instance 2 (local-2) from 1')]);
    await database.changeSync('pause', 1);
    const paused = await database.home.run(['sync', 'resync', 'orders', '--full', '--yes']);
    expect([paused.exitCode, paused.stderr]).toEqual([
      1,
      expect.stringContaining('Try: crdb-cli sync resume orders --instance 2 --from 1'),
    ]);
    await database.changeSync('resume', 1);
    await database.converged();
  });
});
