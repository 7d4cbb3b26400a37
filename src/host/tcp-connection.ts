/**
 * A TCP socket as a `Connection`, and the network that makes them.
 *
 * Bytes of all sockets are read into one shared buffer (`onread`): a link that streams batches allocates nothing per read. That is
 * sound because a read is delivered in the same turn in which it was made, and `onData`'s bytes are valid during the call only.
 */
import net from 'node:net';
import type { Connection, Network } from './host.ts';

const READ_BUFFER_BYTES = 256 * 1024;
const KEEP_ALIVE_MS = 30_000;
/** How long `close` waits for the other side to take what was queued. */
const LINGER_MS = 1_000;

const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

class TcpConnection implements Connection {
  readonly remote: string;
  readonly #socket: net.Socket;
  #error: Error | null = null;
  onData: (bytes: Uint8Array) => void = () => {};
  onDrain: () => void = () => {};
  onClose: (error: Error | null) => void = () => {};

  constructor(socket: net.Socket, remote: string) {
    this.#socket = socket;
    this.remote = remote;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('drain', () => this.onDrain());
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.once('close', () => this.onClose(this.#error));
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.destroyed ? true : this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    socket.destroySoon();
    const linger = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(linger));
  }
}

export class TcpNetwork implements Network {
  connect(
    target: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    done: (error: Error | null, connection: Connection | null) => void,
  ): void {
    const remote = `${target.host}:${target.port}`;
    let connection: TcpConnection | null = null;
    const socket = net.connect({
      host: target.host,
      port: target.port,
      onread: {
        buffer: readBuffer,
        callback: (count, bytes) => {
          connection!.onData(bytes.subarray(0, count));
          return true;
        },
      },
    });
    // A socket that was given up may still report something; nobody listens any more.
    socket.on('error', () => {});
    const fail = (error: Error): void => {
      clearTimeout(timeout);
      socket.destroy();
      done(error, null);
    };
    const timeout = setTimeout(() => {
      socket.off('error', fail);
      fail(new Error(`no connection to ${remote} within ${target.timeoutMs} ms`));
    }, target.timeoutMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timeout);
      socket.off('error', fail);
      connection = new TcpConnection(socket, remote);
      done(null, connection);
    });
  }
}
