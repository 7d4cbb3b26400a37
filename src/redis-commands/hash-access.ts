/**
 * What every hash command begins with: the hash under a key, the visible field in it, its value.
 *
 * A field's record may be there without counting (only leftovers of a resolved conflict, or its time to live is over), so commands never
 * look at a record that `findVisible` did not give them. Hashes without volatile fields pay nothing for that: the
 * container counts both the visible and the volatile ones. Counting those that are seen: database/visible-fields.ts.
 *
 * Invariant: an address obtained here is good until the next write.
 */
import type { Keyspace } from '../database/keyspace.ts';
import { ValueRef } from '../database/value-ref.ts';
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { Args } from '../resp/args.ts';
import type { Reply } from '../resp/reply.ts';
import type { Call } from './spec.ts';
import { WRONG_TYPE } from './texts.ts';

/** The reply has been given: the command is over. */
export const REFUSED = -1;

const value = new ValueRef();

/** The hash under the key at argument 1, for reading; 0: there is no such key; REFUSED: another type, replied. */
export function readHash(call: Call): number {
  const { database } = call;
  const key = database.lookup(call.args, 1);
  if (key.type === TYPE.hash) return database.keyspace.containers.hash(key.record);
  if (key.type === TYPE.none) return 0;
  call.reply.error(WRONG_TYPE);
  return REFUSED;
}

/** The key at argument 1 for writing to its hash, which may not be there yet; null: another type, replied. */
export function hashKeyForWrite(call: Call): KeyRef | null {
  const key = call.database.lookupWrite(call.args, 1);
  if (key.type === TYPE.hash || key.type === TYPE.none) return key;
  call.reply.error(WRONG_TYPE);
  return null;
}

/** The hash of a key looked up for writing; 0: none. */
export function hashOf(keyspace: Keyspace, key: KeyRef): number {
  return key.type === TYPE.hash ? keyspace.containers.hash(key.record) : 0;
}

/** The record of the field that is the argument at `index`, whatever is left of it; 0: none. */
export function findField(keyspace: Keyspace, hash: number, args: Args, index: number): number {
  return keyspace.containers.findField(hash, args.bytes, args.starts[index]!, args.lengths[index]!);
}

/** The same, but only a field that a client sees. */
export function findVisible(keyspace: Keyspace, hash: number, args: Args, index: number): number {
  const field = findField(keyspace, hash, args, index);
  return field !== 0 && keyspace.isFieldVisible(field) ? field : 0;
}

export function replyValue(keyspace: Keyspace, reply: Reply, field: number): void {
  keyspace.readCell(field, value);
  reply.bulk(value.bytes, value.start, value.length);
}

export function replyName(keyspace: Keyspace, reply: Reply, field: number): void {
  const { containers } = keyspace;
  const bytes = keyspace.arena.bytes[field >>> SEGMENT_SHIFT]!;
  reply.bulk(bytes, containers.nameOffset(field), containers.nameLength(field));
}

/** Length of the field's value in bytes. */
export function valueLength(keyspace: Keyspace, field: number): number {
  return keyspace.readCell(field, value).length;
}

/** The addresses of all visible fields, for commands that choose among them. */
export function visibleFields(keyspace: Keyspace, hash: number): number[] {
  const fields: number[] = [];
  keyspace.containers.eachField(hash, (field) => {
    if (keyspace.isFieldVisible(field)) fields.push(field);
  });
  return fields;
}

/** Removes a field that is not visible but still has a time to live, so that what is written next does not inherit it. */
export function clearHiddenField(call: Call, key: KeyRef, index: number): void {
  const { keyspace, writer } = call.database;
  const { args } = call;
  const hash = key.record === 0 ? 0 : keyspace.containers.hash(key.record);
  const field = findField(keyspace, hash, args, index);
  if (field === 0 || keyspace.attributes(field) === 0 || keyspace.isFieldVisible(field)) return;
  if (keyspace.cells.expiry(field) === -1) return;
  writer.removeField(key, args.bytes, args.starts[index]!, args.lengths[index]!);
}
