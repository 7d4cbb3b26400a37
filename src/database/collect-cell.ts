/** Frees what a cell keeps only to resolve conflicts, once nobody can need it any more. */
import { TAG, type Cells } from '../crdt/cell.ts';
import type { Stability } from './stability.ts';

/** Returns whether anything remains that will be freed later. */
export function collectCell(cells: Cells, cell: number, stability: Stability): boolean {
  const remains = cells.dropFinalCounters(cell, (origin, reset) => stability.isFinal(origin, reset));
  if (cells.attribute(cell, TAG.expiry) === 0 || cells.expiry(cell) !== Infinity) return remains;
  // "None" is what no time to live at all says too. They go together: the longest must not go first.
  const dots: { readonly origin: number; readonly seq: number }[] = [];
  cells.eachExpiry(cell, ({ origin, seq }) => dots.push({ origin, seq }));
  if (!dots.every(({ origin, seq }) => stability.covers(origin, seq))) return true;
  for (const dot of dots) cells.dropExpiryDot(cell, dot);
  return remains;
}
