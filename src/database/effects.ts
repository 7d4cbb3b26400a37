/**
 * Effects: what a batch does, key by key. One encoding, one decoder; local writes are encoded by `Writer`, and everything that
 * reads batches (replication, recovery, the simulation's oracle) is an `EffectHandler`.
 *
 *   effect  u8 op (bit 7: same key as the effect before) [key] fields
 *   bytes   varint length, bytes              number  varint zigzag + 1, or 0 and the decimal's text as bytes
 *   cuts    varint count, count x (u8 instance, u32 generation, varint frame, varint n, number total)
 *
 *   1 SET     u8 flags, [f64 expiry], cuts, value bytes      5 SET-FIELD        field, then as SET
 *   2 REMOVE  cuts, varint fields, fields x (field, cuts)     6 REMOVE-FIELD     field, cuts
 *   3 ADD     varint frame, varint n, number total            7 ADD-FIELD        field, then as ADD
 *   4 EXPIRE  f64 expiry                                      8 EXPIRE-FIELD     field, f64 expiry
 *   9 ADD-MEMBER  member bytes      10 REMOVE-MEMBER  member bytes      11 FLUSH  (no key)
 *  14 CUT     cuts                                          15 CUT-FIELD        field, cuts
 *  12 ADD-DECIMAL  as ADD           13 ADD-FIELD-DECIMAL  as ADD-FIELD: of a frame that INCRBYFLOAT has added to
 *
 * SET removes all that the context covers under the key, of any type, then writes the register; with `keepTtl` it only writes the register.
 * REMOVE removes all that the context covers. Cuts name the counters that the writer observed, since a context cannot; CUT effects name those of a
 * removal that was too large to name them itself.
 */
import type { CounterCut } from '../crdt/cell.ts';
import { formatExact, parseExact, type ExactNumber } from '../crdt/exact-number.ts';
import { readF64, readU32, writeU32 } from '../crdt/frame.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import { writeVarint } from '../base/varint.ts';

export const OP = {
  set: 1,
  remove: 2,
  add: 3,
  expire: 4,
  setField: 5,
  removeField: 6,
  addField: 7,
  expireField: 8,
  addMember: 9,
  removeMember: 10,
  flush: 11,
  addDecimal: 12,
  addFieldDecimal: 13,
  cut: 14,
  cutField: 15,
} as const;

export const SAME_KEY = 0x80;

/** Flags of SET and SET-FIELD. */
export const SET = {
  /** Leave times to live and other types alone (APPEND, SETRANGE ...). */
  keepTtl: 1,
  /** The write says "no time to live" under its own dot. */
  persists: 2,
  /** The write brings a time to live of its own. */
  expires: 4,
} as const;

/** Receives the effects of a batch in order. Offsets point into the bytes given to `key`, which hold for the whole batch. */
export interface EffectHandler {
  key(bytes: Uint8Array, start: number, length: number): void;
  set(flags: number, expiryMs: number, cuts: readonly CounterCut[], start: number, length: number): void;
  remove(cuts: readonly CounterCut[], fields: readonly FieldCuts[]): void;
  add(frame: number, n: number, total: ExactNumber, isDecimal: boolean): void;
  expire(expiryMs: number): void;
  setField(
    field: Range,
    flags: number,
    expiryMs: number,
    cuts: readonly CounterCut[],
    start: number,
    length: number,
  ): void;
  removeField(field: Range, cuts: readonly CounterCut[]): void;
  addField(field: Range, frame: number, n: number, total: ExactNumber, isDecimal: boolean): void;
  expireField(field: Range, expiryMs: number): void;
  addMember(start: number, length: number): void;
  removeMember(start: number, length: number): void;
  flush(): void;
  cut(cuts: readonly CounterCut[]): void;
  cutField(field: Range, cuts: readonly CounterCut[]): void;
}

/** A reused object: read it, do not keep it. */
export interface Range {
  start: number;
  length: number;
}

export interface FieldCuts {
  readonly start: number;
  readonly length: number;
  readonly cuts: readonly CounterCut[];
}

export class MalformedBatchError extends Error {
  constructor(at: number) {
    super(`malformed effect at byte ${at} of a batch`);
    this.name = 'MalformedBatchError';
  }
}

/** An effect of a release that is newer than this one. */
export class UnsupportedBatchError extends Error {
  constructor(op: number) {
    super(`an effect of kind ${op} is not known to this release`);
    this.name = 'UnsupportedBatchError';
  }
}

/** The effect would make its batch larger than anybody reads. Nothing has changed. */
export class BatchTooLargeError extends Error {
  constructor(bytes: number, bytesMax: number) {
    super(`${bytes} more bytes would make the batch larger than the ${bytesMax} bytes that may be replicated at once`);
    this.name = 'BatchTooLargeError';
  }
}

/** For whoever only wants to know whether it can be read. */
const IGNORE: EffectHandler = {
  key: () => {},
  set: () => {},
  remove: () => {},
  add: () => {},
  expire: () => {},
  setField: () => {},
  removeField: () => {},
  addField: () => {},
  expireField: () => {},
  addMember: () => {},
  removeMember: () => {},
  flush: () => {},
  cut: () => {},
  cutField: () => {},
};

/** What `formatExact` makes. */
const DECIMAL = /^-?\d+(\.\d+)?$/;

const NO_CUTS: readonly CounterCut[] = [];
const NO_FIELDS: readonly FieldCuts[] = [];

/** Decodes effects and hands them to a handler. One reader is reused for all batches. */
export class EffectReader {
  readonly #origins: OriginTable;
  readonly #field: Range = { start: 0, length: 0 };
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #length = 0;
  #hasKey = false;

  constructor(origins: OriginTable) {
    this.#origins = origins;
  }

  /** Whether all effects in [start, end) can be read. Throws MalformedBatchError, UnsupportedBatchError. */
  validate(bytes: Uint8Array, start: number, end: number): void {
    this.read(bytes, start, end, IGNORE);
  }

  /** Reads all effects in [start, end). Throws MalformedBatchError, UnsupportedBatchError. */
  read(bytes: Uint8Array, start: number, end: number, handler: EffectHandler): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#hasKey = false;
    while (this.#at < end) this.#readEffect(handler);
    if (this.#at !== end) throw new MalformedBatchError(this.#at);
  }

  #readEffect(handler: EffectHandler): void {
    const code = this.#bytes[this.#at++]!;
    const op = code & ~SAME_KEY;
    if (op !== OP.flush && (code & SAME_KEY) === 0) {
      const start = this.#readBytes();
      handler.key(this.#bytes, start, this.#length);
      this.#hasKey = true;
    } else if (op !== OP.flush && !this.#hasKey) {
      throw new MalformedBatchError(this.#at);
    }
    switch (op) {
      case OP.set: {
        const flags = this.#bytes[this.#at++]!;
        const expiry = (flags & SET.expires) !== 0 ? this.#readFloat() : 0;
        const cuts = this.#readCuts();
        const start = this.#readBytes();
        handler.set(flags, expiry, cuts, start, this.#length);
        return;
      }
      case OP.remove: {
        const cuts = this.#readCuts();
        handler.remove(cuts, this.#readFieldCuts());
        return;
      }
      case OP.add:
      case OP.addDecimal: {
        const frame = this.#readVarint();
        const n = this.#readVarint();
        handler.add(frame, n, this.#readNumber(), op === OP.addDecimal);
        return;
      }
      case OP.expire:
        handler.expire(this.#readFloat());
        return;
      case OP.setField: {
        this.#readField();
        const flags = this.#bytes[this.#at++]!;
        const expiry = (flags & SET.expires) !== 0 ? this.#readFloat() : 0;
        const cuts = this.#readCuts();
        const start = this.#readBytes();
        handler.setField(this.#field, flags, expiry, cuts, start, this.#length);
        return;
      }
      case OP.removeField:
        this.#readField();
        handler.removeField(this.#field, this.#readCuts());
        return;
      case OP.addField:
      case OP.addFieldDecimal: {
        this.#readField();
        const frame = this.#readVarint();
        const n = this.#readVarint();
        handler.addField(this.#field, frame, n, this.#readNumber(), op === OP.addFieldDecimal);
        return;
      }
      case OP.expireField:
        this.#readField();
        handler.expireField(this.#field, this.#readFloat());
        return;
      case OP.addMember: {
        const start = this.#readBytes();
        handler.addMember(start, this.#length);
        return;
      }
      case OP.removeMember: {
        const start = this.#readBytes();
        handler.removeMember(start, this.#length);
        return;
      }
      case OP.flush:
        handler.flush();
        return;
      case OP.cut:
        handler.cut(this.#readCuts());
        return;
      case OP.cutField:
        this.#readField();
        handler.cutField(this.#field, this.#readCuts());
        return;
      default:
        throw new UnsupportedBatchError(op);
    }
  }

  #readField(): void {
    this.#field.start = this.#readBytes();
    this.#field.length = this.#length;
  }

  /** Skips a run of bytes; returns where it starts, its length is in #length. */
  #readBytes(): number {
    const length = this.#readVarint();
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw new MalformedBatchError(start);
    this.#length = length;
    return start;
  }

  #readVarint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++]!;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 128;
    do {
      if (this.#at >= this.#end || scale > 2 ** 49) throw new MalformedBatchError(this.#at);
      byte = bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    return value;
  }

  #readFloat(): number {
    this.#at += 8;
    if (this.#at > this.#end) throw new MalformedBatchError(this.#at);
    return readF64(this.#bytes, this.#at - 8);
  }

  #readNumber(): ExactNumber {
    const code = this.#readVarint();
    if (code > 0) return code % 2 === 1 ? (code - 1) / 2 : -code / 2;
    const start = this.#readBytes();
    const text = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, this.#length).toString('latin1');
    if (!DECIMAL.test(text)) throw new MalformedBatchError(start);
    return parseExact(text);
  }

  #readCuts(): readonly CounterCut[] {
    const count = this.#readVarint();
    if (count === 0) return NO_CUTS;
    const cuts: CounterCut[] = [];
    for (let i = 0; i < count; i++) {
      const instance = this.#bytes[this.#at]!;
      this.#at += 5;
      if (this.#at > this.#end) throw new MalformedBatchError(this.#at);
      const origin = this.#origins.indexOf(instance, readU32(this.#bytes, this.#at - 4));
      const frame = this.#readVarint();
      const n = this.#readVarint();
      cuts.push({ origin, frame, n, total: this.#readNumber() });
    }
    return cuts;
  }

  #readFieldCuts(): readonly FieldCuts[] {
    const count = this.#readVarint();
    if (count === 0) return NO_FIELDS;
    const fields: FieldCuts[] = [];
    for (let i = 0; i < count; i++) {
      const start = this.#readBytes();
      const length = this.#length;
      fields.push({ start, length, cuts: this.#readCuts() });
    }
    return fields;
  }
}

/** Safe integers up to half the range are coded in a varint; the rest as text. */
const isShort = (value: ExactNumber): value is number => typeof value === 'number' && Math.abs(value) < 2 ** 51;

export const numberBytesMax = (value: ExactNumber): number => (isShort(value) ? 8 : 9 + formatExact(value).length);

export function writeNumber(bytes: Buffer, at: number, value: ExactNumber): number {
  if (isShort(value)) return writeVarint(bytes, at, value < 0 ? -2 * value : 2 * value + 1);
  const text = formatExact(value);
  bytes[at] = 0;
  at = writeVarint(bytes, at + 1, text.length);
  return at + bytes.write(text, at, 'latin1');
}

export const cutsBytesMax = (cuts: readonly CounterCut[]): number =>
  cuts.reduce((sum, cut) => sum + 21 + numberBytesMax(cut.total), 5);

export function writeCuts(bytes: Buffer, at: number, cuts: readonly CounterCut[], origins: OriginTable): number {
  at = writeVarint(bytes, at, cuts.length);
  for (const cut of cuts) {
    const origin = origins.at(cut.origin);
    bytes[at] = origin.instance;
    writeU32(bytes, at + 1, origin.generation);
    at = writeVarint(bytes, at + 5, cut.frame);
    at = writeVarint(bytes, at, cut.n);
    at = writeNumber(bytes, at, cut.total);
  }
  return at;
}
