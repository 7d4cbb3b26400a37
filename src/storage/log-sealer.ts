/**
 * Puts the log's own frames into the append buffer: seals, segment headers, merges, the clean marker; and remembers the version
 * vector along the way. Synchronous, no I/O; each call stands between two commits.
 *
 * Invariant: a segment begins right after a seal, so that each file can be verified alone.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { VersionVector, type OriginTable } from '../crdt/version-vector.ts';
import type { AppendBuffer } from '../memory/append-buffer.ts';
import type { Checkpoint } from './locate.ts';
import { encodeClean, encodeMerge, encodeSegmentHeader, SEAL, writeSeal, type MergeNote } from './log-frames.ts';
import type { SegmentToBegin } from './log-writer.ts';

/** What a seal can say of itself. Groups are far smaller, by `groupBytesMax` and the largest batch, if whoever commits calls `wake` in time. */
const SEALED_BYTES_MAX = 0xffff_ffff;

export class LogSealer {
  readonly #buffer: AppendBuffer;
  readonly #origins: OriginTable;
  readonly #vector: () => VersionVector;
  readonly #checkpointBytes: number;
  /** Oldest first; the first one stands where the log begins. */
  readonly checkpoints: Checkpoint[];
  /** The version vector at `sealedPosition`. */
  readonly sealedVector = new VersionVector();
  #sealedPosition: number;
  #segmentPosition: number;
  #segmentHeaderEnd: number;

  constructor(options: {
    readonly buffer: AppendBuffer;
    readonly origins: OriginTable;
    readonly vector: () => VersionVector;
    readonly checkpoints: readonly Checkpoint[];
    readonly checkpointBytes: number;
  }) {
    this.#buffer = options.buffer;
    this.#origins = options.origins;
    this.#vector = options.vector;
    this.#checkpointBytes = options.checkpointBytes;
    this.#sealedPosition = options.buffer.end;
    this.#segmentPosition = options.buffer.end;
    this.#segmentHeaderEnd = options.buffer.end;
    this.checkpoints = [...options.checkpoints, { position: options.buffer.end, vector: options.vector().clone() }];
  }

  get sealedPosition(): number {
    return this.#sealedPosition;
  }

  /** Of the segment that the bytes sealed next belong to. */
  get segmentPosition(): number {
    return this.#segmentPosition;
  }

  /** Bytes of that segment so far, sealed ones only. */
  get segmentBytes(): number {
    return this.#sealedPosition - this.#segmentPosition;
  }

  get segmentIsEmpty(): boolean {
    return this.#sealedPosition === this.#segmentHeaderEnd;
  }

  /** Ends a group with everything committed so far; nothing to do when nothing was. */
  seal(durablePosition: number): void {
    const buffer = this.#buffer;
    const end = buffer.end;
    if (end === this.#sealedPosition) return;
    this.#assertBetweenCommits();
    assert(end - this.#sealedPosition <= SEALED_BYTES_MAX, 'a group is sealed before it is too large for its seal');
    let crc = 0;
    for (let at = this.#sealedPosition; at < end;) {
      const slice = buffer.view(at, end - at)!;
      crc = crc32(slice, crc);
      at += slice.length;
    }
    buffer.reserve(SEAL.bytes);
    writeSeal(buffer.bytes, buffer.offset, { covered: end - this.#sealedPosition, durable: durablePosition, crc });
    buffer.offset += SEAL.bytes;
    buffer.commit();
    this.#sealedPosition = buffer.end;
    this.sealedVector.copyFrom(this.#vector());
    this.remember();
  }

  /** Begins a segment; everything must be sealed. */
  beginSegment(floor: VersionVector): SegmentToBegin {
    assert(this.#buffer.end === this.#sealedPosition, 'a segment begins right after a seal');
    const vector = this.#vector().clone();
    this.#segmentPosition = this.#sealedPosition;
    this.#buffer.append(encodeSegmentHeader({ position: this.#segmentPosition, vector, floor }, this.#origins));
    this.#sealedPosition = this.#buffer.end;
    this.#segmentHeaderEnd = this.#sealedPosition;
    this.sealedVector.copyFrom(vector);
    this.#addCheckpoint({ position: this.#segmentPosition, vector });
    return { position: this.#segmentPosition, headerEnd: this.#segmentHeaderEnd, vector };
  }

  appendMerge(note: MergeNote): void {
    this.#assertBetweenCommits();
    this.#buffer.append(encodeMerge(note, this.#origins));
  }

  appendClean(): void {
    this.#assertBetweenCommits();
    this.#buffer.append(encodeClean());
  }

  /** Makes a checkpoint here if the last one is far enough away. */
  remember(): void {
    const position = this.#buffer.end;
    if (position - this.checkpoints[this.checkpoints.length - 1]!.position < this.#checkpointBytes) return;
    this.#addCheckpoint({ position, vector: this.#vector().clone() });
  }

  /** Forgets the checkpoints before `position`, where the log begins now; the last one always stays. */
  forgetBefore(position: number): void {
    let count = 0;
    while (count < this.checkpoints.length - 1 && this.checkpoints[count]!.position < position) count++;
    this.checkpoints.splice(0, count);
  }

  #addCheckpoint(checkpoint: Checkpoint): void {
    if (this.checkpoints[this.checkpoints.length - 1]?.position === checkpoint.position) this.checkpoints.pop();
    this.checkpoints.push(checkpoint);
  }

  #assertBetweenCommits(): void {
    assert(this.#buffer.offset === this.#buffer.pendingStart, 'the log is sealed between commits, never within one');
  }
}
