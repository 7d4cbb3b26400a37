/**
 * Rebuilds an instance from its data directory: the snapshot that the manifest names, then the log from its position.
 *
 *   manifest -> remove what was under construction -> snapshot -> backlog segments (before the snapshot; only feeds use them)
 *            -> segments from the snapshot on: verify each, hand over its frames -> cut a torn tail -> sync
 *
 * Everything is read in pieces and handed over in slices, between which others have their turn (loading-pace.ts).
 *
 * A torn tail is cut and reported. Damage in what recovery needs stops the start with the repair to type; damage in the backlog costs
 * only the backlog up to there. Everything that was read is synced before it counts: it may have come from the system's cache.
 *
 * May the instance keep its generation? Only if its log provably holds every operation it ever published: this is the very directory that the
 * last run wrote, not a copy of it; that run logged everything; and it ended cleanly, or published only what was on disk, or only
 * what the operating system had, which runs still and has all of it (architecture: generations).
 */
import { BATCH, FRAME, FRAME_HEADER_BYTES, readF64, readU32, readU48 } from '../crdt/frame.ts';
import { VersionVector, type OriginTable } from '../crdt/version-vector.ts';
import { MalformedBatchError } from '../database/effects.ts';
import { SnapshotFormatError } from '../database/snapshot-parser.ts';
import { CrdbError } from '../errors.ts';
import type { Clock } from '../host/host.ts';
import { unusable } from './chunk-file.ts';
import { openDirectory, type DirectoryOptions, type OpenedDirectory } from './data-directory.ts';
import { segmentName, segmentPosition } from './file-names.ts';
import { storageLimits, type StorageLimits } from './limits.ts';
import { LoadingPace, type RecoveryProgress } from './loading-pace.ts';
import type { Checkpoint } from './locate.ts';
import { readMerge } from './log-frames.ts';
import { EMPTY_LOG, type LogStart } from './log.ts';
import { ManifestStore, type Manifest } from './manifest.ts';
import { SegmentReader, type Group } from './segment-reader.ts';
import type { SegmentStart } from './segment-set.ts';
import { readSnapshotFile } from './snapshot-file.ts';
import type { TakenSnapshot } from './snapshotter.ts';

/** Takes a stream of snapshot bytes: into the empty database, or merged into it. */
export interface SnapshotSink {
  /** What it contains; null until its beginning was fed. */
  readonly vector: VersionVector | null;
  /** Its end was fed. */
  readonly complete: boolean;
  /** The bytes are used before it returns. */
  feed(bytes: Uint8Array): void;
  /** When complete: does a part of what is left to do. Called until it returns true. */
  finish(): boolean;
}

export interface RecoveryTarget {
  /** Called first and at most once: the snapshot of an empty database. */
  onSnapshot(): SnapshotSink;
  /** A BATCH or GENERATION frame, in log order. The bytes are valid during the call only. */
  onFrame(bytes: Uint8Array, start: number, end: number): void;
  /** A full sync was merged at this place in the log. */
  onMerge(): SnapshotSink;
}

export interface Recovery {
  readonly manifest: ManifestStore;
  /** There was nothing: a new instance. */
  readonly fresh: boolean;
  /** The last run was shut down properly. */
  readonly clean: boolean;
  /** Whether the origin of the last run may be continued; otherwise a new generation must begin. */
  readonly keepsGeneration: boolean;
  /** Why it may not, in words; null: it may, or there was none. */
  readonly doubt: string | null;
  /** Bytes of a torn tail that were cut. */
  readonly cutBytes: number;
  /** The highest hybrid logical clock value in the log; the snapshot's own is the loader's to observe. */
  readonly hlcMax: number;
  /** The snapshot that it began with. */
  readonly snapshot: TakenSnapshot | null;
  /** For `Log.open`. */
  readonly log: LogStart;
}

export interface RecoveryOptions extends DirectoryOptions {
  /** The host's. */
  readonly bootId: string;
  readonly origins: OriginTable;
  readonly target: RecoveryTarget;
  readonly clock: Clock;
  readonly limits?: Partial<StorageLimits>;
  /** Called whenever others have had their turn, and at the end. */
  readonly onProgress?: (progress: RecoveryProgress) => void;
  /** Looked at in every turn: once true, recovery rejects with LoadingStopped. */
  readonly isStopping?: () => boolean;
}

/** Throws a CrdbError when the directory belongs to another instance, or what is needed of it is damaged or missing. */
export async function recover(options: RecoveryOptions): Promise<Recovery> {
  const opened = await openDirectory(options);
  const { manifest, fresh } = opened;
  if (!fresh) return new LogRecovery(options, opened).run();
  return {
    manifest,
    fresh,
    clean: false,
    keepsGeneration: false,
    doubt: null,
    cutBytes: 0,
    hlcMax: 0,
    snapshot: null,
    log: EMPTY_LOG,
  };
}

class LogRecovery {
  readonly #options: RecoveryOptions;
  readonly #limits: StorageLimits;
  readonly #pace: LoadingPace;
  readonly #manifest: Manifest;
  readonly #isCopy: boolean;
  readonly #positions: readonly number[];
  #segments: SegmentStart[] = [];
  #checkpoints: Checkpoint[] = [];
  #floor: VersionVector | null = null;
  #snapshot: TakenSnapshot | null = null;
  #hlcMax = 0;
  #generation = 0;
  #cutBytes = 0;
  #endsClean = false;

  constructor(options: RecoveryOptions, { manifest, names }: OpenedDirectory) {
    this.#options = options;
    this.#limits = storageLimits(options.limits);
    this.#pace = new LoadingPace({ ...options, limits: this.#limits });
    this.#manifest = manifest.current;
    this.#isCopy = manifest.isCopy;
    this.#positions = names.flatMap((name) => segmentPosition(name) ?? []).sort((a, b) => a - b);
  }

  async run(): Promise<Recovery> {
    const manifest = this.#manifest;
    const from = manifest.snapshot?.position ?? 0;
    await this.#expectFiles();
    if (manifest.snapshot !== null) {
      const sink = this.#options.target.onSnapshot();
      await this.#load(manifest.snapshot.file, sink);
      this.#snapshot = { ...manifest.snapshot, vector: sink.vector!.clone() };
    }
    this.#pace.enter('log');
    await this.#readBacklog(from);
    const endPosition = await this.#replay(from);
    this.#pace.report();
    const clean = manifest.logged && this.#endsClean && this.#cutBytes === 0;
    const doubt = this.#doubt(clean);
    const keepsGeneration = doubt === null;
    // A generation that began in the middle of a run may be in the log before it is in the manifest.
    const generation = Math.max(manifest.generation, this.#generation);
    const { disk, directory } = this.#options;
    return {
      manifest: new ManifestStore(disk, directory, { ...manifest, generation }, this.#isCopy),
      fresh: false,
      clean,
      keepsGeneration,
      doubt,
      cutBytes: this.#cutBytes,
      hlcMax: this.#hlcMax,
      snapshot: this.#snapshot,
      log: {
        keepsGeneration,
        endPosition,
        floor: this.#floor,
        checkpoints: this.#checkpoints,
        segments: this.#segments,
        snapshotPosition: manifest.snapshot?.position ?? null,
      },
    };
  }

  /** Why the log may lack something that was published; null: it does not. */
  #doubt(clean: boolean): string | null {
    const { logged, publishedAfterSync, publishedAfterWrite } = this.#manifest;
    const { bootId } = this.#options;
    if (this.#isCopy) return 'the data directory is a copy of the one that was written';
    if (!logged) return 'the last run kept no log';
    if (clean || publishedAfterSync) return null;
    if (bootId === '' || publishedAfterWrite !== bootId)
      return 'the last run did not end cleanly, nor did the system since';
    // What a process has written is whole as long as the system runs: something else has happened as well.
    return this.#cutBytes > 0 ? 'the last run did not end cleanly, and its log is cut' : null;
  }

  async #expectFiles(): Promise<void> {
    const { snapshot } = this.#manifest;
    if (snapshot !== null) await this.#expectFile(snapshot.file);
    for (const position of this.#positions) await this.#expectFile(segmentName(position));
  }

  /** Returns its size; an absent file is met, and reported, when it is to be read. */
  async #expectFile(name: string): Promise<number> {
    const { disk, directory } = this.#options;
    const file = await disk.open(`${directory}/${name}`, 'read').catch(() => null);
    if (file === null) return 0;
    const bytes = await file.size();
    await file.close();
    this.#pace.expect(bytes);
    return bytes;
  }

  // ---------------------------------------------------------------- snapshots

  /** The whole file; what was only a part of a snapshot when it was written is refused like any other damage. */
  async #load(file: string, sink: SnapshotSink): Promise<void> {
    const { disk, directory } = this.#options;
    const path = `${directory}/${file}`;
    await readSnapshotFile(disk, path, async (bytes, readBytes) => {
      for (let at = 0; at < bytes.length; at += this.#limits.recoverySliceBytes) {
        feed(sink, bytes.subarray(at, at + this.#limits.recoverySliceBytes), path);
        if (this.#pace.isDue) await this.#pace.rest();
      }
      this.#pace.count(readBytes);
    });
    if (!sink.complete) throw unusable(path, 'the snapshot in it has no end: it was not written to its end');
    while (!sink.finish()) if (this.#pace.isDue) await this.#pace.rest();
  }

  async #loadMerge(file: string): Promise<void> {
    await this.#expectFile(file);
    await this.#load(file, this.#options.target.onMerge());
  }

  // ---------------------------------------------------------------- segments

  /** Takes over the segments before `from` as far back as they are intact and contiguous; deletes the others. */
  async #readBacklog(from: number): Promise<void> {
    const older = this.#positions.filter((position) => position < from);
    let end = -1;
    for (const position of older) {
      if (position !== end) await this.#dropBacklog(older, position);
      const found = await this.#readSegment(position, { isNewest: false, replay: false });
      end = found.problem === null ? position + found.goodEnd : -1;
    }
    if (end !== from) await this.#dropBacklog(older, from);
  }

  async #dropBacklog(older: readonly number[], before: number): Promise<void> {
    for (const position of older) if (position < before) await this.#options.disk.remove(this.#path(position));
    this.#segments = [];
    this.#checkpoints = [];
    this.#floor = null;
  }

  /** Returns where the log ends. */
  async #replay(from: number): Promise<number> {
    const needed = this.#positions.filter((position) => position >= from);
    // A run without a log file leaves none from its snapshot on, and a new instance may have been stopped before its first segment.
    if (needed.length === 0 && !this.#manifest.logged) {
      await this.#dropBacklog(this.#positions, from);
      return from;
    }
    let end = from;
    for (const position of needed) {
      if (position !== end)
        throw this.#unusable(segmentName(end), end, `it is missing, the next segment is ${segmentName(position)}`);
      const isNewest = position === needed[needed.length - 1];
      const found = await this.#readSegment(position, { isNewest, replay: true });
      if (found.problem?.kind === 'damaged')
        throw this.#unusable(segmentName(position), position + found.goodEnd, found.problem.reason);
      end = position + found.goodEnd;
      if (isNewest) await this.#finishNewest(position, found);
    }
    if (needed.length === 0) throw this.#unusable(segmentName(from), from, 'it is missing');
    return end;
  }

  async #finishNewest(position: number, found: SegmentReader): Promise<void> {
    this.#endsClean = found.endsClean;
    this.#cutBytes = found.sizeBytes - found.goodEnd;
    const file = await this.#options.disk.open(this.#path(position), 'create');
    if (this.#cutBytes > 0) await file.truncate(found.goodEnd);
    await file.sync();
    await file.close();
  }

  /** Takes a segment as far as it is intact; hands its frames over if they are to be replayed. Returns the reader, closed, at its end. */
  async #readSegment(position: number, how: { isNewest: boolean; replay: boolean }): Promise<SegmentReader> {
    const { disk, origins } = this.#options;
    const reader = await SegmentReader.open({
      disk,
      path: this.#path(position),
      position,
      isNewest: how.isNewest,
      origins,
      readBytes: this.#limits.recoveryReadBytes,
    });
    try {
      if (reader.header !== null) await this.#takeSegment(reader, how.replay);
      this.#pace.count(reader.sizeBytes - reader.goodEnd);
      return reader;
    } finally {
      await reader.close();
    }
  }

  async #takeSegment(reader: SegmentReader, replay: boolean): Promise<void> {
    const { position, vector, floor } = reader.header!;
    this.#segments.push({ position, vector });
    this.#floor ??= vector.clone();
    // The header's floor knows of merges, but also of what had been deleted when it was written; that has been deleted still.
    this.#floor.raiseAll(floor);
    this.#checkpoints.push({ position, vector });
    this.#pace.count(reader.goodEnd);
    const taken = new TakenFrames(position, vector.clone(), this.#options.origins);
    for (let before = reader.goodEnd, group = await reader.next(); group !== null; group = await reader.next()) {
      await this.#takeGroup(group, taken, replay);
      this.#pace.count(reader.goodEnd - before);
      before = reader.goodEnd;
    }
  }

  async #takeGroup(group: Group, taken: TakenFrames, replay: boolean): Promise<void> {
    const { bytes, start, end } = group;
    for (let at = start; at < end;) {
      const kind = bytes[at + 4]!;
      if (kind === FRAME.merge) {
        await this.#takeMerge(bytes, at, taken, replay);
        at += 4 + readU32(bytes, at);
      } else {
        at = this.#takeFrames(group, at, taken, replay);
      }
      if (this.#pace.isDue) await this.#pace.rest();
    }
  }

  /** Takes frames from `from` on: about a slice, and none that is a merge unless it is the first. Returns where the next one begins. */
  #takeFrames(group: Group, from: number, taken: TakenFrames, replay: boolean): number {
    const { bytes, end } = group;
    const { target } = this.#options;
    const sliceEnd = Math.min(end, from + this.#limits.recoverySliceBytes);
    const toPosition = taken.position + group.offset - group.start;
    let at = from;
    while (at < sliceEnd) {
      const next = at + 4 + readU32(bytes, at);
      const kind = bytes[at + 4]!;
      if (toPosition + at - taken.rememberedPosition >= this.#limits.checkpointBytes)
        this.#checkpoints.push(taken.remember(toPosition + at));
      if (kind === FRAME.batch) {
        taken.batch(bytes, at);
        const hlc = readF64(bytes, at + BATCH.hlc);
        if (hlc > this.#hlcMax) this.#hlcMax = hlc;
        if (replay) this.#handOver(bytes, at, next, toPosition + at);
      } else if (kind === FRAME.merge) {
        return at;
      } else if (kind === FRAME.generation && replay) {
        this.#generation = Math.max(this.#generation, readU32(bytes, at + FRAME_HEADER_BYTES));
        target.onFrame(bytes, at, next);
      }
      at = next;
    }
    return at;
  }

  #handOver(bytes: Buffer, start: number, end: number, position: number): void {
    try {
      this.#options.target.onFrame(bytes, start, end);
    } catch (error) {
      if (!(error instanceof MalformedBatchError)) throw error;
      const name = segmentName(this.#segments[this.#segments.length - 1]!.position);
      throw this.#unusable(name, position, `a batch there cannot be read: ${error.message}`);
    }
  }

  async #takeMerge(bytes: Uint8Array, start: number, taken: TakenFrames, replay: boolean): Promise<void> {
    const { file, snapshotVector } = readMerge(bytes, start, this.#options.origins);
    const { vector } = taken;
    for (const [origin, seq] of snapshotVector.entries()) {
      if (seq <= vector.get(origin)) continue;
      this.#floor!.raise(origin, seq);
      vector.set(origin, seq);
    }
    if (replay) await this.#loadMerge(file);
  }

  #path(position: number): string {
    return `${this.#options.directory}/${segmentName(position)}`;
  }

  #unusable(name: string, position: number, reason: string): CrdbError {
    const { directory } = this.#options;
    return new CrdbError(
      'instance_failed',
      `The log in ${directory} is damaged in ${name} at position ${position}: ${reason}. Everything from there on would be lost.`,
      { hint: `See what a repair would drop: node dist/src/storage/repair.js ${directory}` },
    );
  }
}

/** The version vector along a segment. Runs of batches of one origin are the rule, so that the vector is written only between them. */
class TakenFrames {
  /** Of the segment. */
  readonly position: number;
  rememberedPosition: number;
  readonly #origins: OriginTable;
  readonly #vector: VersionVector;
  #instance = 0;
  #generation = 0;
  #seq = 0;

  constructor(position: number, vector: VersionVector, origins: OriginTable) {
    this.position = position;
    this.rememberedPosition = position;
    this.#vector = vector;
    this.#origins = origins;
  }

  batch(bytes: Uint8Array, start: number): void {
    const instance = bytes[start + BATCH.instance]!;
    const generation = readU32(bytes, start + BATCH.generation);
    if (instance !== this.#instance || generation !== this.#generation) {
      this.#settle();
      this.#instance = instance;
      this.#generation = generation;
    }
    this.#seq = readU48(bytes, start + BATCH.seq);
  }

  get vector(): VersionVector {
    this.#settle();
    return this.#vector;
  }

  remember(position: number): Checkpoint {
    this.rememberedPosition = position;
    return { position, vector: this.vector.clone() };
  }

  #settle(): void {
    if (this.#instance !== 0) this.#vector.set(this.#origins.indexOf(this.#instance, this.#generation), this.#seq);
    this.#instance = 0;
  }
}

function feed(sink: SnapshotSink, bytes: Uint8Array, path: string): void {
  try {
    sink.feed(bytes);
  } catch (error) {
    throw error instanceof SnapshotFormatError ? unusable(path, error.message) : error;
  }
}
