/**
 * The server's side of TCP: a listening socket, and connections that all read into one buffer.
 *
 * Why not the plain `net` events: a socket that is given `onread` reads into a buffer of ours, so that thousands of clients allocate nothing per read.
 * `net.createServer` cannot pass that option on, therefore the handle of each accepted socket is put into a new one.
 *
 * `write` needs no callback and no queue of ours: when nothing is waiting in the socket after the call, the kernel has taken the bytes and the
 * caller may reuse them.
 *
 * Invariants: an error of a socket ends that socket only; `onClose` is called exactly once.
 */
import net from 'node:net';

const BACKLOG_CONNECTIONS = 511;
/** How long `end` waits for the other side to take what was written. */
const LINGER_MS = 2_000;

/** One accepted connection. Handlers are set before anything arrives. */
export interface ServerSocket {
  /** `address:port` of the client. */
  readonly remote: string;
  /** `address:port` it connected to. */
  readonly local: string;
  /** Bytes that the kernel has not taken yet. */
  readonly waitingBytes: number;
  readonly isClosed: boolean;
  /** Returns `waitingBytes`: at 0 the bytes may be reused at once, otherwise they must never change. */
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  setKeepAlive(seconds: number): void;
  /** Closes after what was written is taken, within two seconds. */
  end(): void;
  /** Closes now. */
  destroy(): void;
  /** `count` bytes stand at the beginning of the read buffer, until the call returns. */
  onData: (count: number) => void;
  /** All is taken, after more than a little was waiting. */
  onDrain: () => void;
  onClose: () => void;
}

export interface TcpListener {
  readonly port: number;
  /** Takes no new connections; those that exist stay. */
  close(): Promise<void>;
}

interface WithHandle {
  _handle: unknown;
}

class AcceptedSocket implements ServerSocket {
  readonly remote: string;
  readonly local: string;
  onData: (count: number) => void = () => {};
  onDrain: () => void = () => {};
  onClose: () => void = () => {};
  readonly #socket: net.Socket;
  #linger: NodeJS.Timeout | null = null;

  constructor(accepted: net.Socket, readBuffer: Buffer) {
    const handle = (accepted as unknown as WithHandle)._handle;
    (accepted as unknown as WithHandle)._handle = null;
    const options = {
      handle,
      onread: {
        buffer: readBuffer,
        callback: (count: number): boolean => {
          this.onData(count);
          return true;
        },
      },
    };
    const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
    this.#socket = socket;
    this.remote = describe(socket.remoteAddress, socket.remotePort);
    this.local = describe(socket.localAddress, socket.localPort);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('drain', () => this.onDrain());
    socket.once('end', () => socket.destroySoon());
    socket.once('close', () => {
      if (this.#linger !== null) clearTimeout(this.#linger);
      this.onClose();
    });
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded;
  }

  write(bytes: Uint8Array): number {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return 0;
    socket.write(bytes);
    return socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.isClosed) this.#socket.resume();
  }

  setKeepAlive(seconds: number): void {
    this.#socket.setKeepAlive(seconds > 0, seconds * 1000);
  }

  end(): void {
    const socket = this.#socket;
    if (socket.destroyed || this.#linger !== null) return;
    this.#linger = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

const describe = (address: string | undefined, port: number | undefined): string => {
  if (address === undefined) return '?:0';
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
};

/** Rejects when the port cannot be bound, with the system's error (`code` EADDRINUSE ...). */
export function listenTcp(options: {
  readonly host: string;
  readonly port: number;
  /** Everybody reads into it: what `onData` tells of must be used, or copied, before it returns. */
  readonly readBuffer: Buffer;
  readonly onConnection: (socket: ServerSocket) => void;
}): Promise<TcpListener> {
  const { host, port, readBuffer, onConnection } = options;
  const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
    const socket = new AcceptedSocket(accepted, readBuffer);
    onConnection(socket);
    socket.resume();
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: BACKLOG_CONNECTIONS }, () => {
      server.off('error', reject);
      // Accepting may fail for a while (no file descriptors left); those who are connected go on.
      server.on('error', () => {});
      resolve({
        port: (server.address() as net.AddressInfo).port,
        // Its own callback would wait for the connections, and counts them by the sockets whose handles were taken.
        close: () =>
          new Promise((closed) => {
            server.close();
            setImmediate(closed);
          }),
      });
    });
  });
}
