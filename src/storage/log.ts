/**
 * The log of an instance: durability log, replication backlog and the standby's feed in one (docs/internals/storage.md).
 *
 * Its bytes stand in the database's append buffer, which batches are encoded into; segment files receive the same bytes a little
 * later. Everybody counts in positions, offsets since the log's beginning:
 *
 *   floor .. [segment files ............................. durable .. written] .. end
 *                                  [append buffer .......................... end]
 *
 * Whatever was committed since the last write is sealed and written as one group. Clients' writes go when their turn ends, before the replies leave
 * (`handOver`); all others, and the feeds, with the flush for which `wake` arms a timer. Without a log file (persistence `snapshot` or `disabled`)
 * there are no seals and no segments, and the buffer, cut at the backlog's size, is all there is.
 *
 * Invariants: floor[o] .. vector[o] of every origin stands in the retained log; nothing before `durablePosition` is ever lost; feeds see
 * nothing beyond `publishPosition`, so that nothing published is lost with the process.
 */
import { assert } from '../base/assert.ts';
import type { OriginTable, VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Disk, Timer } from '../host/host.ts';
import type { AppendBuffer } from '../memory/append-buffer.ts';
import { DurableQueue } from './durable-queue.ts';
import { storageLimits, type StorageLimits } from './limits.ts';
import { locateStart, type Checkpoint, type Location } from './locate.ts';
import { LogSealer } from './log-sealer.ts';
import { LogWriter } from './log-writer.ts';
import { NO_PROMISE, type ManifestStore, type PublishPromise } from './manifest.ts';
import { SegmentSet, type SegmentStart } from './segment-set.ts';

export type LogPersistence =
  | { readonly kind: 'aof'; readonly fsync: 'every-sec' | 'always' }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'disabled' };

/** What recovery knows of the log that is to be continued. */
export interface LogStart {
  /** The generation of the last run goes on in this one. */
  readonly keepsGeneration: boolean;
  readonly endPosition: number;
  /** null: whatever the database holds now is the floor. */
  readonly floor: VersionVector | null;
  readonly checkpoints: readonly Checkpoint[];
  readonly segments: readonly SegmentStart[];
  /** Position of the snapshot that recovery would start from. */
  readonly snapshotPosition: number | null;
}

export const EMPTY_LOG: LogStart = {
  keepsGeneration: false,
  endPosition: 0,
  floor: null,
  checkpoints: [],
  segments: [],
  snapshotPosition: null,
};

export interface LogOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** The host's. */
  readonly bootId: string;
  readonly directory: string;
  /** The database's; still empty. */
  readonly buffer: AppendBuffer;
  readonly origins: OriginTable;
  /** The database's live version vector. */
  readonly vector: () => VersionVector;
  readonly persistence: LogPersistence;
  /** null only when persistence is disabled. */
  readonly manifest: ManifestStore | null;
  /** 0: the default. */
  readonly backlogBytesMax: number;
  readonly limits?: Partial<StorageLimits>;
  /** The disk failed. Nothing is acknowledged any more; the process should end. Called once. */
  readonly onFatal: (error: Error) => void;
  readonly onSlowSync?: (ms: number) => void;
  /** There is no room for the log; what is committed waits in memory, so that little should be. null: there is again. */
  readonly onRoom?: (error: Error | null) => void;
}

const NOTHING = Buffer.alloc(0);

export class Log {
  readonly #options: LogOptions;
  readonly #buffer: AppendBuffer;
  readonly #sealer: LogSealer;
  readonly #segments: SegmentSet | null;
  readonly #writer: LogWriter | null;
  readonly #always: boolean;
  readonly #backlogBytes: number;
  readonly #limits: StorageLimits;
  readonly #waiting = new DurableQueue();
  readonly #retained = new Map<string, number>();
  readonly #retentionTimer: Timer;
  readonly #floor: VersionVector;
  #snapshotPosition: number;
  #snapshotVector: VersionVector;
  #flushArmed = false;
  #noRoom: Error | null = null;
  #heldPosition = Infinity;
  #holds = 0;
  /** More was committed while the writer was busy. */
  #writeAgain = false;
  /** Feeds were told when not everything could be sent. */
  #publishAgain = false;
  #state: 'open' | 'closing' | 'failed' = 'open';
  #failure: Error | null = null;
  #idleWaiters: (() => void)[] = [];
  /** There is more to send: feeds should read on. */
  onPublishable: () => void = () => {};

  /** Continues the log that recovery found. Resolves when all that a crash would need is on disk; only then may anything be committed. */
  static async open(options: LogOptions, start: LogStart): Promise<Log> {
    options.buffer.restartAt(start.endPosition);
    const log = new Log(options, start);
    if (log.#writer !== null) {
      log.#beginSegment();
      log.#writer.write(log.#sealer.sealedPosition);
      await log.#idle();
      if (log.#failure !== null) throw log.#failure;
    }
    const logged = options.persistence.kind === 'aof';
    // A new generation makes this promise itself, together with its number: the old one must not be vouched for.
    await options.manifest?.update({ logged, ...(start.keepsGeneration ? log.promise : NO_PROMISE) });
    return log;
  }

  private constructor(options: LogOptions, start: LogStart) {
    const { disk, directory, persistence } = options;
    const logged = persistence.kind === 'aof';
    this.#options = options;
    this.#buffer = options.buffer;
    const limits = storageLimits(options.limits);
    this.#limits = limits;
    this.#sealer = new LogSealer({
      ...options,
      checkpoints: logged ? start.checkpoints : [],
      checkpointBytes: limits.checkpointBytes,
    });
    this.#always = logged && persistence.fsync === 'always';
    this.#backlogBytes = options.backlogBytesMax || limits.backlogBytes;
    this.#floor = ((logged && start.floor) || options.vector()).clone();
    this.#snapshotPosition = start.snapshotPosition ?? 0;
    this.#snapshotVector = options.vector().clone();
    this.#segments = logged ? new SegmentSet(disk, directory, start.segments) : null;
    this.#writer = logged ? this.#makeWriter(this.#segments!, persistence.fsync) : null;
    this.#retentionTimer = options.clock.every(limits.retentionPeriodMs, () => void this.#deleteUnneeded());
  }

  #makeWriter(segments: SegmentSet, fsync: 'every-sec' | 'always'): LogWriter {
    const { disk, clock } = this.#options;
    return new LogWriter({
      disk,
      clock,
      buffer: this.#buffer,
      segments,
      fsync,
      limits: this.#limits,
      position: this.#buffer.end,
      sealedVector: this.#sealer.sealedVector,
      onRound: () => this.#onRound(),
      onDurable: () => this.#onDurable(),
      onFatal: (error) => this.#fail(error),
      onRoom: (error) => this.#onRoom(error),
      onSlowSync: this.#options.onSlowSync ?? (() => {}),
    });
  }

  /** After the last committed byte. */
  get endPosition(): number {
    return this.#buffer.end;
  }

  get writtenPosition(): number {
    return this.#writer?.writtenPosition ?? this.#buffer.end;
  }

  /** Everything before it survives a power failure. Without a log file nobody waits for the disk: the end. */
  get durablePosition(): number {
    return this.#writer?.durablePosition ?? this.#buffer.end;
  }

  /** Feeds may send what stands before it. Without a log file: all there is. */
  get publishPosition(): number {
    return Math.min(this.#always ? this.durablePosition : this.writtenPosition, this.#heldPosition);
  }

  /** Nothing that is committed from now on is published until the returned function is called, and that of every later hold. */
  holdPublishing(): () => void {
    this.#heldPosition = Math.min(this.#heldPosition, this.#buffer.end);
    const holds = ++this.#holds;
    return () => {
      if (holds !== this.#holds) return;
      this.#heldPosition = Infinity;
      if (this.#state === 'open') this.onPublishable();
    };
  }

  /** What `publishPosition` comes to, for the restart after a crash. */
  get promise(): PublishPromise {
    if (this.#writer === null) return NO_PROMISE;
    return { publishedAfterSync: this.#always, publishedAfterWrite: this.#always ? '' : this.#options.bootId };
  }

  /** What a restart would find; others may forget only what this covers. With persistence disabled: what is in memory. Live: copy it. */
  get durableVector(): VersionVector {
    if (this.#writer !== null) return this.#writer.durableVector;
    return this.#options.persistence.kind === 'disabled' ? this.#options.vector() : this.#snapshotVector;
  }

  /** Committed bytes that only memory holds: it grows when the disk is too slow for the writes. */
  get unwrittenBytes(): number {
    return this.#buffer.end - this.writtenPosition;
  }

  /** For every origin the batches beyond this one are all in the retained log. Live: copy it. */
  get floor(): VersionVector {
    return this.#floor;
  }

  /** Position of the first byte that `read` finds. */
  get startPosition(): number {
    return this.#segments?.oldest?.position ?? this.#sealer.checkpoints[0]!.position;
  }

  /** Where the log began to be needed beside the newest snapshot. */
  get snapshotPosition(): number {
    return this.#snapshotPosition;
  }

  /** Why nothing can be written at the moment; null: it can. */
  get noRoom(): Error | null {
    return this.#noRoom;
  }

  /** Something was committed. Call it after each commit, or once per turn. */
  wake(): void {
    if (this.#state !== 'open') return;
    if (this.#noRoom !== null && this.unwrittenBytes > this.#limits.roomUnwrittenBytesMax) {
      this.#writer!.giveUp();
      return;
    }
    if (this.#writer !== null && this.#buffer.end - this.#sealer.sealedPosition >= this.#limits.groupBytesMax)
      this.#sealAndWrite();
    if (this.#flushArmed) return;
    this.#flushArmed = true;
    if (this.#always) this.#options.clock.soon(this.#flush);
    else this.#options.clock.after(this.#limits.publishDelayMs, this.#flush);
  }

  /**
   * Hands what was committed to the system, before anybody is told of it: then the end of the process loses nothing that was acknowledged. While an fsync
   * is under way, once a second, another thread does it and nobody waits. Under `always` everybody waits for the fsync instead.
   */
  handOver(): void {
    if (this.#state === 'open' && this.#writer !== null && !this.#always) this.#writeGroup();
  }

  /** Calls `fn` once everything before `position` is durable; at once when it is. Never after the disk has failed. */
  whenDurable(position: number, fn: () => void): void {
    if (this.#state === 'failed') return;
    if (position <= this.durablePosition) fn();
    else this.#waiting.add(position, fn);
  }

  /**
   * Calls `fn` once the segment that begins at `position` survives a power failure, and all before it. Its header stands at that position: what ends there may
   * be durable while the new file is not.
   */
  whenBegun(position: number, fn: () => void): void {
    if (this.#writer === null) fn();
    else this.whenDurable(position + 1, fn);
  }

  /**
   * Bytes from `position` that may be sent, at most `bytesMax`, cut anywhere; empty at the end; null when they are no longer held. To be used, or
   * copied, before anything else is done: the log's buffer will be written again.
   * A promise when they come from a file; it rejects when the file cannot be read.
   */
  read(position: number, bytesMax: number): Buffer | null | Promise<Buffer | null> {
    const available = this.publishPosition - position;
    if (available <= 0) return NOTHING;
    const bytes = this.#buffer.view(position, Math.min(bytesMax, available));
    if (bytes !== null || this.#segments === null) return bytes;
    return this.#segments.read(position, Math.min(bytesMax, this.#buffer.start - position));
  }

  /** Where a feed must start that sends these origins (indexes) to a reader that has `have`. */
  locate(have: VersionVector, origins: Iterable<number>): Location {
    const { checkpoints } = this.#sealer;
    const log = { checkpoints, floor: this.#floor, vector: this.#options.vector(), endPosition: this.#buffer.end };
    return locateStart(log, have, origins);
  }

  /** Keeps what stands from `position` on for a feed, up to the limit. Call it again as the feed moves on. */
  retain(name: string, position: number): void {
    this.#retained.set(name, position);
  }

  release(name: string): void {
    this.#retained.delete(name);
  }

  /**
   * A full sync was merged: writes the MERGE frame. To be called in the turn in which the merge became complete, before any other
   * commit. `file` is the spool's name, empty if it has none; the file must stay until a snapshot covers the frame. Returns where the frame ends.
   */
  noteMerge(merge: {
    readonly file: string;
    readonly vectorBefore: VersionVector;
    readonly snapshotVector: VersionVector;
  }): number {
    this.#sealer.appendMerge(merge);
    const position = this.endPosition;
    for (const [origin, seq] of merge.snapshotVector.entries()) {
      if (seq > merge.vectorBefore.get(origin)) this.#floor.raise(origin, seq);
    }
    this.wake();
    return position;
  }

  /** Begins a segment and returns its position: a snapshot of the state at this very moment and the log from there are everything. */
  markSnapshot(): number {
    assert(this.#state !== 'closing', 'no snapshot is begun while the log is being closed');
    if (this.#writer === null) return this.#buffer.end;
    this.#sealer.seal(this.#writer.durablePosition);
    if (!this.#sealer.segmentIsEmpty) this.#beginSegment();
    this.#writer.write(this.#sealer.sealedPosition);
    return this.#sealer.segmentPosition;
  }

  /** The manifest names a snapshot of this position now: what stands before it is needed only as backlog. */
  async snapshotTaken(position: number, vector: VersionVector): Promise<void> {
    this.#snapshotPosition = position;
    this.#snapshotVector = vector.clone();
    await this.#deleteUnneeded();
  }

  /** Writes everything and the clean marker, synced. What is committed after the call is lost. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#writer?.giveUp();
    await this.#idle();
    if (this.#writer !== null && this.#failure === null) {
      this.#sealer.appendClean();
      // Not in a new segment, however large this one is: the marker is the last thing in the log.
      this.#sealer.seal(this.#writer.durablePosition);
      this.#writer.write(this.#sealer.sealedPosition);
      await this.#idle();
    }
    await this.#release();
  }

  /** Ends without another write to the log: for an instance that could not start, or after `onFatal`. */
  async abandon(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    this.#writer?.giveUp();
    await this.#idle();
    await this.#release();
  }

  async #release(): Promise<void> {
    this.#retentionTimer.cancel();
    await this.#writer?.close();
    await this.#segments?.close();
  }

  readonly #flush = (): void => {
    this.#flushArmed = false;
    if (this.#state !== 'open') return;
    if (this.#writer === null) {
      this.#sealer.remember();
      this.#trimMemory();
    } else {
      this.#writeGroup();
    }
    if (!this.#always) this.#publish();
  };

  /** What is being written by another thread follows when it has been. */
  #publish(): void {
    this.#publishAgain = this.publishPosition < this.#buffer.end;
    this.onPublishable();
  }

  /** While the writer is busy the next group grows. */
  #writeGroup(): void {
    if (this.#writer!.busy) this.#writeAgain = true;
    else this.#sealAndWrite();
  }

  #sealAndWrite(): void {
    this.#sealer.seal(this.#writer!.durablePosition);
    if (this.#sealer.segmentBytes >= this.#limits.segmentBytes) this.#beginSegment();
    this.#writer!.write(this.#sealer.sealedPosition);
  }

  #beginSegment(): void {
    this.#writer!.beginSegment(this.#sealer.beginSegment(this.#floor));
  }

  #onRound(): void {
    this.#trimMemory();
    if (this.#writeAgain) {
      this.#writeAgain = false;
      if (this.#state === 'open') this.#sealAndWrite();
    }
    if (this.#publishAgain) this.#publish();
    if (!this.#writer!.busy) this.#wakeIdleWaiters();
  }

  #onRoom(error: Error | null): void {
    this.#noRoom = error;
    this.#options.onRoom?.(error);
    if (error !== null && this.#state === 'closing') this.#writer!.giveUp();
  }

  #onDurable(): void {
    this.#waiting.release(this.#writer!.durablePosition);
    if (this.#always) this.onPublishable();
  }

  #trimMemory(): void {
    if (this.#writer !== null) {
      this.#buffer.trimBefore(
        Math.min(this.#writer.writtenPosition, this.#buffer.end - this.#limits.memoryWindowBytes),
      );
      return;
    }
    const { checkpoints } = this.#sealer;
    const needed = this.#neededInMemory();
    let index = 0;
    while (index + 1 < checkpoints.length && checkpoints[index + 1]!.position <= needed) index++;
    if (index > 0) this.#startAt(checkpoints[index]!);
  }

  /** Without files: the backlog, and what a full sync that is being sent will have to go on from, up to the limit. */
  #neededInMemory(): number {
    const backlog = this.#buffer.end - this.#backlogBytes;
    let needed = backlog;
    for (const [name, position] of this.#retained) {
      if (backlog - position > this.#limits.memoryRetainBytesMax) this.#retained.delete(name);
      else needed = Math.min(needed, position);
    }
    return needed;
  }

  async #deleteUnneeded(): Promise<void> {
    if (this.#segments === null || this.#state !== 'open') return;
    const end = this.#buffer.end;
    let needed = Math.min(end - this.#backlogBytes, this.#snapshotPosition);
    for (const [name, position] of this.#retained) {
      if (end - position > this.#limits.retainBytesMax) this.#retained.delete(name);
      else needed = Math.min(needed, position);
    }
    // The set gives the segments up before it first waits, so nobody is sent to them while they disappear.
    const deletion = this.#segments.deleteBefore(needed);
    if (this.#segments.oldest !== undefined) this.#startAt(this.#segments.oldest);
    await deletion.catch((error: Error) => this.#fail(error));
  }

  /** The retained log begins here now. */
  #startAt(start: Checkpoint): void {
    this.#floor.raiseAll(start.vector);
    this.#sealer.forgetBefore(start.position);
    if (this.#segments === null) this.#buffer.trimBefore(start.position);
  }

  /** Resolves when nothing is being written, or never will be again. */
  #idle(): Promise<void> {
    if (this.#failure !== null || !this.#writer?.busy) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #wakeIdleWaiters(): void {
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#state = 'failed';
    this.#retentionTimer.cancel();
    this.#options.onFatal(error);
    this.#wakeIdleWaiters();
  }
}
