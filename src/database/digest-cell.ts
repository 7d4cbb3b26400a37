/** What a digest takes of one cell, and how parts are combined. */
import { createHash, type Hash } from 'node:crypto';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { Keyspace } from './keyspace.ts';
import { ValueRef } from './value-ref.ts';

const value = new ValueRef();

/** SHA-1 over the field's name, value and time to live. */
export function digestField(keyspace: Keyspace, field: number): Buffer {
  const name = nameOf(keyspace, field);
  const hash = createHash('sha1').update(`${name.length}:`).update(name);
  updateValue(hash, keyspace, field);
  return hash.update(`:${visibleExpiry(keyspace, field)}`).digest();
}

export function updateValue(hash: Hash, keyspace: Keyspace, cell: number): void {
  keyspace.readCell(cell, value);
  hash.update(value.bytes.subarray(value.start, value.start + value.length));
}

/** A time to live that says "none" is freed in each instance's own time, so it counts as what it shows. */
export function visibleExpiry(keyspace: Keyspace, cell: number): number {
  const expiry = keyspace.attributes(cell) === 0 ? -1 : keyspace.cells.expiry(cell);
  return expiry === Infinity ? -1 : expiry;
}

export function nameOf(keyspace: Keyspace, cell: number): Buffer {
  const { arena, containers } = keyspace;
  const start = containers.nameOffset(cell);
  return arena.bytes[cell >>> SEGMENT_SHIFT]!.subarray(start, start + containers.nameLength(cell));
}

export function exclusiveOr(target: Buffer, other: Buffer): void {
  for (let i = 0; i < target.length; i++) target[i]! ^= other[i]!;
}
