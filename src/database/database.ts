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
import { BATCH, FRAME, readU32, writeF64, writeU32 } from '../crdt/frame.ts';
import { HybridClock } from '../crdt/hybrid-clock.ts';
import { OriginTable, VersionVector } from '../crdt/version-vector.ts';
import { AppendBuffer } from '../memory/append-buffer.ts';
import { Arena } from '../memory/arena.ts';
import type { Args } from '../resp/args.ts';
import { Applier, type Applied, type ApplyOptions } from './applier.ts';
import { Collector } from './collector.ts';
import { DigestWalk } from './digest.ts';
import { featuresOfBatch } from './features.ts';
import { Incoming } from './incoming.ts';
import { KeyRef, TYPE } from './key-ref.ts';
import { Keyspace } from './keyspace.ts';
import { KeyWatch } from './key-watch.ts';
import { DATABASE_LIMITS, type DatabaseLimits } from './limits.ts';
import { Mutator } from './mutator.ts';
import { Snapshot } from './snapshot.ts';
import { SnapshotLoader } from './snapshot-loader.ts';
import type { SnapshotHeader } from './snapshot-parser.ts';
import type { Stability } from './stability.ts';
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
  /** Smaller ones suit tests. */
  readonly limits?: Partial<DatabaseLimits>;
}

/** A snapshot of the own, which recovery loads before anything else. */
export interface SnapshotLoad {
  /** What it contains; null before its beginning was fed. */
  readonly vector: VersionVector | null;
  /** Keys loaded so far. */
  readonly keys: number;
  readonly complete: boolean;
  /** Loads the bytes before it returns. Throws SnapshotFormatError. */
  feed(bytes: Uint8Array): void;
  /** After the end of the stream. */
  finish(): void;
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
  /** ms that a batch's clock may be ahead of the one here. */
  clockAheadMsMax = CLOCK_AHEAD_MS_MAX;
  readonly limits: DatabaseLimits;
  readonly #instance: number;
  readonly #clock = new HybridClock();
  readonly #contexts: (VersionVector | undefined)[] = [];
  readonly #mutator: Mutator;
  readonly #applier: Applier;
  readonly #refs: readonly KeyRef[];
  /** How a peer's batch is taken; one object for all of them. */
  readonly #fromPeer = { clockAheadMsMax: 0, isReplay: false, isOwn: false };
  #self = { instance: 0, generation: 0, index: 0 };
  #snapshot: Snapshot | null = null;
  /** Snapshots that were given up since the last complete one: records carry that many different epochs. */
  #incompleteEpochs = 0;
  readonly #collector: Collector;

  constructor(options: DatabaseOptions) {
    this.limits = { ...DATABASE_LIMITS, ...options.limits };
    const arena = new Arena({
      bytesMax: this.limits.arenaBytesMax,
      ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
    });
    this.random = options.random;
    this.memoryBytesMax = options.memoryBytesMax ?? 0;
    this.#instance = options.instance;
    this.log = new AppendBuffer({ chunkBytes: options.logChunkBytes ?? LOG_CHUNK_BYTES });
    this.keyspace = new Keyspace({
      arena,
      origins: this.origins,
      seed: [options.random(), options.random()],
      limits: this.limits,
    });
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
    this.#collector = new Collector(this.keyspace, {
      self: options.instance,
      onOrphan: (key, entry) => {
        const ref = this.keyspace.locate(this.#refs[0]!, key, 0, key.length);
        if (entry === null) this.writer.remove(ref);
        else this.writer.removeField(ref, entry.name, 0, entry.name.length);
      },
    });
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

  /** Whether the container that a command was put off for is not settled yet. */
  get isWantedWaiting(): boolean {
    return this.keyspace.stages.containers.isWantedWaiting;
  }

  /** Throws PutOffError where much of what is under the key waits to be settled and the caller may be put off. */
  demandSettled(args: Args, index: number): void {
    const ref = this.lookup(args, index);
    if (ref.record !== 0) this.keyspace.stages.containers.demandSettled(ref);
  }

  /** Visible keys, those that have expired but are not removed yet included. */
  get keyCount(): number {
    return this.keyspace.visibleKeys;
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

  /**
   * A new own origin from here on; the earlier one is retired. What is owed is announced under the new one: where the earlier one's end is in doubt, the
   * dot that would be its next may have been used already.
   */
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
    this.commit();
  }

  /** Recovery: the log says that this generation of ours began there. */
  resumeGeneration(generation: number): void {
    this.#become(generation);
  }

  /** The log behind a snapshot need not say under which generation it goes on. */
  #resumeLatestGeneration(): void {
    let latest = this.#self.generation;
    for (const [index] of this.vector.entries()) {
      const { instance, generation } = this.origins.at(index);
      if (instance === this.#instance) latest = Math.max(latest, generation);
    }
    if (latest > this.#self.generation) this.resumeGeneration(latest);
  }

  #become(generation: number): void {
    const index = this.origins.indexOf(this.#instance, generation);
    this.#self = { instance: this.#instance, generation, index };
    const said = (this.#contexts[index] ??= new VersionVector());
    this.writer.beginOrigin(index, said);
  }

  // ---------------------------------------------------------------- replication

  /** The features that this release can read in batches and snapshots. */
  get capabilities(): readonly string[] {
    return this.keyspace.containers.knownFeatures;
  }

  /** What the data is made of, or was since the start: a snapshot of it needs no other features. */
  get features(): readonly string[] {
    return this.keyspace.containers.features;
  }

  /** The features that the effects of a whole BATCH frame need. */
  needsOf(bytes: Uint8Array, start: number, end: number): ReadonlySet<string> {
    return featuresOfBatch(bytes, { start, end }, this.origins, this.keyspace.containers.effectFeatures);
  }

  /**
   * Applies a whole BATCH frame of any origin and appends the same bytes to the log. covered: had it already; early: something it depends on is
   * missing. Throws MalformedBatchError, UnsupportedBatchError, ClockAheadError, ArenaFullError; then nothing has changed, and the same batch may be tried
   * again.
   */
  applyBatch(bytes: Uint8Array, start: number, end: number, clockAheadMsMax = this.clockAheadMsMax): Applied {
    this.#fromPeer.clockAheadMsMax = clockAheadMsMax;
    const outcome = this.#apply(bytes, start, end, this.#fromPeer);
    if (outcome === 'applied') {
      this.log.append(bytes, start, end);
      if (this.keyspace.stages.owed.count > 0) this.commit();
    }
    return outcome;
  }

  /** Recovery: the batch is in the log already. */
  replayBatch(bytes: Uint8Array, start: number, end: number): void {
    const isOwn =
      bytes[start + BATCH.instance] === this.#instance &&
      readU32(bytes, start + BATCH.generation) === this.#self.generation;
    const { owed } = this.keyspace.stages;
    const outcome = this.#apply(bytes, start, end, { clockAheadMsMax: Infinity, isReplay: true, isOwn });
    assert(outcome !== 'early', 'the log holds batches in the order they were applied');
    // What was owed by then it announced itself.
    if (isOwn && owed.count > 0) owed.take();
  }

  #apply(bytes: Uint8Array, start: number, end: number, options: ApplyOptions): Applied {
    assert(!this.writer.isOpen, 'a remote batch is applied between local ones');
    const outcome = this.#applier.apply(bytes, start, end, options);
    if (outcome === 'applied') this.writer.contextMoved = true;
    return outcome;
  }

  // ---------------------------------------------------------------- snapshots and full syncs

  get isSnapshotting(): boolean {
    return this.#snapshot !== null;
  }

  /** Whether `beginSnapshot` may be called: one at a time, and not while anything waits to be settled. */
  get maySnapshot(): boolean {
    return this.#snapshot === null && this.isSettled && this.#incompleteEpochs < INCOMPLETE_EPOCHS_MAX;
  }

  /** Exactly the state at this moment. */
  beginSnapshot(): Snapshot {
    assert(this.maySnapshot, 'one snapshot at a time, of a state that is settled');
    this.commit();
    return this.#beginSnapshot();
  }

  #beginSnapshot(): Snapshot {
    this.#snapshot = new Snapshot(
      this.keyspace,
      { vector: this.vector, contexts: this.#contexts, hlc: this.#clock.latest },
      (isComplete) => {
        this.#snapshot = null;
        this.#incompleteEpochs = isComplete ? 0 : this.#incompleteEpochs + 1;
      },
    );
    return this.#snapshot;
  }

  /** Recovery: the snapshot of an empty database. */
  loadSnapshot(): SnapshotLoad {
    assert(
      this.keyspace.keyMaps.count(this.keyspace.keys) === 0 && this.isSettled,
      'a snapshot is loaded into nothing',
    );
    const loader = new SnapshotLoader(this.keyspace, this.keyspace.keys);
    return {
      get keys() {
        return loader.keys;
      },
      get vector() {
        return loader.header?.vector ?? null;
      },
      get complete() {
        return loader.complete;
      },
      feed: (bytes) => loader.feed(bytes),
      finish: () => {
        this.#adopt(loader.header!);
        this.#resumeLatestGeneration();
      },
    };
  }

  /** A full sync that is being received; nothing of it counts before its `join`. */
  beginIncoming(clockAheadMsMax = this.clockAheadMsMax): Incoming {
    return new Incoming(this.keyspace, {
      local: () => this.vector,
      clockAheadMsMax,
      onJoin: (header) => {
        assert(!this.writer.isOpen, 'a full sync is joined between batches');
        this.watches.touchAll();
        this.#adopt(header);
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

  // ---------------------------------------------------------------- work in slices

  /** Nothing waits: no removal, no join is still to be carried out. */
  get isSettled(): boolean {
    return this.keyspace.stages.isSettled;
  }

  /**
   * Carries out, for about `count` entries, what waits: removals and joins, memory to be freed, tables to be resized. Returns whether there is more to do now.
   * While a snapshot is being written most of it rests; not what a command waits for.
   */
  settleStep(count: number): boolean {
    const { stages, keyMaps, keys, preImages } = this.keyspace;
    if (this.writer.isOpen) return false;
    if (this.#incompleteEpochs >= INCOMPLETE_EPOCHS_MAX && this.#snapshot === null && this.isSettled) {
      this.#beginSnapshot();
    }
    if (this.#incompleteEpochs >= INCOMPLETE_EPOCHS_MAX && this.#snapshot !== null) {
      return !this.#snapshot.skip(count);
    }
    const hasSwept = preImages === null ? stages.sweep(count) : stages.containers.sweepWanted(count);
    if (stages.owed.count > 0) this.commit();
    if (hasSwept) return true;
    if (preImages !== null) return keyMaps.continueResize(keys, count);
    return stages.graveyard.dig(count) || keyMaps.continueResize(keys, count);
  }

  /** Looks at about `count` records and frees what nobody can need any more. Returns whether the pass goes on. */
  collectStep(stability: Stability, count: number): boolean {
    if (!this.isSettled || this.writer.isOpen) return false;
    const isMore = this.#collector.step(stability, count);
    this.commit();
    return isMore;
  }

  // ---------------------------------------------------------------- inspection

  /** 40 hex digits over the logical state, in one go. */
  digest(): string {
    this.settle();
    const walk = this.beginDigest();
    for (;;) {
      const digest = walk.step(Infinity);
      if (digest !== null) return digest;
    }
  }

  /** The same in steps: everything is settled, and nothing is to be written until it is over. */
  beginDigest(): DigestWalk {
    this.commit();
    assert(this.isSettled, 'a digest is of a settled state');
    return new DigestWalk(this.keyspace);
  }

  /** Settles everything now. */
  settle(): void {
    this.commit();
    while (this.keyspace.stages.sweep(SETTLE_STEP)) this.commit();
  }
}

/** A batch of another instance whose clock is further ahead is not applied. */
const CLOCK_AHEAD_MS_MAX = 60_000;
const SETTLE_STEP = 4096;
/** Epochs that may be in use at once, less the one that a walk needs which tidies them up. */
const INCOMPLETE_EPOCHS_MAX = 14;
