/**
 * Every change of data, once: local writes (after encoding them) and remote batches (while decoding them) both end here, so an origin
 * and its peers cannot differ in what an effect means.
 *
 * The batch being applied is the mutator's state: origin, seq, hlc, and the context (null for a local batch, which has observed all there is;
 * for a remote one the batch's context with its own dot included, so that later effects of a batch override earlier ones).
 *
 * Invariant: after each call the key is settled (counted, indexed, removed if nothing is left), its pre-image is saved if a snapshot
 * still needs it, and its watchers know.
 */
import { FLAG, type Context, type CounterCut } from '../crdt/cell.ts';
import type { ExactNumber } from '../crdt/exact-number.ts';
import { SET, type FieldCuts } from './effects.ts';
import { mapOf, type ContainerType } from './container-type.ts';
import type { KeyRef } from './key-ref.ts';
import { TYPE, type Type } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import { keepRemoval } from './stage.ts';
import type { KeyWatch } from './key-watch.ts';

export class Mutator {
  origin = 0;
  seq = 0;
  hlc = 0;
  context: Context = null;
  /** The batch is our own: counters that its removals cut without naming them are ours to announce. */
  owes = false;
  /** Of the register write under way: whether it says "no time to live". */
  persists = false;
  readonly #keyspace: Keyspace;
  readonly #watches: KeyWatch;

  constructor(keyspace: Keyspace, watches: KeyWatch) {
    this.#keyspace = keyspace;
    this.#watches = watches;
  }

  /** What follows belongs to that batch. */
  enter(origin: number, seq: number, hlc: number, context: Context, owes = context === null): void {
    this.origin = origin;
    this.seq = seq;
    this.hlc = hlc;
    this.context = context;
    this.owes = owes;
  }

  set(
    ref: KeyRef,
    flags: number,
    expiryMs: number,
    cuts: readonly CounterCut[],
    bytes: Uint8Array,
    start: number,
    length: number,
    spare = 0,
  ): void {
    const ks = this.#keyspace;
    this.persists = (flags & SET.persists) !== 0;
    let { record } = ref;
    const plain = record === 0 || ks.attributes(record) === 0;
    if (record === 0) {
      record = this.#createKey(ref, length + spare);
    } else {
      if (ks.preImages !== null) ks.preImages.key(record);
      if (!plain) {
        this.#cut(record, cuts);
        if ((flags & SET.keepTtl) === 0) {
          ks.stages.containers.removeContents(ref, this);
          ks.cells.dropExpiry(record, this.context);
        }
      }
    }
    record = ks.cells.writeRegister(ks.keyMaps, ks.keys, record, this, bytes, start, length, spare);
    ref.record = record;
    if ((flags & SET.expires) !== 0) ks.cells.writeExpiry(record, this, expiryMs, this.context);
    if (plain && ks.attributes(record) === 0) {
      // No time to live, no conflict, before or after: only a new key has to be counted.
      if ((ks.cells.flags(record) & FLAG.visible) === 0) {
        ks.cells.setFlag(record, FLAG.visible);
        ks.keyCount++;
      }
      ref.type = TYPE.string;
    } else {
      ks.containers.dropEmpty(record);
      ks.settle(ref);
    }
    this.#touch(ref);
  }

  remove(ref: KeyRef, cuts: readonly CounterCut[], fieldCuts: readonly FieldCuts[], bytes: Uint8Array): void {
    if (ref.record === 0) return;
    const ks = this.#keyspace;
    this.#touch(ref);
    if (ks.preImages !== null) ks.preImages.key(ref.record);
    this.#cut(ref.record, cuts);
    for (const { start, length, cuts: observed } of fieldCuts) {
      this.#cutEntry(ref, ks.containers.hashes, bytes, start, length, observed);
    }
    ks.stages.keys.removeCovered(ref, this);
  }

  /** Raises the cuts of a key's counter: a removal before this one had observed it. */
  cut(ref: KeyRef, cuts: readonly CounterCut[]): void {
    if (ref.record === 0) return;
    const ks = this.#keyspace;
    if (ks.preImages !== null) ks.preImages.key(ref.record);
    this.#cut(ref.record, cuts);
    ks.settle(ref);
    this.#touch(ref);
  }

  /** The same for a field of its hash. */
  cutField(ref: KeyRef, bytes: Uint8Array, start: number, length: number, cuts: readonly CounterCut[]): void {
    if (ref.record === 0) return;
    const ks = this.#keyspace;
    this.#cutEntry(ref, ks.containers.hashes, bytes, start, length, cuts);
    this.#settleAfterLoss(ref, ks.containers.hashes);
    this.#touch(ref);
  }

  add(ref: KeyRef, frame: number, n: number, total: ExactNumber, isDecimal: boolean): void {
    const ks = this.#keyspace;
    if (ref.record === 0) this.#createKey(ref, 0);
    else if (ks.preImages !== null) ks.preImages.key(ref.record);
    ks.cells.applyIncrement(ref.record, this.origin, frame, n, total, isDecimal);
    if ((ks.cells.flags(ref.record) & FLAG.visible) === 0) ks.settle(ref);
    else if (ref.type !== TYPE.string) ks.noteTypes(ref);
    this.#touch(ref);
  }

  /** Infinity: PERSIST. */
  expire(ref: KeyRef, expiryMs: number): void {
    const ks = this.#keyspace;
    if (ref.record === 0) this.#createKey(ref, 0);
    else if (ks.preImages !== null) ks.preImages.key(ref.record);
    ks.cells.writeExpiry(ref.record, this, expiryMs, this.context);
    ks.settle(ref);
    this.#touch(ref);
  }

  /** `known`, here and below: the field's record, when the caller has just looked it up; 0: not looked up, or not there. */
  setField(
    ref: KeyRef,
    fieldBytes: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    flags: number,
    expiryMs: number,
    cuts: readonly CounterCut[],
    bytes: Uint8Array,
    start: number,
    length: number,
    known = 0,
  ): void {
    const ks = this.#keyspace;
    const hash = this.#openHash(ref);
    const map = mapOf(hash);
    let field = this.#openField(ref, hash, fieldBytes, fieldStart, fieldLength, length, known);
    this.persists = (flags & SET.persists) !== 0;
    if (ks.attributes(field) !== 0) {
      this.#cut(field, cuts);
      if ((flags & SET.keepTtl) === 0) ks.cells.dropExpiry(field, this.context);
    }
    field = ks.cells.writeRegister(ks.containers.fields, map, field, this, bytes, start, length);
    if ((flags & SET.expires) !== 0) ks.cells.writeExpiry(field, this, expiryMs, this.context);
    ks.containers.hashes.noteDot(hash, this.origin, this.seq);
    ks.settleField(hash, field);
    this.#settleAfterGrowth(ref, TYPE.hash);
  }

  removeField(
    ref: KeyRef,
    fieldBytes: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    cuts: readonly CounterCut[],
  ): void {
    const ks = this.#keyspace;
    const hash = ref.record === 0 ? 0 : ks.containers.hash(ref.record);
    let field = ks.containers.findField(hash, fieldBytes, fieldStart, fieldLength);
    if (field === 0) return;
    this.#touch(ref);
    if (ks.preImages !== null) ks.preImages.entry(ks.containers.hashes, ref, field);
    this.#cut(field, cuts);
    field = ks.cells.dropRegister(ks.containers.fields, mapOf(hash), field, this.context);
    ks.cells.dropExpiry(field, this.context);
    ks.settleField(hash, field);
    this.#settleAfterLoss(ref, ks.containers.hashes);
  }

  addField(
    ref: KeyRef,
    fieldBytes: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    frame: number,
    n: number,
    total: ExactNumber,
    isDecimal: boolean,
    known = 0,
  ): void {
    const ks = this.#keyspace;
    const hash = this.#openHash(ref);
    const field = this.#openField(ref, hash, fieldBytes, fieldStart, fieldLength, 0, known);
    ks.cells.applyIncrement(field, this.origin, frame, n, total, isDecimal);
    ks.containers.hashes.noteDot(hash, this.origin, this.seq);
    ks.settleField(hash, field);
    this.#settleAfterGrowth(ref, TYPE.hash);
  }

  expireField(ref: KeyRef, fieldBytes: Uint8Array, fieldStart: number, fieldLength: number, expiryMs: number): void {
    const ks = this.#keyspace;
    const hash = this.#openHash(ref);
    const field = this.#openField(ref, hash, fieldBytes, fieldStart, fieldLength, 0);
    ks.cells.writeExpiry(field, this, expiryMs, this.context);
    ks.containers.hashes.noteDot(hash, this.origin, this.seq);
    ks.settleField(hash, field);
    this.#settleAfterGrowth(ref, TYPE.hash);
  }

  addMember(ref: KeyRef, bytes: Uint8Array, start: number, length: number): void {
    const ks = this.#keyspace;
    if (ref.record === 0) this.#createKey(ref, 0);
    const { sets, members } = ks.containers;
    const set = ks.containers.open(sets, ref.record);
    if (sets.isStaged(set)) ks.stages.containers.settleEntry(set, bytes, start, length);
    const hash = members.hash(bytes, start, length);
    const member = members.find(mapOf(set), hash, bytes, start, length);
    if (member === 0) {
      ks.elements.create(members, mapOf(set), hash, bytes, start, length, this, ks.epoch);
    } else {
      if (ks.preImages !== null) ks.preImages.entry(sets, ref, member);
      ks.elements.addDot(member, this, this.context);
    }
    sets.noteDot(set, this.origin, this.seq);
    // A member that was there already gets a younger dot, of which nobody who watches the key sees anything.
    const isSeen = member === 0 || (ks.cells.flags(ref.record) & FLAG.visible) === 0;
    this.#settleAfterGrowth(ref, TYPE.set, isSeen);
  }

  removeMember(ref: KeyRef, bytes: Uint8Array, start: number, length: number): void {
    const ks = this.#keyspace;
    const set = ref.record === 0 ? 0 : ks.containers.set(ref.record);
    const member = ks.containers.findMember(set, bytes, start, length);
    if (member === 0) return;
    this.#touch(ref);
    if (ks.preImages !== null) ks.preImages.entry(ks.containers.sets, ref, member);
    if (ks.elements.removeDots(member, this.context)) return;
    ks.containers.members.remove(mapOf(set), member);
    ks.elements.destroy(member);
    this.#settleAfterLoss(ref, ks.containers.sets);
  }

  /**
   * Removes all that the context covers in the whole keyspace. Few keys at once; of many it takes effect now and is carried out late (stages.ts). Counters
   * are not cut by it: REMOVE and CUT effects of whoever flushed name them.
   */
  flush(ref: KeyRef): void {
    const ks = this.#keyspace;
    this.#watches.touchWhere((key) => ks.holds(key));
    if (ks.stagesHoldKeys || ks.keyMaps.count(ks.keys) > ks.limits.smallKeyspaceKeys) {
      ks.stages.keys.stage({ kind: 'removal', removal: keepRemoval(this) }, null);
      return;
    }
    const records: number[] = [];
    let cursor = 0;
    do {
      cursor = ks.keyMaps.scan(ks.keys, cursor, (record) => {
        records.push(record);
      });
    } while (cursor !== 0);
    for (const record of records) this.remove(ks.refer(ref, record), NOTHING, NOTHING, ref.bytes);
  }

  /** Of one entry of the key's container of that type, if it is there. */
  #cutEntry(
    ref: KeyRef,
    type: ContainerType,
    bytes: Uint8Array,
    start: number,
    length: number,
    cuts: readonly CounterCut[],
  ): void {
    const ks = this.#keyspace;
    const container = ks.containers.of(type, ref.record);
    const entry = ks.containers.find(type, container, bytes, start, length);
    if (entry === 0) return;
    if (ks.preImages !== null) ks.preImages.entry(type, ref, entry);
    type.applyCuts(container, entry, cuts, this);
  }

  /** Something left the key's container of that type: the container or the key may go with it. */
  #settleAfterLoss(ref: KeyRef, type: ContainerType): void {
    const ks = this.#keyspace;
    const container = ks.containers.of(type, ref.record);
    if (container !== 0 && ks.containers.visibleCount(type, container) > 0) return;
    ks.containers.dropEmpty(ref.record);
    ks.settle(ref);
  }

  /** What is cut stays until that is stable, also under a value that hides it. */
  #cut(cell: number, cuts: readonly CounterCut[]): void {
    for (const cut of cuts) this.#keyspace.cells.applyCut(cell, cut, this);
    if (cuts.length > 0) this.#keyspace.hasResidue = true;
  }

  #createKey(ref: KeyRef, valueRoom: number): number {
    const ks = this.#keyspace;
    ref.record = ks.cells.create(ks.keyMaps, ks.keys, ref.hash, ref.bytes, ref.start, ref.length, valueRoom, ks.epoch);
    return ref.record;
  }

  #openHash(ref: KeyRef): number {
    if (ref.record === 0) this.#createKey(ref, 0);
    return this.#keyspace.containers.open(this.#keyspace.containers.hashes, ref.record);
  }

  #openField(
    ref: KeyRef,
    hash: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    valueRoom: number,
    known = 0,
  ): number {
    const ks = this.#keyspace;
    const { fields, hashes } = ks.containers;
    const map = mapOf(hash);
    if (known === 0 && hashes.isStaged(hash)) ks.stages.containers.settleEntry(hash, bytes, start, length);
    const fieldHash = known === 0 ? fields.hash(bytes, start, length) : 0;
    const field = known === 0 ? fields.find(map, fieldHash, bytes, start, length) : known;
    if (field === 0) return ks.cells.create(fields, map, fieldHash, bytes, start, length, valueRoom, ks.epoch);
    if (ks.preImages !== null) ks.preImages.entry(hashes, ref, field);
    return field;
  }

  /** Something came into the key's container of that type: only a key that did not count yet, or counted as another type, changes. */
  #settleAfterGrowth(ref: KeyRef, grown: Type, isSeen = true): void {
    const ks = this.#keyspace;
    if ((ks.cells.flags(ref.record) & FLAG.visible) === 0) ks.settle(ref);
    else if (ref.type !== grown) {
      ref.type = ks.typeOf(ref.record);
      ks.noteTypes(ref);
    }
    if (isSeen) this.#touch(ref);
  }

  #touch(ref: KeyRef): void {
    if (this.#watches.size === 0) return;
    this.#watches.touch(ref, ref.record !== 0 && this.#keyspace.isExpired(ref.record));
  }
}

const NOTHING: readonly never[] = [];
