/**
 * Joins a snapshot with what is there: a full sync is always a merge, and loading into an empty database is the same merge.
 *
 * The rule, for every dot (of a value, a member, a time to live): only in the snapshot: added, unless the local version vector covers it (then it
 * was removed here); only local: dropped if the snapshot's vector covers it (then it was removed there); in both: kept. Counters join by frame, n
 * and cut. While it runs no batch may be applied and no write accepted (`Database.writesHeld`), because the vector names what is here only when
 * the merge is complete; reads go on.
 *
 * Two passes in slices: the snapshot's records are joined and marked; then everything unmarked is what the snapshot lacks. Each slice may change any
 * key, so it ends every WATCH.
 *
 * Invariant: when `step` has returned true, the state is the join, the vector covers both, and no record is marked.
 */
import { FLAG, TAG } from '../crdt/cell.ts';
import { VersionVector } from '../crdt/version-vector.ts';
import { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import {
  SnapshotParser,
  type SnapshotCell,
  type SnapshotDot,
  type SnapshotHandler,
  type SnapshotHeader,
  type Slice,
} from './snapshot-parser.ts';

export interface MergeOutcome {
  /** Called before a slice changes anything. */
  readonly onSlice: () => void;
  /** Called when the join is complete, with the snapshot's header. */
  readonly onComplete: (header: SnapshotHeader) => void;
}

export class SnapshotMerger implements SnapshotHandler {
  readonly #keyspace: Keyspace;
  readonly #local: VersionVector;
  readonly #parser: SnapshotParser;
  readonly #onSlice: () => void;
  readonly #onComplete: (header: SnapshotHeader) => void;
  readonly #ref = new KeyRef();
  #header: SnapshotHeader | null = null;
  #cursor = 0;

  /** `local`: the vector as it is now, which does not change until the merge is complete. */
  constructor(keyspace: Keyspace, local: VersionVector, outcome: MergeOutcome) {
    this.#keyspace = keyspace;
    this.#local = local;
    this.#parser = new SnapshotParser(keyspace.origins, this);
    this.#onSlice = outcome.onSlice;
    this.#onComplete = outcome.onComplete;
  }

  /** What the snapshot contains; null before its header was read. */
  get vector(): VersionVector | null {
    return this.#header?.vector ?? null;
  }

  /** Joins the next piece of the stream. Throws SnapshotFormatError. */
  feed(piece: Uint8Array): void {
    this.#onSlice();
    this.#parser.feed(piece);
  }

  /** The end of the stream was fed. */
  get complete(): boolean {
    return this.#parser.complete;
  }

  /** After the whole stream was fed: sweeps about `recordsMax` records. Returns true when the merge is complete. */
  step(recordsMax: number): boolean {
    if (!this.#parser.complete) return false;
    this.#onSlice();
    const ks = this.#keyspace;
    let count = 0;
    do {
      this.#cursor = ks.keyMaps.scan(ks.keys, this.#cursor, (record) => {
        count += this.#sweep(record);
      });
    } while (this.#cursor !== 0 && count < recordsMax);
    if (this.#cursor !== 0) return false;
    this.#onComplete(this.#header!);
    return true;
  }

  // ---------------------------------------------------------------- first pass

  header(header: SnapshotHeader): void {
    this.#header = header;
  }

  key(bytes: Buffer, key: Slice, cell: SnapshotCell): void {
    const ks = this.#keyspace;
    const ref = this.#open(bytes, key);
    ref.record = this.#joinCell(ks.keys, ref.record, bytes, cell);
    ks.cells.setFlag(ref.record, FLAG.marked);
    // Records with nothing in them yet wait for the sweep: their fields and members may still come.
    if (ks.typeOf(ref.record) !== ref.type || cell.expiries.length > 0) this.#count(ref);
  }

  field(bytes: Buffer, key: Slice, field: Slice, cell: SnapshotCell): void {
    const ks = this.#keyspace;
    const ref = this.#open(bytes, key);
    const hash = ks.openContainer(ref.record, TAG.hash);
    const map = ks.containers.map(hash);
    const { fields } = ks.containers;
    const fieldHash = fields.hash(bytes, field.start, field.length);
    let record = fields.find(map, fieldHash, bytes, field.start, field.length);
    if (record === 0) {
      record = ks.cells.create(fields, map, fieldHash, bytes, field.start, field.length, 0, ks.epoch);
    } else {
      ks.preImages?.field(ref.record, record);
    }
    record = this.#joinCell(map, record, bytes, cell);
    ks.cells.setFlag(record, FLAG.marked);
    ks.settleField(ref, hash, record);
    if (ks.containers.fieldCount(hash) === 1) this.#count(ref);
  }

  member(bytes: Buffer, key: Slice, member: Slice, dots: readonly SnapshotDot[]): void {
    const ks = this.#keyspace;
    const ref = this.#open(bytes, key);
    const set = ks.cells.attribute(ref.record, TAG.set);
    const { members } = ks.containers;
    const hash = members.hash(bytes, member.start, member.length);
    let record = set === 0 ? 0 : members.find(ks.containers.map(set), hash, bytes, member.start, member.length);
    const snapshot = this.#header!.vector;
    if (record !== 0) {
      ks.preImages?.member(ref.record, record);
      const kept = ks.elements.keepDots(
        record,
        (origin, seq) =>
          !snapshot.coversDot(origin, seq) || dots.some((dot) => dot.origin === origin && dot.seq === seq),
      );
      if (!kept) {
        members.remove(ks.containers.map(set), record);
        ks.elements.destroy(record);
        record = 0;
      }
    }
    for (const dot of dots) {
      if (this.#local.coversDot(dot.origin, dot.seq)) continue;
      if (record === 0) {
        const map = ks.containers.map(ks.openContainer(ref.record, TAG.set));
        record = ks.elements.create(members, map, hash, bytes, member.start, member.length, dot, ks.epoch);
      } else {
        ks.elements.addDot(record, dot, NO_CONTEXT);
      }
    }
    if (record !== 0) ks.elements.setFlag(record, FLAG.marked);
    if (ks.typeOf(ref.record) !== ref.type) this.#count(ref);
  }

  #open(bytes: Buffer, key: Slice): KeyRef {
    const ks = this.#keyspace;
    const ref = ks.locate(this.#ref, bytes, key.start, key.length);
    if (ref.record === 0) {
      ref.record = ks.cells.create(ks.keyMaps, ks.keys, ref.hash, bytes, key.start, key.length, 0, ks.epoch);
    } else {
      ks.preImages?.key(ref.record);
    }
    return ref;
  }

  /** Joins values, counters and expiries. Returns the record's address. */
  #joinCell(map: number, record: number, bytes: Buffer, cell: SnapshotCell): number {
    const ks = this.#keyspace;
    const { cells } = ks;
    const inSnapshot = (dots: readonly SnapshotDot[], origin: number, seq: number): boolean =>
      dots.some((dot) => dot.origin === origin && dot.seq === seq);
    record = this.#dropMissing(map, record, (origin, seq) => inSnapshot(cell.values, origin, seq));
    this.#dropMissingExpiries(record, (origin, seq) => inSnapshot(cell.expiries, origin, seq));
    for (const value of cell.values) {
      if (this.#local.coversDot(value.origin, value.seq)) {
        // Both have it, or it was removed here. Only its implied "no time to live" may have gone there meanwhile.
        if (!value.persists) cells.clearPersists(record, value.origin, value.seq);
        continue;
      }
      record = cells.writeRegister(
        ks.keyMaps,
        map,
        record,
        { ...value, context: NO_CONTEXT },
        bytes,
        value.start,
        value.length,
      );
    }
    this.#dropMissingCounters(record, cell.counters);
    for (const counter of cell.counters) {
      // Freed here, since all of it was cut and that was stable.
      const isFreed =
        !cells.hasCounterOf(record, counter.origin) && this.#local.coversDot(counter.origin, counter.frame);
      if (!isFreed) cells.mergeCounter(record, counter);
    }
    for (const expiry of cell.expiries) {
      if (!this.#local.coversDot(expiry.origin, expiry.seq)) cells.addExpiry(record, expiry, expiry.atMs);
    }
    if (cell.counters.length > 0) ks.hasResidue = true;
    return record;
  }

  /** Drops the values that the snapshot's vector covers and `isThere` does not know. */
  #dropMissing(map: number, record: number, isThere: (origin: number, seq: number) => boolean): number {
    const ks = this.#keyspace;
    const snapshot = this.#header!.vector;
    const gone: SnapshotDot[] = [];
    ks.cells.eachValue(record, ({ origin, seq }) => {
      if (snapshot.coversDot(origin, seq) && !isThere(origin, seq)) gone.push({ origin, seq });
    });
    for (const dot of gone) record = ks.cells.dropValue(ks.keyMaps, map, record, dot);
    return record;
  }

  /**
   * A frame that the snapshot's vector covers but the snapshot lacks was freed there: cut whole, and that was stable. It is here only because this
   * instance lost its memory of the cut in a crash.
   */
  #dropMissingCounters(record: number, known: readonly { readonly origin: number }[]): void {
    const { cells } = this.#keyspace;
    const snapshot = this.#header!.vector;
    const gone: number[] = [];
    cells.eachCounter(record, ({ origin, frame }) => {
      if (snapshot.coversDot(origin, frame) && !known.some((entry) => entry.origin === origin)) gone.push(origin);
    });
    for (const origin of gone) cells.dropCounter(record, origin);
  }

  #dropMissingExpiries(record: number, isThere: (origin: number, seq: number) => boolean): void {
    const { cells } = this.#keyspace;
    const snapshot = this.#header!.vector;
    const gone: SnapshotDot[] = [];
    cells.eachExpiry(record, ({ origin, seq }) => {
      if (snapshot.coversDot(origin, seq) && !isThere(origin, seq)) gone.push({ origin, seq });
    });
    for (const dot of gone) cells.dropExpiryDot(record, dot);
  }

  #count(ref: KeyRef): void {
    // Settling would remove a record that is still waiting for its contents, and judge its types; counting does not.
    if (this.#keyspace.typeOf(ref.record) !== 0) this.#keyspace.count(ref);
  }

  // ---------------------------------------------------------------- second pass

  /** Drops from a key what the snapshot knows to be gone, and unmarks it. Returns the number of records looked at. */
  #sweep(record: number): number {
    const ks = this.#keyspace;
    const { cells, containers, elements } = ks;
    const snapshot = this.#header!.vector;
    const nothing = (): boolean => false;
    ks.preImages?.key(record);
    const ref = ks.refer(this.#ref, record);
    let looked = 1;
    if ((cells.flags(record) & FLAG.marked) === 0) {
      record = this.#dropMissing(ks.keys, record, nothing);
      this.#dropMissingExpiries(record, nothing);
      this.#dropMissingCounters(record, []);
    }
    cells.clearFlag(record, FLAG.marked);
    const hash = containers.hash(record);
    containers.eachField(hash, (field) => {
      looked++;
      let kept = field;
      if ((cells.flags(field) & FLAG.marked) === 0) {
        ks.preImages?.field(record, field);
        kept = this.#dropMissing(containers.map(hash), field, nothing);
        this.#dropMissingExpiries(kept, nothing);
        this.#dropMissingCounters(kept, []);
      }
      cells.clearFlag(kept, FLAG.marked);
      ks.settleField(ref, hash, kept);
    });
    const set = containers.set(record);
    containers.eachMember(set, (member) => {
      looked++;
      if ((elements.flags(member) & FLAG.marked) === 0) {
        ks.preImages?.member(record, member);
        if (!elements.keepDots(member, (origin, seq) => !snapshot.coversDot(origin, seq))) {
          containers.members.remove(containers.map(set), member);
          elements.destroy(member);
          return;
        }
      }
      elements.clearFlag(member, FLAG.marked);
    });
    ref.record = record;
    ks.dropEmptyContainers(record);
    ks.typeConflicts.begin();
    ks.settle(ref);
    ks.typeConflicts.end(ks);
    return looked;
  }
}

/** Covers nothing: what is added stands beside what is there. */
const NO_CONTEXT = new VersionVector(0);
