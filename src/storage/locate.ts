/**
 * Where in the log a feed has to start, as a pure function.
 *
 * A checkpoint is a position and the version vector there: every batch with a higher seq stands behind it. The best start is
 * therefore the latest checkpoint whose vector does not exceed what the reader has, for the origins it asks for. Whether the log
 * still holds everything is a matter of the floor alone: below it batches were deleted, or never were in this log because a full
 * sync brought their effects.
 */
import type { VersionVector } from '../crdt/version-vector.ts';

export interface Checkpoint {
  /** Beginning of a frame. */
  readonly position: number;
  /** The instance's version vector there. */
  readonly vector: VersionVector;
}

export type Location =
  | { readonly position: number }
  /** The log begins after `floor` for this origin, the reader stands at `have`. */
  | { readonly missing: { readonly origin: number; readonly have: number; readonly floor: number } };

/** `checkpoints` ascend and begin where the log begins; `origins` are indexes. */
export function locateStart(
  log: {
    readonly checkpoints: readonly Checkpoint[];
    readonly floor: VersionVector;
    readonly vector: VersionVector;
    readonly endPosition: number;
  },
  have: VersionVector,
  origins: Iterable<number>,
): Location {
  const wanted: number[] = [];
  for (const origin of origins) {
    // An origin the reader is level with, or ahead in, restricts nothing.
    if (have.get(origin) >= log.vector.get(origin)) continue;
    const floor = log.floor.get(origin);
    if (have.get(origin) < floor) return { missing: { origin, have: have.get(origin), floor } };
    wanted.push(origin);
  }
  if (wanted.length === 0) return { position: log.endPosition };
  let index = log.checkpoints.length - 1;
  while (index > 0 && wanted.some((origin) => log.checkpoints[index]!.vector.get(origin) > have.get(origin))) index--;
  return { position: log.checkpoints[index]!.position };
}
