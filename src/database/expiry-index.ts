/**
 * Which keys will expire, and when: a byte map from key to time, sampled at random as Redis samples its `expires` dict. A second one says which
 * hashes have fields that will expire, and when to look at them.
 *
 * Invariant: holds exactly the keys whose visible expiry is finite. For fields: every hash with volatile fields, at a time no later than the
 * first of them expires (or a little later, see maintenance.ts); others may linger until they are looked at.
 */
import { copyBytes, SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import { ByteMap, MAP_BYTES } from '../memory/byte-map.ts';

const KEY_OFFSET = 24;
const AT = 2;

export class ExpiryIndex {
  readonly #arena: Arena;
  readonly #maps: ByteMap;
  readonly #map: number;

  constructor(arena: Arena, seed: number) {
    this.#arena = arena;
    this.#maps = new ByteMap(arena, { keyOffset: KEY_OFFSET, seed });
    this.#map = arena.allocate(MAP_BYTES);
    this.#maps.create(this.#map);
  }

  get count(): number {
    return this.#maps.count(this.#map);
  }

  /** Notes when the key expires; -1: it does not. `hash` is the key's hash in the keyspace (same seed). */
  set(hash: number, bytes: Uint8Array, start: number, length: number, atMs: number): void {
    if (atMs < 0 && this.count === 0) return;
    let entry = this.#maps.find(this.#map, hash, bytes, start, length);
    if (atMs < 0) {
      if (entry === 0) return;
      this.#maps.remove(this.#map, entry);
      this.#arena.free(entry);
      return;
    }
    if (entry === 0) {
      entry = this.#arena.allocate(KEY_OFFSET + length);
      const words = this.#arena.words[entry >>> SEGMENT_SHIFT]!;
      const at = (entry & SEGMENT_MASK) << 1;
      words[at + 1] = hash;
      words[at + 2] = length;
      copyBytes(this.#arena.bytes[entry >>> SEGMENT_SHIFT]!, (at << 2) + KEY_OFFSET, bytes, start, length);
      this.#maps.add(this.#map, entry);
    }
    this.#setTime(entry, atMs);
  }

  /** Notes that something under the key expires at that time, unless something earlier is noted. */
  lower(hash: number, bytes: Uint8Array, start: number, length: number, atMs: number): void {
    const entry = this.#maps.find(this.#map, hash, bytes, start, length);
    if (entry === 0) this.set(hash, bytes, start, length, atMs);
    else if (this.#timeOf(entry) > atMs) this.#setTime(entry, atMs);
  }

  /**
   * Looks at up to `count` keys at random and returns copies of those whose time has come.
   * A key may come up more than once.
   */
  sample(count: number, nowMs: number, random: () => number): Buffer[] {
    const due: Buffer[] = [];
    for (let i = 0; i < count; i++) {
      const entry = this.#maps.random(this.#map, random);
      if (entry === 0) return due;
      if (this.#timeOf(entry) > nowMs) continue;
      due.push(this.#copyKey(entry));
    }
    return due;
  }

  /** One step of a scan over all volatile keys; returns the next cursor. */
  scan(cursor: number, visit: (key: Buffer, atMs: number) => void): number {
    return this.#maps.scan(this.#map, cursor, (entry) => {
      visit(this.#copyKey(entry), this.#timeOf(entry));
    });
  }

  #timeOf(entry: number): number {
    return this.#arena.floats[entry >>> SEGMENT_SHIFT]![(entry & SEGMENT_MASK) + AT]!;
  }

  #setTime(entry: number, atMs: number): void {
    this.#arena.floats[entry >>> SEGMENT_SHIFT]![(entry & SEGMENT_MASK) + AT] = atMs;
  }

  #copyKey(entry: number): Buffer {
    const length = this.#arena.words[entry >>> SEGMENT_SHIFT]![((entry & SEGMENT_MASK) << 1) + 2]!;
    const at = ((entry & SEGMENT_MASK) << 3) + KEY_OFFSET;
    return Buffer.from(this.#arena.bytes[entry >>> SEGMENT_SHIFT]!.subarray(at, at + length));
  }
}
