/**
 * Reads one segment file in pieces, verifies it, and hands over its groups: recovery and repair share it.
 *
 *   file    | header | group ... seal | group ... seal | ...
 *   window                | what was read, from the group at hand on |        grows only for a group that is larger than a piece
 *
 * The walk goes from seal to seal; a group is handed over only when its seal was found intact. Where it meets something that is not
 * sealed intact, what follows decides what that is:
 * - in a segment that has a successor, damage: the successor was begun only after this one was on disk;
 * - in the newest segment, damage if an intact seal further on says that the log had been on disk beyond this place; else a torn
 *   tail, which the crash left and which nobody was promised.
 *
 * A segment is tens of megabytes and one batch may be a gigabyte: so memory holds one group, never a file, and between two groups the
 * caller may let others have their turn.
 */
import { assert } from '../base/assert.ts';
import { FRAME, FRAME_HEADER_BYTES, readU32 } from '../crdt/frame.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import type { Disk, DiskFile } from '../host/host.ts';
import {
  isSealIntact,
  readSegmentHeader,
  SEAL,
  SEAL_PATTERN,
  sealDurablePosition,
  type SegmentHeader,
} from './log-frames.ts';

/** Frames, sealed intact, in [start, end). Valid until the next one is asked for. */
export interface Group {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Of `start`, in the file. */
  readonly offset: number;
}

export interface SegmentProblem {
  readonly kind: 'torn' | 'damaged';
  readonly reason: string;
}

export interface SegmentReaderOptions {
  readonly disk: Disk;
  readonly path: string;
  /** The one in the file's name. */
  readonly position: number;
  readonly isNewest: boolean;
  readonly origins: OriginTable;
  readonly readBytes: number;
}

/** A longer segment header is damage: it has two vectors of at most some thousands of origins. */
const HEADER_BYTES_MAX = 4 * 1024 * 1024;

export class SegmentReader {
  readonly #options: SegmentReaderOptions;
  readonly #file: DiskFile;
  /** Of the file. */
  readonly sizeBytes: number;
  #window = Buffer.alloc(0);
  /** Of the window's first byte, in the file. */
  #windowOffset = 0;
  #filled = 0;
  #header: SegmentHeader | null = null;
  #goodEnd = 0;
  #endsClean = false;
  #problem: SegmentProblem | null = null;
  #isAtEnd = false;

  static async open(options: SegmentReaderOptions): Promise<SegmentReader> {
    const file = await options.disk.open(options.path, 'read');
    try {
      const reader = new SegmentReader(options, file, await file.size());
      await reader.#readHeader();
      return reader;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(options: SegmentReaderOptions, file: DiskFile, sizeBytes: number) {
    this.#options = options;
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  /** null when it is damaged; `problem` says how. */
  get header(): SegmentHeader | null {
    return this.#header;
  }

  /** Offset after the last intact seal of the unbroken run; everything before it may be used. */
  get goodEnd(): number {
    return this.#goodEnd;
  }

  /** After the last group: the last frame before the last seal is a clean marker, and nothing follows. */
  get endsClean(): boolean {
    return this.#endsClean && this.#problem === null;
  }

  /** After the last group: what is wrong at `goodEnd`; null when the file ends there. */
  get problem(): SegmentProblem | null {
    return this.#problem;
  }

  /** The next group; null after the last intact one. */
  async next(): Promise<Group | null> {
    if (this.#isAtEnd) return null;
    const groupStart = this.#goodEnd;
    let isClean = false;
    for (let at = groupStart; ;) {
      if (at === this.sizeBytes) return this.#end(at === groupStart ? null : 'the last group has no seal');
      if (at + FRAME_HEADER_BYTES > this.sizeBytes) return this.#end('the file ends within a frame');
      await this.#hold(at + FRAME_HEADER_BYTES);
      const header = at - this.#windowOffset;
      const end = at + 4 + readU32(this.#window, header);
      if (end < at + FRAME_HEADER_BYTES || end > this.sizeBytes)
        return this.#end('a frame does not end within the file');
      const kind = this.#window[header + 4]!;
      if (kind === FRAME.seal) {
        await this.#hold(end);
        const seal = at - this.#windowOffset;
        const isWhole = readU32(this.#window, seal + SEAL.covered) === at - groupStart;
        if (end - at !== SEAL.bytes || !isWhole || !isSealIntact(this.#window, seal))
          return this.#end('a checksum is wrong');
        this.#goodEnd = end;
        this.#endsClean = isClean;
        return { bytes: this.#window, start: groupStart - this.#windowOffset, end: seal, offset: groupStart };
      }
      isClean = kind === FRAME.clean;
      at = end;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #readHeader(): Promise<void> {
    await this.#hold(Math.min(this.sizeBytes, FRAME_HEADER_BYTES));
    if (this.#filled >= FRAME_HEADER_BYTES)
      await this.#hold(Math.min(this.sizeBytes, 4 + readU32(this.#window, 0), HEADER_BYTES_MAX));
    const { position, origins } = this.#options;
    const header = readSegmentHeader(this.#window.subarray(0, this.#filled), origins);
    if (typeof header === 'string') this.#damage(header);
    else if (header.position !== position)
      this.#damage(`its name says position ${position}, its header says ${header.position}`);
    else {
      this.#header = header;
      this.#goodEnd = header.end;
    }
  }

  #damage(reason: string): void {
    this.#isAtEnd = true;
    this.#problem = { kind: 'damaged', reason };
  }

  async #end(reason: string | null): Promise<null> {
    this.#isAtEnd = true;
    if (reason === null) return null;
    this.#endsClean = false;
    const { isNewest, position } = this.#options;
    const beyond = isNewest ? findSealBeyond(await this.#readRest(), position + this.#goodEnd) : null;
    if (isNewest && beyond === null) this.#problem = { kind: 'torn', reason };
    else {
      const evidence = beyond === null ? 'a later segment exists' : `an intact group ends at position ${beyond}`;
      this.#problem = { kind: 'damaged', reason: `${reason}, but ${evidence}` };
    }
    return null;
  }

  /** Rare, and it has to be looked at as a whole. */
  async #readRest(): Promise<Buffer> {
    const rest = Buffer.allocUnsafe(this.sizeBytes - this.#goodEnd);
    return rest.subarray(0, await this.#file.read(rest, this.#goodEnd));
  }

  /** Everything from the group at hand up to the offset `end` is in the window then. */
  async #hold(end: number): Promise<void> {
    if (end <= this.#windowOffset + this.#filled) return;
    const kept = this.#filled - (this.#goodEnd - this.#windowOffset);
    const needed = end - this.#goodEnd;
    const room = Math.min(Math.max(kept + this.#options.readBytes, needed), this.sizeBytes - this.#goodEnd);
    if (room > this.#window.length) {
      // Twice what is needed, so that a large group does not grow piece by piece; exactly, where that is all there is.
      const larger = Buffer.allocUnsafe(Math.min(2 * room, this.sizeBytes - this.#goodEnd));
      this.#window.copy(larger, 0, this.#filled - kept, this.#filled);
      this.#window = larger;
    } else {
      this.#window.copyWithin(0, this.#filled - kept, this.#filled);
    }
    this.#windowOffset = this.#goodEnd;
    this.#filled = kept;
    const free = this.#window.subarray(kept, Math.max(room, needed));
    this.#filled += await this.#file.read(free, this.#windowOffset + kept);
    assert(this.#windowOffset + this.#filled >= end, `${this.#options.path} does not shrink while it is read`);
  }
}

/**
 * The position after an intact seal in the bytes from `position` on that proves `position` was once on disk; null when there is none. Data
 * may contain what looks like seals, so the bytes that are checksummed are limited; beyond the limit the answer is the cautious one.
 */
function findSealBeyond(bytes: Buffer, position: number): number | null {
  let budget = 64 * bytes.length + 1024 * 1024;
  for (let at = bytes.indexOf(SEAL_PATTERN); at >= 0; at = bytes.indexOf(SEAL_PATTERN, at + 1)) {
    if (at + SEAL.bytes > bytes.length) return null;
    if (sealDurablePosition(bytes, at) <= position) continue;
    const covered = readU32(bytes, at + SEAL.covered);
    if (covered > at) continue;
    budget -= covered + SEAL.bytes;
    if (budget < 0 || isSealIntact(bytes, at)) return position + at + SEAL.bytes;
  }
  return null;
}
