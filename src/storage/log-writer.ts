/**
 * Brings sealed bytes from the append buffer to the segment files: one write in flight, one segment being written.
 *
 *   idle --write(to)--> writing --all written--> (always: syncing) --onRound--> idle
 *
 * Under `every-sec` a round is one call of the system that returns when it has the bytes; what may block goes the long way over
 * another thread: the first write into a new segment, and writes while an fsync is running.
 *
 * Under `always` a round ends with an fsync, so that whatever is committed meanwhile goes into the next round together (group commit).
 * Under `every-sec` a background fsync runs once per second beside the writes. A new segment is begun only after the previous one is on
 * disk, and gets its final name only after its header is: recovery never meets a half-made segment, nor one that begins after a hole.
 *
 * A write that finds no room is tried again until there is: nothing was promised of it, and the same bytes go to the same place. Meanwhile
 * `onRoom(error)` has said so, and the round that is stuck counts as being written. Any other error of the disk ends everything: `onFatal` is called
 * once, no position becomes durable any more. (After a failed fsync the kernel may have thrown the pages away and report success next time;
 * so nothing is tried again, whatever the reason.)
 */
import { assert } from '../base/assert.ts';
import { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Disk, DiskFile, Timer } from '../host/host.ts';
import type { AppendBuffer } from '../memory/append-buffer.ts';
import { TEMPORARY_SUFFIX } from './file-names.ts';
import type { StorageLimits } from './limits.ts';
import type { SegmentSet } from './segment-set.ts';

export interface SegmentToBegin {
  readonly position: number;
  /** Position after the SEGMENT frame. */
  readonly headerEnd: number;
  readonly vector: VersionVector;
}

export interface LogWriterOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly buffer: AppendBuffer;
  readonly segments: SegmentSet;
  readonly fsync: 'every-sec' | 'always';
  readonly limits: StorageLimits;
  /** All of the buffer before it is on disk. */
  readonly position: number;
  /** The version vector at the last sealed position: read when a round has written everything sealed. */
  readonly sealedVector: VersionVector;
  /** A round has ended: everything that was asked for is written, and under `always` synced. */
  readonly onRound: () => void;
  readonly onDurable: () => void;
  readonly onFatal: (error: Error) => void;
  /** There is no room on the disk, once when it begins; null: there is again. */
  readonly onRoom: (error: Error | null) => void;
  /** An fsync has been running for `ms` and has not returned yet, or has just returned. Once per fsync. */
  readonly onSlowSync: (ms: number) => void;
}

export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #toBegin: SegmentToBegin[] = [];
  readonly #syncTimer: Timer;
  #file: DiskFile | null = null;
  #fileStart = 0;
  #target: number;
  #writtenPosition: number;
  #durablePosition: number;
  /** What the last complete round had written, and the version vector there. */
  #roundPosition: number;
  readonly #roundVector = new VersionVector();
  readonly #syncVector = new VersionVector();
  readonly durableVector = new VersionVector();
  #writing = false;
  #backgroundSync: Promise<void> | null = null;
  #syncStartMs = -1;
  #slowSyncSaid = false;
  #failed = false;
  /** There is no room. */
  #stuck: Error | null = null;
  #retryTimer: Timer | null = null;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#target = options.position;
    this.#writtenPosition = options.position;
    this.#durablePosition = options.position;
    this.#roundPosition = options.position;
    this.#syncTimer = options.clock.every(options.limits.syncPeriodMs, () => this.#onSyncTimer());
  }

  get busy(): boolean {
    return this.#writing;
  }

  get writtenPosition(): number {
    return this.#writtenPosition;
  }

  get durablePosition(): number {
    return this.#durablePosition;
  }

  /** From this position, to which nothing was written yet, the bytes go to a new file. */
  beginSegment(segment: SegmentToBegin): void {
    this.#toBegin.push(segment);
  }

  /** Everything before `position` shall be written; a round that is under way takes it along. */
  write(position: number): void {
    this.#target = position;
    if (this.#writing || this.#failed || this.#writtenPosition === position) return;
    if (this.#mayWriteNow()) {
      this.#writeNow();
      return;
    }
    this.#writing = true;
    this.#runRound().then(
      () => {
        this.#writing = false;
        this.#noteRoom();
        this.#options.onRound();
        this.write(this.#target);
      },
      (error: Error) => this.#waitForRoom(error),
    );
  }

  /** What waits for room will not be written: for the end of the process. */
  giveUp(): void {
    if (this.#stuck !== null) this.#fail(this.#stuck);
  }

  /** Syncs what was written; the writer must be idle. Then nothing may be written any more. */
  async close(): Promise<void> {
    this.#syncTimer.cancel();
    await this.#backgroundSync;
    if (this.#failed) return;
    assert(!this.#writing, 'the log writer is idle when it is closed');
    if (this.#durablePosition < this.#roundPosition) await this.#sync();
  }

  #mayWriteNow(): boolean {
    return this.#options.fsync === 'every-sec' && this.#backgroundSync === null && this.#toBegin.length === 0;
  }

  #writeNow(): void {
    try {
      while (this.#writtenPosition < this.#target) {
        const bytes = this.#unwritten(this.#target);
        this.#file!.writeNow(bytes, this.#writtenPosition - this.#fileStart);
        this.#writtenPosition += bytes.length;
      }
    } catch (error) {
      this.#writing = true;
      this.#waitForRoom(error as Error);
      return;
    }
    this.#endRound();
    this.#noteRoom();
    this.#options.onRound();
  }

  /** The round that could not be finished goes on where it stood, later; if that helps. */
  #waitForRoom(error: Error): void {
    if (!isNoRoom(error) || this.#failed) return this.#fail(error);
    this.#retryTimer = this.#options.clock.after(this.#options.limits.roomRetryMs, () => {
      this.#writing = false;
      this.write(this.#target);
    });
    if (this.#stuck !== null) return;
    this.#stuck = error;
    this.#options.onRoom(error);
  }

  #noteRoom(): void {
    if (this.#stuck === null) return;
    this.#stuck = null;
    this.#options.onRoom(null);
  }

  /** The next bytes before `end`, as many as are held in one piece. */
  #unwritten(end: number): Buffer {
    const bytes = this.#options.buffer.view(this.#writtenPosition, end - this.#writtenPosition);
    assert(this.#file && bytes && bytes.length > 0, 'what was not written yet is held in memory');
    return bytes;
  }

  #endRound(): void {
    this.#roundPosition = this.#writtenPosition;
    this.#roundVector.copyFrom(this.#options.sealedVector);
  }

  async #runRound(): Promise<void> {
    while (this.#writtenPosition < this.#target) {
      const next = this.#toBegin[0];
      if (next?.position === this.#writtenPosition) {
        await this.#startSegment(next);
        this.#toBegin.shift();
        continue;
      }
      const end = next === undefined ? this.#target : Math.min(next.position, this.#target);
      const bytes = this.#unwritten(end);
      await this.#file!.write(bytes, this.#writtenPosition - this.#fileStart);
      this.#writtenPosition += bytes.length;
    }
    this.#endRound();
    if (this.#options.fsync === 'always' && this.#durablePosition < this.#roundPosition) await this.#sync();
  }

  async #startSegment(segment: SegmentToBegin): Promise<void> {
    const { disk, buffer, segments } = this.#options;
    await syncFile(this.#file);
    const path = segments.pathOf(segment.position);
    const file = await disk.open(path + TEMPORARY_SUFFIX, 'create');
    try {
      await file.truncate(0);
      const header = buffer.view(segment.position, segment.headerEnd - segment.position);
      assert(header?.length === segment.headerEnd - segment.position, 'a segment header is held in one piece');
      await file.write(header, 0);
      await syncFile(file);
      await disk.rename(path + TEMPORARY_SUFFIX, path);
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    this.#file = file;
    this.#fileStart = segment.position;
    this.#writtenPosition = segment.headerEnd;
    segments.add({ position: segment.position, vector: segment.vector }, file);
    this.#becomeDurable(segment.headerEnd, segment.vector);
  }

  async #sync(): Promise<void> {
    const position = this.#roundPosition;
    this.#syncVector.copyFrom(this.#roundVector);
    this.#syncStartMs = this.#options.clock.monotonicMs();
    this.#slowSyncSaid = false;
    await syncFile(this.#file);
    this.#checkSlowSync();
    this.#syncStartMs = -1;
    this.#becomeDurable(position, this.#syncVector);
  }

  #becomeDurable(position: number, vector: VersionVector): void {
    if (position <= this.#durablePosition || this.#failed) return;
    this.#durablePosition = position;
    this.durableVector.copyFrom(vector);
    this.#options.onDurable();
  }

  #onSyncTimer(): void {
    if (this.#syncStartMs >= 0) return this.#checkSlowSync();
    if (this.#options.fsync !== 'every-sec' || this.#failed || this.#durablePosition >= this.#roundPosition) return;
    this.#backgroundSync = this.#sync().then(
      () => {
        this.#backgroundSync = null;
      },
      (error: Error) => this.#fail(error),
    );
  }

  #checkSlowSync(): void {
    const ms = this.#options.clock.monotonicMs() - this.#syncStartMs;
    if (ms < this.#options.limits.slowSyncMs || this.#slowSyncSaid) return;
    this.#slowSyncSaid = true;
    this.#options.onSlowSync(ms);
  }

  #fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#syncTimer.cancel();
    this.#retryTimer?.cancel();
    this.#options.onFatal(error);
  }
}

/** Marks what must not be tried again, whatever its code. */
class SyncError extends Error {}

async function syncFile(file: DiskFile | null): Promise<void> {
  try {
    await file?.sync();
  } catch (error) {
    throw new SyncError((error as Error).message);
  }
}

const isNoRoom = (error: Error): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return !(error instanceof SyncError) && (code === 'ENOSPC' || code === 'EDQUOT');
};
