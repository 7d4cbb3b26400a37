/**
 * The visible contents of one key written under another, as fresh state: what RENAME and COPY come down to.
 *
 * Fresh state, not the source's dots: the copy is a write of its own, concurrent changes of the source do not follow it. Elements are taken
 * from the arena bucket by bucket and written between the steps of the scan, so that the target's table can grow.
 */
import type { Database } from '../database/database.ts';
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import { CLEAR_TTL } from '../database/writer.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import { expiryOf } from './key-access.ts';
import { VALUE } from './string-access.ts';

/** `source` is there; `target` is another key, and whatever it holds goes. Throws before anything has changed if the batch has no room for it. */
export function copyContents(database: Database, source: KeyRef, target: KeyRef): void {
  const { keyspace, writer } = database;
  demandRoom(database, source, target);
  const atMs = expiryOf(keyspace, source.record);
  if (target.type !== TYPE.none) writer.remove(target);
  if (source.type === TYPE.string) {
    const value = keyspace.readCell(source.record, VALUE);
    writer.set(target, value.bytes, value.start, value.length, atMs < 0 ? CLEAR_TTL : atMs);
    return;
  }
  if (source.type === TYPE.hash) copyFields(database, source, target);
  else copyMembers(database, source, target);
  if (atMs >= 0) writer.expire(target, atMs);
}

/** Effects beside those of the elements, and the removals of both keys: a time to live. */
const OTHER_EFFECTS = 1;
/** An effect has at most so many times the bytes of the record that it makes: names and values are in both, and a record's header is half its overhead. */
const EFFECT_PER_RECORD = 2;

function demandRoom(database: Database, source: KeyRef, target: KeyRef): void {
  const { keyspace, writer } = database;
  const { containers } = keyspace;
  // Finding the exact size takes half as long as copying: only where all that is in memory might not fit.
  if (writer.hasRoomFor(2 * EFFECT_PER_RECORD * keyspace.arena.usedBytes)) return;
  let effects = OTHER_EFFECTS;
  let bytes = target.length + writer.removalBytes(source) + writer.removalBytes(target);
  const add = (length: number): void => {
    effects++;
    bytes += length;
  };
  if (source.type === TYPE.string) add(keyspace.readCell(source.record, VALUE).length);
  else if (source.type === TYPE.hash) {
    eachEntry(containers.fields, containers.map(containers.hash(source.record)), (field) =>
      add(containers.nameLength(field) + keyspace.readCell(field, VALUE).length),
    );
  } else {
    eachEntry(containers.members, containers.map(containers.set(source.record)), (member) =>
      add(containers.nameLength(member)),
    );
  }
  writer.demandRoom(effects, bytes);
}

function copyFields(database: Database, source: KeyRef, target: KeyRef): void {
  const { keyspace, writer } = database;
  const { containers } = keyspace;
  eachEntry(containers.fields, containers.map(containers.hash(source.record)), (field) => {
    if (!keyspace.isFieldVisible(field)) return;
    const name = keyspace.arena.bytes[field >>> SEGMENT_SHIFT]!;
    const nameStart = containers.nameOffset(field);
    const nameLength = containers.nameLength(field);
    const atMs = expiryOf(keyspace, field);
    const { bytes, start, length } = keyspace.readCell(field, VALUE);
    writer.setField(target, name, nameStart, nameLength, bytes, start, length, atMs < 0 ? CLEAR_TTL : atMs);
  });
}

function copyMembers(database: Database, source: KeyRef, target: KeyRef): void {
  const { keyspace, writer } = database;
  const { containers, elements } = keyspace;
  eachEntry(containers.members, containers.map(containers.set(source.record)), (member) => {
    const bytes = keyspace.arena.bytes[member >>> SEGMENT_SHIFT]!;
    writer.addMember(target, bytes, elements.keyOffset(member), containers.nameLength(member));
  });
}

/** Visits every entry of a map that does not change meanwhile, between the steps of a scan. */
function eachEntry(maps: ByteMap, map: number, visit: (entry: number) => void): void {
  const bucket: number[] = [];
  let cursor = 0;
  do {
    bucket.length = 0;
    cursor = maps.scan(map, cursor, (entry) => bucket.push(entry));
    for (const entry of bucket) visit(entry);
  } while (cursor !== 0);
}
