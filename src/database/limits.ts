/**
 * Limits of a database, each with its unit. The composition may pass smaller ones, so that a test meets all of them in a moment.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

export const DATABASE_LIMITS = {
  /** One BATCH frame. What would not fit is refused before it changes anything; nobody sends or reads a larger one. */
  batchBytesMax: 1024 * MIB,
  /** A container with more entries than this is removed, joined and walked in slices. */
  smallContainerEntries: 256,
  /** Of a container more of whose entries wait, a command that wants the whole is put off until they are settled. */
  settledAtOnceEntries: 4096,
  /** A keyspace with more keys than this is flushed in slices. */
  smallKeyspaceKeys: 64,
  /** A value with more bytes than this goes into a snapshot in pieces, unless it is about to change. */
  snapshotValueBytes: 256 * KIB,
  /** Keys that a table is made for at once because a snapshot announces them; for more it grows as they come. */
  foreseenKeysMax: 16 * MIB,
  /** Buckets that a step of any walk passes at most, so that an empty table costs no more than a full one. */
  bucketsPerEntry: 8,
  /** Address space that stays free when a batch is applied, beside twice the batch. */
  applyReserveBytes: 4 * MIB,
  /** Address space of the arena. */
  arenaBytesMax: 16 * 1024 * MIB,
} as const;

export type DatabaseLimits = { readonly [name in keyof typeof DATABASE_LIMITS]: number };
