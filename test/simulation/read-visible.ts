/**
 * What a database shows under a key, straight from its keyspace, in the oracle's shape: so that the two can be compared before there is a
 * command to ask with, and without the reading itself changing anything.
 */
import { ENTRY } from '../../src/memory/byte-map.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT } from '../../src/memory/arena.ts';
import { ELEMENT_KEY_OFFSET } from '../../src/crdt/element.ts';
import type { Database } from '../../src/database/database.ts';
import { KeyRef, TYPE } from '../../src/database/key-ref.ts';
import type { ValueRef } from '../../src/database/value-ref.ts';
import type { Visible } from './oracle.ts';

const text = ({ bytes, start, length }: ValueRef): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1');

/** An expired key is still shown, as in the oracle, which knows no time. */
export function readVisible(database: Database, name: string): Visible {
  const { keyspace } = database;
  const { containers, cells } = keyspace;
  const bytes = Buffer.from(name, 'latin1');
  const ref = keyspace.locate(new KeyRef(), bytes, 0, bytes.length);
  if (ref.type === TYPE.none) return { type: 'none' };
  const value: ValueRef = { bytes: Buffer.alloc(0), start: 0, length: 0 };
  const expiry = cells.expiry(ref.record);
  const expiryMs = expiry < 0 ? Infinity : expiry;
  if (ref.type === TYPE.string) {
    return { type: 'string', expiryMs, value: text(keyspace.readCell(ref.record, value)) };
  }
  const nameOf = (entry: number, offset: number): string =>
    text({
      bytes: keyspace.arena.bytes[entry >>> SEGMENT_SHIFT]!,
      start: ((entry & SEGMENT_MASK) << 3) + offset,
      length: keyspace.arena.words[entry >>> SEGMENT_SHIFT]![((entry & SEGMENT_MASK) << 1) + ENTRY.keyLength]!,
    });
  if (ref.type === TYPE.set) {
    const members: string[] = [];
    containers.eachMember(containers.set(ref.record), (member) => members.push(nameOf(member, ELEMENT_KEY_OFFSET)));
    return { type: 'set', expiryMs, members: members.sort() };
  }
  const fields: [string, string][] = [];
  containers.eachField(containers.hash(ref.record), (field) => {
    if (!cells.hasRegister(field) && !cells.hasCounter(field)) return;
    const start = containers.nameOffset(field);
    const segment = keyspace.arena.bytes[field >>> SEGMENT_SHIFT]!;
    const fieldName = text({ bytes: segment, start, length: containers.nameLength(field) });
    fields.push([fieldName, text(keyspace.readCell(field, value))]);
  });
  return { type: 'hash', expiryMs, fields: fields.sort(([a], [b]) => (a < b ? -1 : 1)) };
}
