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
import { FLAG, TAG, type Context, type CounterCut } from '../crdt/cell.ts';
import type { ExactNumber } from '../crdt/exact-number.ts';
import { SET, type FieldCuts } from './effects.ts';
import type { KeyRef } from './key-ref.ts';
import { TYPE, type Type } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { KeyWatch } from './key-watch.ts';

export class Mutator {
  origin = 0;
  seq = 0;
  hlc = 0;
  context: Context = null;
  /** Of the register write under way: whether it says "no time to live". */
  persists = false;
  readonly #keyspace: Keyspace;
  readonly #watches: KeyWatch;

  constructor(keyspace: Keyspace, watches: KeyWatch) {
    this.#keyspace = keyspace;
    this.#watches = watches;
  }

  /** What follows belongs to that batch. */
  enter(origin: number, seq: number, hlc: number, context: Context): void {
    this.origin = origin;
    this.seq = seq;
    this.hlc = hlc;
    this.context = context;
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
          this.#removeContents(ref);
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
      ks.dropEmptyContainers(record);
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
    if (fieldCuts.length > 0) this.#cutFields(ref, fieldCuts, bytes);
    ref.record = ks.cells.dropRegister(ks.keyMaps, ks.keys, ref.record, this.context);
    if (ks.attributes(ref.record) !== 0) {
      this.#removeContents(ref);
      ks.cells.dropExpiry(ref.record, this.context);
      ks.dropEmptyContainers(ref.record);
    }
    ks.settle(ref);
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
    const map = ks.containers.map(hash);
    let field = this.#openField(ref, hash, fieldBytes, fieldStart, fieldLength, length, known);
    this.persists = (flags & SET.persists) !== 0;
    if (ks.attributes(field) !== 0) {
      this.#cut(field, cuts);
      if ((flags & SET.keepTtl) === 0) ks.cells.dropExpiry(field, this.context);
    }
    field = ks.cells.writeRegister(ks.containers.fields, map, field, this, bytes, start, length);
    if ((flags & SET.expires) !== 0) ks.cells.writeExpiry(field, this, expiryMs, this.context);
    ks.settleField(ref, hash, field);
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
    if (ks.preImages !== null) ks.preImages.field(ref.record, field);
    this.#cut(field, cuts);
    field = ks.cells.dropRegister(ks.containers.fields, ks.containers.map(hash), field, this.context);
    ks.cells.dropExpiry(field, this.context);
    ks.settleField(ref, hash, field);
    if (ks.containers.fieldCount(hash) === 0) {
      ks.dropEmptyContainers(ref.record);
      ks.settle(ref);
    }
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
    ks.settleField(ref, hash, field);
    this.#settleAfterGrowth(ref, TYPE.hash);
  }

  expireField(ref: KeyRef, fieldBytes: Uint8Array, fieldStart: number, fieldLength: number, expiryMs: number): void {
    const ks = this.#keyspace;
    const hash = this.#openHash(ref);
    const field = this.#openField(ref, hash, fieldBytes, fieldStart, fieldLength, 0);
    ks.cells.writeExpiry(field, this, expiryMs, this.context);
    ks.settleField(ref, hash, field);
    this.#settleAfterGrowth(ref, TYPE.hash);
  }

  addMember(ref: KeyRef, bytes: Uint8Array, start: number, length: number): void {
    const ks = this.#keyspace;
    if (ref.record === 0) this.#createKey(ref, 0);
    const set = ks.openContainer(ref.record, TAG.set);
    const map = ks.containers.map(set);
    const { members } = ks.containers;
    const hash = members.hash(bytes, start, length);
    const member = members.find(map, hash, bytes, start, length);
    if (member === 0) {
      ks.elements.create(members, map, hash, bytes, start, length, this, ks.epoch);
    } else {
      if (ks.preImages !== null) ks.preImages.member(ref.record, member);
      ks.elements.addDot(member, this, this.context);
    }
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
    if (ks.preImages !== null) ks.preImages.member(ref.record, member);
    if (ks.elements.removeDots(member, this.context)) return;
    ks.containers.members.remove(ks.containers.map(set), member);
    ks.elements.destroy(member);
    if (ks.containers.memberCount(set) === 0) {
      ks.dropEmptyContainers(ref.record);
      ks.settle(ref);
    }
  }

  /** Removes all that the context covers in the whole keyspace. Cuts of counters have been applied by REMOVE effects before. */
  flush(ref: KeyRef): void {
    const ks = this.#keyspace;
    let cursor = 0;
    do {
      cursor = ks.keyMaps.scan(ks.keys, cursor, (record) => {
        this.remove(ks.refer(ref, record), NOTHING, NOTHING, ref.bytes);
      });
    } while (cursor !== 0);
  }

  /** Removes the covered members and fields of a key; their containers stay, maybe empty. */
  #removeContents(ref: KeyRef): void {
    const ks = this.#keyspace;
    const { containers } = ks;
    const hash = containers.hash(ref.record);
    containers.eachField(hash, (field) => {
      if (ks.preImages !== null) ks.preImages.field(ref.record, field);
      const kept = ks.cells.dropRegister(containers.fields, containers.map(hash), field, this.context);
      ks.cells.dropExpiry(kept, this.context);
      ks.settleField(ref, hash, kept);
    });
    const set = containers.set(ref.record);
    containers.eachMember(set, (member) => {
      if (ks.preImages !== null) ks.preImages.member(ref.record, member);
      if (ks.elements.removeDots(member, this.context)) return;
      containers.members.remove(containers.map(set), member);
      ks.elements.destroy(member);
    });
  }

  #cutFields(ref: KeyRef, fieldCuts: readonly FieldCuts[], bytes: Uint8Array): void {
    const ks = this.#keyspace;
    const hash = ks.containers.hash(ref.record);
    for (const { start, length, cuts } of fieldCuts) {
      const field = ks.containers.findField(hash, bytes, start, length);
      if (field === 0) continue;
      if (ks.preImages !== null) ks.preImages.field(ref.record, field);
      this.#cut(field, cuts);
    }
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
    return this.#keyspace.openContainer(ref.record, TAG.hash);
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
    const { fields } = ks.containers;
    const map = ks.containers.map(hash);
    const fieldHash = known === 0 ? fields.hash(bytes, start, length) : 0;
    const field = known === 0 ? fields.find(map, fieldHash, bytes, start, length) : known;
    if (field === 0) return ks.cells.create(fields, map, fieldHash, bytes, start, length, valueRoom, ks.epoch);
    if (ks.preImages !== null) ks.preImages.field(ref.record, field);
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
