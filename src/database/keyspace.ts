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
import type { HashSeed } from '../memory/key-hash.ts';
import { CONTAINER, mapOf } from './container-type.ts';
import { Containers } from './containers.ts';
import { Expiries } from './expiries.ts';
import { KeyRef, TYPE, type Type } from './key-ref.ts';
import type { DatabaseLimits } from './limits.ts';
import type { PreImages } from './pre-images.ts';
import { Stages } from './stages.ts';
import type { ValueRef } from './value-ref.ts';
import { TypeConflicts } from './type-conflicts.ts';
import { isGone } from './visible-fields.ts';

export class Keyspace {
  readonly arena: Arena;
  readonly origins: OriginTable;
  readonly limits: DatabaseLimits;
  readonly cells: Cells;
  readonly elements: Elements;
  readonly containers: Containers;
  readonly keyMaps: ByteMap;
  /** The map of live keys; another one after each stage. */
  keys: number;
  readonly stages: Stages;
  /** Keys wait in stages: look-ups must settle first. */
  stagesHoldKeys = false;
  /** A command runs that may be put off (put-off.ts): whoever runs it sets this, the first change ends it. */
  mayPutOff = false;
  readonly expiries: Expiries;
  readonly typeConflicts = new TypeConflicts();
  /** Visible live keys. */
  keyCount = 0;
  /** Live keys whose visible time to live is finite. */
  volatileCount = 0;
  /** Wall clock, ms: what is expired is judged by it. */
  nowMs = 0;
  /** What a record carries that the current (or latest) snapshot needs no more: see EPOCH_MASK. */
  epoch = 0;
  /** Begun since the start: unlike epochs they do not come round. */
  snapshots = 0;
  /** Takes the state of records that are about to change, while a snapshot is being written. */
  preImages: PreImages | null = null;
  /** Whether anything was left behind that can be freed once it is stable. */
  hasResidue = false;

  constructor(options: {
    readonly arena: Arena;
    readonly origins: OriginTable;
    readonly seed: HashSeed;
    readonly limits: DatabaseLimits;
  }) {
    const { arena, origins, seed } = options;
    this.arena = arena;
    this.origins = origins;
    this.limits = options.limits;
    this.cells = new Cells(arena, origins);
    this.elements = new Elements(arena);
    this.keyMaps = new ByteMap(arena, { keyOffset: CELL_KEY_OFFSET, seed });
    this.containers = new Containers(this, {
      arena,
      cells: this.cells,
      elements: this.elements,
      fields: new ByteMap(arena, { keyOffset: CELL_KEY_OFFSET, seed }),
      members: new ByteMap(arena, { keyOffset: ELEMENT_KEY_OFFSET, seed }),
    });
    this.keys = this.newKeyMap();
    this.stages = new Stages(this);
    this.containers.stages = this.stages;
    this.expiries = new Expiries(arena, { cells: this.cells, containers: this.containers, origins });
  }

  /** An empty map of keys. */
  newKeyMap(): number {
    const map = this.arena.allocate(MAP_BYTES);
    this.keyMaps.create(map);
    return map;
  }

  /** Visible keys, those included that wait to be settled. */
  get visibleKeys(): number {
    return this.stagesHoldKeys ? this.keyCount + this.stages.keys.waitingCount : this.keyCount;
  }

  /** Whether a client sees the key. */
  holds(key: Uint8Array): boolean {
    const ref = this.locate(this.#heldRef, key, 0, key.length);
    return ref.record !== 0 && ref.type !== TYPE.none && !isGone(this, ref.record);
  }

  readonly #heldRef = new KeyRef();

  /** Fills the reference with what is under the key, expired or not. */
  locate(ref: KeyRef, bytes: Uint8Array, start: number, length: number): KeyRef {
    ref.bytes = bytes;
    ref.start = start;
    ref.length = length;
    ref.serial++;
    ref.hash = this.keyMaps.hash(bytes, start, length);
    if (this.stagesHoldKeys) this.stages.keys.settle(ref);
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
    const type = this.containers.visibleType(record);
    if (type !== TYPE.none) return type;
    return this.cells.hasRegister(record) || this.cells.hasCounter(record) ? TYPE.string : TYPE.none;
  }

  /** All types under the key, the visible one first. */
  typesOf(record: number): Type[] {
    const { containers } = this;
    const types: Type[] = containers.types
      .filter((type) => {
        const container = containers.of(type, record);
        return container !== 0 && containers.visibleCount(type, container) > 0;
      })
      .map((type) => type.type);
    if (this.cells.hasRegister(record) || this.cells.hasCounter(record)) types.push(TYPE.string);
    return types;
  }

  /** Asks about the visible type first, below which nothing is hidden by a string. */
  holdsSeveralTypes({ record, type }: KeyRef): boolean {
    if (record === 0 || type === TYPE.none || type === TYPE.string) return false;
    return this.typesOf(record).length > 1;
  }

  /** First attribute of a record; 0 for the plain ones. */
  attributes(record: number): number {
    return this.arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.attributes]!;
  }

  isExpired(record: number): boolean {
    if (this.attributes(record) === 0) return false;
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

  /** The same after a join, which may bring a key types that it had not: outside of the batches that judge that themselves. */
  settleJoined(ref: KeyRef): void {
    const { typeConflicts } = this;
    if (typeConflicts.isJudging) return this.settle(ref);
    typeConflicts.begin();
    this.settle(ref);
    typeConflicts.end(this);
  }

  /** The counting alone. */
  count(ref: KeyRef): void {
    const { record } = ref;
    ref.type = this.typeOf(record);
    this.#countVisible(record, ref.type !== TYPE.none);
    if (this.attributes(record) !== 0 || (this.cells.flags(record) & FLAG.volatile) !== 0) this.armKey(record);
  }

  /** The times to live of a live key have changed. */
  armKey(record: number): void {
    const { cells } = this;
    const isVolatile = this.expiries.armKey(record, this.nowMs);
    if (isVolatile === ((cells.flags(record) & FLAG.volatile) !== 0)) return;
    this.volatileCount += isVolatile ? 1 : -1;
    if (isVolatile) cells.setFlag(record, FLAG.volatile);
    else cells.clearFlag(record, FLAG.volatile);
  }

  /** Whether the key, whose reference is up to date, holds several types now: noted where that has changed. */
  noteTypes(ref: KeyRef): void {
    const isSeveral = this.holdsSeveralTypes(ref);
    if (isSeveral === ((this.cells.flags(ref.record) & FLAG.several) !== 0)) return;
    // What waits is guessed; once it is settled it is known.
    if (this.containers.hasStaged(ref.record)) return;
    if (isSeveral) this.cells.setFlag(ref.record, FLAG.several);
    else this.cells.clearFlag(ref.record, FLAG.several);
    this.typeConflicts.note(ref, isSeveral);
  }

  /**
   * The same as `settle` for a field of a hash. Returns the field's record, 0 when it is gone. `isLive`: the hash belongs to a key that is, so that times to live
   * run; else they are only counted.
   */
  settleField(hash: number, field: number, isLive = true): number {
    if (this.attributes(field) === 0 && (this.cells.flags(field) & FIELD_STATE) === PLAIN_FIELD) return field;
    const visible = this.cells.hasRegister(field) || this.cells.hasCounter(field);
    const { hashes } = this.containers;
    const flags = this.cells.flags(field);
    if (visible !== ((flags & FLAG.visible) !== 0)) {
      hashes.addTo(hash, CONTAINER.visible, visible ? 1 : -1);
      if (visible) this.cells.setFlag(field, FLAG.visible);
      else this.cells.clearFlag(field, FLAG.visible);
    }
    if (this.attributes(field) !== 0 || (flags & (FLAG.volatile | FLAG.residual)) !== 0) {
      this.#countVolatile(hash, field, isLive);
      this.#countResidual(hash, field);
    }
    if (visible) return field;
    if (this.attributes(field) !== 0) {
      this.hasResidue = true;
      return field;
    }
    this.containers.fields.remove(mapOf(hash), field);
    this.cells.destroy(field);
    return 0;
  }

  #countResidual(hash: number, field: number): void {
    const { cells } = this;
    const isResidual = cells.attribute(field, TAG.counter) !== 0;
    if (isResidual === ((cells.flags(field) & FLAG.residual) !== 0)) return;
    this.containers.hashes.addTo(hash, CONTAINER.residual, isResidual ? 1 : -1);
    if (isResidual) cells.setFlag(field, FLAG.residual);
    else cells.clearFlag(field, FLAG.residual);
  }

  /** A time to live that lost its value counts too: it has to be removed when it is over. */
  #countVolatile(hash: number, field: number, isLive: boolean): void {
    const { cells } = this;
    const expiry = cells.expiry(field);
    const isVolatile = isLive ? this.expiries.armField(hash, field, this.nowMs) : expiry >= 0 && expiry !== Infinity;
    if (isVolatile === ((cells.flags(field) & FLAG.volatile) !== 0)) return;
    this.containers.hashes.addTo(hash, CONTAINER.volatile, isVolatile ? 1 : -1);
    if (isVolatile) cells.setFlag(field, FLAG.volatile);
    else cells.clearFlag(field, FLAG.volatile);
  }

  #countVisible(record: number, visible: boolean): void {
    const counted = (this.cells.flags(record) & FLAG.visible) !== 0;
    if (visible === counted) return;
    this.keyCount += visible ? 1 : -1;
    if (visible) this.cells.setFlag(record, FLAG.visible);
    else this.cells.clearFlag(record, FLAG.visible);
  }

  /** One step of a walk over all keys that a client may see; see Stages.scan. */
  scan(cursor: number, visit: (record: number) => void): number {
    return this.stages.keys.scan(cursor, visit);
  }

  /** Calls back for every live record. No stage may hold keys. */
  eachLive(visit: (record: number) => void): void {
    let cursor = 0;
    do cursor = this.keyMaps.scan(this.keys, cursor, visit);
    while (cursor !== 0);
  }

  /** Points the reference at a record met in a scan. The key is copied, into a buffer of the reference's own: the record may move or go. */
  refer(ref: KeyRef, record: number): KeyRef {
    const start = this.containers.nameOffset(record);
    const length = this.containers.nameLength(record);
    ref.keep(this.arena.bytes[record >>> SEGMENT_SHIFT]!, start, length);
    ref.hash = this.arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.hash]!;
    ref.record = record;
    ref.type = this.typeOf(record);
    ref.serial++;
    return ref;
  }
}

/** Nearly every field that is written: it has a value and nothing besides, and is counted so. */
const PLAIN_FIELD = FLAG.register | FLAG.visible;
const FIELD_STATE = PLAIN_FIELD | FLAG.volatile | FLAG.residual;
