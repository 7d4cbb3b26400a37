/** An endpoint in this process: the real server on a real socket, over a real database; the instance around it is played. */
import net from 'node:net';
import { createRealHost } from '../../src/host/real-host.ts';
import { listenTcp, type TcpListener } from '../../src/host/tcp-listener.ts';
import type { Clock, Connection } from '../../src/host/host.ts';
import { Database } from '../../src/database/database.ts';
import { ReplyDecoder, ReplyError, type Decoded } from '../../src/resp/decode.ts';
import { RequestParser } from '../../src/resp/parser.ts';
import type { InstanceConfig } from '../../src/instance/config.ts';
import { LoadingPort } from '../../src/instance/loading-port.ts';
import type { InstancePort } from '../../src/server/ports.ts';
import { RedisServer } from '../../src/server/redis-server.ts';
import { makeDatabase } from '../redis-commands/harness.ts';

const NO_CONFIG = { guid: 'guid', memoryBytesMax: 0 };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const DEADLINE_MS = 30_000;

/** Polls until the condition holds; fails with the sentence. */
export async function eventually(condition: () => boolean, sentence: string | (() => string)): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > deadline) {
      throw new Error(`not within ${DEADLINE_MS} ms: ${typeof sentence === 'string' ? sentence : sentence()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export interface EndpointOptions {
  readonly password?: string;
  readonly clientsMax?: number;
  readonly replyAfterSync?: boolean;
  readonly database?: Database;
  readonly clock?: Clock;
  /** Until `loaded`. */
  readonly isLoading?: boolean;
  readonly replyBytesMax?: number;
}

export class Endpoint {
  readonly database: Database;
  readonly parser = new RequestParser();
  readonly logLines: string[] = [];
  readonly published: string[] = [];
  /** Log position that is on disk, when replies wait for it. */
  durable = 0;
  readonly durableWaiters: { readonly position: number; readonly fn: () => void }[] = [];
  wakes = 0;
  shutdowns = 0;
  /** CONFIG RESETSTATs. */
  resets = 0;
  /** Other instances that have everything. */
  acked = 0;
  readonly ackWaiters: { readonly count: number; readonly fn: () => void }[] = [];
  feed: { connection: Connection; request: string; rest: Uint8Array } | null = null;
  readonly instance: Mutable<InstancePort>;
  readonly server: RedisServer;
  /** How far the loading is; it stands in for the instance until `loaded`. */
  readonly loading: LoadingPort;
  readonly #clients: TestClient[] = [];
  #listener: TcpListener | null = null;

  constructor(options: EndpointOptions = {}) {
    const { clock = createRealHost().clock, database = makeDatabase(1) } = options;
    this.database = database;
    this.instance = {
      enterTurn: () => database.setTime(clock.nowMs()),
      wake: () => void this.wakes++,
      handOver: () => {},
      replyAfterSync: options.replyAfterSync ?? false,
      unwrittenBytes: () => 0,
      logEnd: () => database.log.end,
      isDurable: (position) => position <= this.durable,
      whenDurable: (position, fn) => void this.durableWaiters.push({ position, fn }),
      acks: {
        acked: () => this.acked,
        whenAcked: (_seq, count, _durable, fn) => {
          const waiter = { count, fn };
          this.ackWaiters.push(waiter);
          return () => void this.ackWaiters.splice(this.ackWaiters.indexOf(waiter), 1);
        },
        isDurable: () => true,
        whenDurable: (fn) => fn(),
      },
      control: {
        status: () => '{"state":"ready"}',
        pause: () => {},
        resume: () => {},
        acceptClock: (from) => (from === 9 ? 'instance 9 is no peer' : null),
        resync: ({ from, full }) => (from === 9 ? `no ${full ? 'full ' : ''}resync` : null),
        configure: (json) => (json === '{}' ? null : 'no such thing'),
        shutdown: () => {},
      },
      publishToPeers: (channel, message) => void this.published.push(`${String(channel)}: ${String(message)}`),
      acceptFeed: (connection, request, rest) => {
        this.feed = { connection, request, rest };
      },
      info: () => ({ crdt: { instance_id: 1 } }),
      resetStats: () => void this.resets++,
      log: (level, line) => void this.logLines.push(`${level} ${line}`),
    };
    this.loading = new LoadingPort({
      host: createRealHost(),
      config: { ...NO_CONFIG, instanceId: 1 } as InstanceConfig,
      pid: process.pid,
      log: this.instance.log,
      onShutdown: () => void this.shutdowns++,
    });
    const { isLoading = false } = options;
    this.server = new RedisServer({
      database: isLoading ? this.loading.database : database,
      clock,
      parser: this.parser,
      instance: isLoading ? this.loading : this.instance,
      isLoading,
      ...(options.replyBytesMax === undefined ? {} : { replyBytesMax: options.replyBytesMax }),
      credentials: { password: options.password ?? '', replicationSecret: 'peer', controlSecret: 'daemon' },
      settings: {
        port: 0,
        bind: '127.0.0.1',
        dir: '',
        appendonly: 'yes',
        appendfsync: 'everysec',
        save: '',
        maxclients: options.clientsMax ?? 100,
      },
    });
  }

  static async start(options: EndpointOptions = {}): Promise<Endpoint> {
    const endpoint = new Endpoint(options);
    endpoint.#listener = await listenTcp({
      host: '127.0.0.1',
      port: 0,
      readBuffer: endpoint.parser.readArea,
      onConnection: (socket) => endpoint.server.accept(socket),
    });
    return endpoint;
  }

  /** The data is there. */
  loaded(): void {
    this.server.serve(this.database, this.instance);
  }

  get port(): number {
    return this.#listener!.port;
  }

  async connect(): Promise<TestClient> {
    const client = await TestClient.connect(this.port);
    this.#clients.push(client);
    return client;
  }

  /** The disk has caught up. */
  sync(): void {
    this.durable = this.database.log.end;
    for (const { fn } of this.durableWaiters.splice(0)) fn();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    this.server.killAll();
    await this.#listener?.close();
  }
}

/** A client that sends lines or raw bytes, and reads one reply after the other. */
export class TestClient {
  readonly socket: net.Socket;
  readonly #decoder = new ReplyDecoder();
  isClosed = false;

  static async connect(port: number): Promise<TestClient> {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new TestClient(socket);
  }

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => this.#decoder.push(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? `${text}\r\n` : text);
  }

  /** The next reply: bulks as text, errors as `-text`. */
  async next(): Promise<unknown> {
    let value: Decoded | undefined;
    await eventually(() => (value = this.#decoder.next()) !== undefined || this.isClosed, 'a reply');
    return value === undefined ? '(closed)' : plain(value);
  }

  /** Sends a line and reads its reply. */
  ask(line: string): Promise<unknown> {
    this.send(line);
    return this.next();
  }

  /** Bytes that are no whole reply, or not looked at yet. */
  get unread(): Buffer {
    return this.#decoder.rest();
  }

  closed(): Promise<void> {
    return eventually(() => this.isClosed, 'the connection is closed');
  }
}

function plain(value: Decoded): unknown {
  if (Buffer.isBuffer(value)) return value.toString();
  if (value instanceof ReplyError) return `-${value.text}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, each]) => [String(key), plain(each)]));
  if (typeof value === 'object' && value !== null) return { push: value.values.map(plain) };
  return value;
}
