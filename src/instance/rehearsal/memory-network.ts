/**
 * A network within the process: whoever connects to a port gets a stream to the server that listens there. What is written arrives in a later turn, in the
 * order in which it was written and in small pieces, and is in nobody's way meanwhile.
 */
import type { Clock, Connection, Network } from '../../host/host.ts';
import type { ServerSocket } from '../../host/tcp-listener.ts';
import { REHEARSAL_PIECE_BYTES } from '../limits.ts';

/** What accepts connections: a socket per connection, whose bytes come to stand in the read area. */
export interface Listener {
  readonly readArea: Buffer;
  accept(socket: ServerSocket): void;
}

/** One direction of a stream. */
class Pipe {
  readonly #clock: Clock;
  readonly #deliver: (bytes: Buffer) => void;
  #queue: Buffer[] = [];
  #isPaused = false;
  #isArmed = false;

  constructor(clock: Clock, deliver: (bytes: Buffer) => void) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  write(bytes: Uint8Array): void {
    const copy = Buffer.from(bytes);
    for (let at = 0; at < copy.length; at += REHEARSAL_PIECE_BYTES) {
      this.#queue.push(copy.subarray(at, at + REHEARSAL_PIECE_BYTES));
    }
    this.#arm();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#arm();
  }

  #arm(): void {
    if (this.#isArmed || this.#isPaused || this.#queue.length === 0) return;
    this.#isArmed = true;
    this.#clock.soon(() => {
      this.#isArmed = false;
      while (!this.#isPaused && this.#queue.length > 0) this.#deliver(this.#queue.shift()!);
    });
  }
}

const nothing = (): void => {};

export class MemoryNetwork implements Network {
  readonly #clock: Clock;
  readonly #listeners = new Map<number, Listener>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(port: number, listener: Listener): void {
    this.#listeners.set(port, listener);
  }

  connect(
    target: { readonly host: string; readonly port: number },
    done: (error: Error | null, connection: Connection | null) => void,
  ): void {
    const listener = this.#listeners.get(target.port);
    this.#clock.soon(() => {
      if (listener === undefined) return done(new Error(`nobody listens on port ${target.port}`), null);
      done(null, this.#join(listener));
    });
  }

  #join(listener: Listener): Connection {
    const { readArea } = listener;
    const clock = this.#clock;
    let isClosed = false;
    const toServer = new Pipe(clock, (bytes) => {
      if (!isClosed) socket.onData(bytes.copy(readArea));
    });
    const toClient = new Pipe(clock, (bytes) => {
      if (!isClosed) connection.onData(bytes);
    });
    const close = (): void => {
      if (isClosed) return;
      isClosed = true;
      clock.soon(() => {
        socket.onClose();
        connection.onClose(null);
      });
    };
    const connection: Connection = {
      remote: '',
      waitingBytes: 0,
      write: (bytes) => {
        toServer.write(bytes);
        return true;
      },
      pause: () => toClient.pause(),
      resume: () => toClient.resume(),
      close,
      onData: nothing,
      onDrain: nothing,
      onClose: nothing,
    };
    const socket = silentSocket({
      write: (bytes) => {
        toClient.write(bytes);
        return 0;
      },
      pause: () => toServer.pause(),
      resume: () => toServer.resume(),
      end: close,
      destroy: close,
    });
    listener.accept(socket);
    return connection;
  }
}

/** A socket that nothing comes from and nothing is waiting in, except for what is said otherwise. */
export const silentSocket = (parts: Partial<ServerSocket> = {}): ServerSocket => ({
  remote: '',
  local: '',
  waitingBytes: 0,
  isClosed: false,
  write: () => 0,
  pause: nothing,
  resume: nothing,
  setKeepAlive: nothing,
  end: nothing,
  destroy: nothing,
  onData: nothing,
  onDrain: nothing,
  onClose: nothing,
  ...parts,
});
