/**
 * The bytes of one simulated file: what is durable, and the changes since, in the order in which they were completed.
 *
 * Both sides are kept as whole contents plus a journal of changes, because a crash must be able to go back to the durable content and
 * replay any first part of the journal. Contents grow by doubling, so that appending to a log costs what is appended.
 *
 * Invariant: durable content + all changes = current content.
 */
import type { SeededRandom } from './random.ts';

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly length: number };

class Content {
  #bytes = Buffer.alloc(64);
  length = 0;

  read(offset: number, count: number): Buffer {
    return this.#bytes.subarray(Math.min(offset, this.length), Math.min(this.length, offset + count));
  }

  apply(change: Change): void {
    if (change.kind === 'truncate') {
      if (change.length > this.length) this.#reserve(change.length);
      else this.#bytes.fill(0, change.length, this.length);
      this.length = change.length;
      return;
    }
    const end = change.offset + change.bytes.length;
    this.#reserve(end);
    this.#bytes.set(change.bytes, change.offset);
    this.length = Math.max(this.length, end);
  }

  corrupt(offset: number): void {
    this.#bytes[offset]! ^= 0x55;
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const bytes = Buffer.alloc(Math.max(length, 2 * this.#bytes.length));
    this.#bytes.copy(bytes);
    this.#bytes = bytes;
  }
}

export class FileContent {
  /** Of the file, whatever its content. */
  readonly identity: string;
  /** Whether the name survives a power failure. */
  nameDurable = false;
  #current = new Content();
  readonly #durable = new Content();
  #changes: Change[] = [];
  #synced = 0;

  constructor(identity: string) {
    this.identity = identity;
  }

  get length(): number {
    return this.#current.length;
  }

  /** Changes ever made: what a sync called now has to cover. */
  get totalChanges(): number {
    return this.#synced + this.#changes.length;
  }

  /** A copy. */
  read(offset: number, count: number): Buffer {
    return Buffer.from(this.#current.read(offset, count));
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#change({ kind: 'write', offset, bytes: Buffer.from(bytes) });
  }

  truncate(length: number): void {
    this.#change({ kind: 'truncate', length });
  }

  sync(): void {
    this.syncUpTo(this.totalChanges);
  }

  /** Makes the changes durable that were there when `totalChanges` was this. Two syncs may overlap. */
  syncUpTo(totalChanges: number): void {
    const count = Math.max(0, totalChanges - this.#synced);
    for (const change of this.#changes.splice(0, count)) this.#durable.apply(change);
    this.#synced += count;
    this.nameDurable = true;
  }

  /** What the power failure leaves. Returns the number of bytes of changes that are lost. */
  crash(random: SeededRandom, unsynced: 'by chance' | 'none'): number {
    const chosen = random.weighted<'none' | 'all' | 'part'>([
      [2, 'none'],
      [1, 'all'],
      [2, 'part'],
    ]);
    const kept = unsynced === 'none' ? 'none' : chosen;
    const changes = this.#changes;
    const before = sizeOf(changes);
    if (kept === 'none') this.#changes = [];
    if (kept === 'part' && changes.length > 0) this.#changes = firstPart(changes, random);
    const lost = before - sizeOf(this.#changes);
    this.sync();
    this.#current = new Content();
    this.#current.apply({ kind: 'write', offset: 0, bytes: this.#durable.read(0, Infinity) });
    return lost;
  }

  corrupt(offset: number): void {
    this.#current.corrupt(offset);
    this.#durable.corrupt(offset);
  }

  #change(change: Change): void {
    this.#changes.push(change);
    this.#current.apply(change);
  }
}

function firstPart(changes: readonly Change[], random: SeededRandom): Change[] {
  const count = random.below(changes.length);
  const kept = changes.slice(0, count);
  const torn = changes[count]!;
  if (torn.kind === 'write') {
    kept.push({ ...torn, bytes: torn.bytes.subarray(0, random.below(torn.bytes.length + 1)) });
  }
  return kept;
}

const sizeOf = (changes: readonly Change[]): number =>
  changes.reduce((sum, change) => sum + (change.kind === 'write' ? change.bytes.length : 1), 0);
