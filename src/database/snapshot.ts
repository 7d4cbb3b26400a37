/**
 * A snapshot: the state at one moment as a stream of bytes (snapshot-format.ts), written while the database goes on changing.
 *
 * It walks the keyspace bucket by bucket in short steps. A record about to change that has not been written yet is written first, as it is
 * (its pre-image), so the stream is exactly the state at `vector`. Which records are done is told by the epoch that each carries: a snapshot
 * begins with the next epoch, records carry the one in which they were last written or born. The walk may meet a record twice (the table may resize);
 * the epoch makes it once. To give up is to forget the walk: records of an epoch that was not completed are simply owed again.
 *
 * A large value is written in pieces, straight from the arena; if it is about to change, what is left of it is copied first.
 *
 * Invariant: a piece is never empty and never larger than asked for; after the last one every record carries the snapshot's epoch.
 */
import { writeVarint } from '../base/varint.ts';
import { CELL, CELL_HLC, CELL_KEY_OFFSET, CELL_SEQ, EPOCH_MASK, EPOCH_STEP, FLAG } from '../crdt/cell.ts';
import { writeF64, writeU32 } from '../crdt/frame.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import { copyBytes, SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import { mapOf, type ContainerType, type EntryWriter } from './container-type.ts';
import { numberBytesMax, writeNumber } from './effects.ts';
import type { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { PreImages } from './pre-images.ts';
import { RECORD, SNAPSHOT_MAGIC } from './snapshot-format.ts';

/** Buckets that one call passes at most: some, and as many as it takes to fill a piece with small records. */
const STEPS_MIN = 512;
const BYTES_PER_STEP = 16;
const BUFFER_BYTES = 64 * 1024;
/** What a buffer is larger by, so that the record which fills it seldom makes it grow. */
const BUFFER_SPARE_BYTES = 4 * 1024;
/** Of a plain key's record, beside its name and its value. */
const PLAIN_RECORD_BYTES = 64;
/** After the value of a plain cell: no counters, no times to live. */
const PLAIN_TAIL_BYTES = 2;

/** A container that is walked apart from its key's record. */
interface Loose {
  readonly type: ContainerType;
  readonly key: Buffer;
  readonly container: number;
  cursor: number;
}

/** The value of a cell that is being written from where it lies. */
interface ValueInPlace {
  readonly cell: number;
  readonly segment: number;
  at: number;
  readonly end: number;
}

export class Snapshot implements PreImages, EntryWriter {
  /** What the snapshot contains. */
  readonly vector: VersionVector;
  /** A guess of the stream's size, for progress. */
  readonly bytesEstimate: number;
  readonly #keyspace: Keyspace;
  readonly #onEnd: (isComplete: boolean) => void;
  /** The map as it was when the snapshot began; by now it may be the main of a stage. */
  readonly #keys: number;
  /** What goes before `#out`, in order. */
  readonly #ready: (Buffer | ValueInPlace)[] = [];
  #out = Buffer.allocUnsafe(BUFFER_BYTES + BUFFER_SPARE_BYTES);
  #at = 0;
  #recordStart = 0;
  #cursor = 0;
  #isKeysWalked = false;
  #isWalked = false;
  #isEnded = false;
  readonly #loose: Loose[] = [];
  #inPlace: ValueInPlace | null = null;
  #isWalking = false;

  /** Begins: every record is now owed. `onEnd` is called once, when complete or aborted. */
  constructor(
    keyspace: Keyspace,
    state: {
      readonly vector: VersionVector;
      readonly contexts: readonly (VersionVector | undefined)[];
      readonly hlc: number;
    },
    onEnd: (isComplete: boolean) => void,
  ) {
    this.#keyspace = keyspace;
    this.#onEnd = onEnd;
    this.#keys = keyspace.keys;
    this.vector = state.vector.clone();
    this.bytesEstimate = keyspace.arena.usedBytes;
    keyspace.epoch = (keyspace.epoch + EPOCH_STEP) & EPOCH_MASK;
    keyspace.snapshots++;
    keyspace.preImages = this;
    this.#header(state.contexts, state.hlc);
  }

  /** The next piece, at most `bytesMax` bytes; null: complete. */
  next(bytesMax: number): Buffer | null {
    // What changed since it began was written then: the walk may pass a great deal of that without a byte to show for it.
    let stepsLeft = STEPS_MIN + bytesMax / BYTES_PER_STEP;
    while (this.#ready.length === 0 && this.#at < bytesMax && !this.#isWalked && stepsLeft-- > 0) {
      if (!this.#step()) this.#finish();
    }
    if (this.#ready.length === 0 && this.#at === 0 && !this.#isWalked) {
      this.#beginRecord(RECORD.rest);
      this.#finishRecord();
    }
    const first = this.#ready[0];
    if (first === undefined) return this.#takeOut(bytesMax);
    if (!Buffer.isBuffer(first)) return this.#takeValue(first, bytesMax);
    if (first.length > bytesMax) {
      this.#ready[0] = first.subarray(bytesMax);
      return first.subarray(0, bytesMax);
    }
    this.#ready.shift();
    return first;
  }

  /** Works on without making a piece; for walks whose bytes nobody wants. Returns whether it is complete. */
  skip(records: number): boolean {
    for (let i = 0; i < records && !this.#isWalked; i++) {
      if (!this.#step()) this.#finish();
      this.#ready.length = 0;
      this.#inPlace = null;
      this.#at = 0;
    }
    if (this.#isWalked) this.#end(true);
    return this.#isEnded;
  }

  /** Gives up. */
  abort(): void {
    this.#end(false);
  }

  // ---------------------------------------------------------------- pieces

  #takeOut(bytesMax: number): Buffer | null {
    if (this.#at === 0) {
      // The walk is over and everything was handed out.
      if (this.#isWalked) this.#end(true);
      return null;
    }
    const bytes = this.#out.subarray(0, this.#at);
    this.#out = Buffer.allocUnsafe(BUFFER_BYTES + BUFFER_SPARE_BYTES);
    this.#at = 0;
    if (bytes.length <= bytesMax) return bytes;
    this.#ready.push(bytes.subarray(bytesMax));
    return bytes.subarray(0, bytesMax);
  }

  #takeValue(value: ValueInPlace, bytesMax: number): Buffer {
    const end = Math.min(value.end, value.at + bytesMax);
    const bytes = Buffer.from(this.#keyspace.arena.bytes[value.segment]!.subarray(value.at, end));
    value.at = end;
    if (end === value.end) {
      this.#ready.shift();
      this.#inPlace = null;
    }
    return bytes;
  }

  /** The cell is about to change, and its value is being written from where it lies. */
  #copyInPlace(value: ValueInPlace): void {
    const index = this.#ready.indexOf(value);
    const bytes = this.#keyspace.arena.bytes[value.segment]!.subarray(value.at, value.end);
    if (index >= 0) this.#ready[index] = Buffer.from(bytes);
    this.#inPlace = null;
  }

  /** Everything written so far goes before what comes next. */
  #seal(): void {
    if (this.#at === 0) return;
    this.#ready.push(this.#out.subarray(0, this.#at));
    this.#out = Buffer.allocUnsafe(BUFFER_BYTES + BUFFER_SPARE_BYTES);
    this.#at = 0;
  }

  // ---------------------------------------------------------------- pre-images

  key(record: number): void {
    const { cells, epoch } = this.#keyspace;
    if ((cells.flags(record) & EPOCH_MASK) === epoch) {
      if (this.#inPlace !== null && this.#inPlace.cell === record) this.#copyInPlace(this.#inPlace);
      return;
    }
    cells.setEpoch(record, epoch);
    if (this.#plainKey(record)) return;
    this.#beginRecord(RECORD.key);
    this.run(this.#keyspace.arena.bytes[record >>> SEGMENT_SHIFT]!, nameStart(record), this.#nameLength(record));
    this.cell(record);
    this.#finishRecord();
  }

  entry(type: ContainerType, ref: KeyRef, entry: number): void {
    this.#entry(type, ref.bytes, ref.start, ref.length, entry);
  }

  #entry(type: ContainerType, key: Uint8Array, start: number, length: number, entry: number): void {
    const { arena, epoch } = this.#keyspace;
    if (type.epochOf(entry) === epoch) {
      if (this.#inPlace !== null && this.#inPlace.cell === entry) this.#copyInPlace(this.#inPlace);
      return;
    }
    type.setEpoch(entry, epoch);
    this.#beginRecord(type.recordKind);
    this.run(key, start, length);
    this.run(arena.bytes[entry >>> SEGMENT_SHIFT]!, type.nameStart(entry), type.nameLength(entry));
    type.encodeEntry(this, entry);
    this.#finishRecord();
  }

  release(type: ContainerType, ref: KeyRef, container: number): void {
    this.#walkContainer(type, ref.bytes, ref.start, ref.length, container);
  }

  gone(container: number): void {
    const index = this.#loose.findIndex((loose) => loose.container === container);
    if (index >= 0) this.#loose.splice(index, 1);
  }

  // ---------------------------------------------------------------- the walk

  /** Returns false when everything was walked. */
  #step(): boolean {
    this.#isWalking = true;
    const isMore = this.#loose.length > 0 ? this.#stepLoose() : this.#stepKeys();
    this.#isWalking = false;
    return isMore;
  }

  #stepKeys(): boolean {
    if (this.#isKeysWalked) return false;
    const { keyMaps } = this.#keyspace;
    this.#cursor = keyMaps.scan(this.#keys, this.#cursor, (record) => this.#visit(record));
    this.#isKeysWalked = this.#cursor === 0;
    return true;
  }

  #visit(record: number): void {
    this.key(record);
    const { containers, arena } = this.#keyspace;
    if (this.#keyspace.attributes(record) === 0) return;
    const bytes = arena.bytes[record >>> SEGMENT_SHIFT]!;
    containers.each(record, (type, container) => {
      this.#walkContainer(type, bytes, nameStart(record), this.#nameLength(record), container);
    });
  }

  /** A small container is written at once, a large one in steps of its own. */
  #walkContainer(type: ContainerType, key: Uint8Array, start: number, length: number, container: number): void {
    if (type.entryCount(container) > this.#keyspace.limits.smallContainerEntries) {
      if (this.#loose.some((loose) => loose.container === container)) return;
      this.#loose.push({ type, key: Buffer.from(key.subarray(start, start + length)), container, cursor: 0 });
      return;
    }
    let cursor = 0;
    do {
      cursor = type.maps.scan(mapOf(container), cursor, (entry) => this.#entry(type, key, start, length, entry));
    } while (cursor !== 0);
  }

  #stepLoose(): boolean {
    const loose = this.#loose[this.#loose.length - 1]!;
    const { type, key, container } = loose;
    loose.cursor = type.maps.scan(mapOf(container), loose.cursor, (entry) => {
      this.#entry(type, key, 0, key.length, entry);
    });
    if (loose.cursor === 0) this.gone(container);
    return true;
  }

  #finish(): void {
    this.#isWalked = true;
    this.#beginRecord(RECORD.end);
    this.#finishRecord();
  }

  #end(isComplete: boolean): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#isWalked = true;
    this.#ready.length = 0;
    this.#at = 0;
    this.#inPlace = null;
    this.#keyspace.preImages = null;
    this.#onEnd(isComplete);
  }

  // ---------------------------------------------------------------- encoding

  #header(contexts: readonly (VersionVector | undefined)[], hlc: number): void {
    const { origins, containers } = this.#keyspace;
    this.#reserve(64 + 5 * origins.count);
    this.#at = this.#out.write(SNAPSHOT_MAGIC, 0, 'latin1') + 4;
    this.#recordStart = this.#at - 4;
    const features = containers.features;
    this.varint(features.length);
    for (const feature of features) this.run(Buffer.from(feature, 'latin1'), 0, feature.length);
    this.varint(origins.count);
    this.#reserve(5 * origins.count);
    for (let i = 0; i < origins.count; i++) {
      const origin = origins.at(i);
      this.#out[this.#at] = origin.instance;
      writeU32(this.#out, this.#at + 1, origin.generation);
      this.#at += 5;
    }
    this.#vector(this.vector);
    this.varint(contexts.reduce((count, context) => count + (context === undefined ? 0 : 1), 0));
    contexts.forEach((context, origin) => {
      if (context === undefined) return;
      this.varint(origin);
      this.#vector(context);
    });
    this.float(hlc);
    this.varint(this.#keyspace.keyMaps.count(this.#keys));
    this.#finishRecord();
  }

  #vector(vector: VersionVector): void {
    const entries = [...vector.entries()];
    this.varint(entries.length);
    for (const [origin, seq] of entries) {
      this.varint(origin);
      this.varint(seq);
    }
  }

  #beginRecord(kind: number): void {
    if (this.#at >= BUFFER_BYTES) this.#seal();
    this.#reserve(64);
    this.#recordStart = this.#at;
    this.#at += 4;
    this.#out[this.#at++] = kind;
  }

  #finishRecord(): void {
    // A value in place has said its record's length itself.
    if (this.#recordStart >= 0) writeU32(this.#out, this.#recordStart, this.#at - this.#recordStart - 4);
  }

  /** Nearly every key, in one go: a value and nothing besides. Returns false, having written nothing, where it is not so, or is large. */
  #plainKey(record: number): boolean {
    const { arena, limits } = this.#keyspace;
    const segment = record >>> SEGMENT_SHIFT;
    const words = arena.words[segment]!;
    const word = (record & SEGMENT_MASK) << 1;
    const meta = words[word + CELL.meta]!;
    if (words[word + CELL.attributes] !== 0 || (meta & FLAG.register) === 0) return false;
    const keyLength = words[word + CELL.keyLength]!;
    const valueLength = words[word + CELL.valueLength]!;
    if (valueLength > limits.snapshotValueBytes) return false;
    if (this.#at >= BUFFER_BYTES) this.#seal();
    this.#reserve(PLAIN_RECORD_BYTES + keyLength + valueLength);
    const out = this.#out;
    const bytes = arena.bytes[segment]!;
    const floats = arena.floats[segment]!;
    const float = record & SEGMENT_MASK;
    const name = (word << 2) + CELL_KEY_OFFSET;
    const start = this.#at;
    let at = start + 4;
    out[at++] = RECORD.key;
    at = writeVarint(out, at, keyLength);
    copyBytes(out, at, bytes, name, keyLength);
    at += keyLength;
    out[at++] = 1;
    at = writeVarint(out, at, meta >>> 16);
    at = writeVarint(out, at, floats[float + CELL_SEQ]!);
    writeF64(out, at, floats[float + CELL_HLC]!);
    at += 8;
    out[at++] = (meta & FLAG.persists) !== 0 ? 1 : 0;
    at = writeVarint(out, at, valueLength);
    copyBytes(out, at, bytes, name + keyLength, valueLength);
    at += valueLength;
    out[at++] = 0;
    out[at++] = 0;
    writeU32(out, start, at - start - 4);
    this.#at = at;
    return true;
  }

  #nameLength(record: number): number {
    return this.#keyspace.containers.nameLength(record);
  }

  cell(cell: number): void {
    if (this.#keyspace.attributes(cell) === 0) this.#plainCell(cell);
    else this.#anyCell(cell);
  }

  /** Nearly every cell: one value or none, and nothing besides. */
  #plainCell(cell: number): void {
    const { arena, limits } = this.#keyspace;
    const words = arena.words[cell >>> SEGMENT_SHIFT]!;
    const at = (cell & SEGMENT_MASK) << 1;
    const meta = words[at + CELL.meta]!;
    const hasValue = (meta & FLAG.register) !== 0;
    this.varint(hasValue ? 1 : 0);
    if (hasValue) {
      const floats = arena.floats[cell >>> SEGMENT_SHIFT]!;
      const valueStart = (at << 2) + CELL_KEY_OFFSET + words[at + CELL.keyLength]!;
      const valueLength = words[at + CELL.valueLength]!;
      this.varint(meta >>> 16);
      this.varint(floats[(at >> 1) + CELL_SEQ]!);
      this.float(floats[(at >> 1) + CELL_HLC]!);
      this.varint((meta & FLAG.persists) !== 0 ? 1 : 0);
      if (valueLength > limits.snapshotValueBytes && this.#isWalking && this.#inPlace === null)
        this.#writeInPlace({ cell, segment: cell >>> SEGMENT_SHIFT, at: valueStart, end: valueStart + valueLength });
      else this.run(arena.bytes[cell >>> SEGMENT_SHIFT]!, valueStart, valueLength);
    }
    this.varint(0);
    this.varint(0);
  }

  #writeInPlace(value: ValueInPlace): void {
    const length = value.end - value.at;
    this.varint(length);
    writeU32(this.#out, this.#recordStart, this.#at - this.#recordStart - 4 + length + PLAIN_TAIL_BYTES);
    this.#recordStart = -1;
    this.#seal();
    this.#ready.push(value);
    this.#inPlace = value;
  }

  #anyCell(cell: number): void {
    const { cells, arena } = this.#keyspace;
    let count = 0;
    cells.eachValue(cell, () => count++);
    this.varint(count);
    cells.eachValue(cell, (value) => {
      this.varint(value.origin);
      this.varint(value.seq);
      this.float(value.hlc);
      this.varint(value.persists ? 1 : 0);
      this.run(arena.bytes[value.address >>> SEGMENT_SHIFT]!, value.byteOffset, value.length);
    });
    count = 0;
    cells.eachCounter(cell, () => count++);
    this.varint(count);
    cells.eachCounter(cell, (entry) => {
      this.varint(entry.origin);
      this.varint(entry.frame);
      this.varint(entry.n);
      this.#reserve(numberBytesMax(entry.total) + numberBytesMax(entry.cutTotal));
      this.#at = writeNumber(this.#out, this.#at, entry.total);
      this.varint(entry.isDecimal ? 1 : 0);
      this.varint(entry.cutN);
      this.#reserve(numberBytesMax(entry.cutTotal));
      this.#at = writeNumber(this.#out, this.#at, entry.cutTotal);
      this.varint(entry.cutOrigin);
      this.varint(entry.cutSeq);
    });
    count = 0;
    cells.eachExpiry(cell, () => count++);
    this.varint(count);
    cells.eachExpiry(cell, (expiry) => {
      this.varint(expiry.origin);
      this.varint(expiry.seq);
      this.float(expiry.atMs);
    });
  }

  varint(value: number): void {
    this.#reserve(8);
    this.#at = writeVarint(this.#out, this.#at, value);
  }

  float(value: number): void {
    this.#reserve(8);
    writeF64(this.#out, this.#at, value);
    this.#at += 8;
  }

  run(bytes: Uint8Array, start: number, length: number): void {
    this.varint(length);
    this.#reserve(length);
    copyBytes(this.#out, this.#at, bytes, start, length);
    this.#at += length;
  }

  #reserve(count: number): void {
    const needed = this.#at + count + 64;
    if (needed <= this.#out.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(needed, Math.min(this.#out.length * 2, this.#out.length + (1 << 20))));
    this.#out.copy(bigger, 0, 0, this.#at);
    this.#out = bigger;
  }
}

const nameStart = (record: number): number => ((record & SEGMENT_MASK) << 3) + CELL_KEY_OFFSET;
