/**
 * What of a hash a client sees, where fields expire: how many fields, and whether any is left.
 *
 * A hash whose fields have all expired does not exist, also while their removal has yet to arrive from the instance that owns it. It is asked on every
 * lookup of such a hash, so nothing here walks through a large one, except for the moment in which more has expired than could be counted yet.
 *
 * Invariant: answers are exact at the keyspace's moment; neither shows a field past its time.
 */
import { FLAG } from '../crdt/cell.ts';
import type { Keyspace } from './keyspace.ts';

/** Buckets looked at for a field that is still there, before all are counted. */
const PROBE_BUCKETS = 16;

/** Number of fields that a client sees. `hash` may be 0. */
export function countVisibleFields(keyspace: Keyspace, hash: number): number {
  const { containers } = keyspace;
  if (containers.volatileCount(hash) === 0) return containers.fieldCount(hash);
  if (keyspace.expiries.settleHash(hash, keyspace.nowMs)) {
    return containers.fieldCount(hash) - containers.expiredCount(hash);
  }
  let count = 0;
  containers.eachField(hash, (field) => {
    if (keyspace.isFieldVisible(field)) count++;
  });
  return count;
}

/** Whether no client sees the key of that record any more: its time is over, or that of all its fields. */
export function isGone(keyspace: Keyspace, record: number): boolean {
  const { cells, containers } = keyspace;
  const first = keyspace.attributes(record);
  if (first === 0 || cells.isLoneCounter(first)) return false;
  if (keyspace.isExpired(record)) return true;
  const { hashes } = containers;
  const hash = containers.hash(record);
  // Where earlier content waits there is more to be seen than is counted.
  if (hash === 0 || hashes.isStaged(hash)) return false;
  const count = hashes.visibleCount(hash);
  if (count === 0 || hashes.volatileCount(hash) < count) return false;
  // Of several types under one name another one comes to light; that is for the removal to show.
  if ((cells.flags(record) & FLAG.several) !== 0) return false;
  return !hasVisibleField(keyspace, hash);
}

function hasVisibleField(keyspace: Keyspace, hash: number): boolean {
  const { containers } = keyspace;
  let isSeen = false;
  const look = (field: number): void => {
    isSeen ||= keyspace.isFieldVisible(field);
  };
  let cursor = 0;
  for (let i = 0; i < PROBE_BUCKETS; i++) {
    cursor = containers.fields.scan(containers.map(hash), cursor, look);
    if (isSeen || cursor === 0) return isSeen;
  }
  return countVisibleFields(keyspace, hash) > 0;
}
