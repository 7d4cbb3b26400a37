/**
 * A snapshot: the state at one moment as a stream of bytes, written while the database goes on changing.
 *
 * It walks the keyspace bucket by bucket in short slices. A record about to change that has not been written yet is written first, as it is
 * (its pre-image), so the stream is exactly the state at `vector`. Which records are done is one bit in each: the epoch flips
 * when a snapshot begins, records carry the epoch in which they were last written or born. The walk may meet a record twice (the
 * table may resize); the bit makes it once.
 *
 *   header   "CRDBSNP2" u32 length, then: origins (varint count, count x (u8 instance, u32 generation)), vector, contexts
 *            (varint count, count x (varint origin, vector)), f64 hlc
 *   vector   varint count, count x (varint origin, varint seq)          origin: index into the header's table
 *   record   u32 length, u8 kind (1 key, 2 field, 3 member, 4 end), key [field | member], cell or dots
 *   cell     values, counters, expiries, each counted; see `#cell`
 *
 * Records stand for themselves: fields and members of one key may come in any order and apart from it.
 *
 * Invariant: when no snapshot is under way every record carries the current epoch.
 */
import { writeVarint } from '../base/varint.ts';
import { CELL, CELL_HLC, CELL_KEY_OFFSET, CELL_SEQ, FLAG } from '../crdt/cell.ts';
import { ELEMENT_KEY_OFFSET } from '../crdt/element.ts';
import { writeF64, writeU32 } from '../crdt/frame.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import { copyBytes, SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import { numberBytesMax, writeNumber } from './effects.ts';
import { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';

export const SNAPSHOT_MAGIC = 'CRDBSNP2';
export const RECORD = { key: 1, field: 2, member: 3, end: 4 } as const;

/** A container with more entries than this is walked in slices of its own. */
const SMALL_CONTAINER_ENTRIES = 256;
const BUFFER_BYTES = 64 * 1024;

/** Saves records as they are, if the snapshot has not written them yet. Called before every change. */
export interface PreImages {
  key(record: number): void;
  field(keyRecord: number, field: number): void;
  member(keyRecord: number, member: number): void;
}

export class Snapshot implements PreImages {
  /** What the snapshot contains. */
  readonly vector: VersionVector;
  /** A guess of the stream's size, for progress. */
  readonly bytesEstimate: number;
  readonly #keyspace: Keyspace;
  readonly #onEnd: () => void;
  readonly #ref = new KeyRef();
  #out = Buffer.allocUnsafe(BUFFER_BYTES);
  #at = 0;
  #cursor = 0;
  #walked = false;
  #ended = false;
  /** Keys with large containers, to be walked in slices: copies, since the record may move or go meanwhile. */
  readonly #large: Buffer[] = [];
  #largeCursor = 0;
  #largeKind: typeof RECORD.field | typeof RECORD.member = RECORD.field;

  /** Begins: every record is now owed. `onEnd` is called once, when complete or aborted. */
  constructor(
    keyspace: Keyspace,
    state: {
      readonly vector: VersionVector;
      readonly contexts: readonly (VersionVector | undefined)[];
      readonly hlc: number;
    },
    onEnd: () => void,
  ) {
    this.#keyspace = keyspace;
    this.#onEnd = onEnd;
    this.vector = state.vector.clone();
    this.bytesEstimate = keyspace.arena.usedBytes;
    keyspace.epoch ^= FLAG.epoch;
    keyspace.preImages = this;
    this.#header(state.contexts, state.hlc);
  }

  /** The next piece, about `bytesMax` bytes (one record may make it larger); null: complete. */
  next(bytesMax: number): Buffer | null {
    if (this.#ended) return null;
    while (this.#at < bytesMax && !this.#walked) this.#step();
    if (this.#walked) {
      this.#record(RECORD.end, 0, 0);
      this.#finishRecord();
      this.#end();
    }
    const piece = this.#out.subarray(0, this.#at);
    this.#out = Buffer.allocUnsafe(BUFFER_BYTES);
    this.#at = 0;
    return piece;
  }

  /** Gives up. The records that are still owed are marked as done, in one go. */
  abort(): void {
    while (!this.#ended && !this.#walked) {
      this.#step();
      this.#at = 0;
    }
    this.#end();
  }

  // ---------------------------------------------------------------- pre-images

  key(record: number): void {
    const { cells, epoch } = this.#keyspace;
    if ((cells.flags(record) & FLAG.epoch) === epoch) return;
    this.#toggle(record);
    this.#record(RECORD.key, record, 0);
    this.#cell(record);
    this.#finishRecord();
  }

  field(keyRecord: number, field: number): void {
    const { cells, epoch } = this.#keyspace;
    if ((cells.flags(field) & FLAG.epoch) === epoch) return;
    this.#toggle(field);
    this.#record(RECORD.field, keyRecord, 0);
    this.#name(field, CELL_KEY_OFFSET);
    this.#cell(field);
    this.#finishRecord();
  }

  member(keyRecord: number, member: number): void {
    const { elements, epoch } = this.#keyspace;
    if ((elements.flags(member) & FLAG.epoch) === epoch) return;
    if (epoch === 0) elements.clearFlag(member, FLAG.epoch);
    else elements.setFlag(member, FLAG.epoch);
    this.#record(RECORD.member, keyRecord, 0);
    this.#name(member, ELEMENT_KEY_OFFSET);
    this.#dots(member);
    this.#finishRecord();
  }

  // ---------------------------------------------------------------- the walk

  #step(): void {
    if (this.#large.length > 0) {
      this.#stepLarge();
      return;
    }
    const ks = this.#keyspace;
    this.#cursor = ks.keyMaps.scan(ks.keys, this.#cursor, (record) => this.#visit(record));
    this.#walked = this.#cursor === 0 && this.#large.length === 0;
    if (this.#cursor === 0 && !this.#walked) this.#lastBucket = true;
  }

  /** The keyspace is walked, large containers are left. */
  #lastBucket = false;

  #visit(record: number): void {
    this.key(record);
    const ks = this.#keyspace;
    if (ks.attributes(record) === 0) return;
    const { containers } = ks;
    const hash = containers.hash(record);
    const set = containers.set(record);
    const entries = (hash === 0 ? 0 : containers.fields.count(containers.map(hash))) + containers.memberCount(set);
    if (entries > SMALL_CONTAINER_ENTRIES) {
      const start = containers.nameOffset(record);
      const bytes = ks.arena.bytes[record >>> SEGMENT_SHIFT]!;
      this.#large.push(Buffer.from(bytes.subarray(start, start + containers.nameLength(record))));
      return;
    }
    containers.eachField(hash, (field) => this.field(record, field));
    containers.eachMember(set, (member) => this.member(record, member));
  }

  #stepLarge(): void {
    const ks = this.#keyspace;
    const { containers } = ks;
    const key = this.#large[this.#large.length - 1]!;
    const { record } = ks.locate(this.#ref, key, 0, key.length);
    const isField = this.#largeKind === RECORD.field;
    const container = record === 0 ? 0 : isField ? containers.hash(record) : containers.set(record);
    if (container !== 0) {
      const maps = isField ? containers.fields : containers.members;
      this.#largeCursor = maps.scan(containers.map(container), this.#largeCursor, (entry) => {
        if (isField) this.field(record, entry);
        else this.member(record, entry);
      });
      if (this.#largeCursor !== 0) return;
    }
    this.#largeCursor = 0;
    if (isField) {
      this.#largeKind = RECORD.member;
      return;
    }
    this.#largeKind = RECORD.field;
    this.#large.pop();
    this.#walked = this.#lastBucket && this.#large.length === 0;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#keyspace.preImages = null;
    this.#onEnd();
  }

  #toggle(cell: number): void {
    const { cells, epoch } = this.#keyspace;
    if (epoch === 0) cells.clearFlag(cell, FLAG.epoch);
    else cells.setFlag(cell, FLAG.epoch);
  }

  // ---------------------------------------------------------------- encoding

  #start = 0;

  #header(contexts: readonly (VersionVector | undefined)[], hlc: number): void {
    const { origins } = this.#keyspace;
    this.#reserve(64 + 5 * origins.count);
    this.#at = this.#out.write(SNAPSHOT_MAGIC, 0, 'latin1') + 4;
    this.#start = this.#at - 4;
    this.#varint(origins.count);
    for (let i = 0; i < origins.count; i++) {
      const origin = origins.at(i);
      this.#out[this.#at] = origin.instance;
      writeU32(this.#out, this.#at + 1, origin.generation);
      this.#at += 5;
    }
    this.#vector(this.vector);
    this.#varint(contexts.reduce((count, context) => count + (context === undefined ? 0 : 1), 0));
    contexts.forEach((context, origin) => {
      if (context === undefined) return;
      this.#varint(origin);
      this.#vector(context);
    });
    this.#float(hlc);
    this.#finishRecord();
  }

  #vector(vector: VersionVector): void {
    const entries = [...vector.entries()];
    this.#varint(entries.length);
    for (const [origin, seq] of entries) {
      this.#varint(origin);
      this.#varint(seq);
    }
  }

  /** Begins a record: kind and key. */
  #record(kind: number, keyRecord: number, room: number): void {
    this.#reserve(64 + room);
    this.#start = this.#at;
    this.#at += 4;
    this.#out[this.#at++] = kind;
    if (keyRecord !== 0) this.#name(keyRecord, CELL_KEY_OFFSET);
  }

  #finishRecord(): void {
    writeU32(this.#out, this.#start, this.#at - this.#start - 4);
  }

  #name(entry: number, keyOffset: number): void {
    this.#run(
      this.#keyspace.arena.bytes[entry >>> SEGMENT_SHIFT]!,
      ((entry & SEGMENT_MASK) << 3) + keyOffset,
      this.#keyspace.containers.nameLength(entry),
    );
  }

  #cell(cell: number): void {
    if (this.#keyspace.attributes(cell) === 0) this.#plainCell(cell);
    else this.#anyCell(cell);
  }

  /** Nearly every cell: one value or none, and nothing besides. */
  #plainCell(cell: number): void {
    const { arena } = this.#keyspace;
    const words = arena.words[cell >>> SEGMENT_SHIFT]!;
    const at = (cell & SEGMENT_MASK) << 1;
    const meta = words[at + CELL.meta]!;
    const hasValue = (meta & FLAG.register) !== 0;
    this.#varint(hasValue ? 1 : 0);
    if (hasValue) {
      const floats = arena.floats[cell >>> SEGMENT_SHIFT]!;
      const valueStart = (at << 2) + CELL_KEY_OFFSET + words[at + CELL.keyLength]!;
      this.#varint(meta >>> 16);
      this.#varint(floats[(at >> 1) + CELL_SEQ]!);
      this.#float(floats[(at >> 1) + CELL_HLC]!);
      this.#varint((meta & FLAG.persists) !== 0 ? 1 : 0);
      this.#run(arena.bytes[cell >>> SEGMENT_SHIFT]!, valueStart, words[at + CELL.valueLength]!);
    }
    this.#varint(0);
    this.#varint(0);
  }

  #anyCell(cell: number): void {
    const { cells, arena } = this.#keyspace;
    let count = 0;
    cells.eachValue(cell, () => count++);
    this.#varint(count);
    cells.eachValue(cell, (value) => {
      this.#varint(value.origin);
      this.#varint(value.seq);
      this.#float(value.hlc);
      this.#varint(value.persists ? 1 : 0);
      this.#run(arena.bytes[value.address >>> SEGMENT_SHIFT]!, value.byteOffset, value.length);
    });
    count = 0;
    cells.eachCounter(cell, () => count++);
    this.#varint(count);
    cells.eachCounter(cell, (entry) => {
      this.#varint(entry.origin);
      this.#varint(entry.frame);
      this.#varint(entry.n);
      this.#reserve(numberBytesMax(entry.total) + numberBytesMax(entry.cutTotal));
      this.#at = writeNumber(this.#out, this.#at, entry.total);
      this.#varint(entry.isDecimal ? 1 : 0);
      this.#varint(entry.cutN);
      this.#at = writeNumber(this.#out, this.#at, entry.cutTotal);
      this.#varint(entry.cutOrigin);
      this.#varint(entry.cutSeq);
    });
    count = 0;
    cells.eachExpiry(cell, () => count++);
    this.#varint(count);
    cells.eachExpiry(cell, (expiry) => {
      this.#varint(expiry.origin);
      this.#varint(expiry.seq);
      this.#float(expiry.atMs);
    });
  }

  #dots(member: number): void {
    const { elements } = this.#keyspace;
    let count = 0;
    elements.eachDot(member, () => count++);
    this.#varint(count);
    elements.eachDot(member, (origin, seq) => {
      this.#varint(origin);
      this.#varint(seq);
    });
  }

  #varint(value: number): void {
    this.#reserve(8);
    this.#at = writeVarint(this.#out, this.#at, value);
  }

  #float(value: number): void {
    this.#reserve(8);
    writeF64(this.#out, this.#at, value);
    this.#at += 8;
  }

  #run(bytes: Buffer, start: number, length: number): void {
    this.#varint(length);
    this.#reserve(length);
    copyBytes(this.#out, this.#at, bytes, start, length);
    this.#at += length;
  }

  #reserve(count: number): void {
    const needed = this.#at + count + 64;
    if (needed <= this.#out.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(needed, this.#out.length * 2));
    this.#out.copy(bigger, 0, 0, this.#at);
    this.#out = bigger;
  }
}
