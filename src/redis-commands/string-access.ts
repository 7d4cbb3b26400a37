/**
 * What every command on a string value starts and ends with: its bytes, and writing new ones.
 *
 * Invariant: `VALUE` points into the arena; it is good until the next change of data.
 */
import { type KeyRef, TYPE } from '../database/key-ref.ts';
import { ValueRef } from '../database/value-ref.ts';
import { KEEP_TTL } from '../database/writer.ts';
import { SPARE_BYTES_MAX } from './limits.ts';
import type { Call } from './spec.ts';
import { WRONG_TYPE } from './texts.ts';

export const VALUE = new ValueRef();
const EMPTY = new Uint8Array(0);

/** Whether the key is a string or not there. Otherwise the error has been replied. */
export function isStringOrReply(call: Call, key: KeyRef): boolean {
  if (key.type === TYPE.string || key.type === TYPE.none) return true;
  call.reply.error(WRONG_TYPE);
  return false;
}

/** The key's visible value; empty when there is no key. Its type was checked. */
export function readValue(call: Call, key: KeyRef): ValueRef {
  if (key.type !== TYPE.none) return call.database.keyspace.readCell(key.record, VALUE);
  VALUE.bytes = EMPTY;
  VALUE.start = 0;
  VALUE.length = 0;
  return VALUE;
}

export function replyValue(call: Call, value: ValueRef): void {
  call.reply.bulk(value.bytes, value.start, value.length);
}

/** Writes a changed value: the time to live stays; a value that grew keeps room to grow on, so that the next one need not move it. */
export function writeChanged(call: Call, key: KeyRef, bytes: Uint8Array, length: number, oldLength: number): void {
  const spare = oldLength > 0 && length > oldLength ? Math.min(length, SPARE_BYTES_MAX) : 0;
  call.database.writer.set(key, bytes, 0, length, KEEP_TTL, spare);
}
