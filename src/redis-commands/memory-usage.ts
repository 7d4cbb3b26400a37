/**
 * Bytes that a key takes: its record, what hangs off it, and the tables and elements of its containers.
 *
 * Elements are measured up to a number of samples and the rest is taken to be like them, so a large collection costs no more to ask about.
 */
import { TAG } from '../crdt/cell-record.ts';
import type { Keyspace } from '../database/keyspace.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';

/** `samples`: elements to measure per container; 0: all. */
export function memoryUsage(keyspace: Keyspace, record: number, samples: number): number {
  const { arena, containers } = keyspace;
  let bytes = arena.capacity(record);
  let attribute = keyspace.attributes(record);
  while (attribute !== 0) {
    const words = arena.words[attribute >>> SEGMENT_SHIFT]!;
    const at = (attribute & SEGMENT_MASK) << 1;
    const tag = words[at + 1]! & 0xff;
    bytes += arena.capacity(attribute);
    const map = containers.map(attribute);
    if (tag === TAG.hash) {
      bytes += entriesBytes(containers.fields, map, samples, (field) => memoryUsage(keyspace, field, 0));
    } else if (tag === TAG.set) {
      bytes += entriesBytes(containers.members, map, samples, (member) => arena.capacity(member));
    }
    attribute = words[at]!;
  }
  return bytes;
}

function entriesBytes(maps: ByteMap, map: number, samples: number, measure: (entry: number) => number): number {
  const count = maps.count(map);
  const wanted = samples === 0 ? count : Math.min(samples, count);
  let measured = 0;
  let bytes = 0;
  let cursor = 0;
  do {
    cursor = maps.scan(map, cursor, (entry) => {
      if (measured === wanted) return;
      measured++;
      bytes += measure(entry);
    });
  } while (cursor !== 0 && measured < wanted);
  const average = measured === 0 ? 0 : bytes / measured;
  return maps.tableBytes(map) + Math.round(average * count);
}
