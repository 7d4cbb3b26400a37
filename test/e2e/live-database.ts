/**
 * A database of local clusters with everything that a test of failures wants to get at: processes, files, connections. Clusters count
 * from 0 here. All of it is found as an operator would find it, in the state folder; nothing is shared with the processes.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { InstanceConfig, InstanceStatus } from '../../src/instance/config.ts';
import { eventually, processRuns } from '../node/nodes.ts';
import { createCliHome, type CliHome } from './cli-home.ts';
import { Wire } from './wire.ts';

const CONVERGED_MS_MAX = 60_000;
const READY_MS_MAX = 60_000;
/** Neither the default endpoints of other databases here, nor what the system gives to outgoing connections: killed instances get theirs back. */
const PORTS = { first: 20_000, last: 32_000 };

interface Created {
  readonly guid: string;
  readonly instances: readonly { readonly endpoint: string }[];
}

export interface SyncsServed {
  readonly full: number;
  readonly partialOk: number;
  /** Partial syncs that were asked for and became full ones. */
  readonly partialErr: number;
}

export class LiveDatabase {
  readonly home: CliHome;
  readonly endpoints: readonly string[];
  readonly #guid: string;

  static create(...args: readonly string[]): Promise<LiveDatabase> {
    return LiveDatabase.createOn(2, ...args);
  }

  static async createOn(clusters: number, ...args: readonly string[]): Promise<LiveDatabase> {
    const home = await createCliHome();
    const port = `${await findPorts(clusters)}`;
    const command = ['create', 'orders', '--local', `${clusters}`, '--port', port, '--json', ...args];
    const { exitCode, stdout, stderr } = await home.run(command);
    if (exitCode !== 0) throw new Error(`create failed with ${exitCode}\n${stdout}\n${stderr}`);
    return new LiveDatabase(home, JSON.parse(stdout) as Created);
  }

  private constructor(home: CliHome, created: Created) {
    this.home = home;
    this.#guid = created.guid;
    this.endpoints = created.instances.map(({ endpoint }) => endpoint);
  }

  /** A connection to the instance, as soon as it executes commands, whatever its process. */
  async connect(cluster: number): Promise<Wire> {
    const endpoint = this.endpoints[cluster]!;
    let connected: Wire | null = null;
    const isReady = async (): Promise<boolean> => {
      const wire = await Wire.connect(endpoint).catch(() => null);
      const info = await wire?.ask('INFO', 'crdt').catch(() => null);
      if (String(info).includes(this.#guid)) connected = wire;
      else wire?.close();
      return connected !== null;
    };
    await eventually(`${endpoint} answers`, isReady, READY_MS_MAX);
    return connected!;
  }

  /** One command on a connection of its own. */
  async ask(cluster: number, ...words: readonly string[]): ReturnType<Wire['ask']> {
    const wire = await this.connect(cluster);
    try {
      return await wire.ask(...words);
    } finally {
      wire.close();
    }
  }

  folder(cluster: number): string {
    return join(this.home.path, 'nodes', this.clusterName(cluster), 'databases', this.#guid);
  }

  clusterName(cluster: number): string {
    return `local-${cluster + 1}`;
  }

  config(cluster: number): InstanceConfig {
    return JSON.parse(readFileSync(join(this.folder(cluster), 'instance.json'), 'utf8')) as InstanceConfig;
  }

  /** For the next start of the instance: its node must be stopped. */
  changeConfig(cluster: number, changes: Partial<InstanceConfig>): void {
    const config = { ...this.config(cluster), ...changes };
    writeFileSync(join(this.folder(cluster), 'instance.json'), JSON.stringify(config), { mode: 0o600 });
  }

  instanceLog(cluster: number): string {
    return readFileSync(join(this.folder(cluster), 'instance.log'), 'utf8');
  }

  nodeLog(cluster: number): string {
    return readFileSync(join(this.home.path, 'nodes', this.clusterName(cluster), 'node.log'), 'utf8');
  }

  /** Full paths of the log's segment files, oldest first. */
  segments(cluster: number): string[] {
    const { dataDirectory } = this.config(cluster);
    const names = readdirSync(dataDirectory).filter((name) => /^log-\d+$/.test(name));
    return names.sort().map((name) => join(dataDirectory, name));
  }

  instancePid(cluster: number): number {
    return readPid(join(this.folder(cluster), 'instance.pid'), (value) => value);
  }

  daemonPid(cluster: number): number {
    const file = join(this.home.path, 'nodes', this.clusterName(cluster), 'node.json');
    return readPid(file, (value) => (value as unknown as { process: { pid: number } }).process);
  }

  /** Resident memory of the instance, bytes. */
  residentBytes(cluster: number): number {
    const status = readFileSync(`/proc/${this.instancePid(cluster)}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) * 1024;
  }

  /** kill -9; returns when the process is gone. */
  async killInstance(cluster: number): Promise<void> {
    await killProcess(this.instancePid(cluster));
  }

  async killDaemon(cluster: number): Promise<void> {
    await killProcess(this.daemonPid(cluster));
  }

  async startNode(cluster: number): Promise<void> {
    const { exitCode, stderr } = await this.home.run([
      'node',
      'start',
      '--name',
      this.clusterName(cluster),
      '--detach',
    ]);
    if (exitCode !== 0) throw new Error(stderr);
  }

  async stopNode(cluster: number): Promise<void> {
    const { exitCode, stderr } = await this.home.run(['node', 'stop', this.clusterName(cluster)]);
    if (exitCode !== 0) throw new Error(stderr);
  }

  async changeSync(change: 'pause' | 'resume', pulling?: number): Promise<void> {
    const of = pulling === undefined ? [] : ['--instance', `${pulling + 1}`];
    const { exitCode, stderr } = await this.home.run(['sync', change, 'orders', ...of]);
    if (exitCode !== 0) throw new Error(stderr);
  }

  /** What the instance tells its daemon. */
  async status(cluster: number): Promise<InstanceStatus> {
    const wire = await this.connect(cluster);
    try {
      await wire.ask('AUTH', '__control', this.config(cluster).controlSecret);
      return JSON.parse(String(await wire.ask('CRDT.STATUS'))) as InstanceStatus;
    } finally {
      wire.close();
    }
  }

  /** From now on the instance pulls from the other one through this port. Its node is stopped and started for that. */
  async lead(pulling: number, from: number, port: number): Promise<void> {
    await this.stopNode(pulling);
    const peers = this.config(pulling).peers.map((peer) => (peer.id === from + 1 ? { ...peer, port } : peer));
    this.changeConfig(pulling, { peers });
    await this.startNode(pulling);
  }

  /** How often the instance has served each kind of sync since its process was started. */
  async syncsServed(cluster: number): Promise<SyncsServed> {
    const info = String(await this.ask(cluster, 'INFO', 'crdt'));
    const read = (name: string): number => Number(new RegExp(`^crdt_sync_${name}:(\\d+)`, 'm').exec(info)![1]);
    return { full: read('full'), partialOk: read('partial_ok'), partialErr: read('partial_err') };
  }

  /** All hold the same operations and the same data, and all links stream. */
  async converged(): Promise<void> {
    let seen = '';
    try {
      await eventually(
        'the instances have the same data',
        async () => {
          const states = await Promise.all(this.endpoints.map((_, cluster) => this.#describeState(cluster)));
          seen = JSON.stringify(states);
          return states.every(
            ({ links, state }) => links.every((link) => link === 'streaming') && state === states[0]!.state,
          );
        },
        CONVERGED_MS_MAX,
      );
    } catch (error) {
      const links = await Promise.all(this.endpoints.map((_, cluster) => this.status(cluster)));
      const problems = links.flatMap(({ links }) => links.map(({ lastError, lastSync }) => ({ lastError, lastSync })));
      throw new Error(`${(error as Error).message}; ${seen} ${JSON.stringify(problems)}`, { cause: error });
    }
  }

  cleanUp(): Promise<void> {
    return this.home.cleanUp();
  }

  async #describeState(cluster: number): Promise<{ readonly links: readonly string[]; readonly state: string }> {
    const wire = await this.connect(cluster);
    try {
      const info = String(await wire.ask('INFO', 'crdt'));
      const vector = JSON.parse(/^version_vector:(.*)$/m.exec(info)![1]!) as Record<string, number>;
      const digest = await wire.ask('DEBUG', 'DIGEST');
      const operations = Object.entries(vector)
        .filter(([, seq]) => seq > 0)
        .sort()
        .join(' ');
      const links = [...info.matchAll(/^peer_\d+:state=([a-z-]+)/gm)].map(([, link]) => link!);
      return { links, state: `${operations}: ${String(digest)}` };
    } finally {
      wire.close();
    }
  }
}

async function killProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await eventually(`process ${pid} is gone`, () => !processRuns(pid));
}

function readPid(file: string, find: (value: { readonly pid: number }) => { readonly pid: number }): number {
  return find(JSON.parse(readFileSync(file, 'utf8')) as { readonly pid: number }).pid;
}

/** The first of so many neighbouring ports that nobody listens on. */
export async function findPorts(count: number): Promise<number> {
  for (;;) {
    const first = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
