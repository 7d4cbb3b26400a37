/**
 * The containers under keys: the list of types there are, and finding them under a key.
 *
 * A container whose earlier content still waits to be settled (stages.ts) is *staged*: a look-up of one element settles that element first, and
 * whoever wants the whole of it (`whole`) has all of it settled.
 *
 * Invariant: a container exists only while it has entries, or earlier content that waits.
 */
import { CELL, CELL_KEY_OFFSET, type Cells } from '../crdt/cell.ts';
import type { Elements } from '../crdt/element.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import { mapOf, type ContainerType } from './container-type.ts';
import type { EffectFeatures } from './features.ts';
import { Hashes } from './hashes.ts';
import { TYPE, type Type } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import { Sets } from './sets.ts';
import type { Stages } from './stages.ts';

/** The feature that is no container: cells under keys, with all that they may hold. */
const STRINGS = 'string';

export class Containers {
  readonly hashes: Hashes;
  readonly sets: Sets;
  /** All types, the one first that is shown where a key has several. */
  readonly types: readonly ContainerType[];
  /** By tag. */
  readonly #byTag: (ContainerType | undefined)[] = [];
  /** By tag: place in `types`. */
  readonly #ranks: number[] = [];
  readonly #byRecordKind: (ContainerType | undefined)[] = [];
  readonly #seen = new Set<string>();
  readonly #arena: Arena;
  readonly #cells: Cells;
  readonly #keyspace: Keyspace;
  /** Set once by the keyspace. */
  stages!: Stages;

  constructor(
    keyspace: Keyspace,
    parts: {
      readonly arena: Arena;
      readonly cells: Cells;
      readonly elements: Elements;
      readonly fields: ByteMap;
      readonly members: ByteMap;
    },
  ) {
    this.#keyspace = keyspace;
    this.#arena = parts.arena;
    this.#cells = parts.cells;
    this.hashes = new Hashes(parts.arena, keyspace, parts.fields);
    this.sets = new Sets(parts.arena, keyspace, parts.elements, parts.members);
    this.types = [this.hashes, this.sets];
    for (const [rank, type] of this.types.entries()) {
      this.#ranks[type.tag] = rank;
      this.#byTag[type.tag] = type;
      this.#byRecordKind[type.recordKind] = type;
    }
  }

  /** Maps of hash fields. */
  get fields(): ByteMap {
    return this.hashes.maps;
  }

  /** Maps of set members. */
  get members(): ByteMap {
    return this.sets.maps;
  }

  /**
   * What the data is made of, by names that only get more: strings, and the types that keys have, or have had since the start. What an instance sends must
   * consist of features that its reader knows.
   */
  get features(): readonly string[] {
    return [STRINGS, ...this.types.filter((type) => this.#seen.has(type.name)).map((type) => type.name)];
  }

  /** All features of this release. */
  get knownFeatures(): readonly string[] {
    return [STRINGS, ...this.types.map((type) => type.name)];
  }

  /** By the kinds of effects that need them. */
  get effectFeatures(): EffectFeatures {
    return { cell: STRINGS, field: this.hashes.name, member: this.sets.name };
  }

  knowsFeature(name: string): boolean {
    return this.knownFeatures.includes(name);
  }

  noteFeature(name: string): void {
    this.#seen.add(name);
  }

  /** The type whose entries a snapshot's record kind names. */
  ofRecordKind(kind: number): ContainerType | undefined {
    return this.#byRecordKind[kind];
  }

  /** The type of the attribute; undefined: it is no container. */
  typeOf(attribute: number): ContainerType | undefined {
    return this.#byTag[this.#arena.words[attribute >>> SEGMENT_SHIFT]![((attribute & SEGMENT_MASK) << 1) + 1]! & 0xff];
  }

  /** Calls back for every container of the record; it may be taken away meanwhile. */
  each(record: number, visit: (type: ContainerType, container: number) => void): void {
    let attribute = this.#word(record, CELL.attributes);
    while (attribute !== 0) {
      const next = this.#word(attribute, 0);
      const type = this.typeOf(attribute);
      if (type !== undefined) visit(type, attribute);
      attribute = next;
    }
  }

  /** The container of that type under the key; 0: none. */
  of(type: ContainerType, record: number): number {
    return this.#cells.attribute(record, type.tag);
  }

  /** The container, made if it is not there. */
  open(type: ContainerType, record: number): number {
    const known = this.#cells.attribute(record, type.tag);
    if (known !== 0) return known;
    const container = type.create(this.#word(record, CELL.hash));
    this.#seen.add(type.name);
    this.#cells.linkAttribute(record, container);
    return container;
  }

  /** Entries that a client sees, or would see: those of earlier content that waits are guessed. */
  visibleCount(type: ContainerType, container: number): number {
    const count = type.visibleCount(container);
    return type.isStaged(container) ? count + this.stages.containers.guessVisible(container) : count;
  }

  /** The visible type of a record with attributes, containers alone; none: no container shows anything. */
  visibleType(record: number): Type {
    const first = this.#word(record, CELL.attributes);
    if (this.#word(first, 0) === 0) {
      // Nearly every such key: one container, nothing besides.
      const type = this.typeOf(first);
      return type !== undefined && this.visibleCount(type, first) > 0 ? type.type : TYPE.none;
    }
    let best: Type = TYPE.none;
    let bestRank = this.types.length;
    for (let a = first; a !== 0; a = this.#word(a, 0)) {
      const type = this.typeOf(a);
      if (type === undefined) continue;
      const rank = this.#ranks[type.tag]!;
      if (rank >= bestRank || this.visibleCount(type, a) === 0) continue;
      best = type.type;
      bestRank = rank;
    }
    return best;
  }

  /** Whether earlier content of any of the record's containers waits. */
  hasStaged(record: number): boolean {
    let found = false;
    this.each(record, (type, container) => {
      found ||= type.isStaged(container);
    });
    return found;
  }

  /** Takes away what is empty, if nothing waits. */
  dropEmpty(record: number): void {
    this.each(record, (type, container) => {
      if (type.entryCount(container) > 0 || type.isStaged(container)) return;
      this.#cells.unlinkAttribute(record, container);
      this.#keyspace.preImages?.gone(container);
      type.destroy(container);
    });
  }

  // ---------------------------------------------------------------- for commands

  /** The hash of the key; 0: none. */
  hash(record: number): number {
    return this.of(this.hashes, record);
  }

  set(record: number): number {
    return this.of(this.sets, record);
  }

  /** The map inside a container, which is to be looked at as a whole. */
  map(container: number): number {
    this.#settle(container);
    return mapOf(container);
  }

  fieldCount(hash: number): number {
    if (hash === 0) return 0;
    this.#settle(hash);
    return this.hashes.visibleCount(hash);
  }

  memberCount(set: number): number {
    if (set === 0) return 0;
    this.#settle(set);
    return this.sets.visibleCount(set);
  }

  /** Fields with a time to live, whether it is over or not. */
  volatileCount(hash: number): number {
    if (hash === 0) return 0;
    this.#settle(hash);
    return this.hashes.volatileCount(hash);
  }

  /** Visible fields that are known to have expired. */
  expiredCount(hash: number): number {
    if (hash === 0) return 0;
    this.#settle(hash);
    return this.hashes.expiredCount(hash);
  }

  findField(hash: number, bytes: Uint8Array, start: number, length: number): number {
    return this.find(this.hashes, hash, bytes, start, length);
  }

  findMember(set: number, bytes: Uint8Array, start: number, length: number): number {
    return this.find(this.sets, set, bytes, start, length);
  }

  /** The entry of that name; 0: none. */
  find(type: ContainerType, container: number, bytes: Uint8Array, start: number, length: number): number {
    if (container === 0) return 0;
    if (type.isStaged(container)) this.stages.containers.settleEntry(container, bytes, start, length);
    return type.find(container, bytes, start, length);
  }

  eachField(hash: number, visit: (field: number) => void): void {
    this.eachEntry(this.hashes, hash, visit);
  }

  eachMember(set: number, visit: (member: number) => void): void {
    this.eachEntry(this.sets, set, visit);
  }

  eachEntry(type: ContainerType, container: number, visit: (entry: number) => void): void {
    if (container === 0) return;
    this.#settle(container);
    let cursor = 0;
    do cursor = type.maps.scan(mapOf(container), cursor, visit);
    while (cursor !== 0);
  }

  /** Where a cell's or a key record's name lies in its segment. */
  nameOffset(cell: number): number {
    return ((cell & SEGMENT_MASK) << 3) + CELL_KEY_OFFSET;
  }

  nameLength(entry: number): number {
    return this.#word(entry, CELL.keyLength);
  }

  /** Any type can tell whether a container is staged. */
  #settle(container: number): void {
    if (container !== 0 && this.hashes.isStaged(container)) this.stages.containers.settleContainer(container);
  }

  #word(address: number, index: number): number {
    return this.#arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index]!;
  }
}
