/**
 * A fingerprint of the logical state: equal on instances that have converged, whatever order things arrived in.
 *
 * Every key contributes a SHA-1 over its name, type, visible contents and time to live; contributions are combined by exclusive or, so the
 * order of the hash table does not matter. What is only bookkeeping (cut counters, hidden siblings) does not count, since instances
 * free it at different times.
 */
import { createHash } from 'node:crypto';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import { TYPE } from './key-ref.ts';
import { ValueRef, type Keyspace } from './keyspace.ts';
import { isGone } from './visible-fields.ts';

/** 40 hex digits; all zeros for an empty database. */
export function digestKeyspace(keyspace: Keyspace): string {
  const sum = Buffer.alloc(20);
  let cursor = 0;
  do {
    cursor = keyspace.keyMaps.scan(keyspace.keys, cursor, (record) => {
      if (keyspace.typeOf(record) !== TYPE.none && !isGone(keyspace, record))
        exclusiveOr(sum, digestKey(keyspace, record));
    });
  } while (cursor !== 0);
  return sum.toString('hex');
}

export function digestKey(keyspace: Keyspace, record: number): Buffer {
  const { containers } = keyspace;
  const type = keyspace.typeOf(record);
  const hash = createHash('sha1');
  const name = entryName(keyspace, record, containers.nameOffset(record));
  hash
    .update(`${type}:${name.length}:`)
    .update(name)
    .update(`:${visibleExpiry(keyspace, record)}:`);
  const contents = Buffer.alloc(20);
  if (type === TYPE.string) {
    hash.update(readValue(keyspace, record));
  } else if (type === TYPE.hash) {
    containers.eachField(containers.hash(record), (field) => {
      if (!keyspace.isFieldVisible(field)) return;
      const fieldName = entryName(keyspace, field, containers.nameOffset(field));
      const one = createHash('sha1')
        .update(`${fieldName.length}:`)
        .update(fieldName)
        .update(readValue(keyspace, field));
      exclusiveOr(contents, one.update(`:${visibleExpiry(keyspace, field)}`).digest());
    });
  } else {
    containers.eachMember(containers.set(record), (member) => {
      const one = createHash('sha1').update(entryName(keyspace, member, keyspace.elements.keyOffset(member)));
      exclusiveOr(contents, one.digest());
    });
  }
  return hash.update(contents).digest();
}

/** A time to live that says "none" is freed in each instance's own time, so it counts as what it shows. */
function visibleExpiry(keyspace: Keyspace, cell: number): number {
  const expiry = keyspace.cells.expiry(cell);
  return expiry === Infinity ? -1 : expiry;
}

function readValue(keyspace: Keyspace, cell: number): Uint8Array {
  const value = keyspace.readCell(cell, new ValueRef());
  return value.bytes.subarray(value.start, value.start + value.length);
}

function entryName(keyspace: Keyspace, entry: number, start: number): Buffer {
  return keyspace.arena.bytes[entry >>> SEGMENT_SHIFT]!.subarray(start, start + keyspace.containers.nameLength(entry));
}

function exclusiveOr(target: Buffer, other: Buffer): void {
  for (let i = 0; i < target.length; i++) target[i]! ^= other[i]!;
}
