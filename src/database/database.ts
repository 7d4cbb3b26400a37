/**
 * One shard's data with everything that keeps it convergent: what commands read and write, what replication applies, what
 * storage snapshots.
 *
 * Pure and synchronous: time, randomness and the identity of the instance are given in, and no call touches the outside. A local write goes command ->
 * `writer` (encode, apply) -> `commit`; a remote one `applyBatch`. Both leave the same bytes at the end of `log`.
 *
 * Invariant: state is a function of the set of batches applied (and of snapshots merged): equal vectors, equal digests.
 */
import { assert } from '../base/assert.ts';
import { FRAME, writeF64, writeU32 } from '../crdt/frame.ts';
import { HybridClock } from '../crdt/hybrid-clock.ts';
import { OriginTable, VersionVector } from '../crdt/version-vector.ts';
import { AppendBuffer } from '../memory/append-buffer.ts';
import { Arena } from '../memory/arena.ts';
import type { Args } from '../resp/args.ts';
import { Applier, type Applied } from './applier.ts';
import { digestKeyspace } from './digest.ts';
import { KeyRef, TYPE } from './key-ref.ts';
import { Keyspace } from './keyspace.ts';
import { KeyWatch } from './key-watch.ts';
import { Mutator } from './mutator.ts';
import { Snapshot } from './snapshot.ts';
import { SnapshotMerger } from './snapshot-merger.ts';
import { IGNORE_SNAPSHOT, SnapshotParser, type SnapshotHeader } from './snapshot-parser.ts';
import { isGone } from './visible-fields.ts';
import { Writer } from './writer.ts';

export interface DatabaseOptions {
  /** 1..255 */
  readonly instance: number;
  /** Second since 1970; see docs/internals/frames.md. */
  readonly generation: number;
  /** Uniform 32-bit numbers: hash seeds, random keys. */
  readonly random: () => number;
  /** Size of an arena segment; smaller ones suit tests. */
  readonly segmentBytes?: number;
  /** Size of the log's chunks in memory. */
  readonly logChunkBytes?: number;
  /** 0: unlimited. */
  readonly memoryBytesMax?: number;
}

const KEY_SLOTS = 4;
const LOG_CHUNK_BYTES = 512 * 1024;

export class Database {
  readonly origins = new OriginTable();
  readonly vector = new VersionVector();
  readonly log: AppendBuffer;
  readonly watches = new KeyWatch();
  readonly keyspace: Keyspace;
  readonly writer: Writer;
  readonly random: () => number;
  memoryBytesMax: number;
  /** Called when a merge is complete and writes may go on. */
  onWritesReleased: () => void = () => {};
  readonly #instance: number;
  readonly #clock = new HybridClock();
  readonly #contexts: (VersionVector | undefined)[] = [];
  readonly #mutator: Mutator;
  readonly #applier: Applier;
  readonly #refs: readonly KeyRef[];
  #self = { instance: 0, generation: 0, index: 0 };
  #merging = false;
  #snapshot: Snapshot | null = null;

  constructor(options: DatabaseOptions) {
    const arena = new Arena(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes });
    this.random = options.random;
    this.memoryBytesMax = options.memoryBytesMax ?? 0;
    this.#instance = options.instance;
    this.log = new AppendBuffer({ chunkBytes: options.logChunkBytes ?? LOG_CHUNK_BYTES });
    this.keyspace = new Keyspace({ arena, origins: this.origins, seed: options.random() });
    this.#mutator = new Mutator(this.keyspace, this.watches);
    const shared = {
      keyspace: this.keyspace,
      mutator: this.#mutator,
      origins: this.origins,
      vector: this.vector,
      clock: this.#clock,
    };
    this.#applier = new Applier({ ...shared, contexts: this.#contexts });
    this.#refs = Array.from({ length: KEY_SLOTS }, () => new KeyRef());
    this.writer = new Writer({ ...shared, log: this.log });
    this.#become(options.generation);
  }

  // ---------------------------------------------------------------- for commands

  /** Reads the clock for this event-loop turn: expiry is judged and batches are stamped by it. */
  setTime(nowMs: number): void {
    this.keyspace.nowMs = nowMs;
  }

  get nowMs(): number {
    return this.keyspace.nowMs;
  }

  /** What is under the key that is the argument at `index`, for reading: an expired key is not there. `slot`: which reference to use (0..3). */
  lookup(args: Args, index: number, slot = 0): KeyRef {
    const ref = this.keyspace.locate(this.#refs[slot]!, args.bytes, args.starts[index]!, args.lengths[index]!);
    if (ref.record !== 0 && isGone(this.keyspace, ref.record)) {
      ref.record = 0;
      ref.type = TYPE.none;
    }
    return ref;
  }

  /** The same for writing: an expired key is removed first, and that is replicated. */
  lookupWrite(args: Args, index: number, slot = 0): KeyRef {
    const ref = this.keyspace.locate(this.#refs[slot]!, args.bytes, args.starts[index]!, args.lengths[index]!);
    if (ref.record !== 0 && isGone(this.keyspace, ref.record)) this.writer.remove(ref);
    return ref;
  }

  /** Visible keys, those that have expired but are not removed yet included. */
  get keyCount(): number {
    return this.keyspace.keyCount;
  }

  get usedMemoryBytes(): number {
    return this.keyspace.arena.usedBytes + this.log.heldBytes;
  }

  get isFull(): boolean {
    return this.memoryBytesMax > 0 && this.usedMemoryBytes > this.memoryBytesMax;
  }

  /** Ends the local batch. Returns its seq; 0 when nothing changed. */
  commit(): number {
    return this.writer.commit();
  }

  // ---------------------------------------------------------------- identity and time

  /** The own current origin. */
  get self(): { readonly instance: number; readonly generation: number; readonly index: number } {
    return this.#self;
  }

  get hlc(): number {
    return this.#clock.latest;
  }

  observeHlc(hlc: number): void {
    this.#clock.observe(hlc);
  }

  /** A new own origin from here on; the earlier one is retired. */
  startGeneration(generation: number, hlcAtLeast: number): void {
    assert(!this.writer.isOpen, 'a generation begins between batches');
    assert(generation > this.#self.generation, 'generations only go up');
    this.#clock.observe(hlcAtLeast);
    this.#become(generation);
    const bytes = Buffer.alloc(17);
    writeU32(bytes, 0, 13);
    bytes[4] = FRAME.generation;
    writeU32(bytes, 5, generation);
    writeF64(bytes, 9, this.keyspace.nowMs);
    this.log.append(bytes);
  }

  /** Recovery: the log says that this generation of ours began there. */
  resumeGeneration(generation: number): void {
    this.#become(generation);
  }

  #become(generation: number): void {
    const index = this.origins.indexOf(this.#instance, generation);
    this.#self = { instance: this.#instance, generation, index };
    const said = (this.#contexts[index] ??= new VersionVector());
    this.writer.beginOrigin(index, said);
  }

  // ---------------------------------------------------------------- replication

  /**
   * Applies a whole BATCH frame of any origin and appends the same bytes to the log. covered: had it already; early: something
   * it depends on is missing. Throws MalformedBatchError.
   */
  applyBatch(bytes: Uint8Array, start: number, end: number): Applied {
    assert(!this.#merging, 'no batch is applied during a merge');
    const outcome = this.#apply(bytes, start, end);
    if (outcome === 'applied') this.log.append(bytes.subarray(start, end));
    return outcome;
  }

  /** Recovery: the batch is in the log already. */
  replayBatch(bytes: Uint8Array, start: number, end: number): void {
    const outcome = this.#apply(bytes, start, end);
    assert(outcome !== 'early', 'the log holds batches in the order they were applied');
  }

  #apply(bytes: Uint8Array, start: number, end: number): Applied {
    assert(!this.writer.isOpen, 'a remote batch is applied between local ones');
    const outcome = this.#applier.apply(bytes, start, end);
    if (outcome === 'applied') this.writer.contextMoved = true;
    return outcome;
  }

  // ---------------------------------------------------------------- snapshots

  get isSnapshotting(): boolean {
    return this.#snapshot !== null;
  }

  /** Exactly the state at this moment. One at a time. */
  beginSnapshot(): Snapshot {
    assert(this.#snapshot === null, 'one snapshot at a time');
    assert(!this.#merging, 'no snapshot of a half merged state');
    this.commit();
    this.#snapshot = new Snapshot(
      this.keyspace,
      { vector: this.vector, contexts: this.#contexts, hlc: this.#clock.latest },
      () => {
        this.#snapshot = null;
      },
    );
    return this.#snapshot;
  }

  /** No write may be accepted and no batch applied: a merge is under way. */
  get writesHeld(): boolean {
    return this.#merging;
  }

  /** A full sync into live data. Writes are held until the merger's `step` returns true or `abandonMerge`. */
  checkSnapshot(): SnapshotParser {
    return new SnapshotParser(this.origins, IGNORE_SNAPSHOT);
  }

  beginMerge(): SnapshotMerger {
    assert(!this.#merging && !this.writer.isOpen, 'one merge at a time, between batches');
    this.#merging = true;
    return new SnapshotMerger(this.keyspace, this.vector.clone(), {
      onSlice: () => this.watches.touchAll(),
      onComplete: (header) => {
        this.#adopt(header);
        this.#merging = false;
        this.onWritesReleased();
      },
    });
  }

  #adopt(header: SnapshotHeader): void {
    for (const [origin, context] of header.contexts) {
      if (header.vector.get(origin) <= this.vector.get(origin)) continue;
      const known = this.#contexts[origin];
      if (known === undefined) this.#contexts[origin] = context;
      else known.copyFrom(context);
    }
    this.vector.raiseAll(header.vector);
    this.#clock.observe(header.hlc);
    this.writer.contextMoved = true;
  }

  // ---------------------------------------------------------------- inspection

  /** 40 hex digits over the logical state. */
  digest(): string {
    this.commit();
    return digestKeyspace(this.keyspace);
  }
}
