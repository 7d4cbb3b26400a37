/**
 * The record of a cell and the attributes that hang off it: layout, flags, links. What they mean is in cell.ts.
 *
 *   record      0 next | 1 hash | 2 key length | 3 value length | 4 flags, origin << 16 | 5 attributes | seq f64 | hlc f64 | key | value
 *   attribute   0 next | 1 tag, flags << 8, origin << 16 | ...
 *
 * Invariant: an attribute is in the list of exactly one record.
 */
import { copyBytes, SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import type { OriginTable, VersionVector } from './version-vector.ts';

export const CELL_KEY_OFFSET = 40;
export const CELL = { next: 0, hash: 1, keyLength: 2, valueLength: 3, meta: 4, attributes: 5 } as const;
/** Float indexes within the record. */
export const CELL_SEQ = 3;
export const CELL_HLC = 4;

/** Flags of a record (low half of `meta`) and of a SIBLING attribute. */
export const FLAG = {
  /** There is a register. */
  register: 1,
  /** The register's write also said "no time to live". */
  persists: 2,
  /** Counted as visible by the owner of the map. */
  visible: 16,
  /** Its visible time to live is finite: counted as volatile by the keyspace, or by the hash it is a field of. */
  volatile: 32,
  /** The key holds more than one type. */
  several: 64,
  /** Counted, by the hash it is a field of, as holding counters, cut or not: no removal takes them away by its context alone. */
  residual: 128,
  /** Counted as expired by the hash it is a field of. */
  expired: 256,
} as const;

/**
 * The highest four flags of cells and elements name the snapshot that the record need not be written to any more: the latest that had it, or that began
 * before it was born.
 */
export const EPOCH_MASK = 0xf000;
export const EPOCH_STEP = 0x1000;

export const TAG = { sibling: 1, counter: 2, expiry: 3, hash: 4, set: 5, dot: 6 } as const;

export interface Dot {
  /** Origin index. */
  readonly origin: number;
  readonly seq: number;
}

/** null covers everything: a local operation has observed all there is. */
export type Context = VersionVector | null;

export class CellRecords {
  protected readonly arena: Arena;
  protected readonly origins: OriginTable;

  constructor(arena: Arena, origins: OriginTable) {
    this.arena = arena;
    this.origins = origins;
  }

  /** A record with no register yet, with room for a value of that length; linked into the map. `flags`: initial. */
  create(
    maps: ByteMap,
    map: number,
    hash: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    valueRoom: number,
    flags: number,
  ): number {
    const record = this.arena.allocate(CELL_KEY_OFFSET + length + valueRoom);
    const words = this.arena.words[record >>> SEGMENT_SHIFT]!;
    const at = (record & SEGMENT_MASK) << 1;
    words[at + CELL.hash] = hash;
    words[at + CELL.keyLength] = length;
    words[at + CELL.valueLength] = 0;
    words[at + CELL.meta] = flags;
    words[at + CELL.attributes] = 0;
    copyBytes(this.arena.bytes[record >>> SEGMENT_SHIFT]!, (at << 2) + CELL_KEY_OFFSET, bytes, start, length);
    maps.add(map, record);
    return record;
  }

  /** A record of the same name as `other`, with nothing in it yet; linked into the map. */
  createLike(maps: ByteMap, map: number, other: number, flags: number): number {
    const bytes = this.arena.bytes[other >>> SEGMENT_SHIFT]!;
    const start = ((other & SEGMENT_MASK) << 3) + CELL_KEY_OFFSET;
    const room = this.word(other, CELL.valueLength);
    return this.create(
      maps,
      map,
      this.word(other, CELL.hash),
      bytes,
      start,
      this.word(other, CELL.keyLength),
      room,
      flags,
    );
  }

  /** Origin index of the record's own register. */
  registerOrigin(record: number): number {
    return this.word(record, CELL.meta) >>> 16;
  }

  registerSeq(record: number): number {
    return this.float(record, CELL_SEQ);
  }

  flags(record: number): number {
    return this.word(record, CELL.meta) & 0xffff;
  }

  setFlag(record: number, flag: number): void {
    this.arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.meta]! |= flag;
  }

  setEpoch(record: number, epoch: number): void {
    const words = this.arena.words[record >>> SEGMENT_SHIFT]!;
    const at = ((record & SEGMENT_MASK) << 1) + CELL.meta;
    words[at] = (words[at]! & ~EPOCH_MASK) | epoch;
  }

  clearFlag(record: number, flag: number): void {
    this.arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.meta]! &= ~flag;
  }

  /** First attribute with that tag; 0: none. */
  attribute(record: number, tag: number): number {
    const first = this.word(record, CELL.attributes);
    return first === 0 || (this.word(first, 1) & 0xff) === tag ? first : this.nextAttribute(first, tag);
  }

  nextAttribute(attribute: number, tag: number): number {
    let a = this.word(attribute, 0);
    while (a !== 0 && (this.word(a, 1) & 0xff) !== tag) a = this.word(a, 0);
    return a;
  }

  linkAttribute(record: number, attribute: number): void {
    this.setWord(attribute, 0, this.word(record, CELL.attributes));
    this.setWord(record, CELL.attributes, attribute);
  }

  hasAttribute(record: number, attribute: number): boolean {
    let a = this.word(record, CELL.attributes);
    while (a !== 0 && a !== attribute) a = this.word(a, 0);
    return a !== 0;
  }

  /** Unlinks an attribute that the caller frees. */
  unlinkAttribute(record: number, attribute: number): void {
    const next = this.word(attribute, 0);
    let a = this.word(record, CELL.attributes);
    if (a === attribute) {
      this.setWord(record, CELL.attributes, next);
      return;
    }
    while (this.word(a, 0) !== attribute) a = this.word(a, 0);
    this.setWord(a, 0, next);
  }

  protected covers(context: Context, origin: number, seq: number): boolean {
    return context === null || context.coversDot(origin, seq);
  }

  protected word(address: number, index: number): number {
    return this.arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index]!;
  }

  protected setWord(address: number, index: number, value: number): void {
    this.arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index] = value;
  }

  protected float(address: number, index: number): number {
    return this.arena.floats[address >>> SEGMENT_SHIFT]![(address & SEGMENT_MASK) + index]!;
  }

  protected setFloat(address: number, index: number, value: number): void {
    this.arena.floats[address >>> SEGMENT_SHIFT]![(address & SEGMENT_MASK) + index] = value;
  }
}
