/** The API's edge, with a service that only remembers what it was asked. */
import { once, type EventEmitter } from 'node:events';
import { Agent as HttpsAgent } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { AdminClient } from '../../src/admin/client.ts';
import { exchange } from '../../src/admin/https.ts';
import { databaseRecord, type ClusterInfo, type CrdbTask } from '../../src/admin/contract.ts';
import { API_BODY_BYTES_MAX } from '../../src/admin/limits.ts';
import { createAdminServer } from '../../src/admin/routes.ts';
import type { AdminService } from '../../src/admin/service.ts';
import { CrdbError } from '../../src/errors.ts';
import { createCertificate, type KeyPair } from '../../src/node/certificate.ts';

const GUID = '1d7741cc-1110-4e2f-bc6c-935292783d24';
const CREDENTIALS = { username: 'admin', password: 'a,b:c/ü' };
const TASK: CrdbTask = {
  id: 'task-1',
  crdb_guid: GUID,
  operation: 'create_crdb',
  status: 'started',
  started: '2026-01-01T00:00:00.000Z',
  ended: null,
  progress: [],
  errors: [],
};
const CLUSTER = { name: 'eu', url: 'https://127.0.0.1:9443' };

const asked: unknown[] = [];
const bugs: string[] = [];
const unexpected = (): never => {
  throw new Error('nobody has thought of this');
};
const service: AdminService = {
  nodeStatus: unexpected,
  shutdown: (body) => asked.push(body),
  listDatabases: () => [],
  getDatabase: (guid) => {
    throw new CrdbError('database_not_found', `There is no database ${guid} on eu`);
  },
  createDatabase: (body) => (asked.push(body), TASK),
  deleteDatabase: () => TASK,
  listTasks: () => [TASK],
  getTask: () => TASK,
  syncStatus: unexpected,
  changeSync: async (_guid, body) => (asked.push(body), { changed: true, links: [2] }),
  resync: async (_guid, body) => (asked.push(body), { links: [2] }),
  prepareLocal: async () => ({ port: 12_000 }),
  commitLocal: unexpected,
  discardLocal: async () => {},
};

let keys: KeyPair;
let server: FastifyInstance;
let info: Required<ClusterInfo>;
let agent: HttpsAgent;
const clients: AdminClient[] = [];

beforeAll(async () => {
  keys = await createCertificate('eu.example.com');
  server = createAdminServer({
    service,
    ...keys,
    credentials: CREDENTIALS,
    ready: Promise.resolve(),
    onBug: (error, path) => bugs.push(`${path}: ${error.message}`),
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.server.address() as { port: number };
  info = { name: 'eu', url: `https://127.0.0.1:${port}`, credentials: CREDENTIALS, certificate: keys.certificate };
  agent = new HttpsAgent({ ca: keys.certificate });
});

afterAll(async () => {
  agent.destroy();
  await Promise.all(clients.map((client) => client.close()));
  await server.close();
});

function clientWith(changes: Partial<ClusterInfo>): AdminClient {
  const client = new AdminClient({ ...info, ...changes });
  clients.push(client);
  return client;
}

async function call(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: string,
  headers: Record<string, string> = {},
) {
  const authorization = `Basic ${Buffer.from(`${CREDENTIALS.username}:${CREDENTIALS.password}`).toString('base64')}`;
  const { status, text } = await exchange(new URL(path, info.url), {
    method,
    agent,
    headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body ?? null,
    ...{ connectMsMax: 5000, withinMs: 15_000, answerBytesMax: 1_000_000 },
  });
  return { status, body: JSON.parse(text) as Record<string, string> };
}

describe('the admin API', () => {
  it('answers 401 to wrong or missing credentials, on unknown paths too', async () => {
    for (const authorization of [
      '',
      'Basic',
      'Basic !!!',
      'Bearer abc',
      `Basic ${Buffer.from('admin:wrong').toString('base64')}`,
    ]) {
      for (const path of ['/v1/crdbs', '/v1/nothing']) {
        const { status, body } = await call('GET', path, undefined, { authorization });
        expect([status, body['error_code']]).toEqual([401, 'unauthorized']);
      }
    }
    const client = clientWith({ credentials: { username: 'admin', password: 'wrong' } });
    await expect(client.listDatabases()).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('answers 400 to a body that is no JSON, and says so', async () => {
    const { status, body } = await call('POST', '/v1/crdbs', '{"name": ');
    expect([status, body['error_code']]).toEqual([400, 'invalid_request']);
    expect(body['description']).toContain('JSON');
  });

  it('answers 400 to a body of the wrong shape, and names every wrong field', async () => {
    const { status, body } = await call(
      'POST',
      '/v1/crdbs',
      JSON.stringify({ name: '-x', instances: [{ compression: 9 }] }),
    );
    expect(status).toBe(400);
    for (const field of ['name:', 'instances.0.cluster:', 'instances.0.compression:'])
      expect(body['description']).toContain(field);
    expect((await call('POST', '/v1/crdbs')).status).toBe(400);
    expect((await call('PUT', `/v1/crdbs/${GUID}/sync`, '{"action":"stop"}')).status).toBe(400);
    expect(asked).toEqual([]);
  });

  it('takes a resync and a shutdown with what they are to do, and a shutdown without a word as one in order', async () => {
    const client = clientWith({});
    await client.resync(GUID, { from: 2, full: true });
    await client.shutdown();
    await client.shutdown({ force: true });
    expect(asked.splice(0)).toEqual([{ from: 2, full: true }, { force: false }, { force: true }]);
    expect((await call('POST', `/v1/crdbs/${GUID}/resync`, '{"full":"yes"}')).status).toBe(400);
    expect((await call('PUT', `/v1/crdbs/${GUID}/sync`, '{"action":"pause","accept_clock":true}')).status).toBe(400);
    expect(asked).toEqual([]);
  });

  it('refuses a body that is too large or of another media type', async () => {
    expect((await call('POST', '/v1/crdbs', `"${'x'.repeat(API_BODY_BYTES_MAX)}"`)).status).toBe(413);
    expect((await call('POST', '/v1/crdbs', 'name=x', { 'content-type': 'text/css' })).status).toBe(415);
  });

  it('takes no path of the file system for a guid', async () => {
    for (const guid of ['..%2f..%2fetc', 'orders', GUID.toUpperCase()]) {
      for (const path of [`/v1/crdbs/${guid}`, `/v1/local/crdbs/${guid}`]) {
        const { status, body } = await call('DELETE', path);
        expect([status, body['error_code']]).toEqual([404, 'database_not_found']);
      }
    }
  });

  it('refuses a commit whose path and body name different databases', async () => {
    const record = databaseRecord.parse({
      guid: GUID.replace('1', '2'),
      name: 'orders',
      default_db_config: {},
      replication_secret: 's',
      instances: [{ id: 1, cluster: CLUSTER, compression: 0, db_config: { port: 12_000 }, host: '127.0.0.1' }],
    });
    const { status, body } = await call('POST', `/v1/local/crdbs/${GUID}/commit`, JSON.stringify(record));
    expect([status, body['error_code']]).toEqual([400, 'invalid_request']);
  });

  it('answers 500 to a failure of its own and reports it', async () => {
    const { status, body } = await call('GET', '/v1/node');
    expect([status, body['error_code']]).toEqual([500, 'bug']);
    expect(bugs).toEqual(['GET /v1/node: nobody has thought of this']);
  });

  it('fills in the defaults of a create request, and for an instance only what it names', async () => {
    asked.length = 0;
    const body = { name: 'orders', instances: [{ cluster: CLUSTER, db_config: { port: 12_005 } }] };
    expect((await call('POST', '/v1/crdbs', JSON.stringify(body))).status).toBe(200);
    expect(asked).toMatchObject([
      { default_db_config: { data_persistence: 'aof', memory_size: 0 }, instances: [{ compression: 0 }] },
    ]);
    expect((asked[0] as { instances: { db_config: unknown }[] }).instances[0]!.db_config).toEqual({ port: 12_005 });
  });
});

describe('the client', () => {
  it('passes requests and answers through', async () => {
    asked.length = 0;
    const client = clientWith({});
    expect(await client.changeSync(GUID, { action: 'pause', from: 2 })).toEqual({ changed: true, links: [2] });
    expect(asked).toEqual([{ action: 'pause', from: 2 }]);
    expect(await client.listTasks()).toEqual([TASK]);
    await client.discardLocal(GUID);
  });

  it('turns a refusal into the error that the node meant', async () => {
    const refusal = {
      code: 'database_not_found',
      message: `There is no database ${GUID} on eu`,
      hint: 'See what exists: crdb-cli list',
    };
    await expect(clientWith({}).getDatabase(GUID)).rejects.toMatchObject(refusal);
  });

  it('accepts the pinned certificate by whatever name the node is reached', async () => {
    expect(await clientWith({ url: info.url.replace('127.0.0.1', 'localhost') }).listDatabases()).toEqual([]);
  });

  it('does not talk to a node with another certificate', async () => {
    const { certificate } = await createCertificate('eu.example.com');
    await expect(clientWith({ certificate }).listDatabases()).rejects.toMatchObject({
      code: 'node_unreachable',
      message: expect.stringContaining('another certificate than the one given for it'),
      hint: expect.stringContaining('$CRDB_HOME/nodes/eu/cert.pem'),
    });
  });

  it('does not trust an unknown certificate when none is pinned, and says how to get it', async () => {
    const { name, url, credentials } = info;
    const client = new AdminClient({ name, url, credentials });
    clients.push(client);
    await expect(client.listDatabases()).rejects.toMatchObject({
      code: 'node_unreachable',
      message: expect.stringMatching(/not trusted here: self-signed certificate$/),
      hint: "copy $CRDB_HOME/nodes/eu/cert.pem from the node's machine, and add to its --instance: certificate=PATH",
    });
  });

  it('makes call after call over one connection, and leaves nothing on it', async () => {
    const keepingAgent = new HttpsAgent({ ca: keys.certificate, keepAlive: true });
    const seen: { readonly socket: object; readonly listeners: number }[] = [];
    keepingAgent.on('free', (socket: EventEmitter) => {
      seen.push({ socket, listeners: socket.listenerCount('secureConnect') });
    });
    const limits = { connectMsMax: 5000, withinMs: 5000, answerBytesMax: 1000 };
    for (let i = 0; i < 5; i++) {
      await exchange(new URL('/v1/crdbs', info.url), {
        ...{ method: 'GET', headers: {}, body: null, agent: keepingAgent },
        ...limits,
      });
    }
    expect(new Set(seen.map(({ socket }) => socket)).size).toBe(1);
    expect(seen.map(({ listeners }) => listeners)).toEqual(seen.map(() => seen[0]!.listeners));
    keepingAgent.destroy();
  });

  it('gives up on what does not speak TLS, does not answer in time, or answers too much', async () => {
    const mute = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    const options = {
      method: 'GET',
      headers: {},
      body: null,
      connectMsMax: 50,
      withinMs: 5000,
      answerBytesMax: 1,
    } as const;
    await expect(exchange(new URL(`https://127.0.0.1:${port}`), { ...options, agent })).rejects.toThrow(
      'no connection within 50 ms',
    );
    const url = new URL('/v1/crdbs', info.url);
    const authorization = `Basic ${Buffer.from(`${CREDENTIALS.username}:${CREDENTIALS.password}`).toString('base64')}`;
    const within = { ...options, agent, headers: { authorization }, connectMsMax: 5000 };
    await expect(exchange(url, within)).rejects.toThrow('the answer is larger than 1 bytes');
    await expect(exchange(url, { ...within, withinMs: 0 })).rejects.toThrow('no answer within 0 ms');
    mute.close();
  });

  it('names cluster and address of a node that cannot be reached', async () => {
    const call = clientWith({ url: 'https://127.0.0.1:1' }).listDatabases();
    await expect(call).rejects.toThrow(/The node of eu \(https:\/\/127\.0\.0\.1:1\) cannot be reached: .*ECONNREFUSED/);
  });
});

describe('the certificate', () => {
  it('names the cluster and this machine, and lasts ten years', async () => {
    const port = Number(new URL(info.url).port);
    const peer = await new Promise<{ subjectaltname?: string; valid_to: string }>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca: keys.certificate, servername: 'eu.example.com' }, () => {
        resolve(socket.getPeerCertificate());
        socket.destroy();
      });
      socket.once('error', reject);
    });
    for (const name of ['DNS:eu.example.com', 'DNS:localhost', 'IP Address:127.0.0.1'])
      expect(peer.subjectaltname).toContain(name);
    expect(new Date(peer.valid_to).getUTCFullYear() - new Date().getUTCFullYear()).toBe(10);
  });
});
