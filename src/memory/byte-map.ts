/**
 * A chained hash table of arena records, keyed by bytes: the one structure behind the keyspace, hash fields and set members.
 *
 * As in Redis's dict (https://github.com/redis/redis/blob/7.0/src/dict.c) it has two tables while it grows or shrinks and moves a bucket per
 * operation, so no single operation pays for a resize; and it is iterated with a cursor that counts in reversed bits (Pieter Noordhuis'
 * algorithm), so that a scan returns every entry that was there from start to end at least once, whatever the table does meanwhile.
 *
 * A *map* is a block of 32 bytes in the arena, named by its address; an *entry* is any arena block that begins with three words:
 * next entry, hash, key length; its key lies at a fixed offset that all entries of a map share. The caller owns the rest of the
 * entry and its memory: the map links and unlinks, it never allocates or frees an entry.
 *
 * Invariant: an entry is in exactly one bucket of one table, the one that its hash names.
 */
import { SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from './arena.ts';

export const MAP_BYTES = 32;
/** Words at the start of every entry: next, hash, key length. */
export const ENTRY = { next: 0, hash: 1, keyLength: 2 } as const;

const MAP = { count: 0, table: 1, log: 2, newTable: 3, newLog: 4, moved: 5 } as const;

const LOG_MIN = 2;
/** A table is shrunk when fewer than one bucket in eight would be needed. */
const SHRINK_LOG = 3;
/** Empty buckets skipped per step before a rehash step gives up. */
const EMPTY_BUCKETS_PER_STEP = 16;

export class ByteMap {
  readonly #arena: Arena;
  readonly #keyOffset: number;
  readonly #seed: number;
  /** Scans under way, one inside another: a visit to a hash's key scans its fields. Tables must not change under any of them. */
  #scans = 0;

  /** `keyOffset`: bytes from the start of an entry to its key. `seed`: 32 random bits, against crafted collisions. */
  constructor(arena: Arena, options: { readonly keyOffset: number; readonly seed: number }) {
    this.#arena = arena;
    this.#keyOffset = options.keyOffset;
    this.#seed = options.seed | 0;
  }

  /** Makes the 32 bytes at `map` an empty map. It has no table until something is added. */
  create(map: number): void {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    words.fill(0, at, at + 8);
  }

  /** Frees the tables. The entries must be gone or taken care of. */
  destroy(map: number): void {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (words[at + MAP.table] !== 0) this.#arena.free(words[at + MAP.table]!);
    if (words[at + MAP.newTable] !== 0) this.#arena.free(words[at + MAP.newTable]!);
    words.fill(0, at, at + 8);
  }

  /** Bytes of the tables; those of the entries are the caller's to know. */
  tableBytes(map: number): number {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    const table = words[at + MAP.table]!;
    const newTable = words[at + MAP.newTable]!;
    return (table === 0 ? 0 : this.#arena.capacity(table)) + (newTable === 0 ? 0 : this.#arena.capacity(newTable));
  }

  count(map: number): number {
    return this.#arena.words[map >>> SEGMENT_SHIFT]![(map & SEGMENT_MASK) << 1]!;
  }

  /** FNV-1a over the key, seeded, with a final mix (http://www.isthe.com/chongo/tech/comp/fnv/). */
  hash(bytes: Uint8Array, start: number, length: number): number {
    let hash = this.#seed;
    for (let i = start, end = start + length; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 16777619);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x2c1b3c6d);
    return hash ^ (hash >>> 12);
  }

  /** Address of the entry with that key; 0 when there is none. */
  find(map: number, hash: number, bytes: Uint8Array, start: number, length: number): number {
    const { words } = this.#arena;
    const mapWords = words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (mapWords[at + MAP.newTable] !== 0) this.#moveBuckets(map, 1);
    let table = mapWords[at + MAP.table]!;
    if (table === 0) return 0;
    let log = mapWords[at + MAP.log]!;
    const newTable = mapWords[at + MAP.newTable]!;
    for (;;) {
      const bucket = ((table & SEGMENT_MASK) << 1) + (hash & ((1 << log) - 1));
      let entry = words[table >>> SEGMENT_SHIFT]![bucket]!;
      while (entry !== 0) {
        const entryWords = words[entry >>> SEGMENT_SHIFT]!;
        const word = (entry & SEGMENT_MASK) << 1;
        if (
          entryWords[word + ENTRY.hash] === hash &&
          entryWords[word + ENTRY.keyLength] === length &&
          this.#keyEquals(entry, bytes, start, length)
        ) {
          return entry;
        }
        entry = entryWords[word]!;
      }
      if (newTable === 0 || table === newTable) return 0;
      table = newTable;
      log = mapWords[at + MAP.newLog]!;
    }
  }

  /** The entry with that hash that passes the test; 0 when there is none. For whoever knows something about an entry, but not its key. */
  findByHash(map: number, hash: number, test: (entry: number) => boolean): number {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    return (
      this.#findInTable(words[at + MAP.table]!, words[at + MAP.log]!, hash, test) ||
      this.#findInTable(words[at + MAP.newTable]!, words[at + MAP.newLog]!, hash, test)
    );
  }

  #findInTable(table: number, log: number, hash: number, test: (entry: number) => boolean): number {
    let entry = table === 0 ? 0 : this.#head(table, hash & mask(log));
    while (entry !== 0) {
      const entryWords = this.#arena.words[entry >>> SEGMENT_SHIFT]!;
      const at = (entry & SEGMENT_MASK) << 1;
      if (entryWords[at + ENTRY.hash] === hash && test(entry)) return entry;
      entry = entryWords[at]!;
    }
    return 0;
  }

  /** Links an entry whose hash, key length and key are set. The key must not be in the map. */
  add(map: number, entry: number): void {
    const { words } = this.#arena;
    const mapWords = words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (mapWords[at + MAP.table] === 0) {
      mapWords[at + MAP.table] = this.#newTable(LOG_MIN);
      mapWords[at + MAP.log] = LOG_MIN;
    } else if (mapWords[at + MAP.newTable] !== 0) {
      this.#moveBuckets(map, 1);
    }
    const count = ++mapWords[at]!;
    if (mapWords[at + MAP.newTable] === 0 && count > 1 << mapWords[at + MAP.log]!) {
      this.#startResize(map, mapWords[at + MAP.log]! + 1);
    }
    const growing = mapWords[at + MAP.newTable] !== 0;
    const table = mapWords[at + (growing ? MAP.newTable : MAP.table)]!;
    const log = mapWords[at + (growing ? MAP.newLog : MAP.log)]!;
    const entryWords = words[entry >>> SEGMENT_SHIFT]!;
    const word = (entry & SEGMENT_MASK) << 1;
    const tableWords = words[table >>> SEGMENT_SHIFT]!;
    const bucket = ((table & SEGMENT_MASK) << 1) + (entryWords[word + ENTRY.hash]! & ((1 << log) - 1));
    entryWords[word] = tableWords[bucket]!;
    tableWords[bucket] = entry;
  }

  /** Unlinks the entry. It must be in the map; its memory stays the caller's. */
  remove(map: number, entry: number): void {
    this.#relink(map, entry, this.#next(entry));
    const mapWords = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    const count = --mapWords[at]!;
    if (mapWords[at + MAP.newTable] !== 0) {
      this.#moveBuckets(map, 1);
    } else {
      const log = mapWords[at + MAP.log]!;
      if (log > LOG_MIN && count < 1 << (log - SHRINK_LOG)) {
        this.#startResize(map, Math.max(LOG_MIN, 32 - Math.clz32(count)));
      }
    }
  }

  /** Unlinks the entry without ever beginning a resize: for maps that are being emptied. */
  take(map: number, entry: number): void {
    this.#relink(map, entry, this.#next(entry));
    this.#arena.words[map >>> SEGMENT_SHIFT]![(map & SEGMENT_MASK) << 1]!--;
  }

  drain(map: number, entriesMax: number, free: (entry: number) => void): boolean {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    let left = entriesMax;
    while (left > 0 && words[at + MAP.count]! > 0) {
      const found: number[] = [];
      words[at + 6] = this.scan(map, words[at + 6]!, (entry) => { found.push(entry); });
      for (const entry of found) { this.take(map, entry); free(entry); left--; }
      left -= 0.1;
    }
    if (words[at + MAP.count]! > 0) return false;
    this.destroy(map);
    return true;
  }

  /** Puts `replacement`, a copy of `entry` at another address, in its place. */
  replace(map: number, entry: number, replacement: number): void {
    const words = this.#arena.words[replacement >>> SEGMENT_SHIFT]!;
    words[(replacement & SEGMENT_MASK) << 1] = this.#next(entry);
    this.#relink(map, entry, replacement);
  }

  /**
   * Visits the entries of one bucket (and, while resizing, of those it splits into) and returns the next cursor; 0 begins and ends.
   * `visit` may remove or replace the entry it is given, and no other.
   */
  scan(map: number, cursor: number, visit: (entry: number) => void): number {
    this.#scans++;
    try {
      return this.#scan(map, cursor, visit);
    } finally {
      this.#scans--;
    }
  }

  #scan(map: number, cursor: number, visit: (entry: number) => void): number {
    const mapWords = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    let small = mapWords[at + MAP.table]!;
    if (small === 0) return 0;
    let smallLog = mapWords[at + MAP.log]!;
    let large = mapWords[at + MAP.newTable]!;
    let largeLog = mapWords[at + MAP.newLog]!;
    if (large === 0) {
      this.#visitBucket(small, cursor & mask(smallLog), visit);
      return nextCursor(cursor, smallLog);
    }
    if (smallLog > largeLog) {
      [small, large] = [large, small];
      [smallLog, largeLog] = [largeLog, smallLog];
    }
    this.#visitBucket(small, cursor & mask(smallLog), visit);
    do {
      this.#visitBucket(large, cursor & mask(largeLog), visit);
      cursor = nextCursor(cursor, largeLog);
    } while ((cursor & (mask(smallLog) ^ mask(largeLog))) !== 0);
    return cursor;
  }

  /** An entry chosen by two random numbers of 32 bits; 0 when the map is empty. Nearly uniform: long chains are slightly disfavoured. */
  random(map: number, nextUint32: () => number): number {
    const mapWords = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (mapWords[at] === 0) return 0;
    if (mapWords[at + MAP.newTable] !== 0) this.#moveBuckets(map, 1);
    for (;;) {
      const oldSize = 1 << mapWords[at + MAP.log]!;
      const resizing = mapWords[at + MAP.newTable] !== 0;
      const size = resizing ? oldSize + (1 << mapWords[at + MAP.newLog]!) : oldSize;
      const pick = nextUint32() % size;
      const table = mapWords[at + (pick < oldSize ? MAP.table : MAP.newTable)]!;
      let entry = this.#head(table, pick < oldSize ? pick : pick - oldSize);
      if (entry === 0) continue;
      let length = 0;
      for (let e = entry; e !== 0; e = this.#next(e)) length++;
      for (let skip = nextUint32() % length; skip > 0; skip--) entry = this.#next(entry);
      return entry;
    }
  }

  /** Moves up to `buckets` buckets of a resize that is under way. Returns whether there is more to do. */
  continueResize(map: number, buckets: number): boolean {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (words[at + MAP.newTable] !== 0) this.#moveBuckets(map, buckets);
    return words[at + MAP.newTable] !== 0;
  }

  #keyEquals(entry: number, bytes: Uint8Array, start: number, length: number): boolean {
    const entryBytes = this.#arena.bytes[entry >>> SEGMENT_SHIFT]!;
    const key = ((entry & SEGMENT_MASK) << 3) + this.#keyOffset;
    if (length > 256) return entryBytes.compare(bytes, start, start + length, key, key + length) === 0;
    for (let i = 0; i < length; i++) if (entryBytes[key + i] !== bytes[start + i]) return false;
    return true;
  }

  #next(entry: number): number {
    return this.#arena.words[entry >>> SEGMENT_SHIFT]![(entry & SEGMENT_MASK) << 1]!;
  }

  #head(table: number, bucket: number): number {
    return this.#arena.words[table >>> SEGMENT_SHIFT]![((table & SEGMENT_MASK) << 1) + bucket]!;
  }

  /** Makes whatever points at the entry point at `to`. */
  #relink(map: number, entry: number, to: number): void {
    const { words } = this.#arena;
    const mapWords = words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    const hash = words[entry >>> SEGMENT_SHIFT]![((entry & SEGMENT_MASK) << 1) + ENTRY.hash]!;
    let table = mapWords[at + MAP.table]!;
    let log = mapWords[at + MAP.log]!;
    for (;;) {
      let pointerWords = words[table >>> SEGMENT_SHIFT]!;
      let pointer = ((table & SEGMENT_MASK) << 1) + (hash & mask(log));
      for (let current = pointerWords[pointer]!; current !== 0; current = pointerWords[pointer]!) {
        if (current === entry) {
          pointerWords[pointer] = to;
          return;
        }
        pointerWords = words[current >>> SEGMENT_SHIFT]!;
        pointer = (current & SEGMENT_MASK) << 1;
      }
      if (table === mapWords[at + MAP.newTable] || mapWords[at + MAP.newTable] === 0) {
        throw new Error('assertion failed: the entry is not in the map');
      }
      table = mapWords[at + MAP.newTable]!;
      log = mapWords[at + MAP.newLog]!;
    }
  }

  #visitBucket(table: number, bucket: number, visit: (entry: number) => void): void {
    let entry = this.#head(table, bucket);
    while (entry !== 0) {
      const next = this.#next(entry);
      visit(entry);
      entry = next;
    }
  }

  #newTable(log: number): number {
    const table = this.#arena.allocate(4 << log);
    const words = this.#arena.words[table >>> SEGMENT_SHIFT]!;
    const at = (table & SEGMENT_MASK) << 1;
    words.fill(0, at, at + (1 << log));
    return table;
  }

  #startResize(map: number, log: number): void {
    if (this.#scans > 0) return;
    const newTable = this.#newTable(log);
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    words[at + MAP.newTable] = newTable;
    words[at + MAP.newLog] = log;
    words[at + MAP.moved] = 0;
  }

  #moveBuckets(map: number, buckets: number): void {
    if (this.#scans > 0) return;
    const { words } = this.#arena;
    const mapWords = words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    const table = mapWords[at + MAP.table]!;
    const size = 1 << mapWords[at + MAP.log]!;
    const newTable = mapWords[at + MAP.newTable]!;
    const newMask = mask(mapWords[at + MAP.newLog]!);
    const tableWords = words[table >>> SEGMENT_SHIFT]!;
    const tableAt = (table & SEGMENT_MASK) << 1;
    const newWords = words[newTable >>> SEGMENT_SHIFT]!;
    const newAt = (newTable & SEGMENT_MASK) << 1;
    let moved = mapWords[at + MAP.moved]!;
    let empty = buckets * EMPTY_BUCKETS_PER_STEP;
    while (buckets > 0 && moved < size) {
      let entry = tableWords[tableAt + moved]!;
      if (entry === 0) {
        moved++;
        if (--empty === 0) break;
        continue;
      }
      while (entry !== 0) {
        const entryWords = words[entry >>> SEGMENT_SHIFT]!;
        const word = (entry & SEGMENT_MASK) << 1;
        const next = entryWords[word]!;
        const bucket = newAt + (entryWords[word + ENTRY.hash]! & newMask);
        entryWords[word] = newWords[bucket]!;
        newWords[bucket] = entry;
        entry = next;
      }
      tableWords[tableAt + moved] = 0;
      moved++;
      buckets--;
    }
    mapWords[at + MAP.moved] = moved;
    if (moved === size) {
      this.#arena.free(table);
      mapWords[at + MAP.table] = newTable;
      mapWords[at + MAP.log] = mapWords[at + MAP.newLog]!;
      mapWords[at + MAP.newTable] = 0;
    }
  }
}

const mask = (log: number): number => (1 << log) - 1;

/** Counts up in reversed bits below `log`: the higher bits of a cursor are settled first, so a resize neither skips nor restarts. */
function nextCursor(cursor: number, log: number): number {
  cursor |= ~mask(log);
  cursor = reverseBits(cursor);
  cursor = (cursor + 1) | 0;
  return reverseBits(cursor);
}

function reverseBits(value: number): number {
  value = ((value >>> 1) & 0x55555555) | ((value & 0x55555555) << 1);
  value = ((value >>> 2) & 0x33333333) | ((value & 0x33333333) << 2);
  value = ((value >>> 4) & 0x0f0f0f0f) | ((value & 0x0f0f0f0f) << 4);
  value = ((value >>> 8) & 0x00ff00ff) | ((value & 0x00ff00ff) << 8);
  return (value >>> 16) | (value << 16);
}
