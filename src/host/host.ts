/**
 * The only door to clock, randomness, disk and network. Everything above receives a `Host` (or the part it needs) and
 * so runs unchanged on the real machine (`real-host.ts`) and in the simulation (`test/simulation`): one seed decides every
 * timer, every delay, every lost write.
 *
 * Invariant: nothing outside src/host calls Date, timers, Math.random, fs, net or dns itself (test/tidy.test.ts).
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, whole milliseconds since 1970. May jump. */
  nowMs(): number;
  /** Never goes back; milliseconds with fraction from an arbitrary start. */
  monotonicMs(): number;
  /** Calls `fn` once after `delayMs`. */
  after(delayMs: number, fn: () => void): Timer;
  /** Calls `fn` every `periodMs`. */
  every(periodMs: number, fn: () => void): Timer;
  /** Calls `fn` soon, after I/O that is already pending had its turn. */
  soon(fn: () => void): void;
}

export interface Random {
  /** Uniform in 0 .. 2^32-1. */
  uint32(): number;
  bytes(count: number): Uint8Array;
}

export interface DiskFile {
  /** Writes all bytes at the offset; the bytes may be reused after the promise settles. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** The same, complete when it returns: for small writes, which cost less than the hand-off to another thread. Throws the disk's error. */
  writeNow(bytes: Uint8Array, offset: number): void;
  /** Reads up to `bytes.length`; fewer only at the end of the file. Returns the count. */
  read(bytes: Uint8Array, offset: number): Promise<number>;
  /** fdatasync. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface Disk {
  makeDirectory(path: string): Promise<void>;
  /** Names in the directory, sorted; an absent directory is empty. */
  list(path: string): Promise<readonly string[]>;
  /** `create`: read and write, made if absent, never truncated. `read`: fails when absent. */
  open(path: string, mode: 'create' | 'read'): Promise<DiskFile>;
  /** null when absent. */
  readFile(path: string): Promise<Uint8Array | null>;
  /** Atomic and durable: temporary file, fsync, rename, fsync of the directory. The content may name the identity that the new file has. */
  replaceFile(path: string, content: Uint8Array | ((identity: string) => Uint8Array)): Promise<void>;
  /** Names the file itself, whatever its content: a copy that was put in its place has another identity. null when absent. */
  identify(path: string): Promise<string | null>;
  /** Atomic and durable. */
  rename(from: string, to: string): Promise<void>;
  /** Absent is fine. */
  remove(path: string): Promise<void>;
}

/** A byte stream to another process. After `close` or a failure `onClose` is called exactly once. */
export interface Connection {
  readonly remote: string;
  /** Bytes that the system has not taken yet. At 0 what was written may be used again; until then it must not change. */
  readonly waitingBytes: number;
  /** Returns false when the sender should wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /** Stop and go on reading: back-pressure. */
  pause(): void;
  resume(): void;
  close(): void;
  /** The bytes are valid during the call only. */
  onData: (bytes: Uint8Array) => void;
  onDrain: () => void;
  onClose: (error: Error | null) => void;
}

export interface Network {
  /** Calls back once: a connection whose handlers must be set in the callback, or the reason there is none. */
  connect(
    target: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    done: (error: Error | null, connection: Connection | null) => void,
  ): void;
}

export interface Host {
  /** Names the present run of the operating system: what it has taken is not lost before the next one. Empty when it cannot be told. */
  readonly bootId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly network: Network;
  /** Frees now what nothing refers to any more; takes tens of milliseconds. */
  readonly collectGarbage: () => void;
}
