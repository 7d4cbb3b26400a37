/** A client that types lines at an endpoint of this process: the server's side of a socket, without the socket. */
import { ReplyDecoder, type Decoded } from '../../src/resp/decode.ts';
import type { ServerSocket } from '../../src/host/tcp-listener.ts';
import type { Endpoint } from '../server/endpoint.ts';

export class Terminal implements ServerSocket {
  readonly remote: string;
  readonly local = 'here';
  readonly waitingBytes = 0;
  isClosed = false;
  onData: (count: number) => void = () => {};
  onDrain: () => void = () => {};
  onClose: () => void = () => {};
  readonly #endpoint: Endpoint;
  readonly #decoder = new ReplyDecoder();

  constructor(name: string, endpoint: Endpoint) {
    this.remote = name;
    this.#endpoint = endpoint;
    endpoint.server.accept(this);
  }

  /** One turn of the event loop: the line arrives, and what is to be told to anybody leaves. */
  type(line: string): void {
    const { parser, server } = this.#endpoint;
    this.onData(parser.readArea.write(`${line}\r\n`));
    server.flush();
  }

  /** All replies and messages that have come since the last call. */
  read(): Decoded[] {
    const values: Decoded[] = [];
    for (let value = this.#decoder.next(); value !== undefined; value = this.#decoder.next()) values.push(value);
    return values;
  }

  write(bytes: Uint8Array): number {
    this.#decoder.push(bytes);
    return 0;
  }

  pause(): void {}

  resume(): void {}

  setKeepAlive(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.onClose();
  }
}
