/**
 * The batch that is being written: opened with its first effect, encoded straight into the log's buffer, ended by `commit`.
 *
 * Invariant: the uncommitted bytes of the log are exactly the open batch.
 */
import type { CounterCut } from '../crdt/cell.ts';
import type { ExactNumber } from '../crdt/exact-number.ts';
import { BATCH, BATCH_HAS_CONTEXT, FRAME, writeF64, writeU32, writeU48 } from '../crdt/frame.ts';
import type { HybridClock } from '../crdt/hybrid-clock.ts';
import { type OriginTable, VersionVector } from '../crdt/version-vector.ts';
import { writeVarint } from '../base/varint.ts';
import { ArenaFullError, copyBytes } from '../memory/arena.ts';
import type { AppendBuffer } from '../memory/append-buffer.ts';
import { BatchTooLargeError, OP, SAME_KEY, writeCuts, writeNumber } from './effects.ts';
import type { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { Mutator } from './mutator.ts';

/** Of an increment, beside its names: frame, n and a total of a thousand digits. */
export const INCREMENT_BYTES_MAX = 1100;
/** What a batch that is not open yet says before its first effect. */
const CONTEXT_RESERVE_BYTES = 4096;
/** An origin, a frame and a total. */
const CUT_BYTES_MAX = 48;
/** A counter that more origins have changed, earlier generations among them, is rare. */
const CUTS_COUNTED_MAX = 8;
/** Room for an effect's code, lengths, flags and times beside its bytes. */
export const EFFECT_OVERHEAD = 48;

export interface BatchWriterOptions {
  readonly keyspace: Keyspace;
  readonly mutator: Mutator;
  readonly log: AppendBuffer;
  readonly clock: HybridClock;
  readonly origins: OriginTable;
  readonly vector: VersionVector;
}

export class BatchWriter {
  protected readonly keyspace: Keyspace;
  protected readonly mutator: Mutator;
  protected readonly log: AppendBuffer;
  readonly #clock: HybridClock;
  readonly #origins: OriginTable;
  readonly #batchBytesMax: number;
  readonly #reserveBytes: number;
  protected readonly vector: VersionVector;
  /** The context of the batch before, without the own entry: what need not be said again. */
  #saidContext = new VersionVector();
  /** Something remote was applied since the last own batch. */
  contextMoved = true;
  /** Index of the own current origin, and its name. */
  origin = 0;
  #instance = 0;
  #generation = 0;
  #isOpen = false;
  /** What is written now has been applied already, and is not to be refused. */
  protected isAnnouncing = false;
  protected seq = 0;
  /** Bytes of effects that a command was promised before its first: a full arena must not end it in the middle. */
  #granted = 0;
  #encodedKey: KeyRef | null = null;
  #encodedSerial = 0;
  /** Memory that effects may still take before it is asked for again, bytes. */
  #askedBytes = 0;
  /** The log's bytes being written and where; valid between `effect` and `done`. */
  protected bytes: Buffer;
  protected at = 0;

  constructor(options: BatchWriterOptions) {
    this.keyspace = options.keyspace;
    this.mutator = options.mutator;
    this.log = options.log;
    this.#clock = options.clock;
    this.#origins = options.origins;
    this.vector = options.vector;
    this.#batchBytesMax = options.keyspace.limits.batchBytesMax;
    this.#reserveBytes = options.keyspace.limits.applyReserveBytes;
    this.bytes = options.log.bytes;
  }

  /** From the next batch on, operations are numbered by that origin, whose batches so far had said that context. */
  beginOrigin(origin: number, saidContext: VersionVector): void {
    const { instance, generation } = this.#origins.at(origin);
    this.origin = origin;
    this.#instance = instance;
    this.#generation = generation;
    this.#saidContext = saidContext;
    this.contextMoved = true;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Bytes that the open batch, or the next, may still take. */
  roomLeft(): number {
    const { log } = this;
    return this.#batchBytesMax - (log.offset - log.pendingStart);
  }

  /** Whether an effect of that many bytes would be taken now, in the batch and in memory. */
  hasRoomFor(bytes: number): boolean {
    if (bytes > this.roomLeft() - CONTEXT_RESERVE_BYTES) return false;
    // Once for many small effects: together they may take a part of what is left free anyway.
    this.#askedBytes -= 2 * bytes;
    if (this.#askedBytes >= 0) return true;
    this.#askedBytes = 0;
    if (!this.keyspace.arena.reserve(2 * bytes + this.#reserveBytes, bytes)) return false;
    this.#askedBytes = this.#reserveBytes >>> 2;
    return true;
  }

  /**
   * For commands of several effects: whether all of them will be taken. Throws before the first what otherwise one in the middle would. `bytes`: of
   * keys, names and values, each where an effect says it. `removes`: all of them remove. `cuts`: each may name what it cuts of a counter, for which there is
   * to be room as well, unless that alone would have it refused.
   */
  demandRoom(effects: number, bytes: number, { removes = false, cuts = false } = {}): void {
    this.#granted = 0;
    const demanded = effects * EFFECT_OVERHEAD + bytes;
    const ample = demanded + effects * CUT_BYTES_MAX * Math.min(this.#origins.count, CUTS_COUNTED_MAX);
    if (cuts && !removes && this.hasRoomFor(ample)) {
      this.#granted = ample;
      return;
    }
    this.admit(demanded, removes);
    this.#granted = demanded;
  }

  /** Ends the batch that is open. Returns its seq. */
  protected close(): number {
    const log = this.log;
    writeU32(log.bytes, log.pendingStart, log.offset - log.pendingStart - 4);
    log.commit();
    this.#isOpen = false;
    this.#granted = 0;
    this.#encodedKey = null;
    this.vector.set(this.origin, this.seq);
    return this.seq;
  }

  protected open(): void {
    if (this.#isOpen) return;
    this.keyspace.mayPutOff = false;
    const log = this.log;
    const seq = this.vector.get(this.origin) + 1;
    const hlc = this.#clock.tick(this.keyspace.nowMs);
    log.reserve(BATCH.body);
    const { bytes } = log;
    const at = log.offset;
    bytes[at + 4] = FRAME.batch;
    bytes[at + BATCH.flags] = 0;
    bytes[at + BATCH.instance] = this.#instance;
    writeU32(bytes, at + BATCH.generation, this.#generation);
    writeU48(bytes, at + BATCH.seq, seq);
    writeF64(bytes, at + BATCH.hlc, hlc);
    log.offset = at + BATCH.body;
    if (this.contextMoved) this.#writeContext();
    this.#isOpen = true;
    this.seq = seq;
    this.mutator.enter(this.origin, seq, hlc, null);
  }

  #writeContext(): void {
    this.contextMoved = false;
    const changed: [index: number, seq: number][] = [];
    for (const [index, seq] of this.vector.entries()) {
      if (index !== this.origin && seq !== this.#saidContext.get(index)) changed.push([index, seq]);
    }
    if (changed.length === 0) return;
    const log = this.log;
    log.reserve(5 + 13 * changed.length);
    const { bytes } = log;
    bytes[log.pendingStart + BATCH.flags] = BATCH_HAS_CONTEXT;
    let at = writeVarint(bytes, log.offset, changed.length);
    for (const [index, seq] of changed) {
      const origin = this.#origins.at(index);
      bytes[at] = origin.instance;
      writeU32(bytes, at + 1, origin.generation);
      at = writeVarint(bytes, at + 5, seq);
      this.#saidContext.set(index, seq);
    }
    log.offset = at;
  }

  /** Whether there is room for an effect of that size, in the batch and in memory. Throws before anything has changed. */
  protected admit(bytes: number, removes = false): void {
    if (this.isAnnouncing) return;
    if (bytes <= this.#granted) {
      this.#granted -= bytes;
      return;
    }
    if (bytes > this.roomLeft() - CONTEXT_RESERVE_BYTES) throw new BatchTooLargeError(bytes, this.#batchBytesMax);
    // What removes makes room: from what is kept free it takes the little that it needs. Were it refused, a full instance would stay full.
    if (removes) return;
    if (!this.hasRoomFor(bytes)) throw new ArenaFullError(bytes);
  }

  /** Opens the batch if need be and writes the effect's code and key; `room`: bytes of what follows; `spare`: of what else must have room after it. */
  protected effect(op: number, ref: KeyRef, room: number, spare = 0): void {
    const isSameKey = this.#encodedKey === ref && this.#encodedSerial === ref.serial;
    const bytes = EFFECT_OVERHEAD + (isSameKey ? 0 : ref.length) + room;
    this.admit(bytes + spare, spare === 0 && removes(op));
    this.#granted += spare;
    this.open();
    const log = this.log;
    log.reserve(bytes);
    this.bytes = log.bytes;
    this.at = log.offset;
    if (isSameKey) {
      this.bytes[this.at++] = op | SAME_KEY;
      return;
    }
    this.#encodedKey = ref;
    this.#encodedSerial = ref.serial;
    this.bytes[this.at++] = op;
    this.run(ref.bytes, ref.start, ref.length);
  }

  /** The next effect names its key, whatever it is. */
  protected forgetKey(): void {
    this.#encodedKey = null;
  }

  protected done(): void {
    this.log.offset = this.at;
  }

  protected run(bytes: Uint8Array, start: number, length: number): void {
    const at = length < 0x80 ? this.at : writeVarint(this.bytes, this.at, length);
    if (length < 0x80) {
      this.bytes[at] = length;
      copyBytes(this.bytes, at + 1, bytes, start, length);
      this.at = at + 1 + length;
    } else {
      copyBytes(this.bytes, at, bytes, start, length);
      this.at = at + length;
    }
  }

  protected float(value: number): void {
    writeF64(this.bytes, this.at, value);
    this.at += 8;
  }

  protected cuts(cuts: readonly CounterCut[]): void {
    if (cuts.length === 0) this.bytes[this.at++] = 0;
    else this.at = writeCuts(this.bytes, this.at, cuts, this.#origins);
  }

  protected increment(frame: number, n: number, total: ExactNumber): void {
    this.at = writeVarint(this.bytes, this.at, frame);
    this.at = writeVarint(this.bytes, this.at, n);
    this.at = writeNumber(this.bytes, this.at, total);
  }
}

const removes = (op: number): boolean => op === OP.remove || op === OP.removeField || op === OP.removeMember;
