/**
 * Frees counters that a cell keeps only to resolve conflicts, once nobody can need them any more.
 *
 * Not times to live that say "none": an instance that has lost its memory, or was put back from a backup, may still write one that is concurrent to it; then it
 * would be there for those who had kept the "none", and win for the others. They stay until a later write takes their place, and where nothing else is
 * left under a name their own instance removes them, as it removes what has expired.
 */
import { TAG, type Cells } from '../crdt/cell.ts';
import type { Stability } from './stability.ts';

/** Returns whether any remains that will be freed later. */
export const collectCell = (cells: Cells, cell: number, stability: Stability): boolean =>
  cells.dropFinalCounters(cell, (origin, reset) => stability.isFinal(origin, reset));

/** Whether the cell, which has no value, has nothing but times to live that say "none", the first by that origin, and all have them. */
export function isOrphan(cells: Cells, cell: number, self: number, stability: Stability): boolean {
  if (cells.attribute(cell, TAG.counter) !== 0 || cells.expiry(cell) !== Infinity) return false;
  let owner = -1;
  let isStable = true;
  cells.eachExpiry(cell, ({ origin, seq }) => {
    owner = origin;
    isStable &&= stability.covers(origin, seq);
  });
  return isStable && cells.isOf(owner, self);
}
