/**
 * What is on its way to one client: replies and pushed messages, in order.
 *
 * Under `appendfsync-always` whatever leaves waits until all that clients had written by then is on disk: as on Redis nobody, its writer or a
 * reader, learns of a write that a power failure could still undo. Pushed messages are gathered until the end of the turn.
 *
 * Invariants: bytes leave in the order in which they were taken; nothing leaves before what it may tell of is durable.
 */
import type { ServerSocket } from '../host/tcp-listener.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { InstancePort } from './ports.ts';

/** What outboxes share. */
export interface Durability {
  readonly instance: InstancePort;
  /** Log position behind the latest write of any client. */
  readonly writtenPosition: number;
}

interface Waiting {
  readonly position: number;
  readonly bytes: Buffer;
}

export class Outbox {
  readonly #socket: ServerSocket;
  readonly #durability: Durability;
  readonly #onMoved: () => void;
  readonly #release = (): void => this.#releaseDurable();
  /** Replies that wait for the disk. */
  #undurable: Waiting[] = [];
  #undurableBytes = 0;
  #pushes: Buffer[] = [];
  #pushBytes = 0;
  #isEnding = false;
  /** Whether what leaves waits for the disk. */
  waits: boolean;

  /** `onMoved`: bytes that waited for the disk have left. */
  constructor(socket: ServerSocket, durability: Durability, onMoved: () => void) {
    this.#socket = socket;
    this.#durability = durability;
    this.waits = durability.instance.replyAfterSync;
    this.#onMoved = onMoved;
  }

  /** Bytes that have not left the process. */
  get waitingBytes(): number {
    return this.#socket.waitingBytes + this.#undurableBytes + this.#pushBytes;
  }

  /** Replies leave. Returns whether the bytes may be used again; otherwise they must never change. */
  send(bytes: Buffer): boolean {
    if (this.waits && this.#mustWait()) {
      this.#wait(Buffer.from(bytes));
      return true;
    }
    return this.#socket.write(bytes) === 0;
  }

  /** Messages wait for `flushPushes`. */
  get hasPushes(): boolean {
    return this.#pushBytes > 0;
  }

  /** Takes a message that is not a reply; it leaves with `flushPushes`. */
  push(writer: ReplyWriter): void {
    const bytes = Buffer.from(writer.peek());
    writer.truncate();
    this.#pushes.push(bytes);
    this.#pushBytes += bytes.length;
  }

  flushPushes(): void {
    if (this.#pushBytes === 0) return;
    const bytes = this.#pushes.length === 1 ? this.#pushes[0]! : Buffer.concat(this.#pushes);
    this.#pushes = [];
    this.#pushBytes = 0;
    if (this.waits && this.#mustWait()) this.#wait(bytes);
    else this.#socket.write(bytes);
  }

  /** Closes the socket after all that waits has left. */
  end(): void {
    this.flushPushes();
    this.#isEnding = true;
    if (this.#undurable.length === 0) this.#socket.end();
  }

  clear(): void {
    this.#undurable = [];
    this.#undurableBytes = 0;
    this.#pushes = [];
    this.#pushBytes = 0;
  }

  #mustWait(): boolean {
    const { instance, writtenPosition } = this.#durability;
    return this.#undurable.length > 0 || !instance.isDurable(writtenPosition);
  }

  #wait(bytes: Buffer): void {
    const last = this.#undurable.at(-1);
    const position = this.#durability.writtenPosition;
    this.#undurable.push({ position, bytes });
    this.#undurableBytes += bytes.length;
    if (last?.position !== position) this.#durability.instance.whenDurable(position, this.#release);
  }

  #releaseDurable(): void {
    let count = 0;
    while (count < this.#undurable.length && this.#durability.instance.isDurable(this.#undurable[count]!.position)) {
      const { bytes } = this.#undurable[count++]!;
      this.#undurableBytes -= bytes.length;
      this.#socket.write(bytes);
    }
    this.#undurable.splice(0, count);
    if (this.#isEnding && this.#undurable.length === 0) this.#socket.end();
    this.#onMoved();
  }
}
