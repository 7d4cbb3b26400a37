/**
 * The containers of a key: its hash and its set, each an attribute of the key's record that embeds a byte map.
 *
 *   HASH  0 next | 1 tag | map (32 bytes) | 10 visible fields | 11 volatile ones | 12 hash of the key | 13 expired ones
 *   SET   0 next | 1 tag | map (32 bytes) |                                      | 12 hash of the key
 *
 * A hash's fields are cells, so a field may be there without being visible: all that is left of it is a counter whose cut is not
 * stable yet. Hence the count of visible fields beside the map's own. Volatile ones (with a time to live, visible or not) are counted too:
 * where there are none, no command has to ask a field whether it has expired. So are expired ones, as the wheel of times to live meets them.
 *
 * Invariant: a SET exists only while it has members; a HASH only while it has records.
 */
import { CELL, CELL_KEY_OFFSET, FLAG, TAG, type Cells } from '../crdt/cell.ts';
import type { Elements } from '../crdt/element.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import { MAP_BYTES, type ByteMap } from '../memory/byte-map.ts';

const VISIBLE = 10;
const VOLATILE = 11;
const KEY_HASH = 12;
const EXPIRED = 13;
const CONTAINER_BYTES = 8 + MAP_BYTES + 16;

export class Containers {
  readonly #arena: Arena;
  readonly #cells: Cells;
  readonly #elements: Elements;
  /** Fields of hashes. */
  readonly fields: ByteMap;
  /** Members of sets. */
  readonly members: ByteMap;

  constructor(arena: Arena, cells: Cells, elements: Elements, maps: { fields: ByteMap; members: ByteMap }) {
    this.#arena = arena;
    this.#cells = cells;
    this.#elements = elements;
    this.fields = maps.fields;
    this.members = maps.members;
  }

  /** The hash of the key; 0: none. */
  hash(record: number): number {
    return this.#cells.attribute(record, TAG.hash);
  }

  set(record: number): number {
    return this.#cells.attribute(record, TAG.set);
  }

  /** The map inside a container. */
  map(container: number): number {
    return container + 1;
  }

  fieldCount(hash: number): number {
    return hash === 0 ? 0 : this.#arena.words[hash >>> SEGMENT_SHIFT]![((hash & SEGMENT_MASK) << 1) + VISIBLE]!;
  }

  memberCount(set: number): number {
    return set === 0 ? 0 : this.members.count(this.map(set));
  }

  addToFieldCount(hash: number, change: number): void {
    this.#arena.words[hash >>> SEGMENT_SHIFT]![((hash & SEGMENT_MASK) << 1) + VISIBLE]! += change;
  }

  /** Fields with a time to live, whether it is over or not. */
  volatileCount(hash: number): number {
    return hash === 0 ? 0 : this.#arena.words[hash >>> SEGMENT_SHIFT]![((hash & SEGMENT_MASK) << 1) + VOLATILE]!;
  }

  addToVolatileCount(hash: number, change: number): void {
    this.#arena.words[hash >>> SEGMENT_SHIFT]![((hash & SEGMENT_MASK) << 1) + VOLATILE]! += change;
  }

  /** Visible fields that are known to have expired; all that have, once the wheel is up to this moment (`Expiries.settleFields`). */
  expiredCount(hash: number): number {
    return hash === 0 ? 0 : this.#arena.words[hash >>> SEGMENT_SHIFT]![((hash & SEGMENT_MASK) << 1) + EXPIRED]!;
  }

  /** Counts a field as expired or not, after either its value or its time to live has changed. */
  countExpired(hash: number, field: number): void {
    const flags = this.#cells.flags(field);
    const isExpired = (flags & FLAG.visible) !== 0 && this.#cells.hasFired(field);
    if (isExpired === ((flags & FLAG.expired) !== 0)) return;
    this.#arena.words[hash >>> SEGMENT_SHIFT]![((hash & SEGMENT_MASK) << 1) + EXPIRED]! += isExpired ? 1 : -1;
    if (isExpired) this.#cells.setFlag(field, FLAG.expired);
    else this.#cells.clearFlag(field, FLAG.expired);
  }

  /** Hash of the key that the container belongs to. */
  keyHash(container: number): number {
    return this.#arena.words[container >>> SEGMENT_SHIFT]![((container & SEGMENT_MASK) << 1) + KEY_HASH]!;
  }

  /** Adds an empty container of that tag to the record. */
  create(record: number, tag: typeof TAG.hash | typeof TAG.set): number {
    const container = this.#arena.allocate(CONTAINER_BYTES);
    const words = this.#arena.words[container >>> SEGMENT_SHIFT]!;
    const at = (container & SEGMENT_MASK) << 1;
    words[at + 1] = tag;
    words[at + VISIBLE] = 0;
    words[at + VOLATILE] = 0;
    words[at + KEY_HASH] = this.#arena.words[record >>> SEGMENT_SHIFT]![((record & SEGMENT_MASK) << 1) + CELL.hash]!;
    words[at + EXPIRED] = 0;
    this.members.create(this.map(container));
    this.#cells.linkAttribute(record, container);
    return container;
  }

  /** Frees an empty container. */
  destroy(record: number, container: number): void {
    this.members.destroy(this.map(container));
    this.#cells.unlinkAttribute(record, container);
    this.#arena.free(container);
  }

  /** Frees a container with everything in it; a field's or member's own memory included. */
  destroyFull(record: number, container: number, tag: typeof TAG.hash | typeof TAG.set): void {
    const maps = tag === TAG.hash ? this.fields : this.members;
    let cursor = 0;
    do {
      cursor = maps.scan(this.map(container), cursor, (entry) => {
        if (tag === TAG.hash) this.#cells.destroy(entry);
        else this.#elements.destroy(entry);
      });
    } while (cursor !== 0);
    this.destroy(record, container);
  }

  findField(hash: number, bytes: Uint8Array, start: number, length: number): number {
    if (hash === 0) return 0;
    return this.fields.find(this.map(hash), this.fields.hash(bytes, start, length), bytes, start, length);
  }

  findMember(set: number, bytes: Uint8Array, start: number, length: number): number {
    if (set === 0) return 0;
    return this.members.find(this.map(set), this.members.hash(bytes, start, length), bytes, start, length);
  }

  eachField(hash: number, visit: (field: number) => void): void {
    if (hash === 0) return;
    let cursor = 0;
    do cursor = this.fields.scan(this.map(hash), cursor, visit);
    while (cursor !== 0);
  }

  eachMember(set: number, visit: (member: number) => void): void {
    if (set === 0) return;
    let cursor = 0;
    do cursor = this.members.scan(this.map(set), cursor, visit);
    while (cursor !== 0);
  }

  /** Where a cell's or a key record's name lies in its segment. */
  nameOffset(cell: number): number {
    return ((cell & SEGMENT_MASK) << 3) + CELL_KEY_OFFSET;
  }

  nameLength(entry: number): number {
    return this.#arena.words[entry >>> SEGMENT_SHIFT]![((entry & SEGMENT_MASK) << 1) + CELL.keyLength]!;
  }
}
