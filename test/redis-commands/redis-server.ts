/** A real redis-server for differential tests: on a socket file of its own, without persistence, gone with the suite. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from '@jest/globals';
import { countReplies } from './raw-reply.ts';

const START_DEADLINE_MS = 30_000;
const RETRY_MS = 20;
const SOCKET = 'redis.sock';

/** A suite that needs redis-server. Where there is none it fails under CI and is skipped, loudly, elsewhere. */
export function describeWithRedis(name: string, suite: () => void): void {
  const isInstalled = spawnSync('redis-server', ['--version']).status === 0;
  if (isInstalled) {
    describe(name, suite);
    return;
  }
  if (process.env['CI'] === undefined) {
    process.stderr.write(`SKIPPED, redis-server is not installed: ${name}\n`);
    describe.skip(name, suite);
    return;
  }
  describe(name, () => {
    it('has a redis-server to compare with', () => {
      throw new Error('redis-server is not installed: install Redis 7.0');
    });
  });
}

export class RedisServer {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #socket: Socket;
  /** Of its socket file, for further connections. */
  readonly path: string;

  private constructor(process: ChildProcess, folder: string, socket: Socket) {
    this.#process = process;
    this.#folder = folder;
    this.path = join(folder, SOCKET);
    this.#socket = socket;
  }

  static async start(): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'crdb-redis-'));
    const path = join(folder, SOCKET);
    const process = spawn('redis-server', ['--port', '0', '--unixsocket', path, '--save', '', '--dir', folder], {
      stdio: 'ignore',
    });
    const deadline = Date.now() + START_DEADLINE_MS;
    for (;;) {
      const socket = await tryConnect(path);
      if (socket !== null) return new RedisServer(process, folder, socket);
      if (Date.now() > deadline) throw new Error('redis-server did not start');
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Runs the commands in one pipeline and returns all replies as the bytes they came in. */
  async run(commands: readonly (readonly (string | Buffer)[])[]): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const done = new Promise<Buffer>((resolve, reject) => {
      const onData = (piece: Buffer): void => {
        pieces.push(piece);
        const all = Buffer.concat(pieces);
        if (countReplies(all) < commands.length) return;
        this.#socket.off('data', onData).off('error', reject);
        resolve(all);
      };
      this.#socket.on('data', onData).once('error', reject);
    });
    this.#socket.write(Buffer.concat(commands.map(encodeCommand)));
    return done;
  }

  async stop(): Promise<void> {
    this.#socket.destroy();
    const exited = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket.removeAllListeners('error')));
    socket.once('error', () => resolve(null));
  });
}

export function encodeCommand(parts: readonly (string | Buffer)[]): Buffer {
  const pieces: Buffer[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const bytes = Buffer.from(part);
    pieces.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(pieces);
}
