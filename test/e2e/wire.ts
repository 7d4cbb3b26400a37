/**
 * A client that works on the wire: raw bytes out, one reply after the other in, and the end of the connection as a fact. ioredis
 * would connect anew and send again by itself; here a test must know what was acknowledged and what was not.
 */
import net from 'node:net';
import { ReplyDecoder, ReplyError, type Decoded } from '../../src/resp/decode.ts';

export type Reply = string | number | bigint | boolean | null | readonly Reply[];
export type Word = string | number | Uint8Array;

interface Waiter {
  readonly resolve: (reply: Decoded) => void;
  readonly reject: (error: Error) => void;
}

export class Wire {
  readonly socket: net.Socket;
  readonly closed: Promise<void>;
  readonly #decoder = new ReplyDecoder();
  readonly #waiters: Waiter[] = [];
  readonly #unasked: Decoded[] = [];
  #isClosed = false;

  /** Rejects when nobody listens. */
  static async connect(endpoint: string): Promise<Wire> {
    const { host, port } = addressOf(endpoint);
    const socket = net.connect({ host, port, noDelay: true });
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Wire(socket);
  }

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      this.#decoder.push(bytes);
      for (let reply = this.#decoder.next(); reply !== undefined; reply = this.#decoder.next()) this.#deliver(reply);
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true;
        for (const { reject } of this.#waiters.splice(0)) reject(new Error('the connection was closed'));
        resolve();
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next reply; an error reply as `-text`. Rejects when the connection closes before it. */
  async next(): Promise<Reply> {
    const early = this.#unasked.shift();
    if (early !== undefined) return plain(early);
    if (this.#isClosed) throw new Error('the connection was closed');
    return plain(await new Promise<Decoded>((resolve, reject) => this.#waiters.push({ resolve, reject })));
  }

  ask(...words: readonly Word[]): Promise<Reply> {
    this.send(encode(words));
    return this.next();
  }

  /** Sends all requests at once; calls `onReply` for each reply in order. Rejects when the connection closes before the last one. */
  async pipeline(
    requests: readonly (readonly Word[])[],
    onReply: (reply: Reply, index: number) => void,
  ): Promise<void> {
    this.send(Buffer.concat(requests.map(encode)));
    for (let index = 0; index < requests.length; index++) onReply(await this.next(), index);
  }

  close(): void {
    this.socket.destroy();
  }

  #deliver(reply: Decoded): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#unasked.push(reply);
    else waiter.resolve(reply);
  }
}

export function addressOf(endpoint: string): { readonly host: string; readonly port: number } {
  const at = endpoint.lastIndexOf(':');
  return { host: endpoint.slice(0, at), port: Number(endpoint.slice(at + 1)) };
}

export function encode(words: readonly Word[]): Buffer {
  const parts = words.flatMap((word) => {
    const bytes = typeof word === 'object' ? word : Buffer.from(`${word}`);
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}

function plain(value: Decoded): Reply {
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  if (value instanceof ReplyError) return `-${value.text}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return [...value].flatMap(([key, each]) => [plain(key), plain(each)]);
  return typeof value === 'object' && value !== null ? value.values.map(plain) : value;
}
