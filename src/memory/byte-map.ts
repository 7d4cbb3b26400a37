/**
 * A chained hash table of arena records, keyed by bytes: the one structure behind the keyspace, hash fields and set members.
 *
 * As in Redis's dict (https://github.com/redis/redis/blob/7.0/src/dict.c) it has two tables while it grows or shrinks and moves a few buckets per
 * operation, so no single operation pays for a resize; and it is iterated with a cursor that counts in reversed bits (Pieter Noordhuis'
 * algorithm), so that a scan returns every entry that was there from start to end at least once, whatever the table does meanwhile.
 *
 * Load stays within bounds whatever comes. A table grows when it has more entries than buckets; if more come than a smaller table was made for
 * while the move to it is under way, the two swap roles and the larger one is the aim again (every entry is in the right bucket of its table, so
 * nothing else has to change). It shrinks, at most to a sixteenth at a time, when fewer than one bucket in eight would be needed, and moves
 * faster than entries can go, so it is never sparse for long and a random choice finds an entry soon. A table that cannot have memory
 * stays as it is: growing and shrinking never fail.
 *
 * A *map* is a block of 32 bytes in the arena, named by its address; an *entry* is any arena block that begins with three words:
 * next entry, hash, key length; its key lies at a fixed offset that all entries of a map share. The caller owns the rest of the
 * entry and its memory: the map links and unlinks, it never allocates or frees an entry.
 *
 * Invariant: an entry is in exactly one bucket of one table, the one that its hash names. While two tables are there, the first `moved` buckets
 * of the old one are empty; while a map is drained, so are the first `drained` ones of its only table.
 */
import { equalBytes } from '../base/equal-bytes.ts';
import { uniformBelow } from '../base/uniform.ts';
import { hashKey, type HashSeed } from './key-hash.ts';
import { mask, nextCursor } from './reverse-cursor.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from './arena.ts';

export const MAP_BYTES = 32;
/** Words at the start of every entry: next, hash, key length. */
export const ENTRY = { next: 0, hash: 1, keyLength: 2 } as const;

const MAP = { count: 0, table: 1, log: 2, newTable: 3, newLog: 4, moved: 5, drained: 6 } as const;

const LOG_MIN = 2;
/** A table of 1 GiB. Beyond it chains get longer. */
const LOG_MAX = 28;
/** A table is shrunk when fewer than one bucket in eight would be needed. */
const SHRINK_LOG = 3;
/** It is shrunk to a sixteenth at most, so that one step of a scan, which visits what a bucket splits into, stays short. */
const SHRINK_STEP_LOG = 4;
/** Buckets with entries that are moved per entry removed: a shrink is done when a quarter of what was there at its begin is gone. */
const BUCKETS_PER_REMOVAL = 4;
/** A choice finds one entry in 2^7 buckets slow, and moves that many at a time (and sixteen times as many empty ones). */
const DESERT_LOG = 7;
const DESERT_BUCKETS = 4096;
/** Empty buckets skipped per bucket to be moved (or entry to be drained) before a step gives up. */
const EMPTY_BUCKETS_PER_STEP = 16;
/** Longer chains do not come about by chance while there are as many buckets as entries. Its logarithm is 4: see `random`. */
const CHAIN_MAX = 16;

const { clz32 } = Math;

export class ByteMap {
  readonly #arena: Arena;
  readonly #keyOffset: number;
  readonly #seed: number;
  readonly #seed2: number;
  /** Maps being scanned, one inside another: a visit to a hash's key scans its fields. Their tables must not change meanwhile. */
  readonly #scanned: number[] = [];

  /** `keyOffset`: bytes from the start of an entry to its key. `seed`: see key-hash.ts. */
  constructor(arena: Arena, options: { readonly keyOffset: number; readonly seed: HashSeed }) {
    this.#arena = arena;
    this.#keyOffset = options.keyOffset;
    this.#seed = options.seed[0] | 0;
    this.#seed2 = options.seed[1] | 0;
  }

  /** Makes the 32 bytes at `map` an empty map. It has no table until something is added. */
  create(map: number): void {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    words.fill(0, at, at + 8);
  }

  /** Makes the table of an empty map as large as that many entries need, if there is memory for it. */
  prepare(map: number, count: number): void {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (words[at + MAP.table] !== 0 || count > 2 ** LOG_MAX) return;
    const log = Math.max(LOG_MIN, logFor(count));
    if (!this.#arena.hasRoomBeside(4 << log)) return;
    words[at + MAP.table] = this.#arena.allocateZeroed(4 << log);
    words[at + MAP.log] = log;
  }

  /** Frees the tables. The entries must be gone or taken care of. */
  destroy(map: number): void {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (words[at + MAP.table] !== 0) this.#arena.free(words[at + MAP.table]!);
    if (words[at + MAP.newTable] !== 0) this.#arena.free(words[at + MAP.newTable]!);
    words.fill(0, at, at + 8);
    this.#renameScanned(map, 0);
  }

  /** The map itself, its 32 bytes, moves to another address. What is at `from` afterwards is no map. */
  moveMap(from: number, to: number): void {
    const words = this.#arena.words[from >>> SEGMENT_SHIFT]!;
    const at = (from & SEGMENT_MASK) << 1;
    const target = this.#arena.words[to >>> SEGMENT_SHIFT]!;
    const targetAt = (to & SEGMENT_MASK) << 1;
    for (let i = 0; i < 8; i++) target[targetAt + i] = words[at + i]!;
    this.#renameScanned(from, to);
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

  hash(bytes: Uint8Array, start: number, length: number): number {
    return hashKey(this.#seed, this.#seed2, bytes, start, length);
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
    const { words } = this.#arena;
    const mapWords = words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    let table = mapWords[at + MAP.table]!;
    let log = mapWords[at + MAP.log]!;
    while (table !== 0) {
      for (let entry = this.#head(table, hash & mask(log)); entry !== 0; entry = this.#next(entry)) {
        const entryHash = words[entry >>> SEGMENT_SHIFT]![((entry & SEGMENT_MASK) << 1) + ENTRY.hash]!;
        if (entryHash === hash && test(entry)) return entry;
      }
      if (table === mapWords[at + MAP.newTable]) break;
      table = mapWords[at + MAP.newTable]!;
      log = mapWords[at + MAP.newLog]!;
    }
    return 0;
  }

  /** Links an entry whose hash, key length and key are set. The key must not be in the map. */
  add(map: number, entry: number): void {
    const { words } = this.#arena;
    const mapWords = words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (mapWords[at + MAP.table] === 0) {
      mapWords[at + MAP.table] = this.#arena.allocateZeroed(4 << LOG_MIN);
      mapWords[at + MAP.log] = LOG_MIN;
    } else if (mapWords[at + MAP.newTable] !== 0) {
      this.#moveBuckets(map, 1);
    }
    const count = ++mapWords[at]!;
    if (mapWords[at + MAP.newTable] === 0) {
      if (count > 1 << mapWords[at + MAP.log]!) this.#startResize(map, logFor(count));
    } else if (count > 1 << mapWords[at + MAP.newLog]! && mapWords[at + MAP.newLog]! < mapWords[at + MAP.log]!) {
      this.#turnRound(map);
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
    this.take(map, entry);
    this.#pace(map, 1);
  }

  /** The same without ever beginning or advancing a resize: for maps that are being drained. */
  take(map: number, entry: number): void {
    this.#relink(map, entry, this.#next(entry));
    this.#arena.words[map >>> SEGMENT_SHIFT]![(map & SEGMENT_MASK) << 1]!--;
  }

  /**
   * Unlinks up to `entriesMax` entries and hands each over; true when there are no more and the tables are freed. Nothing may be added until
   * then; what is removed meanwhile is best removed with `take`. `free` may free the entry it is given, and must leave the map alone.
   */
  drain(map: number, entriesMax: number, free: (entry: number) => void): boolean {
    const { words } = this.#arena;
    const mapWords = words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    let empty = entriesMax * EMPTY_BUCKETS_PER_STEP;
    while (mapWords[at]! > 0) {
      const cursor = at + (mapWords[at + MAP.newTable] === 0 ? MAP.drained : MAP.moved);
      const table = mapWords[at + MAP.table]!;
      const tableWords = words[table >>> SEGMENT_SHIFT]!;
      const bucket = ((table & SEGMENT_MASK) << 1) + mapWords[cursor]!;
      const entry = tableWords[bucket]!;
      if (entry !== 0) {
        if (entriesMax-- <= 0) return false;
        tableWords[bucket] = this.#next(entry);
        mapWords[at]!--;
        free(entry);
        continue;
      }
      if (empty-- <= 0) return false;
      mapWords[cursor]!++;
      if (cursor === at + MAP.moved) this.#endResizeIfMoved(map);
    }
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
    const scanned = this.#scanned;
    const count = this.count(map);
    scanned.push(map);
    try {
      return this.#scan(map, cursor, visit);
    } finally {
      // 0 if a visit has destroyed the map, elsewhere if it has moved it.
      map = scanned.pop()!;
      if (map !== 0 && count > this.count(map)) this.#pace(map, count - this.count(map));
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

  /**
   * An entry chosen uniformly, by uniform random numbers of 32 bits; 0 when the map is empty.
   *
   * Throws darts at a board of all buckets by a number of positions, and takes the first that hits an entry: each covers one field of the
   * board, so each is as likely. The board is high enough for any chain (at one entry per bucket, one of 10^14 is longer than 16), and about one
   * dart in 16 hits in a full table, one in 200 in the sparsest.
   */
  random(map: number, nextUint32: () => number): number {
    const mapWords = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    const count = mapWords[at]!;
    if (count === 0) return 0;
    // Nearly all entries taken at once, none removed since: before long darts miss for seconds, the table is shrunk.
    while (this.continueResize(map, BUCKETS_PER_REMOVAL) && this.#isDesert(map)) this.#moveBuckets(map, DESERT_BUCKETS);
    const isResizing = mapWords[at + MAP.newTable] !== 0;
    const table = mapWords[at + MAP.table]!;
    const newTable = mapWords[at + MAP.newTable]!;
    const first = isResizing ? mapWords[at + MAP.moved]! : 0;
    const oldBuckets = 2 ** mapWords[at + MAP.log]! - first;
    const newBuckets = isResizing ? 2 ** mapWords[at + MAP.newLog]! : 0;
    const height = CHAIN_MAX * Math.ceil(count / Math.max(oldBuckets + first, newBuckets));
    const width = oldBuckets + newBuckets;
    const shift = clz32(width - 1);
    for (;;) {
      // One number serves for both where its bits suffice: the upper four for the position, some of the others for the bucket.
      const drawn = nextUint32();
      let position = height === CHAIN_MAX ? drawn >>> 28 : uniformBelow(height, nextUint32);
      const pick = shift < 4 ? uniformBelow(width, nextUint32) : (drawn << 4) >>> shift;
      if (pick >= width) continue;
      let entry = pick < oldBuckets ? this.#head(table, first + pick) : this.#head(newTable, pick - oldBuckets);
      while (position > 0 && entry !== 0) {
        entry = this.#next(entry);
        position--;
      }
      if (entry !== 0) return entry;
    }
  }

  /**
   * Moves up to `buckets` buckets of a resize that is under way, or begins one if the table has become too large. Returns whether there is more
   * to do.
   */
  continueResize(map: number, buckets: number): boolean {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (words[at + MAP.newTable] !== 0) this.#moveBuckets(map, buckets);
    if (words[at + MAP.newTable] === 0) this.#shrinkIfSparse(map);
    return words[at + MAP.newTable] !== 0;
  }

  /** Sparser than removals ever leave a table. */
  #isDesert(map: number): boolean {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    return !this.#isScanned(map) && words[at]! < 2 ** (words[at + MAP.log]! - DESERT_LOG);
  }

  #keyEquals(entry: number, bytes: Uint8Array, start: number, length: number): boolean {
    const entryBytes = this.#arena.bytes[entry >>> SEGMENT_SHIFT]!;
    const key = ((entry & SEGMENT_MASK) << 3) + this.#keyOffset;
    if (length > 256) return entryBytes.compare(bytes, start, start + length, key, key + length) === 0;
    return equalBytes(entryBytes, key, bytes, start, length);
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

  /** After `removed` entries were removed: shrinks if need be, and keeps the move ahead of the removals. */
  #pace(map: number, removed: number): void {
    if (this.#arena.words[map >>> SEGMENT_SHIFT]![((map & SEGMENT_MASK) << 1) + MAP.newTable] === 0) {
      this.#shrinkIfSparse(map);
    } else {
      this.#moveBuckets(map, removed * BUCKETS_PER_REMOVAL);
    }
  }

  #shrinkIfSparse(map: number): void {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    const count = words[at]!;
    const log = words[at + MAP.log]!;
    if (log <= LOG_MIN || count >= 1 << (log - SHRINK_LOG)) return;
    this.#startResize(map, Math.max(LOG_MIN, logFor(count + 1), log - SHRINK_STEP_LOG));
  }

  /** Does nothing when there is no memory for it: the table stays as it is until the next time. */
  #startResize(map: number, log: number): void {
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (log > LOG_MAX || this.#isScanned(map) || !this.#arena.hasRoomBeside(4 << log)) return;
    words[at + MAP.newTable] = this.#arena.allocateZeroed(4 << log);
    words[at + MAP.newLog] = log;
    words[at + MAP.moved] = 0;
    words[at + MAP.drained] = 0;
  }

  /** The old table becomes the aim. */
  #turnRound(map: number): void {
    if (this.#isScanned(map)) return;
    const words = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    const { table, log, newTable, newLog, moved } = MAP;
    [words[at + table], words[at + newTable]] = [words[at + newTable]!, words[at + table]!];
    [words[at + log], words[at + newLog]] = [words[at + newLog]!, words[at + log]!];
    words[at + moved] = 0;
  }

  #isScanned(map: number): boolean {
    return this.#scanned.length > 0 && this.#scanned.includes(map);
  }

  #renameScanned(from: number, to: number): void {
    const scanned = this.#scanned;
    for (let i = 0; i < scanned.length; i++) if (scanned[i] === from) scanned[i] = to;
  }

  #endResizeIfMoved(map: number): void {
    const mapWords = this.#arena.words[map >>> SEGMENT_SHIFT]!;
    const at = (map & SEGMENT_MASK) << 1;
    if (mapWords[at + MAP.moved]! < 1 << mapWords[at + MAP.log]!) return;
    this.#arena.free(mapWords[at + MAP.table]!);
    mapWords[at + MAP.table] = mapWords[at + MAP.newTable]!;
    mapWords[at + MAP.log] = mapWords[at + MAP.newLog]!;
    mapWords[at + MAP.newTable] = 0;
  }

  #moveBuckets(map: number, buckets: number): void {
    if (this.#isScanned(map)) return;
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
    if (moved === size) this.#endResizeIfMoved(map);
  }
}

/** Of a table with as many buckets as entries at least. */
const logFor = (count: number): number => (count <= 1 ? 0 : 32 - Math.clz32(count - 1));
