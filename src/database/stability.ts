/**
 * What may be forgotten: the database asks, replication answers, since it alone hears what the other instances have (architecture, section 4).
 *
 * Covered by everybody is not enough for what belongs to an origin: a peer may still hold, and relay, operations of a generation that its own
 * instance lost, and they are concurrent with a reset that everybody has acknowledged.
 */
import type { Dot } from '../crdt/cell.ts';

export interface Stability {
  /** Every instance has applied that operation. */
  covers(origin: number, seq: number): boolean;
  /** The reset with that dot is stable, and no operation of `origin` that has not seen it can come any more. */
  isFinal(origin: number, reset: Dot): boolean;
}
