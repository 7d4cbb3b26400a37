/**
 * Rebuilds an instance from its data directory: the snapshot that the manifest names, then the log from its position.
 *
 *   manifest -> remove what was under construction -> snapshot -> backlog segments (before the snapshot; only feeds use them)
 *            -> segments from the snapshot on: verify each, hand over its frames -> cut a torn tail -> sync
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
import { CrdbError } from '../errors.ts';
import type { Disk } from '../host/host.ts';
import { MANIFEST_NAME, segmentName, segmentPosition, snapshotPosition, TEMPORARY_SUFFIX } from './file-names.ts';
import { CHECKPOINT_BYTES } from './limits.ts';
import type { Checkpoint } from './locate.ts';
import { readMerge } from './log-frames.ts';
import { EMPTY_LOG, type LogStart } from './log.ts';
import { ManifestStore, MANIFEST_VERSION, NO_PROMISE, readManifest, type Manifest } from './manifest.ts';
import { scanSegment, type SegmentScan } from './segment-scan.ts';
import type { SegmentStart } from './segment-set.ts';
import { readSnapshotFile } from './snapshot-file.ts';

/** Takes a stream of snapshot bytes: into the empty database, or merged into it. */
export interface SnapshotSink {
  feed(bytes: Uint8Array): void;
  finish(): void;
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
  /** For `Log.open`. */
  readonly log: LogStart;
}

export interface DirectoryOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly guid: string;
  readonly instanceId: number;
}

/** The directory as it was found. */
interface OpenedDirectory {
  readonly manifest: ManifestStore;
  readonly fresh: boolean;
  readonly names: readonly string[];
}

export interface RecoveryOptions extends DirectoryOptions {
  /** The host's. */
  readonly bootId: string;
  readonly origins: OriginTable;
  readonly target: RecoveryTarget;
}

/** Throws a CrdbError when the directory belongs to another instance, or what is needed of it is damaged or missing. */
export async function recover(options: RecoveryOptions): Promise<Recovery> {
  const opened = await openDirectory(options);
  const { manifest, fresh } = opened;
  if (!fresh) return new LogRecovery(options, opened).run();
  return { manifest, fresh, clean: false, keepsGeneration: false, doubt: null, cutBytes: 0, hlcMax: 0, log: EMPTY_LOG };
}

/** Where nothing is persisted the manifest is kept all the same: it alone knows which generations there have been. */
export async function openManifest(options: DirectoryOptions): Promise<ManifestStore> {
  return (await openDirectory(options)).manifest;
}

async function openDirectory(options: DirectoryOptions): Promise<OpenedDirectory> {
  const { disk, directory, guid, instanceId } = options;
  await disk.makeDirectory(directory);
  const names = await removeUnfinished(disk, directory);
  const manifest = await readManifest(disk, directory);
  if (manifest === null) {
    return { manifest: await createManifest(options, names), fresh: true, names };
  }
  if (manifest.guid !== guid || manifest.instanceId !== instanceId) {
    throw new CrdbError(
      'instance_failed',
      `${directory} holds instance ${manifest.instanceId} of database ${manifest.guid}, not instance ${instanceId} of ${guid}.`,
      { hint: 'Give this instance its own data directory.' },
    );
  }
  const isCopy = (await disk.identify(`${directory}/${MANIFEST_NAME}`)) !== manifest.identity;
  return { manifest: new ManifestStore(disk, directory, manifest, isCopy), fresh: false, names };
}

async function removeUnfinished(disk: Disk, directory: string): Promise<readonly string[]> {
  const names = await disk.list(directory);
  for (const name of names) {
    const ours = /^(log|snapshot|merge|manifest)/.test(name);
    if (ours && name.endsWith(TEMPORARY_SUFFIX)) await disk.remove(`${directory}/${name}`);
  }
  return names.filter((name) => !name.endsWith(TEMPORARY_SUFFIX));
}

async function createManifest(options: DirectoryOptions, names: readonly string[]): Promise<ManifestStore> {
  const { disk, directory, guid, instanceId } = options;
  const data = names.find((name) => segmentPosition(name) !== null || snapshotPosition(name) !== null);
  if (data !== undefined) {
    throw new CrdbError('instance_failed', `${directory} has no manifest.json, but data: ${data}.`, {
      hint: 'Restore manifest.json from a backup, or move the directory away: the instance then starts empty and is filled by a full sync.',
    });
  }
  const manifest = new ManifestStore(disk, directory, {
    version: MANIFEST_VERSION,
    guid,
    instanceId,
    generation: 0,
    snapshot: null,
    logged: false,
    ...NO_PROMISE,
    identity: '',
  });
  await manifest.update({});
  return manifest;
}

class LogRecovery {
  readonly #options: RecoveryOptions;
  readonly #manifest: Manifest;
  readonly #isCopy: boolean;
  readonly #positions: readonly number[];
  #segments: SegmentStart[] = [];
  #checkpoints: Checkpoint[] = [];
  #floor: VersionVector | null = null;
  #hlcMax = 0;
  #generation = 0;
  #cutBytes = 0;
  #endsClean = false;

  constructor(options: RecoveryOptions, { manifest, names }: OpenedDirectory) {
    this.#options = options;
    this.#manifest = manifest.current;
    this.#isCopy = manifest.isCopy;
    this.#positions = names.flatMap((name) => segmentPosition(name) ?? []).sort((a, b) => a - b);
  }

  async run(): Promise<Recovery> {
    const { disk, directory } = this.#options;
    const manifest = this.#manifest;
    const from = manifest.snapshot?.position ?? 0;
    if (manifest.snapshot !== null) {
      const sink = this.#options.target.onSnapshot();
      await readSnapshotFile(disk, `${directory}/${manifest.snapshot.file}`, (bytes) => sink.feed(bytes));
      sink.finish();
    }
    await this.#readBacklog(from);
    const endPosition = await this.#replay(from);
    const clean = manifest.logged && this.#endsClean && this.#cutBytes === 0;
    const doubt = this.#doubt(clean);
    const keepsGeneration = doubt === null;
    // A generation that began in the middle of a run may be in the log before it is in the manifest.
    const generation = Math.max(manifest.generation, this.#generation);
    return {
      manifest: new ManifestStore(disk, directory, { ...manifest, generation }, this.#isCopy),
      fresh: false,
      clean,
      keepsGeneration,
      doubt,
      cutBytes: this.#cutBytes,
      hlcMax: this.#hlcMax,
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

  /** Takes over the segments before `from` as far back as they are intact and contiguous; deletes the others. */
  async #readBacklog(from: number): Promise<void> {
    const older = this.#positions.filter((position) => position < from);
    let end = -1;
    for (const position of older) {
      if (position !== end) await this.#dropBacklog(older, position);
      const { bytes, scan } = await this.#scan(position, false);
      if (scan.problem !== null) {
        end = -1;
        continue;
      }
      await this.#take(bytes, scan, false);
      end = position + scan.goodEnd;
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
      const { bytes, scan } = await this.#scan(position, isNewest);
      if (scan.problem?.kind === 'damaged')
        throw this.#unusable(segmentName(position), position + scan.goodEnd, scan.problem.reason);
      await this.#take(bytes, scan, true);
      end = position + scan.goodEnd;
      if (isNewest) await this.#finishNewest(position, bytes.length, scan);
    }
    if (needed.length === 0) throw this.#unusable(segmentName(from), from, 'it is missing');
    return end;
  }

  async #finishNewest(position: number, length: number, scan: SegmentScan): Promise<void> {
    this.#endsClean = scan.endsClean;
    this.#cutBytes = length - scan.goodEnd;
    const file = await this.#options.disk.open(this.#path(position), 'create');
    if (this.#cutBytes > 0) await file.truncate(scan.goodEnd);
    await file.sync();
    await file.close();
  }

  async #scan(position: number, isNewest: boolean): Promise<{ bytes: Buffer; scan: SegmentScan }> {
    const read = await this.#options.disk.readFile(this.#path(position));
    const bytes = read === null ? Buffer.alloc(0) : Buffer.from(read.buffer, read.byteOffset, read.length);
    return { bytes, scan: scanSegment(bytes, { position, isNewest }, this.#options.origins) };
  }

  /** Adds a verified segment; hands its frames over if they are to be replayed. */
  async #take(bytes: Buffer, scan: SegmentScan, replay: boolean): Promise<void> {
    const { origins, target } = this.#options;
    const { position, vector: startVector, floor } = scan.header!;
    this.#segments.push({ position, vector: startVector });
    this.#floor ??= startVector.clone();
    // The header's floor knows of merges, but also of what had been deleted when it was written; that has been deleted still.
    this.#floor.raiseAll(floor);
    const vector = startVector.clone();
    this.#checkpoints.push({ position, vector: startVector });
    let remembered = position;
    for (let start = scan.framesStart, end: number; start < scan.goodEnd; start = end) {
      end = start + 4 + readU32(bytes, start);
      const kind = bytes[start + 4]!;
      if (position + start - remembered >= CHECKPOINT_BYTES) {
        remembered = position + start;
        this.#checkpoints.push({ position: remembered, vector: vector.clone() });
      }
      if (kind === FRAME.batch) {
        const instance = bytes[start + BATCH.instance]!;
        const origin = origins.indexOf(instance, readU32(bytes, start + BATCH.generation));
        vector.set(origin, readU48(bytes, start + BATCH.seq));
        this.#hlcMax = Math.max(this.#hlcMax, readF64(bytes, start + BATCH.hlc));
        if (replay) target.onFrame(bytes, start, end);
      } else if (kind === FRAME.merge) {
        await this.#takeMerge(bytes, start, vector, replay);
      } else if (kind === FRAME.generation && replay) {
        this.#generation = Math.max(this.#generation, readU32(bytes, start + FRAME_HEADER_BYTES));
        target.onFrame(bytes, start, end);
      }
    }
  }

  async #takeMerge(bytes: Uint8Array, start: number, vector: VersionVector, replay: boolean): Promise<void> {
    const { disk, directory, origins, target } = this.#options;
    const { file, snapshotVector } = readMerge(bytes, start, origins);
    for (const [origin, seq] of snapshotVector.entries()) {
      if (seq <= vector.get(origin)) continue;
      this.#floor!.raise(origin, seq);
      vector.set(origin, seq);
    }
    if (!replay) return;
    const sink = target.onMerge();
    await readSnapshotFile(disk, `${directory}/${file}`, (piece) => sink.feed(piece));
    sink.finish();
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
