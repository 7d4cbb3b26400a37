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
  /** By origin: sent, or known to be applied by the peer. */
  #sent = new Float64Array(0);
  readonly #cachedGenerations = new Float64Array(256).fill(-1);
  readonly #cachedIndexes = new Int32Array(256);
  /** Bytes of the frame that the last slice cut. Only at 0 may anything else be sent or the walk go elsewhere. */
  frameBytesLeft = 0;
  #sending = false;
  /** Asked before a batch is sent, which lies whole in [start, end) then; false: it must not be. null: all may be sent. */
  admits: ((bytes: Buffer, start: number, end: number) => boolean) | null = null;
  /** The walk ended before a batch that `admits` refused. */
  isRefused = false;
  /** The walk ended before a batch that is to be shown to `admits` whole: its length; 0: it did not. */
  wholeBytes = 0;
  /** The walk ended behind a MERGE frame: what that full sync brought is in no batch. */
  hasPassedMerge = false;
  /** Origin (index) of a batch whose predecessor is not in the log; -1: none. */
  gap = -1;

  constructor(origins: OriginTable) {
    this.#origins = origins;
  }

  /** Origins (indexes) to send; to be called anew when the origin table has grown. */
  setWanted(indexes: readonly number[]): void {
    this.#wanted = new Uint8Array(this.#origins.count);
    for (const index of indexes) this.#wanted[index] = 1;
    this.#growSent(this.#origins.count);
  }

  /** Sent, or known to be applied by the peer. A copy. */
  get sent(): VersionVector {
    const vector = new VersionVector(this.#sent.length);
    this.#sent.forEach((seq, index) => vector.set(index, seq));
    return vector;
  }

  /** The peer has this. */
  raiseSent(vector: VersionVector): void {
    this.#growSent(this.#origins.count);
    for (const [index, seq] of vector.entries()) if (seq > this.#sent[index]!) this.#sent[index] = seq;
  }

  /** The peer has this and nothing else is on its way. */
  resetSent(vector: VersionVector): void {
    this.#growSent(this.#origins.count);
    this.#sent.fill(0);
    this.raiseSent(vector);
  }

  /** Walks a slice that begins where the last one was left; returns how many of its bytes are done with. */
  walk(bytes: Buffer, sink: RunSink): number {
    const { length } = bytes;
    const wanted = this.#wanted;
    const sent = this.#sent;
    const generations = this.#cachedGenerations;
    let at = Math.min(this.frameBytesLeft, length);
    let runStart = at > 0 && this.#sending ? 0 : -1;
    this.frameBytesLeft -= at;
    while (at + FRAME_HEADER_BYTES <= length) {
      let isSent = false;
      const kind = bytes[at + 4];
      if (kind === FRAME.batch) {
        if (at + BATCH.body > length) break;
        const instance = bytes[at + BATCH.instance]!;
        const generation = readU32(bytes, at + BATCH.generation);
        if (generations[instance] !== generation) this.#cacheOrigin(instance, generation);
        const index = this.#cachedIndexes[instance]!;
        if (wanted[index] === 1) {
          const ahead = readU48(bytes, at + BATCH.seq) - sent[index]!;
          if (ahead > 1) {
            this.gap = index;
            break;
          }
          isSent = ahead === 1;
          if (isSent && this.admits !== null && !this.#isAdmitted(bytes, at)) break;
          if (isSent) sent[index]! += 1;
        }
      }
      if (isSent !== runStart >= 0) {
        if (!isSent) sink(bytes, runStart, at);
        runStart = isSent ? at : -1;
      }
      at += 4 + readU32(bytes, at);
      if (at > length) {
        this.frameBytesLeft = at - length;
        this.#sending = isSent;
        at = length;
      }
      if (kind === FRAME.merge) {
        this.hasPassedMerge = true;
        break;
      }
    }
    if (runStart >= 0) sink(bytes, runStart, at);
    return at;
  }

  #isAdmitted(bytes: Buffer, at: number): boolean {
    const end = at + 4 + readU32(bytes, at);
    this.wholeBytes = end > bytes.length ? end - at : 0;
    if (this.wholeBytes > 0) return false;
    this.isRefused = !this.admits!(bytes, at, end);
    return !this.isRefused;
  }

  #cacheOrigin(instance: number, generation: number): void {
    this.#cachedGenerations[instance] = generation;
    this.#cachedIndexes[instance] = this.#origins.indexOf(instance, generation);
  }

  #growSent(count: number): void {
    if (count <= this.#sent.length) return;
    const sent = new Float64Array(count);
    sent.set(this.#sent);
    this.#sent = sent;
  }
}
