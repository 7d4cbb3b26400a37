/**
 * Reads a snapshot stream (format in snapshot.ts) that arrives in pieces cut anywhere, and hands its header and records to a handler.
 *
 * Origins are translated to this process's indexes on the way.
 *
 * Invariant: a record is handed over whole or not at all.
 */
import { quote } from '../base/quote.ts';
import type { CounterEntry } from '../crdt/cell.ts';
import { parseExact, type ExactNumber } from '../crdt/exact-number.ts';
import { readF64, readU32 } from '../crdt/frame.ts';
import { VersionVector, type OriginTable } from '../crdt/version-vector.ts';
import { RECORD, SNAPSHOT_MAGIC } from './snapshot.ts';

export interface SnapshotHeader {
  readonly vector: VersionVector;
  readonly contexts: ReadonlyMap<number, VersionVector>;
  readonly hlc: number;
}

export interface SnapshotValue {
  readonly origin: number;
  readonly seq: number;
  readonly hlc: number;
  readonly persists: boolean;
  readonly start: number;
  readonly length: number;
}

export interface SnapshotCell {
  readonly values: readonly SnapshotValue[];
  readonly counters: readonly CounterEntry[];
  readonly expiries: readonly { readonly origin: number; readonly seq: number; readonly atMs: number }[];
}

export interface SnapshotDot {
  readonly origin: number;
  readonly seq: number;
}

export interface Slice {
  readonly start: number;
  readonly length: number;
}

/** Offsets point into `bytes`, which hold during the call only. */
export interface SnapshotHandler {
  header(header: SnapshotHeader): void;
  key(bytes: Buffer, key: Slice, cell: SnapshotCell): void;
  field(bytes: Buffer, key: Slice, field: Slice, cell: SnapshotCell): void;
  member(bytes: Buffer, key: Slice, member: Slice, dots: readonly SnapshotDot[]): void;
}

/** For whoever only wants to know whether it is a snapshot. */
export const IGNORE_SNAPSHOT: SnapshotHandler = { header: () => {}, key: () => {}, field: () => {}, member: () => {} };

export class SnapshotFormatError extends Error {
  constructor(reason: string) {
    super(`not a snapshot that this version reads: ${reason}`);
    this.name = 'SnapshotFormatError';
  }
}

export class SnapshotParser {
  readonly #origins: OriginTable;
  readonly #handler: SnapshotHandler;
  readonly #indexes: number[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #seenHeader = false;
  /** The end record was read. */
  complete = false;

  constructor(origins: OriginTable, handler: SnapshotHandler) {
    this.#origins = origins;
    this.#handler = handler;
  }

  /** Takes the next piece; all whole records in it are handed over. Throws SnapshotFormatError. */
  feed(piece: Uint8Array): void {
    const rest = this.#bytes.length - this.#at;
    this.#bytes =
      rest === 0
        ? Buffer.from(piece.buffer, piece.byteOffset, piece.length)
        : Buffer.concat([this.#bytes.subarray(this.#at), piece]);
    this.#at = 0;
    while (this.#readOne());
    // What is left must outlive the caller's piece.
    this.#bytes = Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = 0;
  }

  #readOne(): boolean {
    const bytes = this.#bytes;
    const head = this.#seenHeader ? 0 : SNAPSHOT_MAGIC.length;
    if (bytes.length - this.#at < head + 4 || this.complete) return false;
    if (!this.#seenHeader && bytes.toString('latin1', this.#at, this.#at + head) !== SNAPSHOT_MAGIC) {
      throw new SnapshotFormatError(
        `it begins with ${quote(bytes.toString('latin1', 0, head))}, not ${quote(SNAPSHOT_MAGIC)}`,
      );
    }
    const start = this.#at + head + 4;
    const end = start + readU32(bytes, start - 4);
    if (bytes.length < end) return false;
    this.#at = start;
    if (this.#seenHeader) this.#readRecord();
    else this.#readHeader();
    if (this.#at !== end)
      throw new SnapshotFormatError(`a record of ${end - start} bytes reads as ${this.#at - start}`);
    return true;
  }

  #readHeader(): void {
    this.#seenHeader = true;
    const count = this.#varint();
    for (let i = 0; i < count; i++) {
      this.#indexes.push(this.#origins.indexOf(this.#bytes[this.#at]!, readU32(this.#bytes, this.#at + 1)));
      this.#at += 5;
    }
    const vector = this.#vector();
    const contexts = new Map<number, VersionVector>();
    for (let left = this.#varint(); left > 0; left--) {
      const origin = this.#origin();
      contexts.set(origin, this.#vector());
    }
    this.#handler.header({ vector, contexts, hlc: this.#float() });
  }

  #readRecord(): void {
    const kind = this.#bytes[this.#at++]!;
    if (kind === RECORD.end) {
      this.complete = true;
      return;
    }
    const key = this.#slice();
    if (kind === RECORD.key) {
      this.#handler.key(this.#bytes, key, this.#cell());
    } else if (kind === RECORD.field) {
      const field = this.#slice();
      this.#handler.field(this.#bytes, key, field, this.#cell());
    } else if (kind === RECORD.member) {
      const member = this.#slice();
      const dots: SnapshotDot[] = [];
      for (let left = this.#varint(); left > 0; left--) dots.push({ origin: this.#origin(), seq: this.#varint() });
      this.#handler.member(this.#bytes, key, member, dots);
    } else {
      throw new SnapshotFormatError(`a record of kind ${kind}`);
    }
  }

  #cell(): SnapshotCell {
    const values: SnapshotValue[] = [];
    for (let left = this.#varint(); left > 0; left--) {
      const origin = this.#origin();
      const seq = this.#varint();
      const hlc = this.#float();
      const persists = this.#varint() === 1;
      values.push({ origin, seq, hlc, persists, ...this.#slice() });
    }
    const counters: CounterEntry[] = [];
    for (let left = this.#varint(); left > 0; left--) {
      const origin = this.#origin();
      const frame = this.#varint();
      const n = this.#varint();
      const total = this.#number();
      const isDecimal = this.#varint() === 1;
      const cutN = this.#varint();
      const cutTotal = this.#number();
      const cutOrigin = this.#origin();
      counters.push({ origin, frame, n, total, isDecimal, cutN, cutTotal, cutOrigin, cutSeq: this.#varint() });
    }
    const expiries: { origin: number; seq: number; atMs: number }[] = [];
    for (let left = this.#varint(); left > 0; left--) {
      expiries.push({ origin: this.#origin(), seq: this.#varint(), atMs: this.#float() });
    }
    return { values, counters, expiries };
  }

  #vector(): VersionVector {
    const vector = new VersionVector();
    for (let left = this.#varint(); left > 0; left--) {
      const origin = this.#origin();
      vector.set(origin, this.#varint());
    }
    return vector;
  }

  #origin(): number {
    const index = this.#indexes[this.#varint()];
    if (index === undefined) throw new SnapshotFormatError('an origin outside of its table');
    return index;
  }

  #slice(): Slice {
    const length = this.#varint();
    const start = this.#at;
    this.#at += length;
    return { start, length };
  }

  #number(): ExactNumber {
    const code = this.#varint();
    if (code > 0) return code % 2 === 1 ? (code - 1) / 2 : -code / 2;
    const { start, length } = this.#slice();
    return parseExact(this.#bytes.toString('latin1', start, start + length));
  }

  #float(): number {
    this.#at += 8;
    return readF64(this.#bytes, this.#at - 8);
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || scale > 2 ** 49) throw new SnapshotFormatError('a number without end');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }
}
