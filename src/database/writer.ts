/**
 * Local writes: each encodes its effect at the end of the log and applies it, as part of the batch that `commit` ends.
 *
 * The effect is encoded straight into the log's buffer, once; the bytes that go to the file and to every peer are these. A batch opens with
 * its first effect (a command that changes nothing costs nothing) and takes the next seq and a tick of the clock then.
 *
 * Invariant: the uncommitted bytes of the log are exactly the open batch; what they say has been applied.
 */
import type { CounterCut } from '../crdt/cell.ts';
import { addExact, type ExactNumber } from '../crdt/exact-number.ts';
import { writeVarint } from '../base/varint.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import { BatchWriter, EFFECT_OVERHEAD, INCREMENT_BYTES_MAX, type BatchWriterOptions } from './batch-writer.ts';
import { cutsBytesMax, numberBytesMax, OP, SET, type FieldCuts } from './effects.ts';
import { KeyRef, TYPE } from './key-ref.ts';
import type { OwedCut, OwedCuts } from './owed-cuts.ts';

/** What a write does to the time to live: plain SET clears it, KEEPTTL leaves it, a number of ms since 1970 sets it. */
export const CLEAR_TTL = -1;
export const KEEP_TTL = -2;

const NO_CUTS: readonly CounterCut[] = [];
const NO_FIELDS: readonly FieldCuts[] = [];
export class Writer extends BatchWriter {
  readonly #owed: OwedCuts;
  readonly #owedRef = new KeyRef();
  /** There are other instances, or have been: one of them may be removing what is added here. */
  hasPeers = true;

  constructor(options: BatchWriterOptions) {
    super(options);
    this.#owed = options.keyspace.stages.owed;
    this.#owed.nextDot = () => ({
      origin: this.origin,
      seq: this.isOpen ? this.seq : this.vector.get(this.origin) + 1,
    });
  }

  /** Ends the batch. Returns its seq; 0 when nothing was changed. */
  commit(): number {
    if (this.#owed.count > 0) this.#announceOwed();
    return this.isOpen ? this.close() : 0;
  }

  // ---------------------------------------------------------------- keys

  /** `ttl`: CLEAR_TTL, KEEP_TTL or ms since 1970. `spare`: bytes to keep free behind the value. */
  set(ref: KeyRef, bytes: Uint8Array, start: number, length: number, ttl = CLEAR_TTL, spare = 0): void {
    const { record } = ref;
    if (ttl === KEEP_TTL && ref.type !== TYPE.string) ttl = this.#restatedTtl(ref);
    let cuts = NO_CUTS;
    let flags: number = ttl === CLEAR_TTL ? SET.persists : ttl === KEEP_TTL ? SET.keepTtl : SET.expires;
    if (record !== 0) {
      if (this.keyspace.attributes(record) !== 0) {
        // A SET names the cuts of its own counter only.
        if (ttl !== KEEP_TTL && this.#hasResidual(record)) this.remove(ref, EFFECT_OVERHEAD + ref.length + length);
        else cuts = this.keyspace.cells.observedCuts(record);
      }
      if (ttl === KEEP_TTL) flags |= this.#persistsFlag(record);
    }
    this.effect(OP.set, ref, length + (cuts === NO_CUTS ? 0 : cutsBytesMax(cuts)));
    this.bytes[this.at++] = flags;
    if ((flags & SET.expires) !== 0) this.float(ttl);
    this.cuts(cuts);
    this.run(bytes, start, length);
    this.done();
    this.mutator.set(ref, flags, ttl, cuts, bytes, start, length, spare);
  }

  /**
   * Removes all that is visible, or left over, under the key. The counters of a large hash are named by and by (owed-cuts.ts). `spare`: bytes of an effect that
   * follows; it is refused where that would be.
   */
  remove(ref: KeyRef, spare = 0): void {
    const { record } = ref;
    if (record === 0) return;
    const ks = this.keyspace;
    const plain = ks.attributes(record) === 0;
    const cuts = plain ? NO_CUTS : ks.cells.observedCuts(record);
    const names: Buffer[] = [];
    const fields = plain ? NO_FIELDS : this.#observedFieldCuts(record, names);
    const name = Buffer.concat(names);
    this.effect(OP.remove, ref, removalBytes(cuts, fields), spare);
    this.cuts(cuts);
    this.at = writeVarint(this.bytes, this.at, fields.length);
    for (const field of fields) {
      this.run(name, field.start, field.length);
      this.cuts(field.cuts);
    }
    this.done();
    this.mutator.remove(ref, cuts, fields, name);
  }

  /** Bytes of the effect that removes what is there, for `demandRoom`. */
  removalBytes({ record, length }: KeyRef): number {
    if (record === 0) return 0;
    const plain = this.keyspace.attributes(record) === 0;
    const fields = plain ? NO_FIELDS : this.#observedFieldCuts(record, []);
    return EFFECT_OVERHEAD + length + removalBytes(plain ? NO_CUTS : this.keyspace.cells.observedCuts(record), fields);
  }

  /** Adds to the key's counter. The caller has checked type and range. `asDecimal`: from here on the sum has no bounds. */
  add(ref: KeyRef, change: ExactNumber, asDecimal = false): void {
    this.#beginKey(ref);
    this.admit(INCREMENT_BYTES_MAX + ref.length);
    this.open();
    const next = this.keyspace.cells.nextIncrement(ref.record, this.origin, this.seq);
    const total = addExact(next.total, change);
    const isDecimal = asDecimal || next.isDecimal;
    this.effect(isDecimal ? OP.addDecimal : OP.add, ref, numberBytesMax(total));
    this.increment(next.frame, next.n, total);
    this.done();
    this.mutator.add(ref, next.frame, next.n, total, isDecimal);
  }

  /** Infinity: PERSIST. */
  expire(ref: KeyRef, expiryMs: number): void {
    this.effect(OP.expire, ref, 0);
    this.float(expiryMs);
    this.done();
    this.mutator.expire(ref, expiryMs);
  }

  // ---------------------------------------------------------------- hash fields

  setField(
    ref: KeyRef,
    field: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    ttl = CLEAR_TTL,
  ): void {
    this.#beginKey(ref);
    const cell = this.#field(ref, field, fieldStart, fieldLength);
    let cuts = NO_CUTS;
    let flags: number = ttl === CLEAR_TTL ? SET.persists : ttl === KEEP_TTL ? SET.keepTtl : SET.expires;
    if (cell !== 0) {
      if (this.keyspace.attributes(cell) !== 0) cuts = this.keyspace.cells.observedCuts(cell);
      if (ttl === KEEP_TTL) flags |= this.#persistsFlag(cell);
    }
    this.effect(OP.setField, ref, fieldLength + length + (cuts === NO_CUTS ? 0 : cutsBytesMax(cuts)));
    this.run(field, fieldStart, fieldLength);
    this.bytes[this.at++] = flags;
    if ((flags & SET.expires) !== 0) this.float(ttl);
    this.cuts(cuts);
    this.run(bytes, start, length);
    this.done();
    this.mutator.setField(ref, field, fieldStart, fieldLength, flags, ttl, cuts, bytes, start, length, cell);
  }

  removeField(ref: KeyRef, field: Uint8Array, fieldStart: number, fieldLength: number): void {
    const cell = this.#field(ref, field, fieldStart, fieldLength);
    if (cell === 0) return;
    const cuts = this.keyspace.attributes(cell) === 0 ? NO_CUTS : this.keyspace.cells.observedCuts(cell);
    this.effect(OP.removeField, ref, fieldLength + cutsBytesMax(cuts));
    this.run(field, fieldStart, fieldLength);
    this.cuts(cuts);
    this.done();
    this.mutator.removeField(ref, field, fieldStart, fieldLength, cuts);
  }

  addField(
    ref: KeyRef,
    field: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    change: ExactNumber,
    asDecimal = false,
  ): void {
    this.#beginKey(ref);
    this.admit(INCREMENT_BYTES_MAX + ref.length + fieldLength);
    this.open();
    const cell = this.#field(ref, field, fieldStart, fieldLength);
    const next = this.keyspace.cells.nextIncrement(cell, this.origin, this.seq);
    const total = addExact(next.total, change);
    const isDecimal = asDecimal || next.isDecimal;
    this.effect(isDecimal ? OP.addFieldDecimal : OP.addField, ref, fieldLength + numberBytesMax(total));
    this.run(field, fieldStart, fieldLength);
    this.increment(next.frame, next.n, total);
    this.done();
    this.mutator.addField(ref, field, fieldStart, fieldLength, next.frame, next.n, total, isDecimal, cell);
  }

  expireField(ref: KeyRef, field: Uint8Array, fieldStart: number, fieldLength: number, expiryMs: number): void {
    this.effect(OP.expireField, ref, fieldLength);
    this.run(field, fieldStart, fieldLength);
    this.float(expiryMs);
    this.done();
    this.mutator.expireField(ref, field, fieldStart, fieldLength, expiryMs);
  }

  // ---------------------------------------------------------------- set members

  /**
   * A member that is there is added again, so that it survives a remove by another instance that has not seen this add. Where there are no
   * others nothing can be concurrent, and nothing is written.
   */
  addMember(ref: KeyRef, bytes: Uint8Array, start: number, length: number): void {
    if (!this.hasPeers && this.#isMember(ref, bytes, start, length)) return;
    this.#beginKey(ref);
    this.effect(OP.addMember, ref, length);
    this.run(bytes, start, length);
    this.done();
    this.mutator.addMember(ref, bytes, start, length);
  }

  removeMember(ref: KeyRef, bytes: Uint8Array, start: number, length: number): void {
    this.effect(OP.removeMember, ref, length);
    this.run(bytes, start, length);
    this.done();
    this.mutator.removeMember(ref, bytes, start, length);
  }

  // ---------------------------------------------------------------- all

  /**
   * Removes every key. Of few, counters are named one by one, since their totals must be; of many, everything is hidden at once, and counters are named
   * by and by (owed-cuts.ts).
   */
  flush(ref: KeyRef): void {
    const ks = this.keyspace;
    if (!ks.stagesHoldKeys && ks.keyMaps.count(ks.keys) <= ks.limits.smallKeyspaceKeys) {
      const withAttributes: number[] = [];
      ks.eachLive((record) => {
        if (ks.attributes(record) !== 0) withAttributes.push(record);
      });
      for (const record of withAttributes) this.remove(ks.refer(ref, record));
    }
    this.admit(1, true);
    this.open();
    this.log.reserve(1);
    this.log.bytes[this.log.offset++] = OP.flush;
    this.forgetKey();
    this.mutator.flush(ref);
  }

  // ---------------------------------------------------------------- cuts that are owed

  /** Names, in the batch that is open or else in one of their own, the counters that earlier removals have cut. */
  #announceOwed(): void {
    this.isAnnouncing = true;
    // Looking up a key may settle it, and owe more.
    while (this.#owed.count > 0) for (const cut of this.#owed.take()) this.#announce(cut);
    this.isAnnouncing = false;
  }

  #announce({ key, entry, cuts, reset }: OwedCut): void {
    const ref = this.keyspace.locate(this.#owedRef, key, 0, key.length);
    const room = cutsBytesMax(cuts) + (entry === null ? 0 : entry.name.length);
    if (this.isOpen && EFFECT_OVERHEAD + ref.length + room > this.roomLeft()) this.close();
    this.effect(entry === null ? OP.cut : OP.cutField, ref, room);
    if (entry !== null) this.run(entry.name, 0, entry.name.length);
    this.cuts(cuts);
    this.done();
    // Cut already, when it was owed; but the dot may be another by now.
    if (reset.origin === this.origin && reset.seq === this.seq) return;
    if (entry === null) this.mutator.cut(ref, cuts);
    else this.mutator.cutField(ref, entry.name, 0, entry.name.length, cuts);
  }

  /** A key that comes into being starts clean of what conflicts left under its name (an orphaned time to live). */
  #beginKey(ref: KeyRef): void {
    if (ref.record !== 0 && ref.type === TYPE.none && this.keyspace.cells.expiry(ref.record) !== -1) this.remove(ref);
  }

  #hasResidual(record: number): boolean {
    let found = false;
    this.keyspace.containers.each(record, (type, container) => {
      found ||= type.isResidual(container) || type.isStaged(container);
    });
    return found;
  }

  /** What takes the place of another type cannot leave the time to live alone, only say it again. */
  #restatedTtl(ref: KeyRef): number {
    const atMs = ref.type === TYPE.none ? -1 : this.keyspace.cells.expiry(ref.record);
    return atMs < 0 || atMs === Infinity ? CLEAR_TTL : atMs;
  }

  #field(ref: KeyRef, field: Uint8Array, start: number, length: number): number {
    if (ref.record === 0) return 0;
    const ks = this.keyspace;
    return ks.containers.findField(ks.containers.hash(ref.record), field, start, length);
  }

  #isMember(ref: KeyRef, bytes: Uint8Array, start: number, length: number): boolean {
    if (ref.type !== TYPE.set) return false;
    const { containers } = this.keyspace;
    return containers.findMember(containers.set(ref.record), bytes, start, length) !== 0;
  }

  /** A write that keeps the time to live repeats "none" for the values it replaces, if they said so. */
  #persistsFlag(cell: number): number {
    let persists = false;
    this.keyspace.cells.eachValue(cell, (value) => {
      persists ||= value.persists;
    });
    return persists ? SET.persists : 0;
  }

  /** The fields of the key's hash with counters to cut. Their names are copied into `names`; offsets count in all of them joined. */
  #observedFieldCuts(record: number, names: Buffer[]): readonly FieldCuts[] {
    const ks = this.keyspace;
    const { containers } = ks;
    const { hashes } = containers;
    const hash = containers.of(hashes, record);
    if (hash === 0 || !hashes.isResidual(hash) || hashes.isStaged(hash)) return NO_FIELDS;
    if (hashes.entryCount(hash) > ks.limits.smallContainerEntries) return NO_FIELDS;
    const fields: FieldCuts[] = [];
    let at = 0;
    containers.eachField(hash, (field) => {
      const cuts = hashes.observedCuts(field);
      if (cuts.length === 0) return;
      const length = hashes.nameLength(field);
      const start = hashes.nameStart(field);
      names.push(Buffer.from(ks.arena.bytes[field >>> SEGMENT_SHIFT]!.subarray(start, start + length)));
      fields.push({ start: at, length, cuts });
      at += length;
    });
    return fields;
  }
}

const removalBytes = (cuts: readonly CounterCut[], fields: readonly FieldCuts[]): number =>
  fields.reduce((sum, field) => sum + field.length + 8 + cutsBytesMax(field.cuts), cutsBytesMax(cuts));
