/**
 * One simulated connection: two ends, and in each direction a stream of bytes that is cut into pieces at arbitrary places.
 *
 * What is written leaves at once, travels for the path's latency and arrives in pieces of any size, several writes joined or one torn
 * apart. A direction holds at most the network's `windowBytes` that were not yet consumed; beyond that `write` says false and `onDrain` follows when
 * half of it is free again. A receiver that paused leaves the bytes where they are, which is what makes the sender wait.
 *
 * What is handed to `onData` is overwritten after the call, and what was passed to `write` is compared with a copy when it leaves: code
 * that keeps the one or reuses the other too soon fails here and not in production.
 *
 * Invariant: after `onClose` an end calls back no more.
 */
import type { Connection } from '../../../src/host/host.ts';
import type { Path, SimulatedNetwork } from './network.ts';
import { mixWord } from './random.ts';

/** How long the other side takes to notice that a machine has lost its power, ms. */
const SILENT_RESET_MS = 20_000;

export class ConnectionPair {
  readonly connected: ConnectionEnd;
  readonly accepted: ConnectionEnd;
  readonly #a: string;
  readonly #b: string;

  constructor(network: SimulatedNetwork, a: string, b: string, gone: () => void) {
    this.#a = a;
    this.#b = b;
    const forget = (): void => {
      if (this.connected.closed && this.accepted.closed) gone();
    };
    this.connected = new ConnectionEnd(network, b, network.path(a, b), forget);
    this.accepted = new ConnectionEnd(network, a, network.path(b, a), forget);
    this.connected.peer = this.accepted;
    this.accepted.peer = this.connected;
  }

  joins(a: string, b: string): boolean {
    return (this.#a === a && this.#b === b) || (this.#a === b && this.#b === a);
  }

  endsAt(machine: string): readonly ConnectionEnd[] {
    const ends: ConnectionEnd[] = [];
    if (this.#a === machine) ends.push(this.connected);
    if (this.#b === machine) ends.push(this.accepted);
    return ends;
  }

  breakOff(): void {
    const error = new Error('ECONNRESET: simulated drop');
    this.connected.fail(error);
    this.accepted.fail(error);
  }
}

export class ConnectionEnd implements Connection {
  readonly remote: string;
  /** Set by the pair. */
  peer!: ConnectionEnd;
  onData: (bytes: Uint8Array) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onClose: (error: Error | null) => void = () => undefined;
  readonly #network: SimulatedNetwork;
  readonly #outgoing: Path;
  readonly #forget: () => void;
  /** Arrived, not yet consumed. */
  readonly #arrived: Buffer[] = [];
  /** What the path still carries towards the peer: bytes, or null for the end. Sent in order. */
  readonly #travelling: (Buffer | null)[] = [];
  #blockedOnPath = false;
  #unconsumedBytes = 0;
  #mustDrain = false;
  #paused = false;
  #closed = false;
  #abandoned = false;
  /** The machine has lost its power: what arrives is gone, and nobody answers. */
  #silent = false;
  #ending = false;
  #deliveryPlanned = false;
  #latestArrivalMs = 0;

  constructor(network: SimulatedNetwork, remote: string, outgoing: Path, forget: () => void) {
    this.#network = network;
    this.remote = remote;
    this.#outgoing = outgoing;
    this.#forget = forget;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get waitingBytes(): number {
    return this.#mustDrain ? this.#unconsumedBytes : 0;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    if (bytes.length === 0) return !this.#mustDrain;
    const copy = Buffer.from(bytes);
    this.#unconsumedBytes += copy.length;
    this.#mustDrain ||= this.#unconsumedBytes > this.#network.windowBytes;
    if (this.waitingBytes > 0) {
      queueMicrotask(() => {
        if (!copy.equals(bytes)) this.#network.world.fail(new Error('bytes changed after write and before they left'));
      });
    }
    for (const piece of this.#tear(copy)) this.#send(piece);
    return !this.#mustDrain;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#planDelivery();
  }

  close(): void {
    if (this.#closed) return;
    this.#send(null);
    this.#finish(null);
  }

  /** Both sides of a broken connection learn of it: here and now, what was travelling is lost. */
  fail(error: Error): void {
    this.#travelling.length = 0;
    this.#arrived.length = 0;
    this.#finish(error);
  }

  /** The process behind this end is gone. */
  abandon(reset: 'quick' | 'silent'): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    const wasClosed = this.#closed;
    this.#closed = true;
    this.#forget();
    if (wasClosed) return;
    if (reset === 'quick') this.#send(null);
    else {
      this.#silent = true;
      const waitMs = this.#network.random.real(0.1, 1) * SILENT_RESET_MS;
      this.#network.world.schedule(waitMs, this.remote, () => this.peer.fail(new Error('ECONNRESET: peer is gone')));
    }
  }

  #tear(bytes: Buffer): readonly Buffer[] {
    const { random } = this.#network;
    const pieces: Buffer[] = [];
    let rest = bytes;
    while (rest.length > 1 && pieces.length < 3 && random.chance(0.1)) {
      const at = random.chance(0.3) ? 1 : random.between(1, rest.length - 1);
      pieces.push(rest.subarray(0, at));
      rest = rest.subarray(at);
    }
    pieces.push(rest);
    return pieces;
  }

  #send(piece: Buffer | null): void {
    this.#travelling.push(piece);
    this.#planArrival(piece?.length ?? 0);
  }

  #planArrival(byteCount: number): void {
    const { world, random } = this.#network;
    const path = this.#outgoing;
    const jitterMs = random.chance(0.02) ? random.exponential(50) : random.exponential(0.05 * path.latencyMs);
    path.freeAtMs = Math.max(world.nowMs, path.freeAtMs) + byteCount / path.bytesPerMs;
    this.#latestArrivalMs = Math.max(this.#latestArrivalMs, path.freeAtMs + path.latencyMs + jitterMs);
    world.schedule(this.#latestArrivalMs - world.nowMs, this.remote, () => this.#arrive());
  }

  #arrive(): void {
    if (this.#outgoing.cut) {
      if (this.#blockedOnPath) return;
      this.#blockedOnPath = true;
      this.#outgoing.waiting.push(() => {
        this.#blockedOnPath = false;
        for (const piece of this.#travelling) this.#planArrival(piece?.length ?? 0);
      });
      return;
    }
    const piece = this.#travelling.shift();
    if (piece === undefined) return;
    this.peer.#receive(piece);
  }

  #receive(piece: Buffer | null): void {
    if (this.#silent) return;
    if (this.#closed) {
      // Nobody reads here any more: the sender is told, as a reset would.
      if (piece !== null)
        this.#network.world.schedule(1, this.remote, () => this.peer.fail(new Error('EPIPE: closed')));
      return;
    }
    if (piece === null) this.#ending = true;
    else this.#arrived.push(piece);
    if (!this.#paused) this.#deliver();
  }

  #planDelivery(): void {
    if (this.#deliveryPlanned) return;
    this.#deliveryPlanned = true;
    this.#network.world.schedule(0.01, this.remote, () => {
      this.#deliveryPlanned = false;
      if (!this.#paused) this.#deliver();
    });
  }

  /** Hands over one piece; several that wait are joined by chance. */
  #deliver(): void {
    if (this.#closed) return;
    if (this.#arrived.length === 0) {
      if (this.#ending) this.#finish(null);
      return;
    }
    const count = this.#network.random.chance(0.5) ? this.#arrived.length : 1;
    const bytes = Buffer.concat(this.#arrived.splice(0, count));
    this.#network.world.note(
      digestOf(bytes),
      () => `${this.peer.remote} receives ${bytes.length} bytes of ${this.remote}`,
    );
    if (this.#arrived.length > 0 || this.#ending) this.#planDelivery();
    this.peer.#consumed(bytes.length);
    this.onData(bytes);
    bytes.fill(0xa5);
  }

  #consumed(byteCount: number): void {
    this.#unconsumedBytes -= byteCount;
    if (!this.#mustDrain || this.#unconsumedBytes > this.#network.windowBytes / 2) return;
    this.#mustDrain = false;
    this.#network.world.schedule(this.#outgoing.latencyMs, this.remote, () => {
      if (!this.#closed && !this.#mustDrain) this.onDrain();
    });
  }

  /** Closes this end; its owner learns of it a moment later. */
  #finish(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    this.#network.world.schedule(0.01, this.remote, () => {
      if (!this.#abandoned) this.onClose(error);
    });
  }
}

/** A cheap digest of what was delivered, for the trace. */
function digestOf(bytes: Buffer): number {
  let hash = bytes.length;
  for (let i = 0; i + 4 <= bytes.length; i += 4) hash = mixWord(hash, bytes.readUInt32LE(i));
  return hash;
}
