/**
 * Reads a snapshot stream (snapshot-format.ts) that arrives in pieces cut anywhere. A subclass takes the records, and reads what is in them with the
 * primitives of this class, straight from the bytes: loading millions of keys makes no object per key.
 *
 * Origins are translated to this process's indexes on the way. A record that lies whole in a piece is read where it lies; the pieces of one that was cut
 * are gathered and joined once, when it is complete, so that a large value costs one copy.
 *
 * Invariant: a record is handed over whole or not at all.
 */
import { quote } from '../base/quote.ts';
import { parseExact, type ExactNumber } from '../crdt/exact-number.ts';
import { readF64, readU32 } from '../crdt/frame.ts';
import { VersionVector, type OriginTable } from '../crdt/version-vector.ts';
import { RECORD, SNAPSHOT_MAGIC } from './snapshot-format.ts';

export interface SnapshotHeader {
  readonly vector: VersionVector;
  readonly contexts: ReadonlyMap<number, VersionVector>;
  readonly hlc: number;
  /** About how many follow; what another instance says need not be so. */
  readonly keys: number;
}

export class SnapshotFormatError extends Error {
  constructor(reason: string) {
    super(`not a snapshot that this version reads: ${reason}`);
    this.name = 'SnapshotFormatError';
  }
}

const HEAD_BYTES = SNAPSHOT_MAGIC.length + 4;
const EMPTY = Buffer.alloc(0);

export abstract class SnapshotParser {
  readonly #origins: OriginTable;
  readonly #indexes: number[] = [];
  /** What came of a record that is not complete yet. */
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #neededBytes = HEAD_BYTES;
  protected bytes: Buffer = EMPTY;
  protected at = 0;
  #end = 0;
  #header: SnapshotHeader | null = null;
  /** The end record was read. */
  complete = false;

  constructor(origins: OriginTable) {
    this.#origins = origins;
  }

  /** null: not read yet. */
  get header(): SnapshotHeader | null {
    return this.#header;
  }

  /** Takes the next piece; all whole records in it are handed over before it returns. Throws SnapshotFormatError. */
  feed(piece: Uint8Array): void {
    let bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    if (this.#gatheredBytes > 0) {
      const missing = this.#neededBytes - this.#gatheredBytes;
      if (bytes.length < missing) return this.#gather(bytes);
      // Up to where the length, or the whole record, is known; the rest lies where it is.
      this.#gather(bytes.subarray(0, missing));
      bytes = bytes.subarray(missing);
      const joined = Buffer.concat(this.#gathered, this.#gatheredBytes);
      this.#gathered = [];
      this.#gatheredBytes = 0;
      this.#readAll(joined);
      if (this.#gatheredBytes > 0) return this.feed(bytes);
    }
    this.#readAll(bytes);
  }

  /** A key's record begins: `this.at` stands at its cell, which is to be read to its end. The bytes hold during the call only. */
  protected abstract onKey(start: number, length: number): void;
  /** An entry's record of a kind other than those in RECORD is refused by returning false. */
  protected abstract onEntry(kind: number, key: number, keyLength: number, name: number, nameLength: number): boolean;
  protected abstract onHeader(header: SnapshotHeader, features: readonly string[]): void;

  #gather(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#gathered.push(Buffer.from(bytes));
    this.#gatheredBytes += bytes.length;
  }

  /** Reads whole records; what is left over is gathered, with the number of bytes needed to go on. */
  #readAll(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.complete) throw new SnapshotFormatError('something follows its end');
      const head = this.#header === null ? HEAD_BYTES : 4;
      if (bytes.length - at < head) return this.#keep(bytes, at, head);
      if (this.#header === null) this.#checkMagic(bytes);
      const start = at + head;
      const end = start + readU32(bytes, start - 4);
      if (end > bytes.length) return this.#keep(bytes, at, end - at);
      this.bytes = bytes;
      this.at = start;
      this.#end = end;
      if (this.#header === null) this.#readHeader();
      else this.#readRecord();
      if (this.at !== end)
        throw new SnapshotFormatError(`a record of ${end - start} bytes reads as ${this.at - start}`);
      at = end;
    }
    this.bytes = EMPTY;
  }

  #keep(bytes: Buffer, at: number, needed: number): void {
    this.#neededBytes = needed;
    this.#gather(bytes.subarray(at));
    this.bytes = EMPTY;
  }

  #checkMagic(bytes: Buffer): void {
    const magic = bytes.toString('latin1', 0, SNAPSHOT_MAGIC.length);
    if (magic === SNAPSHOT_MAGIC) return;
    throw new SnapshotFormatError(`it begins with ${quote(magic)}, not ${quote(SNAPSHOT_MAGIC)}`);
  }

  #readHeader(): void {
    const features: string[] = [];
    for (let left = this.varint(); left > 0; left--) {
      const length = this.varint();
      features.push(this.bytes.toString('latin1', this.skip(length), this.at));
    }
    const count = this.varint();
    for (let i = 0; i < count; i++) {
      const at = this.skip(5);
      if (this.bytes[at] === 0) throw new SnapshotFormatError('an origin of instance 0');
      this.#indexes.push(this.#origins.indexOf(this.bytes[at]!, readU32(this.bytes, at + 1)));
    }
    const vector = this.#vector();
    const contexts = new Map<number, VersionVector>();
    for (let left = this.varint(); left > 0; left--) {
      const origin = this.origin();
      contexts.set(origin, this.#vector());
    }
    this.#header = { vector, contexts, hlc: this.float(), keys: this.varint() };
    this.onHeader(this.#header, features);
  }

  #readRecord(): void {
    const kind = this.bytes[this.at++]!;
    if (kind === RECORD.end) {
      this.complete = true;
      return;
    }
    if (kind === RECORD.rest) return;
    const keyLength = this.varint();
    const key = this.skip(keyLength);
    if (kind === RECORD.key) {
      this.onKey(key, keyLength);
      return;
    }
    const nameLength = this.varint();
    const name = this.skip(nameLength);
    if (!this.onEntry(kind, key, keyLength, name, nameLength))
      throw new SnapshotFormatError(`a record of kind ${kind}`);
  }

  #vector(): VersionVector {
    const vector = new VersionVector();
    for (let left = this.varint(); left > 0; left--) {
      const origin = this.origin();
      vector.set(origin, this.varint());
    }
    return vector;
  }

  // ---------------------------------------------------------------- primitives

  /** Of the record at hand. */
  protected get bytesLeft(): number {
    return this.#end - this.at;
  }

  protected origin(): number {
    const index = this.#indexes[this.varint()];
    if (index === undefined) throw new SnapshotFormatError('an origin outside of its table');
    return index;
  }

  /** Passes over that many bytes; returns where they begin. */
  protected skip(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.#end) throw new SnapshotFormatError('bytes beyond the end of a record');
    return start;
  }

  protected number(): ExactNumber {
    const code = this.varint();
    if (code > 0) return code % 2 === 1 ? (code - 1) / 2 : -code / 2;
    const length = this.varint();
    const start = this.skip(length);
    return parseExact(this.bytes.toString('latin1', start, start + length));
  }

  protected float(): number {
    return readF64(this.bytes, this.skip(8));
  }

  protected varint(): number {
    const byte = this.bytes[this.at++]!;
    if (byte < 0x80 && this.at <= this.#end) return byte;
    return this.#longVarint(byte & 0x7f);
  }

  #longVarint(value: number): number {
    for (let scale = 128; ; scale *= 128) {
      if (this.at >= this.#end || scale > 2 ** 49) throw new SnapshotFormatError('a number without end');
      const byte = this.bytes[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }
}
