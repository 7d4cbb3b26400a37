/** Starts and ends the servers that a benchmark compares: redis-server with its every-second log, and instances with ours. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INSTANCE_NODE_FLAGS } from '../src/instance/node-flags.ts';

const ROOT = join(import.meta.dirname, '..');
const START_LIMIT_MS = 20_000;
const REPLY_LIMIT_MS = 120_000;
/** What /proc counts processor time in: USER_HZ, 100 on every Linux. */
const MICROS_PER_TICK = 10_000;

/** What runs an instance: which Node.js, and which build of the project. */
export interface Runtime {
  /** For people: `node 20.19.0`. */
  readonly name: string;
  readonly node: string;
  /** The folder that holds `dist`. */
  readonly root: string;
}

export const ownRuntime = (): Runtime => ({ name: `node ${process.versions.node}`, node: process.execPath, root: ROOT });

export interface Server {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** Resident memory, bytes. */
  residentBytes(): number;
  /** Processor time that all threads of the process have used, in its own code and in the system's, microseconds. */
  cpuMicros(): number;
  /** Sends one command and resolves to the raw reply. */
  ask(...words: string[]): Promise<string>;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startRedis(options: { readonly replicaOf?: number } = {}): Promise<Server> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'crdb-bench-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'yes'];
  if (options.replicaOf !== undefined) args.push('--replicaof', `127.0.0.1 ${options.replicaOf}`);
  const child = spawn('redis-server', args, { stdio: 'ignore' });
  return ready('redis-server', port, child, directory);
}

/** Instances of one database, each pulling from all others. */
export async function startInstances(count: number, runtime = ownRuntime()): Promise<Server[]> {
  const program = join(runtime.root, 'dist/src/instance/main.js');
  if (!existsSync(program)) throw new Error(`${program} is missing; run: npm run build`);
  const ports: number[] = [];
  for (let i = 0; i < count; i++) ports.push(await freePort());
  const guid = `bench-${process.pid}-${ports[0]}`;
  return Promise.all(ports.map((port, i) => startInstance({ guid, id: i + 1, port, ports, node: runtime.node, program })));
}

async function startInstance(options: {
  readonly guid: string;
  readonly id: number;
  readonly port: number;
  readonly ports: readonly number[];
  readonly node: string;
  readonly program: string;
}): Promise<Server> {
  const { guid, id, port, ports, node, program } = options;
  const directory = mkdtempSync(join(tmpdir(), 'crdb-bench-'));
  mkdirSync(join(directory, 'data'));
  const config = {
    version: 1,
    guid,
    name: 'bench',
    instanceId: id,
    cluster: `local-${id}`,
    host: '127.0.0.1',
    port,
    dataDirectory: join(directory, 'data'),
    persistence: { kind: 'aof', fsync: 'every-sec' },
    password: '',
    replicationSecret: 'bench',
    controlSecret: 'bench',
    memoryBytesMax: 0,
    backlogBytesMax: 0,
    compression: 0,
    peers: ports.flatMap((peer, i) =>
      i + 1 === id ? [] : [{ id: i + 1, cluster: `local-${i + 1}`, host: '127.0.0.1', port: peer, paused: false }],
    ),
  };
  const file = join(directory, 'instance.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(node, [...INSTANCE_NODE_FLAGS, program, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return ready('crdb', port, child, directory);
}

async function ready(name: string, port: number, child: ChildProcess, directory: string): Promise<Server> {
  const server: Server = {
    name,
    port,
    pid: child.pid!,
    residentBytes: () => residentBytes(child.pid!),
    cpuMicros: () => cpuMicros(child.pid!),
    ask: (...words) => ask(port, words),
    stop: async () => {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
  const until = Date.now() + START_LIMIT_MS;
  for (;;) {
    const reply = await server.ask('PING').catch(() => '');
    if (reply.startsWith('+PONG')) return server;
    if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}`);
    if (Date.now() > until) throw new Error(`${name} did not answer within ${START_LIMIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}

function cpuMicros(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name, in parentheses, may hold spaces; user and system time are the 14th and 15th field.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

function ask(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let reply = '';
    socket.setTimeout(REPLY_LIMIT_MS, () => socket.destroy(new Error(`no reply within ${REPLY_LIMIT_MS} ms`)));
    socket.on('error', reject);
    socket.on('connect', () => {
      socket.write(`*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`);
    });
    socket.on('data', (data) => {
      reply += data.toString('latin1');
      if (!isWhole(reply)) return;
      resolve(reply);
      socket.destroy();
    });
  });
}

/** Whether a simple, integer or bulk reply has arrived completely. */
function isWhole(reply: string): boolean {
  const line = reply.indexOf('\r\n');
  if (line < 0) return false;
  if (!reply.startsWith('$')) return true;
  const length = Number(reply.slice(1, line));
  return length < 0 || reply.length >= line + 4 + length;
}
