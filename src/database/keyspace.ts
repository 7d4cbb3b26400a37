/**
 * All data of a database: the keyspace, its cells and containers, and who sees what.
 *
 * Reading and bookkeeping only: changes are made by `Mutator`, which both local writes and remote batches go through.
 *
 * Invariant: a key's record exists while it holds anything, visible or left over from conflicts that are not yet stable; `keyCount` counts
 * the visible ones. Expired keys are hidden from lookups until their removal is replicated.
 */
import { Cells, CELL, CELL_KEY_OFFSET, FLAG, TAG } from '../crdt/cell.ts';
import { ELEMENT_KEY_OFFSET, Elements } from '../crdt/element.ts';
import {
  addExact,
  clampInt64,
  fitsInt64,
  formatExact,
  readDecimal,
  readInteger,
  roundDecimals,
  type ExactNumber,
} from '../crdt/exact-number.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import { Arena, SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import { ByteMap, MAP_BYTES } from '../memory/byte-map.ts';
import { Containers } from './containers.ts';
import { ExpiryIndex } from './expiry-index.ts';
import { TYPE, type KeyRef, type Type } from './key-ref.ts';
import type { PreImages } from './snapshot.ts';
import { TypeConflicts } from './type-conflicts.ts';

/** A visible value: bytes somewhere. Reused; read it before anything else is looked up. */
export class ValueRef {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  length = 0;
}

export class Keyspace {
  readonly arena: Arena;
  readonly origins: OriginTable;
  readonly cells: Cells;
  readonly elements: Elements;
  readonly containers: Containers;
  readonly keyMaps: ByteMap;
  /** The one map of keys. */
  readonly keys: number;
  readonly expiries: ExpiryIndex;
  /** Hashes with volatile fields. */
  readonly fieldExpiries: ExpiryIndex;
  readonly typeConflicts = new TypeConflicts();
  /** Visible keys. */
  keyCount = 0;
  /** Wall clock, ms: what is expired is judged by it. */
  nowMs = 0;
  /** Flag that a record carries when the current (or latest) snapshot needs it no more. */
  epoch = 0;
  /** Takes the state of records that are about to change, while a snapshot is being written. */
  preImages: PreImages | null = null;
  /** Whether anything was left behind that can be freed once it is stable. */
  hasResidue = false;

  constructor(options: { readonly arena: Arena; readonly origins: OriginTable; readonly seed: number }) {
    const { arena, origins, seed } = options;
    this.arena = arena;
    this.origins = origins;
    this.cells = new Cells(arena, origins);
    this.elements = new Elements(arena);
    this.keyMaps = new ByteMap(arena, { keyOffset: CELL_KEY_OFFSET, seed });
    this.containers = new Containers(arena, this.cells, this.elements, {
      fields: this.keyMaps,
      members: new ByteMap(arena, { keyOffset: ELEMENT_KEY_OFFSET, seed }),
    });
    this.keys = arena.allocate(MAP_BYTES);
    this.keyMaps.create(this.keys);
    this.expiries = new ExpiryIndex(arena, seed);
    this.fieldExpiries = new ExpiryIndex(arena, seed);
  }

  /** Fills the reference with what is under the key, expired or not. */
  locate(ref: KeyRef, bytes: Uint8Array, start: number, length: number): KeyRef {
    ref.bytes = bytes;
    ref.start = start;
    ref.length = length;
    ref.serial++;
    ref.hash = this.keyMaps.hash(bytes, start, length);
    ref.record = this.keyMaps.find(this.keys, ref.hash, bytes, start, length);
    ref.type = ref.record === 0 ? TYPE.none : this.typeOf(ref.record);
    return ref;
  }

  typeOf(record: number): Type {
    const first = this.attributes(record);
    if (first === 0) return this.cells.hasRegister(record) ? TYPE.string : TYPE.none;
    if (this.cells.isLoneCounter(first)) {
      return this.cells.counts(first) || this.cells.hasRegister(record) ? TYPE.string : TYPE.none;
    }
    const hash = this.containers.hash(record);
    if (hash !== 0 && this.containers.fieldCount(hash) > 0) return TYPE.hash;
    if (this.containers.set(record) !== 0) return TYPE.set;
    return this.cells.hasRegister(record) || this.cells.hasCounter(record) ? TYPE.string : TYPE.none;
  }

  /** All types under the key, the visible one first. */
  typesOf(record: number): Type[] {
    const types: Type[] = [];
    if (this.containers.fieldCount(this.containers.hash(record)) > 0) types.push(TYPE.hash);
    if (this.containers.set(record) !== 0) types.push(TYPE.set);
    if (this.cells.hasRegister(record) || this.cells.hasCounter(record)) types.push(TYPE.string);
    return types;
  }

  /** Asks about the visible type first, below which nothing is hidden by a string. */
  holdsSeveralTypes({ record, type }: KeyRef): boolean {
    if (record === 0 || type === TYPE.none || type === TYPE.string) return false;
    if (type === TYPE.hash && this.containers.set(record) !== 0) return true;
    return this.cells.hasRegister(record) || this.cells.hasCounter(record);
  }

  /** First attribute of a record; 0 for the plain ones. */
  attributes(record: number): number {
    return this.arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.attributes]!;
  }

  isExpired(record: number): boolean {
    const first = this.attributes(record);
    if (first === 0 || this.cells.isLoneCounter(first)) return false;
    const expiry = this.cells.expiry(record);
    return expiry >= 0 && expiry <= this.nowMs;
  }

  /** A field that counts: it has a value, and that has not expired. */
  isFieldVisible(field: number): boolean {
    if (this.attributes(field) === 0) return this.cells.hasRegister(field);
    return (this.cells.hasRegister(field) || this.cells.hasCounter(field)) && !this.isExpired(field);
  }

  /** The visible value of a cell. Bytes in the arena, or a number that was just formatted. */
  readCell(cell: number, value: ValueRef): ValueRef {
    if (this.attributes(cell) !== 0 && this.cells.hasCounter(cell)) {
      const number = this.readNumber(cell);
      if (number !== null) {
        value.bytes = Buffer.from(formatExact(number), 'latin1');
        value.start = 0;
        value.length = value.bytes.length;
        return value;
      }
    }
    value.bytes = this.arena.bytes[cell >>> SEGMENT_SHIFT]!;
    value.start = this.cells.valueOffset(cell);
    value.length = this.arena.words[cell >>> SEGMENT_SHIFT]![((cell & SEGMENT_MASK) << 1) + CELL.valueLength]!;
    return value;
  }

  /**
   * The cell's visible number: its register (0 if absent) plus what was added. null: the register is not a number. A sum of 64-bit integers
   * stops at their bounds; there are none where INCRBYFLOAT has added to it, or the register is beyond them itself.
   */
  readNumber(cell: number): ExactNumber | null {
    let base: ExactNumber | null = 0;
    if (this.cells.hasRegister(cell)) {
      const words = this.arena.words[cell >>> SEGMENT_SHIFT]!;
      const bytes = this.arena.bytes[cell >>> SEGMENT_SHIFT]!;
      const start = this.cells.valueOffset(cell);
      const length = words[((cell & SEGMENT_MASK) << 1) + CELL.valueLength]!;
      base = readInteger(bytes, start, length) ?? readDecimal(bytes, start, length);
      if (base === null) return null;
    }
    if (this.attributes(cell) === 0) return base;
    const sum = roundDecimals(addExact(base, this.cells.counterSum(cell)));
    if (fitsInt64(sum) || !fitsInt64(base) || this.cells.hasDecimals(cell)) return sum;
    return clampInt64(sum);
  }

  /**
   * After a change of the key's contents: counts it as visible or not, keeps the index of expiries and the types true, and removes the
   * record when nothing at all is left of it.
   */
  settle(ref: KeyRef): void {
    const { record } = ref;
    if (record === 0) return;
    this.count(ref);
    this.noteTypes(ref);
    if (ref.type !== TYPE.none) return;
    if (this.attributes(record) !== 0) {
      this.hasResidue = true;
      return;
    }
    this.keyMaps.remove(this.keys, record);
    this.cells.destroy(record);
    ref.record = 0;
  }

  /** The counting alone. */
  count(ref: KeyRef): void {
    const { record } = ref;
    ref.type = this.typeOf(record);
    this.#countVisible(record, ref.type !== TYPE.none);
    const expiry = this.attributes(record) === 0 ? -1 : this.cells.expiry(record);
    this.expiries.set(ref.hash, ref.bytes, ref.start, ref.length, expiry === Infinity ? -1 : expiry);
    if (expiry === Infinity) this.hasResidue = true;
  }

  /** Whether the key, whose reference is up to date, holds several types now: noted where that has changed. */
  noteTypes(ref: KeyRef): void {
    const isSeveral = this.holdsSeveralTypes(ref);
    if (isSeveral === ((this.cells.flags(ref.record) & FLAG.several) !== 0)) return;
    if (isSeveral) this.cells.setFlag(ref.record, FLAG.several);
    else this.cells.clearFlag(ref.record, FLAG.several);
    this.typeConflicts.note(ref, isSeveral);
  }

  /** The same as `settle` for a field of the key's hash. Returns the field's record, 0 when it is gone. */
  settleField(ref: KeyRef, hash: number, field: number): number {
    const visible = this.cells.hasRegister(field) || this.cells.hasCounter(field);
    const flags = this.cells.flags(field);
    if (visible !== ((flags & FLAG.visible) !== 0)) {
      this.containers.addToFieldCount(hash, visible ? 1 : -1);
      if (visible) this.cells.setFlag(field, FLAG.visible);
      else this.cells.clearFlag(field, FLAG.visible);
    }
    if (this.attributes(field) !== 0 || (flags & FLAG.volatile) !== 0) this.#countVolatile(ref, hash, field);
    if (visible) return field;
    if (this.attributes(field) !== 0) {
      this.hasResidue = true;
      return field;
    }
    this.containers.fields.remove(this.containers.map(hash), field);
    this.cells.destroy(field);
    return 0;
  }

  /** A time to live that lost its value counts too: it has to be removed when it is over. */
  #countVolatile(ref: KeyRef, hash: number, field: number): void {
    const expiry = this.cells.expiry(field);
    if (expiry === Infinity) this.hasResidue = true;
    const isVolatile = expiry >= 0 && expiry !== Infinity;
    if (isVolatile) this.fieldExpiries.lower(ref.hash, ref.bytes, ref.start, ref.length, expiry);
    if (isVolatile === ((this.cells.flags(field) & FLAG.volatile) !== 0)) return;
    this.containers.addToVolatileCount(hash, isVolatile ? 1 : -1);
    if (isVolatile) this.cells.setFlag(field, FLAG.volatile);
    else this.cells.clearFlag(field, FLAG.volatile);
  }

  #countVisible(record: number, visible: boolean): void {
    const counted = (this.cells.flags(record) & FLAG.visible) !== 0;
    if (visible === counted) return;
    this.keyCount += visible ? 1 : -1;
    if (visible) this.cells.setFlag(record, FLAG.visible);
    else this.cells.clearFlag(record, FLAG.visible);
  }

  /** Points the reference at a record met in a scan. The key is copied: the record may move or go. */
  refer(ref: KeyRef, record: number): KeyRef {
    const start = this.containers.nameOffset(record);
    const length = this.containers.nameLength(record);
    ref.bytes = Buffer.from(this.arena.bytes[record >>> SEGMENT_SHIFT]!.subarray(start, start + length));
    ref.start = 0;
    ref.length = length;
    ref.hash = this.arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.hash]!;
    ref.record = record;
    ref.type = this.typeOf(record);
    ref.serial++;
    return ref;
  }

  /** Removes a container that has nothing left in it. */
  dropEmptyContainers(record: number): void {
    const hash = this.containers.hash(record);
    if (hash !== 0 && this.containers.fields.count(this.containers.map(hash)) === 0) {
      this.containers.destroy(record, hash);
    }
    const set = this.containers.set(record);
    if (set !== 0 && this.containers.memberCount(set) === 0) this.containers.destroy(record, set);
  }

  /** The container, made if it is not there. */
  openContainer(record: number, tag: typeof TAG.hash | typeof TAG.set): number {
    return this.cells.attribute(record, tag) || this.containers.create(record, tag);
  }
}
