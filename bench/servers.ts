/** Starts and ends the servers that a benchmark compares: redis-server with its every-second log, and instances with ours. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INSTANCE_ENVIRONMENT, INSTANCE_NODE_FLAGS } from '../src/instance/node-flags.ts';
import type { Runtime } from './runtimes.ts';

const START_LIMIT_MS = 300_000;
const REPLY_LIMIT_MS = 300_000;
/** What /proc counts processor time in: USER_HZ, 100 on every Linux. */
const MICROS_PER_TICK = 10_000;

export interface Server {
  readonly name: string;
  readonly port: number;
  /** Where it keeps its files. */
  readonly directory: string;
  /** Resident memory, bytes. */
  residentBytes(): number;
  /** Processor time that all threads of the process have used, in its own code and in the system's, microseconds. */
  cpuMicros(): number;
  /** Sends one command and resolves to the raw reply. */
  ask(...words: string[]): Promise<string>;
  /** kill -9. `start` goes on with what is on disk. */
  kill(): Promise<void>;
  /** Resolves when it serves. */
  start(): Promise<void>;
  /** Ends it; its files go. */
  stop(): Promise<void>;
}

export type Persistence =
  | { readonly kind: 'aof'; readonly fsync: 'every-sec' }
  | { readonly kind: 'snapshot'; readonly afterSeconds: number; readonly afterWrites: number };

const EVERY_SECOND: Persistence = { kind: 'aof', fsync: 'every-sec' };

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** `persistence` snapshot: no log, and snapshots only when asked for. */
export async function startRedis(
  options: { readonly replicaOf?: number; readonly persistence?: Persistence } = {},
): Promise<Server> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'crdb-bench-redis-'));
  const appendonly = options.persistence?.kind === 'snapshot' ? 'no' : 'yes';
  const args = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--dir',
    directory,
    '--save',
    '',
    '--appendonly',
    appendonly,
  ];
  if (options.replicaOf !== undefined) args.push('--replicaof', `127.0.0.1 ${options.replicaOf}`);
  return started('redis-server', port, directory, () => spawn('redis-server', args, { stdio: 'ignore' }));
}

/** The instances of one database, each pulling from all others; started one by one. */
export class BenchDatabase {
  readonly #runtime: Runtime;
  readonly #ports: readonly number[];
  readonly #persistence: Persistence;

  private constructor(runtime: Runtime, ports: readonly number[], persistence: Persistence) {
    this.#runtime = runtime;
    this.#ports = ports;
    this.#persistence = persistence;
  }

  static async plan(runtime: Runtime, count: number, persistence: Persistence = EVERY_SECOND): Promise<BenchDatabase> {
    const ports: number[] = [];
    for (let i = 0; i < count; i++) ports.push(await freePort());
    return new BenchDatabase(runtime, ports, persistence);
  }

  /** `id`: 1 to `count`. */
  startInstance(id: number): Promise<Server> {
    const program = join(this.#runtime.root, 'dist/src/instance/main.js');
    if (!existsSync(program)) throw new Error(`${program} is missing. Try: npm run build`);
    const directory = mkdtempSync(join(tmpdir(), 'crdb-bench-'));
    const dataDirectory = join(directory, 'data');
    mkdirSync(dataDirectory);
    const file = join(directory, 'instance.json');
    writeFileSync(file, JSON.stringify({ ...this.#configure(id), dataDirectory }));
    const port = this.#ports[id - 1]!;
    return started(this.#runtime.name, port, directory, () =>
      spawn(this.#runtime.node, [...INSTANCE_NODE_FLAGS, program, file], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...INSTANCE_ENVIRONMENT, ...process.env },
      }),
    );
  }

  #configure(id: number): object {
    const ports = this.#ports;
    return {
      version: 1,
      guid: `bench-${process.pid}-${ports[0]}`,
      name: 'bench',
      instanceId: id,
      cluster: `local-${id}`,
      host: '127.0.0.1',
      port: ports[id - 1],
      persistence: this.#persistence,
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
  }
}

/** A database of one instance. */
export const startAlone = async (runtime: Runtime, persistence: Persistence = EVERY_SECOND): Promise<Server> =>
  (await BenchDatabase.plan(runtime, 1, persistence)).startInstance(1);

async function started(name: string, port: number, directory: string, spawnIt: () => ChildProcess): Promise<Server> {
  let child = spawnIt();
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await exited;
  };
  const server: Server = {
    name,
    port,
    directory,
    residentBytes: () => residentBytes(child.pid!),
    cpuMicros: () => cpuMicros(child.pid!),
    ask: (...words) => ask(port, words),
    kill: () => end('SIGKILL'),
    start: async () => {
      child = spawnIt();
      await ready(server, child);
    },
    stop: async () => {
      await end('SIGTERM');
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await ready(server, child);
  return server;
}

async function ready(server: Server, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_LIMIT_MS;
  for (;;) {
    const reply = await server.ask('PING').catch(() => '');
    if (reply.startsWith('+PONG')) return;
    if (child.exitCode !== null) throw new Error(`${server.name} ended with code ${child.exitCode}`);
    if (Date.now() > until) throw new Error(`${server.name} did not answer within ${START_LIMIT_MS} ms`);
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
    const fail = (): void => void socket.destroy(new Error(`no reply within ${REPLY_LIMIT_MS} ms`));
    socket.setTimeout(REPLY_LIMIT_MS, fail);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed before it replied to ${words[0]}`)));
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
