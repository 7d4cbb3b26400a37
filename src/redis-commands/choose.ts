/**
 * Choosing entries of a map at random (SRANDMEMBER, SPOP, HRANDFIELD), and walking through it in steps (SSCAN, HSCAN).
 *
 * Choosing: a few of many are drawn until enough different ones have come up; a large part of all is listed and shuffled as far as
 * needed. So the effort follows the number asked for, never its square.
 */
import { uniformBelow } from '../base/uniform.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import { SCAN_BUCKETS_PER_KEY, SCAN_WHOLE_MAX } from './limits.ts';

/** From this part of all entries on, listing them is cheaper than drawing. */
const LISTED_PART = 1 / 3;

/** Addresses of `count` different entries, or of all. Not in a uniformly random order, as on Redis. */
export function chooseDistinct(maps: ByteMap, map: number, count: number, random: () => number): readonly number[] {
  const size = maps.count(map);
  if (count >= size * LISTED_PART) return shuffleFirst(listEntries(maps, map), count, random);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(maps.random(map, random));
  return [...chosen];
}

export function listEntries(maps: ByteMap, map: number): number[] {
  const entries: number[] = [];
  let cursor = 0;
  do cursor = maps.scan(map, cursor, (entry) => entries.push(entry));
  while (cursor !== 0);
  return entries;
}

/** The first `count` of a shuffle (Fisher and Yates); all of them when there are no more. */
export function shuffleFirst(entries: number[], count: number, random: () => number): readonly number[] {
  if (count >= entries.length) return entries;
  for (let i = 0; i < count; i++) {
    const j = i + uniformBelow(entries.length - i, random);
    const entry = entries[j]!;
    entries[j] = entries[i]!;
    entries[i] = entry;
  }
  entries.length = count;
  return entries;
}

/**
 * Visits about `count` entries from the cursor on and returns the next cursor; 0 begins and ends. A small map is visited whole, as Redis
 * does with its packed encodings.
 */
export function scanEntries(
  maps: ByteMap,
  map: number,
  cursor: number,
  count: number,
  visit: (entry: number) => void,
): number {
  const isSmall = maps.count(map) <= SCAN_WHOLE_MAX;
  if (isSmall) cursor = 0;
  let looked = 0;
  let buckets = count * SCAN_BUCKETS_PER_KEY;
  const countAndVisit = (entry: number): void => {
    looked++;
    visit(entry);
  };
  do cursor = maps.scan(map, cursor, countAndVisit);
  while (cursor !== 0 && (isSmall || (looked < count && --buckets > 0)));
  return cursor;
}
