/**
 * Batches of one link that came before something they depend on: kept, within limits, until the version vector moves.
 *
 * One queue per origin, in the order of seq: only the first of a queue can be the next to apply, so a retry costs a try per origin, not
 * per batch. When the limits are reached the link stops reading; nothing is dropped.
 */
import { readVarint, varintBytes } from '../base/varint.ts';
import { BATCH, BATCH_HAS_CONTEXT, readU32, readU48 } from '../crdt/frame.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import type { ReplicationLimits } from './limits.ts';
import type { DatabasePort } from './ports.ts';

interface OriginQueue {
  /** Copies of whole BATCH frames. */
  readonly frames: (Uint8Array | null)[];
  head: number;
}

export class EarlyBatches {
  readonly #queues = new Map<number, OriginQueue>();
  readonly #limits: ReplicationLimits;
  bytes = 0;
  count = 0;

  constructor(limits: ReplicationLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.bytes >= this.#limits.earlyBytesMax || this.count >= this.#limits.earlyCountMax;
  }

  /** Whether batches of this origin wait: then a later one need not be tried. */
  holds(origin: number): boolean {
    return this.#queues.has(origin);
  }

  /** Copies the frame. */
  add(origin: number, bytes: Uint8Array, start: number, end: number): void {
    let queue = this.#queues.get(origin);
    if (!queue) this.#queues.set(origin, (queue = { frames: [], head: 0 }));
    // Not `slice`, which on a Buffer copies nothing.
    queue.frames.push(new Uint8Array(bytes.subarray(start, end)));
    this.bytes += end - start;
    this.count++;
  }

  /** Applies what can be by now, until `isOver` says the turn is. Returns how many left the buffer. */
  retry(database: DatabasePort, clockAheadMsMax: number, isOver: () => boolean): number {
    let total = 0;
    let round: number;
    do {
      round = 0;
      for (const [origin, queue] of this.#queues) {
        while (queue.head < queue.frames.length && !isOver()) {
          const frame = queue.frames[queue.head]!;
          if (database.applyBatch(frame, 0, frame.length, clockAheadMsMax) === 'early') break;
          queue.frames[queue.head++] = null;
          this.bytes -= frame.length;
          this.count--;
          round++;
        }
        if (queue.head === queue.frames.length) this.#queues.delete(origin);
      }
      total += round;
    } while (round > 0 && this.count > 0 && !isOver());
    return total;
  }

  /** Reports every origin that a first batch of a queue waits for. */
  listNeeds(database: DatabasePort, report: (origin: number) => void): void {
    for (const [origin, queue] of this.#queues) listUnmet(queue.frames[queue.head]!, origin, database, report);
  }

  clear(): void {
    this.#queues.clear();
    this.bytes = 0;
    this.count = 0;
  }
}

/** Index of the origin of the BATCH frame at `start`. */
export const originOfBatch = (bytes: Uint8Array, start: number, origins: OriginTable): number =>
  origins.indexOf(bytes[start + BATCH.instance]!, readU32(bytes, start + BATCH.generation));

/**
 * What the batch lacks. Its context is that of its predecessor plus the delta, and where the predecessor was applied only the
 * delta can be unmet.
 */
function listUnmet(frame: Uint8Array, origin: number, database: DatabasePort, report: (origin: number) => void): void {
  const { vector, origins } = database;
  if (readU48(frame, BATCH.seq) > vector.get(origin) + 1) report(origin);
  if ((frame[BATCH.flags]! & BATCH_HAS_CONTEXT) === 0) return;
  let at = BATCH.body;
  const count = readVarint(frame, at);
  at += varintBytes(count);
  for (let i = 0; i < count && at + 6 <= frame.length; i++) {
    const index = origins.indexOf(frame[at]!, readU32(frame, at + 1));
    const seq = readVarint(frame, at + 5);
    at += 5 + varintBytes(seq);
    if (seq > vector.get(index)) report(index);
  }
}
