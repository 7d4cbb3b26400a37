/**
 * Bytes from a peer -> frames, in place.
 *
 * A frame that lies whole in what arrived is handed out where it lies. Only a frame that was cut is copied, each byte once: the rest goes to
 * a carry buffer that doubles up to the frame's announced length, so neither a gigabyte in small pieces becomes quadratic nor does an
 * announced length alone take memory. The limit is per kind and is checked on the first five bytes; a kind without a limit is an
 * error. A message that came in parts is put together here: nobody else knows that there are any.
 *
 * All bytes are handed out as a `Buffer`: one type, or what reads them is compiled once for each (docs/decisions/0010-warming-up.md).
 *
 * Use: `push`, then `next` until false (or until the caller wants to stop), then `detach`, after which the pushed bytes are no
 * longer looked at. Invariant: bytes not handed out yet are kept; after an error nothing is handed out any more.
 */
import { BATCH, FRAME, FRAME_HEADER_BYTES, readU32, writeU32 } from '../crdt/frame.ts';
import type { ReplicationLimits } from './limits.ts';

const EMPTY = Buffer.alloc(0);
const CARRY_BYTES_MIN = 1024;

/** Bytes a frame may have, by kind; 0: not expected. */
export type FrameSizes = Float64Array;

const fromPeer = [
  'part',
  'hello',
  'continue',
  'fullResync',
  'snapshotEnd',
  'heartbeat',
  'publish',
  'ask',
  'error',
] as const;
const fromPuller = ['part', 'hello', 'ack', 'want', 'ask', 'error'] as const;

/** What the pulling side accepts. */
export function frameSizesFromPeer(limits: ReplicationLimits): FrameSizes {
  const sizes = sizesOf(fromPeer, limits.controlFrameBytesMax);
  sizes[FRAME.batch] = limits.batchFrameBytesMax;
  sizes[FRAME.snapshot] = limits.snapshotPieceBytes + FRAME_HEADER_BYTES;
  return sizes;
}

/** What the serving side accepts. */
export const frameSizesFromPuller = (limits: ReplicationLimits): FrameSizes =>
  sizesOf(fromPuller, limits.controlFrameBytesMax);

function sizesOf(kinds: readonly (keyof typeof FRAME)[], bytesMax: number): FrameSizes {
  const sizes = new Float64Array(256);
  for (const kind of kinds) sizes[FRAME[kind]] = bytesMax;
  return sizes;
}

export class FrameSplitter {
  readonly #sizes: FrameSizes;
  readonly #messageBytesMax: number;
  /** The frame that `next` found: `bytes[start]` is its first byte, `end` the offset after its last. */
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  kind = 0;
  /** Why nothing more can be read; null: all is well. */
  error: string | null = null;
  /** The error is a frame or message that is too large: the same will come again. */
  isTooLarge = false;

  #input: Uint8Array = EMPTY;
  #at = 0;
  #owned = true;
  #carry: Uint8Array = EMPTY;
  #carried = 0;
  /** Of a message that comes in several frames: the payloads so far. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;

  constructor(sizes: FrameSizes, limits: ReplicationLimits) {
    this.#sizes = sizes;
    this.#messageBytesMax = limits.controlMessageBytesMax;
  }

  /** Bytes held that were not handed out yet. */
  get heldBytes(): number {
    return this.#carried + this.#input.length - this.#at;
  }

  push(bytes: Uint8Array): void {
    if (this.#at === this.#input.length) {
      this.#input = bytes;
      this.#owned = false;
    } else {
      const joined = Buffer.allocUnsafeSlow(this.#input.length - this.#at + bytes.length);
      joined.set(this.#input.subarray(this.#at));
      joined.set(bytes, this.#input.length - this.#at);
      this.#input = joined;
      this.#owned = true;
    }
    this.#at = 0;
  }

  /** Whether there is another whole frame, or message in parts; it is valid until the next call of anything here. */
  next(): boolean {
    while (this.#nextFrame()) {
      if (this.kind !== FRAME.part && this.#partBytes === 0) return true;
      if (this.kind === FRAME.batch || this.kind === FRAME.snapshot) {
        this.error = 'a message in parts lacks its last one';
        return false;
      }
      if (!this.#keepPart()) return false;
      if (this.kind === FRAME.part) continue;
      this.#joinParts();
      return true;
    }
    return false;
  }

  #keepPart(): boolean {
    const payload = this.bytes.subarray(this.start + FRAME_HEADER_BYTES, this.end);
    this.#partBytes += payload.length;
    if (this.#partBytes + FRAME_HEADER_BYTES > this.#messageBytesMax) {
      this.error = `a message in parts has more than the ${this.#messageBytesMax} bytes that are allowed`;
      this.isTooLarge = true;
      return false;
    }
    this.#parts.push(Buffer.from(payload));
    return true;
  }

  #joinParts(): void {
    const whole = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + this.#partBytes);
    writeU32(whole, 0, this.#partBytes + 1);
    whole[4] = this.kind;
    let at = FRAME_HEADER_BYTES;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#partBytes = 0;
    this.#found(whole, 0, whole.length);
  }

  #nextFrame(): boolean {
    if (this.error !== null) return false;
    if (this.#carried > 0) return this.#nextFromCarry();
    const left = this.#input.length - this.#at;
    if (left < FRAME_HEADER_BYTES) return this.#keepRest();
    const length = this.#frameBytes(this.#input, this.#at);
    if (length === 0) return false;
    if (left < length) return this.#keepRest();
    this.#found(this.#input, this.#at, length);
    this.#at += length;
    return true;
  }

  /** Copies what was pushed and not handed out, so that the caller's bytes may change. */
  detach(): void {
    if (this.#owned) return;
    this.#input = this.#at === this.#input.length ? EMPTY : Buffer.from(this.#input.subarray(this.#at));
    this.#at = 0;
    this.#owned = true;
  }

  #nextFromCarry(): boolean {
    if (!this.#fillCarry(FRAME_HEADER_BYTES)) return false;
    const length = this.#frameBytes(this.#carry, 0);
    if (length === 0 || !this.#fillCarry(length)) return false;
    this.#found(this.#carry, 0, length);
    this.#carried = 0;
    if (length > CARRY_BYTES_MIN) this.#carry = EMPTY;
    return true;
  }

  /** Moves input to the carry until that holds `count` bytes. */
  #fillCarry(count: number): boolean {
    const take = Math.min(count - this.#carried, this.#input.length - this.#at);
    if (take <= 0) return this.#carried >= count;
    const needed = this.#carried + take;
    if (needed > this.#carry.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(CARRY_BYTES_MIN, needed, Math.min(count, 2 * this.#carry.length)));
      larger.set(this.#carry.subarray(0, this.#carried));
      this.#carry = larger;
    }
    this.#carry.set(this.#input.subarray(this.#at, this.#at + take), this.#carried);
    this.#carried = needed;
    this.#at += take;
    return needed >= count;
  }

  #keepRest(): false {
    this.#fillCarry(this.#carried + this.#input.length - this.#at);
    return false;
  }

  #found(bytes: Uint8Array, start: number, length: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = start + length;
    this.kind = bytes[start + 4]!;
  }

  /** Length of the frame, header included; 0 and `error` set when it cannot be one. */
  #frameBytes(bytes: Uint8Array, at: number): number {
    const length = readU32(bytes, at) + 4;
    const kind = bytes[at + 4]!;
    const bytesMax = this.#sizes[kind]!;
    if (bytesMax === 0) this.error = `not a frame that belongs here: kind ${kind}, ${length} bytes`;
    else if (length > bytesMax) {
      this.error = `a frame of kind ${kind} has ${length} bytes, at most ${bytesMax} are allowed`;
      this.isTooLarge = true;
    } else if (length < (kind === FRAME.batch ? BATCH.body : FRAME_HEADER_BYTES)) {
      this.error = `a frame of kind ${kind} has only ${length} bytes`;
    }
    return this.error === null ? length : 0;
  }
}
