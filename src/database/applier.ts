/**
 * Batches from elsewhere: checks that a batch is the next of its origin and that all it depends on is here, then applies its effects.
 *
 * Whatever could stop half-way is asked before anything changes: the batch is decoded once without effect, its clock and the room it needs are
 * checked. What was refused so may be tried again.
 *
 * Invariant: a batch is applied whole, exactly once, after everything its context names.
 */
import { BATCH, BATCH_HAS_CONTEXT, readF64, readU32, readU48 } from '../crdt/frame.ts';
import type { CounterCut } from '../crdt/cell.ts';
import type { ExactNumber } from '../crdt/exact-number.ts';
import { hlcToMs, isClockValue, type HybridClock } from '../crdt/hybrid-clock.ts';
import { VersionVector, type OriginTable } from '../crdt/version-vector.ts';
import { ArenaFullError } from '../memory/arena.ts';
import { EffectReader, MalformedBatchError, type EffectHandler, type FieldCuts, type Range } from './effects.ts';
import { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { Mutator } from './mutator.ts';

export type Applied = 'applied' | 'covered' | 'early';

/** The batch's clock is too far ahead of the wall clock here. */
export class ClockAheadError extends Error {
  /** Whose clock; 0: a snapshot's source. */
  readonly instance: number;
  readonly aheadMs: number;

  constructor(instance: number, aheadMs: number) {
    super(`the clock of instance ${instance} is ${aheadMs} ms ahead of the one here`);
    this.name = 'ClockAheadError';
    this.instance = instance;
    this.aheadMs = aheadMs;
  }
}

/** How a batch is taken. */
export interface ApplyOptions {
  /** ms that its clock may be ahead of the one here. */
  readonly clockAheadMsMax: number;
  /** It comes from our own log, checked and not too large. */
  readonly isReplay: boolean;
  /**
   * It was written here, at this place of the log: it has observed all that is here, and what its removals owe was, or is to be, announced by ourselves.
   * Not so what an earlier generation of ours had lost and got back from a peer.
   */
  readonly isOwn: boolean;
}

export class Applier implements EffectHandler {
  readonly #keyspace: Keyspace;
  readonly #mutator: Mutator;
  readonly #origins: OriginTable;
  readonly #vector: VersionVector;
  readonly #clock: HybridClock;
  readonly #batchBytesMax: number;
  readonly #reserveBytes: number;
  readonly #reader: EffectReader;
  /** Per origin index, the context of its latest batch applied, own entry included. */
  readonly #contexts: (VersionVector | undefined)[];
  readonly #ref = new KeyRef();
  #bytes: Uint8Array = new Uint8Array(0);
  /** The context delta of the batch at hand. */
  #deltaCount = 0;
  #deltaOrigins = new Int32Array(16);
  #deltaSeqs = new Float64Array(16);

  constructor(options: {
    readonly keyspace: Keyspace;
    readonly mutator: Mutator;
    readonly origins: OriginTable;
    readonly vector: VersionVector;
    readonly clock: HybridClock;
    readonly contexts: (VersionVector | undefined)[];
  }) {
    this.#keyspace = options.keyspace;
    this.#mutator = options.mutator;
    this.#origins = options.origins;
    this.#vector = options.vector;
    this.#clock = options.clock;
    this.#batchBytesMax = options.keyspace.limits.batchBytesMax;
    this.#reserveBytes = options.keyspace.limits.applyReserveBytes;
    this.#contexts = options.contexts;
    this.#reader = new EffectReader(options.origins);
  }

  /**
   * Applies the BATCH frame in [start, end). Throws MalformedBatchError, UnsupportedBatchError, ClockAheadError, ArenaFullError; then nothing has
   * changed.
   */
  apply(bytes: Uint8Array, start: number, end: number, options: ApplyOptions): Applied {
    // No instance has id 0: what names it must not even wait, since the origins that wait are asked for by name.
    if (end - start < BATCH.body || bytes[start + BATCH.instance] === 0) throw new MalformedBatchError(start);
    const origin = this.#origins.indexOf(bytes[start + BATCH.instance]!, readU32(bytes, start + BATCH.generation));
    const seq = readU48(bytes, start + BATCH.seq);
    const applied = this.#vector.get(origin);
    if (seq <= applied) return 'covered';
    let at = start + BATCH.body;
    this.#deltaCount = 0;
    if ((bytes[start + BATCH.flags]! & BATCH_HAS_CONTEXT) !== 0) at = this.#readDelta(bytes, at, end);
    if (seq !== applied + 1 || !this.#hasDelta()) return 'early';
    const hlc = readF64(bytes, start + BATCH.hlc);
    if (!options.isReplay) this.#check(bytes, start, at, end, hlc, options.clockAheadMsMax);
    const context = (this.#contexts[origin] ??= new VersionVector());
    for (let i = 0; i < this.#deltaCount; i++) context.set(this.#deltaOrigins[i]!, this.#deltaSeqs[i]!);
    context.set(origin, seq);
    this.#clock.observe(hlc);
    this.#mutator.enter(origin, seq, hlc, context, options.isOwn);
    this.#bytes = bytes;
    const { typeConflicts } = this.#keyspace;
    // Our own are no conflicts; and to judge is to look up, which would settle, and so owe, what nobody had settled when they were written.
    if (!options.isOwn) typeConflicts.begin();
    this.#reader.read(bytes, at, end, this);
    if (!options.isOwn) typeConflicts.end(this.#keyspace);
    this.#vector.set(origin, seq);
    return 'applied';
  }

  #check(bytes: Uint8Array, start: number, body: number, end: number, hlc: number, clockAheadMsMax: number): void {
    const { arena, nowMs } = this.#keyspace;
    if (end - start > this.#batchBytesMax || !isClockValue(hlc)) throw new MalformedBatchError(start + BATCH.hlc);
    const aheadMs = hlcToMs(hlc) - nowMs;
    if (aheadMs > clockAheadMsMax) throw new ClockAheadError(bytes[start + BATCH.instance]!, aheadMs);
    const neededBytes = 2 * (end - start) + this.#reserveBytes;
    if (!arena.reserve(neededBytes, end - start)) throw new ArenaFullError(neededBytes);
    this.#reader.validate(bytes, body, end);
  }

  /** Whether all that the delta names is here. */
  #hasDelta(): boolean {
    for (let i = 0; i < this.#deltaCount; i++) {
      if (this.#vector.get(this.#deltaOrigins[i]!) < this.#deltaSeqs[i]!) return false;
    }
    return true;
  }

  #readDelta(bytes: Uint8Array, at: number, end: number): number {
    let shift = 0;
    let count = 0;
    let byte: number;
    do {
      if (at >= end || shift > 21) throw new MalformedBatchError(at);
      byte = bytes[at++]!;
      count |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    if (count > this.#deltaOrigins.length) {
      if (count * 6 > end - at) throw new MalformedBatchError(at);
      this.#deltaOrigins = new Int32Array(count);
      this.#deltaSeqs = new Float64Array(count);
    }
    for (let i = 0; i < count; i++) {
      if (at + 5 >= end || bytes[at] === 0) throw new MalformedBatchError(at);
      this.#deltaOrigins[i] = this.#origins.indexOf(bytes[at]!, readU32(bytes, at + 1));
      at += 5;
      let seq = 0;
      let scale = 1;
      do {
        if (at >= end || scale > 2 ** 49) throw new MalformedBatchError(at);
        byte = bytes[at++]!;
        seq += (byte & 0x7f) * scale;
        scale *= 128;
      } while (byte >= 0x80);
      this.#deltaSeqs[i] = seq;
    }
    this.#deltaCount = count;
    return at;
  }

  // ---------------------------------------------------------------- effects

  key(bytes: Uint8Array, start: number, length: number): void {
    this.#keyspace.locate(this.#ref, bytes, start, length);
  }

  set(flags: number, expiryMs: number, cuts: readonly CounterCut[], start: number, length: number): void {
    this.#mutator.set(this.#ref, flags, expiryMs, cuts, this.#bytes, start, length);
  }

  remove(cuts: readonly CounterCut[], fields: readonly FieldCuts[]): void {
    this.#mutator.remove(this.#ref, cuts, fields, this.#bytes);
  }

  add(frame: number, n: number, total: ExactNumber, isDecimal: boolean): void {
    this.#mutator.add(this.#ref, frame, n, total, isDecimal);
  }

  expire(expiryMs: number): void {
    this.#mutator.expire(this.#ref, expiryMs);
  }

  setField(
    field: Range,
    flags: number,
    expiryMs: number,
    cuts: readonly CounterCut[],
    start: number,
    length: number,
  ): void {
    const bytes = this.#bytes;
    this.#mutator.setField(this.#ref, bytes, field.start, field.length, flags, expiryMs, cuts, bytes, start, length);
  }

  removeField(field: Range, cuts: readonly CounterCut[]): void {
    this.#mutator.removeField(this.#ref, this.#bytes, field.start, field.length, cuts);
  }

  addField(field: Range, frame: number, n: number, total: ExactNumber, isDecimal: boolean): void {
    this.#mutator.addField(this.#ref, this.#bytes, field.start, field.length, frame, n, total, isDecimal);
  }

  expireField(field: Range, expiryMs: number): void {
    this.#mutator.expireField(this.#ref, this.#bytes, field.start, field.length, expiryMs);
  }

  addMember(start: number, length: number): void {
    this.#mutator.addMember(this.#ref, this.#bytes, start, length);
  }

  removeMember(start: number, length: number): void {
    this.#mutator.removeMember(this.#ref, this.#bytes, start, length);
  }

  flush(): void {
    this.#mutator.flush(new KeyRef());
  }

  cut(cuts: readonly CounterCut[]): void {
    this.#mutator.cut(this.#ref, cuts);
  }

  cutField(field: Range, cuts: readonly CounterCut[]): void {
    this.#mutator.cutField(this.#ref, this.#bytes, field.start, field.length, cuts);
  }
}
