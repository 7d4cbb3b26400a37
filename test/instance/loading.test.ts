/** An instance whose opening is held back: what clients of the endpoint meet until it is open, and then. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import type { Disk, Host } from '../../src/host/host.ts';
import { createRealHost } from '../../src/host/real-host.ts';
import type { InstanceConfig } from '../../src/instance/config.ts';
import { Instance } from '../../src/instance/instance.ts';
import { freePort } from '../node/nodes.ts';
import { eventually, TestClient } from '../server/endpoint.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A host whose disk answers nothing before `open`. */
function heldHost(): { readonly host: Host; readonly open: () => void } {
  const host = createRealHost();
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const disk = new Proxy(host.disk, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => gate.then(() => Reflect.apply(member, target, args) as unknown);
    },
  }) as Disk;
  return { host: { ...host, disk }, open };
}

async function configure(): Promise<InstanceConfig> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'crdb-loading-'));
  folders.push(dataDirectory);
  return {
    version: 1,
    guid: '6f0e6a1c-0000-4000-8000-000000000002',
    name: 'loading',
    instanceId: 1,
    cluster: 'local-1',
    host: '127.0.0.1',
    port: await freePort(),
    dataDirectory,
    persistence: { kind: 'aof', fsync: 'every-sec' },
    password: 'secret',
    replicationSecret: 'replication',
    controlSecret: 'control',
    memoryBytesMax: 0,
    backlogBytesMax: 0,
    compression: 0,
    peers: [],
  };
}

it('takes connections from the first moment, and serves them when its data is loaded', async () => {
  const { host, open } = heldHost();
  const config = await configure();
  const starting = Instance.start({
    host,
    config,
    pid: process.pid,
    log: () => {},
    onFatal: (reason) => {
      throw new Error(reason);
    },
    onShutdown: () => {},
  });
  let client: TestClient | null = null;
  await eventually(() => {
    void TestClient.connect(config.port).then(
      (connected) => (client ??= connected),
      () => {},
    );
    return client !== null;
  }, 'the port is open');
  const connected = client as unknown as TestClient;
  expect(await connected.ask('get a')).toBe('-NOAUTH Authentication required.');
  expect(await connected.ask('auth secret')).toBe('OK');
  expect(await connected.ask('get a')).toBe('-LOADING Redis is loading the dataset in memory');
  expect(String(await connected.ask('info persistence'))).toContain('loading:1');
  open();
  const instance = await starting;
  expect(await connected.ask('set a 1')).toBe('OK');
  expect(await connected.ask('get a')).toBe('1');
  expect(String(await connected.ask('info persistence'))).toContain('loading:0');
  await instance.stop();
});
