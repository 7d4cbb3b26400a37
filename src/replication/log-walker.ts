/**
 * Picks from the log what one peer is to be sent, without copying: every frame of the log passes here once per feed, so a frame costs two
 * dozen nanoseconds and no object.
 *
 * It walks slices of the log and reports runs of neighbouring frames that are wanted and not sent yet. A frame may be cut by the
 * end of a slice (a batch may have a gigabyte): its rest is decided already, `frameBytesLeft` says how much is to come.
 *
 * Invariant: `sent` has, per wanted origin, every seq up to it sent or known to be there, without a hole; a batch that would make a hole is
 * not sent, but reported as `gap`.
 */
import { BATCH, FRAME, FRAME_HEADER_BYTES, readU32, readU48 } from '../crdt/frame.ts';
import { VersionVector, type OriginTable } from '../crdt/version-vector.ts';

/** Receives a run: `bytes[start]` to `bytes[end - 1]`. */
export type RunSink = (bytes: Buffer, start: number, end: number) => void;

export class LogWalker {
  readonly #origins: OriginTable;
  #wanted = new Uint8Array(0);
  readonly #cachedGenerations = new Float64Array(256).fill(-1);
  readonly #cachedIndexes = new Int32Array(256);
  /** Sent, or known to be applied by the peer. */
  readonly sent = new VersionVector();
  /** Bytes of the frame that the last slice cut. Only at 0 may anything else be sent or the walk go elsewhere. */
  frameBytesLeft = 0;
  #sending = false;
  /** Origin (index) of a batch whose predecessor is not in the log; -1: none. */
  gap = -1;

  constructor(origins: OriginTable) {
    this.#origins = origins;
  }

  isWanted(index: number): boolean {
    return this.#wanted[index] === 1;
  }

  setWanted(indexes: readonly number[]): void {
    this.#wanted = new Uint8Array(this.#origins.count);
    for (const index of indexes) this.#wanted[index] = 1;
  }

  /** Walks a slice that begins where the last one was left; returns how many of its bytes are done with. */
  walk(bytes: Buffer, sink: RunSink): number {
    const { length } = bytes;
    let at = Math.min(this.frameBytesLeft, length);
    let runStart = at > 0 && this.#sending ? 0 : -1;
    this.frameBytesLeft -= at;
    while (at + FRAME_HEADER_BYTES <= length) {
      const isBatch = bytes[at + 4] === FRAME.batch;
      if (isBatch && at + BATCH.body > length) break;
      const isSent = isBatch && this.#takesBatch(bytes, at);
      if (this.gap >= 0) break;
      if (isSent && runStart < 0) runStart = at;
      if (!isSent && runStart >= 0) {
        sink(bytes, runStart, at);
        runStart = -1;
      }
      at += 4 + readU32(bytes, at);
      if (at > length) {
        this.frameBytesLeft = at - length;
        this.#sending = isSent;
        at = length;
      }
    }
    if (runStart >= 0) sink(bytes, runStart, at);
    return at;
  }

  #takesBatch(bytes: Buffer, at: number): boolean {
    const instance = bytes[at + BATCH.instance]!;
    const generation = readU32(bytes, at + BATCH.generation);
    const index =
      this.#cachedGenerations[instance] === generation
        ? this.#cachedIndexes[instance]!
        : this.#findOrigin(instance, generation);
    if (this.#wanted[index] !== 1) return false;
    const seq = readU48(bytes, at + BATCH.seq);
    const sent = this.sent.get(index);
    if (seq <= sent) return false;
    if (seq !== sent + 1) {
      this.gap = index;
      return false;
    }
    this.sent.set(index, seq);
    return true;
  }

  #findOrigin(instance: number, generation: number): number {
    const index = this.#origins.indexOf(instance, generation);
    this.#cachedGenerations[instance] = generation;
    this.#cachedIndexes[instance] = index;
    return index;
  }
}
