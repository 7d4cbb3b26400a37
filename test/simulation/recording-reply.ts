/** A reply that is kept as plain values: text, numbers, null, arrays, and errors as `{error}`. */
import type { Reply } from '../../src/resp/reply.ts';

export type ReplyValue = string | number | bigint | boolean | null | ReplyError | readonly ReplyValue[];

export interface ReplyError {
  readonly error: string;
}

export const isReplyError = (value: ReplyValue): value is ReplyError =>
  typeof value === 'object' && value !== null && 'error' in value;

/** RESP3 in shape; bulk strings hold one char per byte. One object may record many replies, one after the other. */
export class RecordingReply implements Reply {
  readonly protocol = 3;
  #open: { readonly values: ReplyValue[]; missing: number }[] = [];
  #values: ReplyValue[] = [];

  /** The reply recorded since the last call. Throws when there was not exactly one. */
  take(): ReplyValue {
    const values = this.#values;
    if (values.length !== 1 || this.#open.length > 0) throw new Error(`${values.length} replies instead of one`);
    this.#values = [];
    return values[0]!;
  }

  ok(): void {
    this.#add('OK');
  }

  simple(text: string): void {
    this.#add(text);
  }

  error(text: string): void {
    this.#add({ error: text });
  }

  integer(value: number): void {
    this.#add(value);
  }

  bigint(value: bigint): void {
    this.#add(value);
  }

  bulk(bytes: Uint8Array, start: number, length: number): void {
    this.#add(Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1'));
  }

  text(value: string): void {
    this.#add(Buffer.from(value).toString('latin1'));
  }

  double(value: number): void {
    this.#add(value);
  }

  boolean(value: boolean): void {
    this.#add(value);
  }

  nil(): void {
    this.#add(null);
  }

  nilArray(): void {
    this.#add(null);
  }

  array(count: number): void {
    this.#begin(count);
  }

  /** Keys and values in turn. */
  map(count: number): void {
    this.#begin(2 * count);
  }

  set(count: number): void {
    this.#begin(count);
  }

  push(count: number): void {
    this.#begin(count);
  }

  verbatim(text: string): void {
    this.text(text);
  }

  #begin(count: number): void {
    const values: ReplyValue[] = [];
    this.#add(values, count > 0);
    if (count > 0) this.#open.push({ values, missing: count });
  }

  #add(value: ReplyValue, opens = false): void {
    const parent = this.#open[this.#open.length - 1];
    if (parent === undefined) {
      this.#values.push(value);
      return;
    }
    parent.values.push(value);
    parent.missing--;
    if (parent.missing === 0 && !opens) this.#close();
    else if (parent.missing === 0) this.#open.splice(this.#open.length - 1, 1);
  }

  #close(): void {
    while (this.#open.length > 0 && this.#open[this.#open.length - 1]!.missing === 0) this.#open.pop();
  }
}
