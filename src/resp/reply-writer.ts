/**
 * Replies to bytes, RESP2 and RESP3, at the end of one buffer that all connections share in turn.
 *
 * The connection whose commands run takes what was written and hands it to its socket with one call; nearly always the kernel takes all of it
 * at once and the same buffer serves the next connection. Integers and lengths are written digit by digit: no string is made on the hot
 * path.
 *
 * A client's replies of one turn may have `bytesMax` bytes. From there on they are forgotten while the command runs to its end: what it changes is
 * complete, but its client is lost (`isOverfull`), and nobody else is.
 *
 * Invariant: `bytes[0 .. length)` are whole replies whenever no command is running.
 */
import { REPLY_BUFFER_BYTES, REPLY_BYTES_MAX } from './limits.ts';
import type { Reply } from './reply.ts';

const CR = 13;
const LF = 10;
/** A number with its prefix and line end. */
const NUMBER_BYTES_MAX = 32;
/** Up to here a loop beats a call. */
const SHORT_COPY_BYTES = 48;

const NULL = Buffer.from('_\r\n');
const NULL_BULK = Buffer.from('$-1\r\n');
const NULL_ARRAY = Buffer.from('*-1\r\n');

export class ReplyWriter implements Reply {
  protocol: 2 | 3 = 2;
  /** Bytes written. */
  length = 0;
  /** Errors replied, ever; and the latest one. */
  errorCount = 0;
  lastError = '';
  /** More was replied since `begin` than may be. */
  isOverfull = false;
  readonly #bytesMax: number;
  /** Where the replies of the present client begin. */
  #start = 0;
  #bytes = Buffer.allocUnsafeSlow(REPLY_BUFFER_BYTES);

  constructor(bytesMax = REPLY_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** What follows are the replies of one client. */
  begin(): void {
    this.#start = this.length;
    this.isOverfull = false;
  }

  /** What was written. It stays valid until the next reply, unless `surrender` is called. */
  peek(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  /** Forgets everything from `length` on. */
  truncate(length = 0): void {
    this.length = length;
    if (length < this.#start) this.#start = length;
    if (length === 0 && this.#bytes.length > REPLY_BUFFER_BYTES) this.surrender();
  }

  /** The bytes given out are somebody else's now; the next replies go elsewhere. */
  surrender(): void {
    this.#bytes = Buffer.allocUnsafeSlow(REPLY_BUFFER_BYTES);
    this.length = 0;
    this.#start = 0;
  }

  ok(): void {
    const at = this.#reserve(5);
    const bytes = this.#bytes;
    bytes[at] = 43;
    bytes[at + 1] = 79;
    bytes[at + 2] = 75;
    bytes[at + 3] = CR;
    bytes[at + 4] = LF;
    this.length = at + 5;
  }

  simple(text: string): void {
    this.#line(43, text);
  }

  error(text: string): void {
    this.errorCount++;
    this.lastError = text;
    this.#line(45, text.replace(/[\r\n]+$/, '').replace(/[\r\n]/g, ' '), 'latin1');
  }

  integer(value: number): void {
    this.#header(58, value);
  }

  bigint(value: bigint): void {
    this.#line(58, value.toString());
  }

  bulk(source: Uint8Array, start: number, count: number): void {
    let at = this.#reserve(count + NUMBER_BYTES_MAX);
    const bytes = this.#bytes;
    bytes[at++] = 36;
    at = writeUnsigned(bytes, at, count);
    bytes[at] = CR;
    bytes[at + 1] = LF;
    at += 2;
    if (count <= SHORT_COPY_BYTES) {
      for (let i = 0; i < count; i++) bytes[at + i] = source[start + i]!;
    } else {
      bytes.set(source.subarray(start, start + count), at);
    }
    at += count;
    bytes[at] = CR;
    bytes[at + 1] = LF;
    this.length = at + 2;
  }

  text(value: string): void {
    const count = Buffer.byteLength(value);
    this.#header(36, count);
    const at = this.#reserve(count + 2);
    this.#bytes.write(value, at, 'utf8');
    this.#bytes[at + count] = CR;
    this.#bytes[at + count + 1] = LF;
    this.length = at + count + 2;
  }

  double(value: number): void {
    const text = formatDouble(value);
    if (this.protocol === 3) this.#line(44, text);
    else this.text(text);
  }

  boolean(value: boolean): void {
    if (this.protocol === 3) this.#line(35, value ? 't' : 'f');
    else this.#header(58, value ? 1 : 0);
  }

  nil(): void {
    this.raw(this.protocol === 3 ? NULL : NULL_BULK);
  }

  nilArray(): void {
    this.raw(this.protocol === 3 ? NULL : NULL_ARRAY);
  }

  array(count: number): void {
    this.#header(42, count);
  }

  map(count: number): void {
    if (this.protocol === 3) this.#header(37, count);
    else this.#header(42, 2 * count);
  }

  set(count: number): void {
    this.#header(this.protocol === 3 ? 126 : 42, count);
  }

  push(count: number): void {
    this.#header(this.protocol === 3 ? 62 : 42, count);
  }

  verbatim(text: string): void {
    if (this.protocol !== 3) {
      this.text(text);
      return;
    }
    const count = Buffer.byteLength(text) + 4;
    this.#header(61, count);
    const at = this.#reserve(count + 2);
    this.#bytes.write(`txt:${text}\r\n`, at, 'utf8');
    this.length = at + count + 2;
  }

  /** Bytes that are replies already. */
  raw(source: Uint8Array): void {
    const at = this.#reserve(source.length);
    this.#bytes.set(source, at);
    this.length = at + source.length;
  }

  #line(kind: number, text: string, encoding: 'utf8' | 'latin1' = 'utf8'): void {
    const count = Buffer.byteLength(text, encoding);
    const at = this.#reserve(count + 3);
    const bytes = this.#bytes;
    bytes[at] = kind;
    bytes.write(text, at + 1, encoding);
    bytes[at + 1 + count] = CR;
    bytes[at + 2 + count] = LF;
    this.length = at + count + 3;
  }

  /** `value`: a safe integer. */
  #header(kind: number, value: number): void {
    let at = this.#reserve(NUMBER_BYTES_MAX);
    const bytes = this.#bytes;
    bytes[at++] = kind;
    if (value < 0) {
      bytes[at++] = 45;
      value = -value;
    }
    at = writeUnsigned(bytes, at, value);
    bytes[at] = CR;
    bytes[at + 1] = LF;
    this.length = at + 2;
  }

  /** Where the next byte goes, with room for `count`. */
  #reserve(count: number): number {
    if (this.length + count > this.#bytes.length) this.#grow(this.length + count);
    return this.length;
  }

  #grow(needed: number): void {
    if (needed - this.#start > this.#bytesMax) {
      this.isOverfull = true;
      needed -= this.length - this.#start;
      this.length = this.#start;
      if (needed <= this.#bytes.length) return;
    }
    const bytes = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * this.#bytes.length, needed + (64 << 20))));
    this.#bytes.copy(bytes, 0, 0, this.length);
    this.#bytes = bytes;
  }
}

/** Writes a safe integer >= 0 in decimal; returns the offset after it. */
export function writeUnsigned(bytes: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    bytes[at] = 48 + value;
    return at + 1;
  }
  let count = 2;
  for (let bound = 100; value >= bound; bound *= 10) count++;
  const end = at + count;
  let i = end;
  while (value > 0x3fff_ffff) {
    const rest = Math.floor(value / 10);
    bytes[--i] = 48 + (value - rest * 10);
    value = rest;
  }
  let small = value | 0;
  while (i > at) {
    const rest = (small / 10) | 0;
    bytes[--i] = 48 + (small - rest * 10);
    small = rest;
  }
  return end;
}

/** As Redis prints doubles: the shortest digits that read back as the same value. */
export function formatDouble(value: number): string {
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  if (Number.isNaN(value)) return 'nan';
  return Object.is(value, -0) ? '-0' : String(value);
}
