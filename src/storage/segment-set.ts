/**
 * The segment files on disk, oldest first, and reading from them.
 *
 * A segment that was written by this process keeps its file open for readers; one that recovery found is opened when the first
 * reader asks. A deleted segment disappears from the directory at once and is closed when its last read has returned.
 *
 * Invariant: segments are contiguous; each ends where the next begins.
 */
import type { Disk, DiskFile } from '../host/host.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import { segmentName } from './file-names.ts';

export interface SegmentStart {
  readonly position: number;
  /** The instance's version vector at `position`. */
  readonly vector: VersionVector;
}

class Segment {
  readonly position: number;
  readonly vector: VersionVector;
  file: Promise<DiskFile> | null;
  reads = 0;
  deleted = false;

  constructor(start: SegmentStart, file: DiskFile | null) {
    this.position = start.position;
    this.vector = start.vector;
    this.file = file === null ? null : Promise.resolve(file);
  }
}

export class SegmentSet {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segments: Segment[] = [];

  constructor(disk: Disk, directory: string, found: readonly SegmentStart[]) {
    this.#disk = disk;
    this.#directory = directory;
    for (const start of found) this.#segments.push(new Segment(start, null));
  }

  get count(): number {
    return this.#segments.length;
  }

  get oldest(): SegmentStart | undefined {
    return this.#segments[0];
  }

  pathOf(position: number): string {
    return `${this.#directory}/${segmentName(position)}`;
  }

  add(start: SegmentStart, file: DiskFile): void {
    this.#segments.push(new Segment(start, file));
  }

  /** Up to `bytesMax` bytes from `position`, never across files; null when that segment was deleted. */
  async read(position: number, bytesMax: number): Promise<Buffer | null> {
    let index = this.#segments.length - 1;
    while (index >= 0 && this.#segments[index]!.position > position) index--;
    if (index < 0) return null;
    const segment = this.#segments[index]!;
    const end = this.#segments[index + 1]?.position ?? Infinity;
    const bytes = Buffer.allocUnsafe(Math.min(bytesMax, end - position));
    segment.reads++;
    try {
      segment.file ??= this.#disk.open(this.pathOf(segment.position), 'read');
      const count = await (await segment.file).read(bytes, position - segment.position);
      if (count === 0)
        throw new Error(`${this.pathOf(segment.position)} ends before position ${position}, which was written to it`);
      return bytes.subarray(0, count);
    } finally {
      segment.reads--;
      if (segment.deleted && segment.reads === 0) await this.#close(segment);
    }
  }

  /** Deletes the segments that end at or before `position`, but never the newest. */
  async deleteBefore(position: number): Promise<void> {
    let count = 0;
    while (count < this.#segments.length - 1 && this.#segments[count + 1]!.position <= position) count++;
    for (const segment of this.#segments.splice(0, count)) {
      segment.deleted = true;
      await this.#disk.remove(this.pathOf(segment.position));
      if (segment.reads === 0) await this.#close(segment);
    }
  }

  async close(): Promise<void> {
    for (const segment of this.#segments.splice(0)) {
      segment.deleted = true;
      if (segment.reads === 0) await this.#close(segment);
    }
  }

  async #close(segment: Segment): Promise<void> {
    const file = segment.file;
    segment.file = null;
    if (file !== null) await (await file).close();
  }
}
