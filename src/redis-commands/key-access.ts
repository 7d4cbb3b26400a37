/** What commands on keys of any type ask of a record. */
import type { Keyspace } from '../database/keyspace.ts';
import { TYPE } from '../database/key-ref.ts';
import { isGone } from '../database/visible-fields.ts';

/** When the key expires, ms since 1970; -1: never. */
export function expiryOf(keyspace: Keyspace, record: number): number {
  if (keyspace.attributes(record) === 0) return -1;
  const expiry = keyspace.cells.expiry(record);
  return expiry === Infinity ? -1 : expiry;
}

/** Whether a client sees the key of that record, met in a scan. */
export const isVisible = (keyspace: Keyspace, record: number): boolean =>
  keyspace.typeOf(record) !== TYPE.none && !isGone(keyspace, record);
