/** An instance as it runs in production: a process of its own, from the build (`npm run build`), with nobody around it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceConfig } from '../../src/instance/config.ts';
import { freePort } from '../node/nodes.ts';
import { TEST_NODE } from '../test-node.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'src', 'instance', 'main.js');
const PORT_IN_USE = 3;
const ATTEMPTS = 5;

export class RealInstance {
  readonly port: number;
  readonly password: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, password: string, process: ChildProcess, folder: string) {
    this.port = port;
    this.password = password;
    this.#process = process;
    this.#folder = folder;
  }

  static async start(options: { readonly password?: string; readonly port?: number } = {}): Promise<RealInstance> {
    if (!existsSync(MAIN)) throw new Error('There is no build. Try: npm run build');
    const { password = '' } = options;
    for (let attempt = 1; ; attempt++) {
      const port = options.port ?? (await freePort());
      const folder = mkdtempSync(join(tmpdir(), 'crdb-client-test-'));
      writeFileSync(join(folder, 'instance.json'), JSON.stringify(configure(folder, port, password)), { mode: 0o600 });
      const child = spawn(TEST_NODE, [MAIN, join(folder, 'instance.json')], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const outcome = await untilReady(child);
      if (outcome === 'ready') return new RealInstance(port, password, child, folder);
      rmSync(folder, { recursive: true, force: true });
      if (outcome.code !== PORT_IN_USE || attempt === ATTEMPTS) throw new Error(`no instance: ${outcome.text}`);
    }
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode === null && signalCode === null) {
      const exited = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function untilReady(child: ChildProcess): Promise<'ready' | { readonly code: number | null; readonly text: string }> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout!.on('data', (bytes: Buffer) => {
      text += String(bytes);
      if (text.includes('instance ready')) resolve('ready');
    });
    child.stderr!.on('data', (bytes: Buffer) => {
      text += String(bytes);
    });
    child.once('exit', (code) => resolve({ code, text }));
  });
}

const configure = (dataDirectory: string, port: number, password: string): InstanceConfig => ({
  version: 1,
  guid: '6f0e6a1c-0000-4000-8000-000000000001',
  name: 'clients',
  instanceId: 1,
  cluster: 'local-1',
  host: '127.0.0.1',
  port,
  dataDirectory,
  persistence: { kind: 'aof', fsync: 'every-sec' },
  password,
  replicationSecret: 'replication',
  controlSecret: 'control',
  memoryBytesMax: 0,
  backlogBytesMax: 0,
  compression: 0,
  peers: [],
});
