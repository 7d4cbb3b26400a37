/**
 * The set of a key: a container whose entries are elements, the members. An element is there while it has a dot, so all of them are visible.
 */
import type { Context, CounterCut } from '../crdt/cell.ts';
import { EPOCH_MASK, TAG } from '../crdt/cell.ts';
import { createHash } from 'node:crypto';
import { ELEMENT_KEY_OFFSET, type Elements } from '../crdt/element.ts';
import { VersionVector } from '../crdt/version-vector.ts';
import { SEGMENT_SHIFT, type Arena } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import { ContainerType, mapOf, type EntryWriter, type JoinVectors } from './container-type.ts';
import { TYPE } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import { RECORD } from './snapshot-format.ts';

export class Sets extends ContainerType {
  readonly tag = TAG.set;
  readonly type = TYPE.set;
  readonly name = 'set';
  readonly recordKind = RECORD.member;
  readonly nameOffset = ELEMENT_KEY_OFFSET;
  readonly maps: ByteMap;
  readonly #keyspace: Keyspace;
  readonly #elements: Elements;

  constructor(arena: Arena, keyspace: Keyspace, elements: Elements, maps: ByteMap) {
    super(arena);
    this.#keyspace = keyspace;
    this.#elements = elements;
    this.maps = maps;
  }

  /** Members are not counted apart from the map. */
  override visibleCount(set: number): number {
    return this.maps.count(mapOf(set));
  }

  override epochOf(member: number): number {
    return this.#elements.flags(member) & EPOCH_MASK;
  }

  override setEpoch(member: number, epoch: number): void {
    this.#elements.setEpoch(member, epoch);
  }

  override destroyEntry(member: number): void {
    this.#elements.destroy(member);
  }

  override countEntry(): void {}

  override discountEntry(): void {}

  override isCovered(member: number, context: Context): boolean {
    return context === null || this.#elements.isCovered(member, context);
  }

  override removeCovered(set: number, member: number, context: Context): number {
    if (this.#elements.removeDots(member, context)) return member;
    this.maps.remove(mapOf(set), member);
    this.#elements.destroy(member);
    return 0;
  }

  override observedCuts(): readonly CounterCut[] {
    return NO_CUTS;
  }

  override applyCuts(): void {}

  /** A dot stays if both have it, or if the side that lacks it has never seen it. */
  override joinEntry(set: number, target: number, other: number, vectors: JoinVectors): number {
    const elements = this.#elements;
    const known = target !== 0;
    if (known) {
      const kept = elements.keepDots(
        target,
        (origin, seq) => !vectors.other.coversDot(origin, seq) || (other !== 0 && elements.hasDot(other, origin, seq)),
      );
      if (!kept) {
        this.maps.remove(mapOf(set), target);
        elements.destroy(target);
        target = 0;
      }
    }
    if (other === 0) return target;
    elements.eachDot(other, (origin, seq) => {
      if (vectors.target.coversDot(origin, seq)) return;
      if (target === 0) target = this.#create(set, other, origin, seq);
      else elements.addDot(target, { origin, seq }, NO_CONTEXT);
      this.noteDot(set, origin, seq);
    });
    elements.destroy(other);
    return target;
  }

  #create(set: number, like: number, origin: number, seq: number): number {
    const bytes = this.arena.bytes[like >>> SEGMENT_SHIFT]!;
    const start = this.nameStart(like);
    const hash = this.hashOf(like);
    const dot = { origin, seq };
    const { epoch } = this.#keyspace;
    return this.#elements.create(this.maps, mapOf(set), hash, bytes, start, this.nameLength(like), dot, epoch);
  }

  override noteDots(set: number, member: number): void {
    this.#elements.eachDot(member, (origin, seq) => this.noteDot(set, origin, seq));
  }

  override collectEntry(): boolean {
    return false;
  }

  override isOrphan(): boolean {
    return false;
  }

  override mayHoldResidue(): boolean {
    return false;
  }

  override encodeEntry(out: EntryWriter, member: number): void {
    let count = 0;
    this.#elements.eachDot(member, () => count++);
    out.varint(count);
    this.#elements.eachDot(member, (origin, seq) => {
      out.varint(origin);
      out.varint(seq);
    });
  }

  override digestEntry(member: number): Buffer {
    const start = this.nameStart(member);
    const bytes = this.arena.bytes[member >>> SEGMENT_SHIFT]!;
    return createHash('sha1')
      .update(bytes.subarray(start, start + this.nameLength(member)))
      .digest();
  }

  protected override releaseContainer(): void {}
}

const NO_CUTS: readonly CounterCut[] = [];
/** Covers nothing: what is added stands beside what is there. */
const NO_CONTEXT = new VersionVector(0);
