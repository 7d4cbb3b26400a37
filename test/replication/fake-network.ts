/**
 * A network and a clock in virtual time: latency, receive windows, links that are cut or broken. One run is decided by its inputs.
 */
import type { Clock, Connection, Network, Timer } from '../../src/host/host.ts';

interface Task {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
  cancelled: boolean;
}

export class FakeClock {
  #tasks: Task[] = [];
  #order = 0;
  timeMs = 0;

  /** Seen through this clock the wall is `skewMs` off. */
  view(skewMs = 0): Clock {
    return {
      nowMs: () => Math.floor(1_764_000_000_000 + this.timeMs + skewMs),
      monotonicMs: () => this.timeMs,
      after: (delayMs, fn) => this.#schedule(delayMs, fn),
      every: (periodMs, fn) => this.#repeat(periodMs, fn),
      soon: (fn) => void this.#schedule(0, fn),
    };
  }

  after(delayMs: number, fn: () => void): Timer {
    return this.#schedule(delayMs, fn);
  }

  /** Work that takes time: applying a batch, for one. */
  spend(ms: number): void {
    this.timeMs += ms;
  }

  /** Runs everything that is due within the next `ms`. */
  async run(ms: number): Promise<void> {
    const end = this.timeMs + ms;
    for (;;) {
      const task = this.#takeNext(end);
      if (task) {
        this.timeMs = Math.max(this.timeMs, task.at);
        task.fn();
        for (let i = 0; i < 12; i++) await null;
        continue;
      }
      await new Promise((resolve) => setImmediate(resolve));
      if (!this.#tasks.some((other) => other.at <= end)) break;
    }
    this.timeMs = Math.max(this.timeMs, end);
  }

  /** Runs until the condition holds; fails after `limitMs` of virtual time. */
  async until(condition: () => boolean, sentence: string, limitMs = 60_000): Promise<void> {
    const end = this.timeMs + limitMs;
    while (!condition()) {
      if (this.timeMs >= end) throw new Error(`not within ${limitMs} ms: ${sentence}`);
      await this.run(5);
    }
  }

  #takeNext(end: number): Task | null {
    let best = -1;
    for (let i = 0; i < this.#tasks.length; i++) {
      const task = this.#tasks[i]!;
      const other = this.#tasks[best];
      if (!other || task.at < other.at || (task.at === other.at && task.order < other.order)) best = i;
    }
    if (best < 0 || this.#tasks[best]!.at > end) return null;
    return this.#tasks.splice(best, 1)[0]!;
  }

  #schedule(delayMs: number, fn: () => void): Timer {
    const task: Task = { at: this.timeMs + delayMs, order: this.#order++, fn, cancelled: false };
    this.#tasks.push(task);
    return {
      cancel: () => {
        const index = this.#tasks.indexOf(task);
        if (index >= 0) this.#tasks.splice(index, 1);
      },
    };
  }

  #repeat(periodMs: number, fn: () => void): Timer {
    let timer = this.#schedule(periodMs, function again() {
      fn();
    });
    let isCancelled = false;
    const rearm = (): void => {
      timer = this.#schedule(periodMs, () => {
        if (isCancelled) return;
        rearm();
        fn();
      });
    };
    timer.cancel();
    rearm();
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }
}

export interface WireOptions {
  readonly latencyMs: number;
  /** Bytes a receiver that reads nothing lets in. */
  readonly windowBytes: number;
  /** Bytes that may be queued at the sender before `write` says wait. */
  readonly highWaterBytes: number;
  /** Bytes per arriving piece. */
  readonly pieceBytes: number;
}

export const WIRE: WireOptions = {
  latencyMs: 1,
  windowBytes: 256 * 1024,
  highWaterBytes: 64 * 1024,
  pieceBytes: 64 * 1024,
};

/** One end of a wire. */
export class FakeConnection implements Connection {
  readonly remote: string;
  other!: FakeConnection;
  onData: (bytes: Uint8Array) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onClose: (error: Error | null) => void = () => undefined;
  /** Most bytes that ever waited at this sender. */
  queuedBytesMax = 0;
  bytesSent = 0;
  readonly #clock: FakeClock;
  readonly #wire: WireOptions;
  #outbox: Uint8Array[] = [];
  #outboxBytes = 0;
  #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #inFlightBytes = 0;
  #isPaused = false;
  #needsDrain = false;
  #isEnding = false;
  #isClosed = false;

  constructor(remote: string, clock: FakeClock, wire: WireOptions) {
    this.remote = remote;
    this.#clock = clock;
    this.#wire = wire;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get waitingBytes(): number {
    return this.#outboxBytes;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isClosed || this.#isEnding) return true;
    this.bytesSent += bytes.length;
    this.#outbox.push(Buffer.from(bytes));
    this.#outboxBytes += bytes.length;
    this.queuedBytesMax = Math.max(this.queuedBytesMax, this.#outboxBytes);
    this.#flow();
    this.#needsDrain = this.#outboxBytes > this.#wire.highWaterBytes;
    return !this.#needsDrain;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#clock.after(0, () => this.#deliver());
  }

  /** Sends what is queued, then ends. */
  close(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#inbox = [];
    this.#flow();
    this.#endIfEmpty();
  }

  /** Both ends lose the connection now; what is under way is lost. */
  break(): void {
    for (const end of [this, this.other as FakeConnection]) end.#lose(new Error('connection reset'));
  }

  #lose(error: Error | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#outbox = [];
    this.#inbox = [];
    this.#clock.after(0, () => this.onClose(error));
  }

  #endIfEmpty(): void {
    if (!this.#isEnding || this.#outboxBytes > 0 || this.#isClosed) return;
    this.#isClosed = true;
    this.#clock.after(0, () => this.onClose(null));
    this.#clock.after(this.#wire.latencyMs + 0.001, () => this.other.#lose(null));
  }

  /** Moves queued bytes into the other side's window. */
  #flow(): void {
    const { latencyMs, windowBytes, pieceBytes } = this.#wire;
    const { other } = this;
    while (this.#outbox.length > 0 && !this.#isClosed && !other.#isClosed) {
      const room = windowBytes - other.#inboxBytes - this.#inFlightBytes;
      if (room <= 0) break;
      const first = this.#outbox[0]!;
      const count = Math.min(first.length, room, pieceBytes);
      const piece = new Uint8Array(first.subarray(0, count));
      if (count === first.length) this.#outbox.shift();
      else this.#outbox[0] = first.subarray(count);
      this.#outboxBytes -= count;
      this.#inFlightBytes += count;
      this.#clock.after(latencyMs, () => {
        this.#inFlightBytes -= count;
        other.#inbox.push(piece);
        other.#inboxBytes += count;
        other.#deliver();
      });
    }
    if (this.#needsDrain && this.#outboxBytes === 0) {
      this.#needsDrain = false;
      this.#clock.after(0, () => this.onDrain());
    }
    this.#endIfEmpty();
  }

  #deliver(): void {
    while (!this.#isPaused && !this.#isClosed && !this.#isEnding && this.#inbox.length > 0) {
      const piece = this.#inbox.shift()!;
      this.#inboxBytes -= piece.length;
      this.onData(piece);
      piece.fill(0xee);
      this.other.#flow();
    }
  }
}

type Listener = (connection: FakeConnection) => void;

/** Hosts by name; whoever connects says who it is. */
export class FakeNetwork {
  readonly #listeners = new Map<string, Listener>();
  readonly #cuts = new Set<string>();
  /** The connecting ends, all that were ever made. */
  readonly connections: { readonly from: string; readonly to: string; readonly end: FakeConnection }[] = [];
  readonly clock: FakeClock;
  wire: WireOptions;

  constructor(clock: FakeClock, wire: WireOptions = WIRE) {
    this.clock = clock;
    this.wire = wire;
  }

  listen(name: string, listener: Listener): void {
    this.#listeners.set(name, listener);
  }

  /** No connection between the two until `mend`; existing ones break. */
  cut(a: string, b: string): void {
    this.#cuts.add([a, b].sort().join());
    this.breakAll(a, b);
  }

  mend(a: string, b: string): void {
    this.#cuts.delete([a, b].sort().join());
  }

  breakAll(a: string, b: string): void {
    for (const { from, to, end } of this.connections) {
      if ((from === a && to === b) || (from === b && to === a)) end.break();
    }
  }

  /** The latest connection from one to the other. */
  between(from: string, to: string): FakeConnection {
    return this.connections.filter((made) => made.from === from && made.to === to).at(-1)!.end;
  }

  /** What the named host sees of the network. */
  at(name: string): Network {
    return {
      connect: ({ host, port }, done) => {
        const isCut = this.#cuts.has([name, host].sort().join());
        const listener = this.#listeners.get(host);
        this.clock.after(this.wire.latencyMs, () => {
          if (isCut || !listener) return done(new Error(`connect ${host}:${port}: refused`), null);
          const here = new FakeConnection(`${host}:${port}`, this.clock, this.wire);
          const there = new FakeConnection(name, this.clock, this.wire);
          here.other = there;
          there.other = here;
          this.connections.push({ from: name, to: host, end: here });
          listener(there);
          done(null, here);
        });
      },
    };
  }
}
