/**
 * Requests from bytes: multibulk and inline commands, incremental, one parser for all connections.
 *
 * All connections read into one shared buffer, and arguments stay where they arrived: the parser only notes offsets. A command that is cut by the
 * end of a read is kept by its connection (`Input`, with the offsets found so far, so that no byte is looked at twice however the command was
 * cut). When more arrives, the kept bytes are copied into the headroom in front of the read area, and parsing goes on across the seam;
 * only commands larger than the headroom are collected in a buffer of their own.
 *
 *   [ headroom ........ kept bytes ][ read area: new bytes ................ ]
 *
 * Invariants: between `begin` and `end` one connection has the parser; offsets in `args` are valid until the next `next`.
 */
import { assert } from '../base/assert.ts';
import { Args, makeArgs } from './args.ts';
import type { Input } from './input.ts';
import { splitInline } from './inline.ts';
import * as limits from './limits.ts';

export const NEED_MORE = 0;
export const COMMAND = 1;
export const PROTOCOL_ERROR = 2;

const STAR = 42;
const DOLLAR = 36;
const CR = 13;
const LF = 10;
const MINUS = 45;

/** Results of reading a number's line that are no numbers. */
const INCOMPLETE = -3;
const INVALID = -2;
const TOO_LONG = -4;

export class RequestParser {
  readonly #shared = Buffer.allocUnsafeSlow(limits.HEADROOM_BYTES + limits.READ_BYTES);
  /** Where sockets read into. */
  readonly readArea = this.#shared.subarray(limits.HEADROOM_BYTES);
  /** The command that `next` found. */
  args = new Args();
  /** What is wrong, after PROTOCOL_ERROR. */
  error = '';
  readonly #spare: Args[] = [];
  #input: Input | null = null;
  #bytes: Buffer = this.#shared;
  #end = 0;
  /** First byte of the command being parsed, or found last. */
  #start = 0;
  #at = 0;
  #missing = -1;
  #announced = 0;
  /** Offset after the line that `#readNumber` read. */
  #afterLine = 0;

  /** Takes `count` new bytes in the read area for this connection. */
  begin(input: Input, count: number): void {
    assert(this.#input === null, 'one connection at a time is parsed');
    this.#input = input;
    if (input.length === 0) {
      this.#bytes = this.#shared;
      this.#start = limits.HEADROOM_BYTES;
      this.#at = limits.HEADROOM_BYTES;
      this.#end = limits.HEADROOM_BYTES + count;
      this.#missing = -1;
      return;
    }
    this.#beginCarried(input, count);
  }

  #beginCarried(input: Input, count: number): void {
    if (input.length <= limits.HEADROOM_BYTES) {
      this.#bytes = this.#shared;
      this.#start = limits.HEADROOM_BYTES - input.length;
      this.#end = limits.HEADROOM_BYTES + count;
      input.bytes.copy(this.#shared, this.#start, 0, input.length);
    } else {
      input.append(this.#shared, limits.HEADROOM_BYTES, limits.HEADROOM_BYTES + count);
      this.#bytes = input.bytes;
      this.#start = 0;
      this.#end = input.length;
    }
    this.#at = this.#start + input.at;
    this.#missing = input.missing;
    this.#announced = input.announced;
    if (input.args === null) {
      this.args.count = 0;
    } else {
      this.#giveBack(this.args);
      this.args = input.args;
      shift(this.args, this.#start);
    }
    this.args.bytes = this.#bytes;
    input.forgetProgress();
  }

  /** Keeps what was not used for the connection. `again`: from the first byte of the command found last. */
  end(again = false): void {
    const input = this.#input!;
    this.#input = null;
    if (again) {
      this.#at = this.#start;
      this.#missing = -1;
    } else if (this.#missing < 0) {
      this.#start = this.#at;
    }
    if (this.#start === this.#end) {
      if (input.length > 0) input.clear();
      return;
    }
    input.announced = this.#announced - this.#start;
    input.replace(this.#bytes, this.#start, this.#end);
    input.at = this.#at - this.#start;
    input.missing = this.#missing;
    if (this.#missing < 0 || this.args.count === 0) return;
    shift(this.args, -this.#start);
    input.args = this.args;
    this.args = this.#spare.pop() ?? new Args();
  }

  /** Bytes not parsed yet, copied; they are the caller's now. */
  takeRest(): Buffer {
    const rest = Buffer.from(this.#bytes.subarray(this.#at, this.#end));
    this.#at = this.#end;
    return rest;
  }

  /** The client sends nothing more that counts. */
  discard(): void {
    this.#at = this.#end;
    this.#missing = -1;
  }

  /** The next command, if all of it is here. */
  next(): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    let missing = this.#missing;
    const { args } = this;
    while (missing <= 0) {
      this.#start = at;
      if (at >= end) return this.#suspend(at, -1, 0);
      if (bytes[at] !== STAR) return this.#nextInline();
      const digit = bytes[at + 1]! - 48;
      if (at + 3 < end && bytes[at + 2] === CR && digit >= 1 && digit <= 9) {
        missing = digit;
        at += 4;
      } else {
        missing = this.#readNumber(at);
        if (missing < -1) return this.#headFailed(missing, at);
        if (missing > this.#input!.argumentsMax) {
          const tooMany = missing > limits.UNAUTHENTICATED_ARGUMENTS_MAX && missing <= limits.ARGUMENTS_MAX;
          return this.#fail(tooMany ? 'unauthenticated multibulk length' : 'invalid multibulk length');
        }
        at = this.#afterLine;
      }
      args.count = 0;
      args.bytes = bytes;
    }
    while (missing > 0) {
      if (at >= end) return this.#suspend(at, missing, 0);
      if (bytes[at] !== DOLLAR) return this.#fail(`expected '$', got '${printable(bytes[at]!)}'`);
      let length = bytes[at + 1]! - 48;
      let start = at + 4;
      if (!(at + 3 < end && bytes[at + 2] === CR && length >= 0 && length <= 9)) {
        const second = bytes[at + 2]! - 48;
        if (at + 4 < end && bytes[at + 3] === CR && length >= 1 && length <= 9 && second >= 0 && second <= 9) {
          length = length * 10 + second;
          start++;
        } else {
          length = this.#readNumber(at);
          if (length < 0) return this.#bulkFailed(length, at, missing);
          if (length > this.#input!.bulkBytesMax) return this.#bulkTooLong(length);
          start = this.#afterLine;
        }
      }
      if (start + length + 2 > end) return this.#suspend(at, missing, start + length + 2);
      args.push(start, length);
      at = start + length + 2;
      missing--;
    }
    this.#at = at;
    this.#missing = -1;
    return COMMAND;
  }

  #suspend(at: number, missing: number, announced: number): number {
    this.#at = at;
    this.#missing = missing;
    this.#announced = announced;
    if (announced - this.#start > limits.COMMAND_BYTES_MAX || this.#end - this.#start > limits.COMMAND_BYTES_MAX) {
      return this.#fail('too big request');
    }
    return NEED_MORE;
  }

  /**
   * The number in a line `*N` or `$N` at `at`. Negative ones are -1 whatever they are; INCOMPLETE, INVALID, TOO_LONG. Like Redis, what follows the
   * carriage return is skipped unseen.
   */
  #readNumber(at: number): number {
    const bytes = this.#bytes;
    let stop = at + 1;
    const last = Math.min(this.#end, at + 1 + limits.LINE_BYTES_MAX);
    while (stop < last && bytes[stop] !== CR) stop++;
    if (stop >= last) return this.#end - at > limits.LINE_BYTES_MAX ? TOO_LONG : INCOMPLETE;
    if (stop + 2 > this.#end) return INCOMPLETE;
    this.#afterLine = stop + 2;
    const negative = bytes[at + 1] === MINUS;
    const first = at + (negative ? 2 : 1);
    const digits = stop - first;
    if (digits < 1 || digits > 15 || (bytes[first] === 48 && (digits > 1 || negative))) return INVALID;
    let value = 0;
    for (let i = first; i < stop; i++) {
      const digit = bytes[i]! - 48;
      if (digit < 0 || digit > 9) return INVALID;
      value = value * 10 + digit;
    }
    return negative ? -1 : value;
  }

  #headFailed(reason: number, at: number): number {
    if (reason === INCOMPLETE) return this.#suspend(at, -1, 0);
    return this.#fail(reason === TOO_LONG ? 'too big mbulk count string' : 'invalid multibulk length');
  }

  #bulkFailed(reason: number, at: number, missing: number): number {
    if (reason === INCOMPLETE) return this.#suspend(at, missing, 0);
    return this.#fail(reason === TOO_LONG ? 'too big bulk count string' : 'invalid bulk length');
  }

  #bulkTooLong(length: number): number {
    const isUnauthenticated = this.#input!.bulkBytesMax <= limits.UNAUTHENTICATED_BULK_BYTES_MAX;
    const fits = length <= limits.BULK_BYTES_MAX;
    return this.#fail(isUnauthenticated && fits ? 'unauthenticated bulk length' : 'invalid bulk length');
  }

  #nextInline(): number {
    const bytes = this.#bytes;
    for (;;) {
      const start = this.#start;
      const line = bytes.indexOf(LF, start);
      if (line < 0 || line >= this.#end) {
        if (this.#end - start > limits.LINE_BYTES_MAX) return this.#fail('too big inline request');
        return this.#suspend(start, -1, 0);
      }
      const stop = line > start && bytes[line - 1] === CR ? line - 1 : line;
      const words = splitInline(bytes, start, stop);
      if (words === null) return this.#fail('unbalanced quotes in request');
      this.#at = line + 1;
      this.#missing = -1;
      if (words.length > 0) {
        this.#giveBack(this.args);
        this.args = makeArgs(words);
        return COMMAND;
      }
      this.#start = this.#at;
      if (this.#at >= this.#end || bytes[this.#at] === STAR) return this.next();
    }
  }

  #fail(text: string): number {
    this.error = `ERR Protocol error: ${text}`;
    this.discard();
    return PROTOCOL_ERROR;
  }

  #giveBack(args: Args): void {
    if (args.starts.length <= limits.ARGS_KEPT_PLACES && this.#spare.length < limits.ARGS_SPARE_MAX) {
      this.#spare.push(args);
    }
  }
}

function shift(args: Args, by: number): void {
  if (by === 0) return;
  const { starts, count } = args;
  for (let i = 0; i < count; i++) starts[i]! += by;
}

const printable = (byte: number): string =>
  byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
