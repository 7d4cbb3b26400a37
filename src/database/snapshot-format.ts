/**
 * The snapshot stream, as written by snapshot.ts and read by snapshot-parser.ts:
 *
 *   header   "CRDBSNP3" u32 length, then: features (varint count, count x bytes), origins (varint count, count x (u8 instance, u32 generation)),
 *            vector, contexts (varint count, count x (varint origin, vector)), f64 hlc,
 *            varint keys (about how many follow, so that the reader's table need not grow on the way)
 *   vector   varint count, count x (varint origin, varint seq)          origin: index into the header's table
 *   record   u32 length, u8 kind, key [name of the entry], cell or what the entry's type writes
 *   cell     values, counters, expiries, each counted:
 *            value    varint origin, varint seq, f64 hlc, u8 persists, bytes
 *            counter  varint origin, varint frame, varint n, number total, u8 decimal, varint cutN, number cutTotal, varint cut's origin, varint cut's seq
 *            expiry   varint origin, varint seq, f64 at
 *
 * Records stand for themselves: a key's own record and those of its entries may come in any order and apart from each other. The stream is cut into
 * pieces anywhere, also within a record. A record of kind `rest` holds nothing: the writer has passed much that was written before it came there.
 */
export const SNAPSHOT_MAGIC = 'CRDBSNP3';

export const RECORD = { key: 1, field: 2, member: 3, end: 4, rest: 5 } as const;
