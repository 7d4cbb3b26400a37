/** A client's socket as a `Connection`, once it turned out to be a peer: the listener's side of replication. */
import type { Connection } from '../host/host.ts';
import type { ServerSocket } from '../host/tcp-listener.ts';

/** More than this waiting in the socket: the sender should wait for `onDrain`. */
const WAITING_BYTES_MAX = 1024 * 1024;

export class FeedConnection implements Connection {
  readonly remote: string;
  onData: (bytes: Uint8Array) => void = () => {};
  onDrain: () => void = () => {};
  onClose: (error: Error | null) => void = () => {};
  readonly #socket: ServerSocket;

  /** `readArea`: where the socket's bytes come to stand. */
  constructor(socket: ServerSocket, readArea: Buffer) {
    this.#socket = socket;
    this.remote = socket.remote;
    socket.onData = (count) => this.onData(readArea.subarray(0, count));
    socket.onDrain = () => this.onDrain();
    socket.onClose = () => this.onClose(null);
    socket.resume();
  }

  get waitingBytes(): number {
    return this.#socket.waitingBytes;
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes) <= WAITING_BYTES_MAX;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.end();
  }
}
