/** Nodes for tests: in this process, on free ports, with the fake instance, all gone afterwards. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdminClient } from '../../src/admin/client.ts';
import type { ClusterInfo, CreateRequest, CrdbTask } from '../../src/admin/contract.ts';
import { createRequest } from '../../src/admin/contract.ts';
import { startNode, type RunningNode } from '../../src/node/daemon.ts';
import { stopNode } from '../../src/node/detach.ts';
import { listNodes } from '../../src/node/home.ts';
import { silentLog } from '../../src/node/log.ts';
import { identifyProcess } from '../../src/node/process-identity.ts';
import '../e2e/own-ports.ts';

export const FAKE_INSTANCE = join(import.meta.dirname, 'fixtures', 'fake-instance.mjs');

export interface TestNode extends RunningNode {
  readonly cluster: string;
  readonly info: ClusterInfo;
  readonly client: AdminClient;
}

/** Patience of an operator, scaled down: what is stuck or silent is noticed soon. */
const SUPERVISOR_LIMITS = { stopStallMsMax: 1_000, answerPollMs: 100, unresponsiveAfterMs: 1_000 };

export class TestNodes {
  readonly home = mkdtempSync(join(tmpdir(), 'crdb-node-test-'));
  readonly #clients: AdminClient[] = [];
  readonly #nodes: RunningNode[] = [];

  async start(cluster: string, host?: string): Promise<TestNode> {
    return this.#start(cluster, await freePort(), host);
  }

  /** As an operator who leaves the port to the node. */
  startWithoutPort(cluster: string): Promise<TestNode> {
    return this.#start(cluster);
  }

  async #start(cluster: string, adminPort?: number, host?: string): Promise<TestNode> {
    const node = await startNode({
      home: this.home,
      cluster,
      ...(adminPort === undefined ? {} : { adminPort }),
      ...(host === undefined ? {} : { host }),
      version: '0.0.0-test',
      log: silentLog,
      instanceEntry: { flags: [], script: FAKE_INSTANCE },
      supervisorLimits: SUPERVISOR_LIMITS,
    });
    this.#nodes.push(node);
    const { certificate, credentials, record } = node;
    const info = { name: cluster, url: record.adminUrl, credentials, certificate };
    return { ...node, cluster, info, client: this.client(info) };
  }

  client(info: ClusterInfo): AdminClient {
    const client = new AdminClient(info);
    this.#clients.push(client);
    return client;
  }

  folder(cluster: string, guid: string): string {
    return join(this.home, 'nodes', cluster, 'databases', guid);
  }

  /** Ends everything, also what a test has left without a daemon. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await Promise.allSettled(this.#nodes.map((node) => node.stop()));
    // Files that a test has damaged keep nothing from being ended.
    for (const { cluster } of await listNodes(this.home)) await stopNode(this.home, cluster).catch(() => {});
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A create request for one instance per node. */
export function requestFor(name: string, nodes: readonly TestNode[], port?: number): CreateRequest {
  return createRequest.parse({
    name,
    default_db_config: port === undefined ? {} : { port },
    instances: nodes.map((node) => ({ cluster: node.info })),
  });
}

export async function taskEnd(client: AdminClient, task: CrdbTask): Promise<CrdbTask> {
  let now = task;
  await eventually('the task ends', async () => {
    now = await client.task(task.id);
    return now.ended !== null;
  });
  return now;
}

/** Creates and returns the guid. */
export async function createOn(nodes: readonly TestNode[], name: string, port?: number): Promise<string> {
  const client = nodes[0]!.client;
  const ended = await taskEnd(client, await client.createDatabase(requestFor(name, nodes, port)));
  if (ended.status !== 'finished') throw new Error(JSON.stringify(ended.errors));
  return ended.crdb_guid!;
}

export async function eventually(
  sentence: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${sentence}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Listens on a port whose predecessor is free. */
export async function holdPortBehindFree(): Promise<{ readonly port: number; release(): Promise<void> }> {
  for (;;) {
    const before = await freePort();
    const server = createServer();
    const holds = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(before + 1, '127.0.0.1', () => resolve(true));
    });
    if (holds) return { port: before + 1, release: () => new Promise((resolve) => server.close(() => resolve())) };
  }
}

/** Somebody else listens there, until it is released. */
export async function holdPort(port: number): Promise<{ readonly port: number; release(): Promise<void> }> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port, release: () => new Promise((resolve) => server.close(() => resolve())) };
}

export function isListening(endpoint: string): Promise<boolean> {
  const [host, port] = endpoint.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host: host!, port: Number(port) });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

export const processRuns = (pid: number): boolean => identifyProcess(pid) !== null;
