/** A toy instance around a log: batches of a few origins whose effects are just bytes. */
import { writeF64, writeU32, writeU48, BATCH, FRAME } from '../../src/crdt/frame.ts';
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import type { Clock, Disk, Timer } from '../../src/host/host.ts';
import { AppendBuffer } from '../../src/memory/append-buffer.ts';
import type { StorageLimits } from '../../src/storage/limits.ts';
import type { RecoveryProgress } from '../../src/storage/loading-pace.ts';
import { Log, type LogPersistence } from '../../src/storage/log.ts';
import { recover, type Recovery } from '../../src/storage/recovery.ts';
import { MemoryDisk } from './memory-disk.ts';

export const DIRECTORY = '/data';
export const GUID = 'guid-1';

/** Time that passes only when told; `soon` is the real next turn. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #timers: { dueMs: number; periodMs: number; fn: () => void; cancelled: boolean }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fn: () => void): Timer {
    return this.#add(delayMs, 0, fn);
  }

  every(periodMs: number, fn: () => void): Timer {
    return this.#add(periodMs, periodMs, fn);
  }

  soon(fn: () => void): void {
    setImmediate(fn);
  }

  /** Lets `ms` pass, running what falls due, and the I/O that follows from it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    while (true) {
      const next = this.#timers
        .filter((timer) => !timer.cancelled && timer.dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs)[0];
      if (!next) break;
      this.#nowMs = next.dueMs;
      if (next.periodMs > 0) next.dueMs += next.periodMs;
      else next.cancelled = true;
      next.fn();
      await turns();
    }
    this.#nowMs = endMs;
    this.#timers = this.#timers.filter((timer) => !timer.cancelled);
    await turns();
  }

  #add(delayMs: number, periodMs: number, fn: () => void): Timer {
    const timer = { dueMs: this.#nowMs + delayMs, periodMs, fn, cancelled: false };
    this.#timers.push(timer);
    return { cancel: () => void (timer.cancelled = true) };
  }
}

/** A few turns of the event loop: enough for what a memory disk does. */
export async function turns(count = 4): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

export function encodeBatch(instance: number, generation: number, seq: number, effects: Uint8Array): Buffer {
  const frame = Buffer.alloc(BATCH.body + effects.length);
  writeU32(frame, 0, frame.length - 4);
  frame[4] = FRAME.batch;
  frame[BATCH.instance] = instance;
  writeU32(frame, BATCH.generation, generation);
  writeU48(frame, BATCH.seq, seq);
  writeF64(frame, BATCH.hlc, seq * 4096);
  frame.set(effects, BATCH.body);
  return frame;
}

export type StartOptions = Partial<StorageLimits> & {
  readonly persistence?: LogPersistence;
  readonly beginsGeneration?: boolean;
  readonly backlogBytesMax?: number;
  readonly onProgress?: (progress: RecoveryProgress) => void;
  readonly isStopping?: () => boolean;
};

export class ToyInstance {
  readonly origins = new OriginTable();
  readonly vector = new VersionVector();
  readonly buffer = new AppendBuffer({ chunkBytes: 512 });
  /** In order: frames as they were, snapshots and merges as their name and content. */
  readonly recovered: Buffer[] = [];
  readonly fatal: Error[] = [];
  readonly slowSyncsMs: number[] = [];
  readonly room: (Error | null)[] = [];
  log: Log | null = null;
  readonly #directory: string;

  constructor(directory = DIRECTORY) {
    this.#directory = directory;
  }

  /** Commits a batch of an origin; returns its frame. */
  commit(instance: number, effects: Uint8Array, generation = 7): Buffer {
    const origin = this.origins.indexOf(instance, generation);
    const seq = this.vector.get(origin) + 1;
    const frame = encodeBatch(instance, generation, seq, effects);
    this.buffer.append(frame);
    this.vector.set(origin, seq);
    this.log?.wake();
    return frame;
  }

  async start(disk: Disk, clock: Clock, given: StartOptions = {}): Promise<{ log: Log; recovery: Recovery }> {
    const { persistence, beginsGeneration, backlogBytesMax, onProgress, isStopping, ...limits } = given;
    const sink = (name: string) => {
      const pieces: Uint8Array[] = [];
      const vector = new VersionVector();
      return {
        vector,
        // The toy's end record.
        get complete() {
          return Buffer.concat(pieces).at(-1) === 0x7d;
        },
        feed: (bytes: Uint8Array) => void pieces.push(Buffer.from(bytes)),
        finish: () => {
          const content = Buffer.concat(pieces);
          this.recovered.push(Buffer.concat([Buffer.from(name), content]));
          for (const [instance, seq] of Object.entries(JSON.parse(content.toString()) as Record<string, number>)) {
            vector.set(this.origins.indexOf(Number(instance), 7), seq);
          }
          this.vector.raiseAll(vector);
          return true;
        },
      };
    };
    const bootId = disk instanceof MemoryDisk ? disk.bootId : '';
    const recovery = await recover({
      disk,
      clock,
      limits,
      ...(onProgress ? { onProgress } : {}),
      ...(isStopping ? { isStopping } : {}),
      bootId,
      directory: this.#directory,
      origins: this.origins,
      guid: GUID,
      instanceId: 1,
      target: {
        onSnapshot: () => sink('snapshot '),
        onMerge: () => sink('merge '),
        onFrame: (bytes, start, end) => {
          this.recovered.push(Buffer.from(bytes.subarray(start, end)));
          if (bytes[start + 4] !== FRAME.batch) return;
          const frame = Buffer.from(bytes.subarray(start, end));
          this.vector.set(
            this.origins.indexOf(frame[BATCH.instance]!, frame.readUInt32LE(BATCH.generation)),
            frame.readUIntLE(BATCH.seq, 6),
          );
        },
      },
    });
    const log = await Log.open(
      {
        limits,
        disk,
        clock,
        bootId,
        directory: this.#directory,
        buffer: this.buffer,
        origins: this.origins,
        vector: () => this.vector,
        persistence: persistence ?? { kind: 'aof', fsync: 'every-sec' },
        manifest: recovery.manifest,
        backlogBytesMax: backlogBytesMax ?? 0,
        onFatal: (error) => void this.fatal.push(error),
        onRoom: (error) => void this.room.push(error),
        onSlowSync: (ms) => void this.slowSyncsMs.push(ms),
      },
      recovery.log,
    );
    this.log = log;
    if (!recovery.keepsGeneration && beginsGeneration !== false) {
      await recovery.manifest.beginGeneration(recovery.manifest.current.generation + 1, log.promise);
    }
    return { log, recovery };
  }

  /** The toy's snapshot stream: its version vector as JSON, in pieces. */
  snapshot(): { vector: VersionVector; next(bytesMax: number): Buffer | null; abort(): void } {
    const state: Record<string, number> = {};
    for (const [origin, seq] of this.vector.entries()) state[this.origins.at(origin).instance] = seq;
    const bytes = Buffer.from(JSON.stringify(state));
    let at = 0;
    return {
      vector: this.vector.clone(),
      next: () => (at < bytes.length ? bytes.subarray(at, (at += 5)) : null),
      abort: () => {},
    };
  }
}

/** Reads everything from a position to the end of what may be published. */
export async function readAll(log: Log, position: number, bytesMax = 100): Promise<Buffer | null> {
  const pieces: Buffer[] = [];
  while (true) {
    const piece = await log.read(position, bytesMax);
    if (piece === null) return null;
    if (piece.length === 0) return Buffer.concat(pieces);
    pieces.push(Buffer.from(piece));
    position += piece.length;
  }
}
