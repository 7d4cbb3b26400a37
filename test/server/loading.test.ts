import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Endpoint, type TestClient } from './endpoint.ts';

const LOADING = '-LOADING Redis is loading the dataset in memory';

let endpoint: Endpoint;
let client: TestClient;

async function start(options: { readonly password?: string } = {}): Promise<void> {
  endpoint = await Endpoint.start({ ...options, isLoading: true });
  client = await endpoint.connect();
}

afterEach(() => endpoint.stop());

describe('While the data is loaded, an endpoint', () => {
  beforeEach(() => start());

  it('refuses commands on data and keeps the connection', async () => {
    for (const line of ['ping', 'get a', 'set a 1', 'dbsize', 'wait 0 0', 'debug digest', 'keys *']) {
      expect({ line, reply: await client.ask(line) }).toEqual({ line, reply: LOADING });
    }
    endpoint.database.writer.hasPeers = false;
    endpoint.loaded();
    expect(await client.ask('ping')).toBe('PONG');
    expect(await client.ask('set a 1')).toBe('OK');
    expect(endpoint.database.keyCount).toBe(1);
  });

  it('answers what Redis answers then', async () => {
    expect(await client.ask('client setname me')).toBe('OK');
    expect(await client.ask('client getname')).toBe('me');
    expect(await client.ask('config get maxclients')).toEqual(['maxclients', '100']);
    expect(await client.ask('select 0')).toBe('OK');
    expect(await client.ask('echo x')).toBe('x');
    expect(await client.ask('slowlog len')).toBe(0);
    expect(await client.ask('command count')).toEqual(expect.any(Number));
    expect(await client.ask('acl whoami')).toBe('default');
    expect(await client.ask('hello 3')).toEqual(expect.objectContaining({ role: 'master' }));
  });

  it('says how far it is', async () => {
    endpoint.loading.note({
      phase: 'log',
      loadedBytes: 250,
      totalBytes: 1000,
      keys: 7,
      startedAtMs: Date.now() - 10_500,
    });
    const info = String(await client.ask('info persistence'));
    expect(info).toContain('loading:1\r\n');
    expect(info).toContain('loading_total_bytes:1000\r\n');
    expect(info).toContain('loading_loaded_bytes:250\r\n');
    expect(info).toContain('loading_loaded_perc:25.00\r\n');
    expect(info).toMatch(/loading_eta_seconds:(29|3\d)\r\n/);
    endpoint.loaded();
    expect(String(await client.ask('info persistence'))).toContain('loading:0\r\n');
  });

  it('tells the daemon, takes its order to stop and no other', async () => {
    await client.ask('auth __control daemon');
    expect(JSON.parse(String(await client.ask('crdt.status')))).toMatchObject({ state: 'loading', links: [], keys: 0 });
    for (const line of ['crdt.pause', 'crdt.resume', 'crdt.configure {}']) expect(await client.ask(line)).toBe(LOADING);
    const peer = await endpoint.connect();
    await peer.ask('auth __replication peer');
    expect(await peer.ask('crdt.sync x')).toBe(LOADING);
    expect(await peer.ask('echo x')).toBe("-NOPERM this user has no permissions to run the 'echo' command");
    client.send('crdt.shutdown\r\ncrdt.status');
    await client.next();
    expect(endpoint.shutdowns).toBe(1);
  });

  it('delivers messages between its clients, before and after', async () => {
    const subscriber = await endpoint.connect();
    await subscriber.ask('subscribe news');
    expect(await client.ask('publish news 1')).toBe(1);
    endpoint.loaded();
    expect(await client.ask('publish news 2')).toBe(1);
    for (const text of ['1', '2']) expect(await subscriber.next()).toEqual(['message', 'news', text]);
  });

  it('refuses to queue commands on data, and lets nobody rely on what was watched then', async () => {
    const other = await endpoint.connect();
    await client.ask('multi');
    expect(await client.ask('get a')).toBe(LOADING);
    expect(await client.ask('exec')).toBe('-EXECABORT Transaction discarded because of previous errors.');
    expect(await other.ask('watch a')).toBe('OK');
    endpoint.loaded();
    for (const line of ['multi', 'ping']) await other.ask(line);
    expect(await other.ask('exec')).toBeNull();
    for (const line of ['watch a', 'multi', 'ping']) await other.ask(line);
    expect(await other.ask('exec')).toEqual(['PONG']);
  });
});

describe('While the data is loaded, an endpoint with a password', () => {
  it('wants to know it', async () => {
    await start({ password: 'secret' });
    expect(await client.ask('info')).toBe('-NOAUTH Authentication required.');
    expect(await client.ask('get a')).toBe('-NOAUTH Authentication required.');
    expect(await client.ask('auth wrong')).toMatch(/^-WRONGPASS/);
    expect(await client.ask('auth secret')).toBe('OK');
    expect(await client.ask('get a')).toBe(LOADING);
  });
});
