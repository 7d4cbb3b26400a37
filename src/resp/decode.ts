/**
 * Replies from bytes: an incremental decoder of RESP2 and RESP3, for whoever is a client of an endpoint: the node daemon, tests, tools.
 *
 * It looks at every unfinished reply again from its beginning when more arrives; that is meant for replies that are small or rare.
 */
import { REPLY_DEPTH_MAX, REPLY_LINE_BYTES_MAX } from './limits.ts';

export type Decoded = string | number | bigint | boolean | null | Buffer | ReplyError | Push | Decoded[] | DecodedMap;
export type DecodedMap = Map<Decoded, Decoded>;

/** An error is a value here: it may stand inside an array. */
export class ReplyError {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An out-of-band message. */
export class Push {
  readonly values: readonly Decoded[];

  constructor(values: readonly Decoded[]) {
    this.values = values;
  }
}

/** What arrived is no RESP; nothing after it can be understood. */
export class MalformedReplyError extends Error {}

const CR = 13;
const INCOMPLETE = Symbol('incomplete');

export class ReplyDecoder {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  push(bytes: Uint8Array): void {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([rest, bytes]);
    this.#at = 0;
  }

  /** The next reply; undefined: not all of it is here. Throws MalformedReplyError. */
  next(): Decoded | undefined {
    const start = this.#at;
    const value = this.#read(0);
    if (value !== INCOMPLETE) return value;
    this.#at = start;
    return undefined;
  }

  /** Bytes that no reply was made of yet. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  #read(depth: number): Decoded | typeof INCOMPLETE {
    if (depth > REPLY_DEPTH_MAX) throw new MalformedReplyError(`a reply is nested more than ${REPLY_DEPTH_MAX} deep`);
    const line = this.#readLine();
    if (line === null) return INCOMPLETE;
    const text = line.slice(1);
    switch (line[0]) {
      case '+':
        return text;
      case '-':
        return new ReplyError(text);
      case ':':
      case '(':
        return readInteger(text);
      case ',':
        return readDouble(text);
      case '#':
        return text === 't';
      case '_':
        return null;
      case '$':
        return this.#readBulk(readLength(text));
      case '!': {
        const bulk = this.#readBulk(readLength(text));
        return Buffer.isBuffer(bulk) ? new ReplyError(bulk.toString()) : bulk;
      }
      case '=': {
        const bulk = this.#readBulk(readLength(text));
        return Buffer.isBuffer(bulk) ? bulk.subarray(4) : bulk;
      }
      case '*':
      case '~':
        return this.#readValues(readLength(text), depth);
      case '>': {
        const values = this.#readValues(readLength(text), depth);
        return Array.isArray(values) ? new Push(values) : values;
      }
      case '%':
        return this.#readMap(readLength(text), depth);
      default:
        throw new MalformedReplyError(`a reply begins with ${JSON.stringify(line.slice(0, 16))}`);
    }
  }

  #readLine(): string | null {
    const end = this.#bytes.indexOf(CR, this.#at);
    if (end < 0 || end + 1 >= this.#bytes.length) {
      if (this.#bytes.length - this.#at > REPLY_LINE_BYTES_MAX) throw new MalformedReplyError('a line does not end');
      return null;
    }
    const line = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 2;
    return line;
  }

  #readBulk(length: number): Buffer | null | typeof INCOMPLETE {
    if (length < 0) return null;
    const end = this.#at + length;
    if (end + 2 > this.#bytes.length) return INCOMPLETE;
    const bulk = Buffer.from(this.#bytes.subarray(this.#at, end));
    this.#at = end + 2;
    return bulk;
  }

  #readValues(count: number, depth: number): Decoded[] | null | typeof INCOMPLETE {
    if (count < 0) return null;
    const values: Decoded[] = [];
    for (let i = 0; i < count; i++) {
      const value = this.#read(depth + 1);
      if (value === INCOMPLETE) return INCOMPLETE;
      values.push(value);
    }
    return values;
  }

  #readMap(count: number, depth: number): DecodedMap | null | typeof INCOMPLETE {
    const values = this.#readValues(2 * count, depth);
    if (values === null || values === INCOMPLETE) return values;
    const map: DecodedMap = new Map();
    for (let i = 0; i < values.length; i += 2) {
      const key = values[i]!;
      map.set(Buffer.isBuffer(key) ? key.toString() : key, values[i + 1]!);
    }
    return map;
  }
}

function readInteger(text: string): number | bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new MalformedReplyError(`not an integer: ${text.slice(0, 32)}`);
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

function readDouble(text: string): number {
  if (text === 'inf') return Infinity;
  if (text === '-inf') return -Infinity;
  const value = Number(text);
  if (Number.isNaN(value) && text !== 'nan') throw new MalformedReplyError(`not a number: ${text.slice(0, 32)}`);
  return value;
}

function readLength(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new MalformedReplyError(`not a length: ${text.slice(0, 32)}`);
  return Number(text);
}
