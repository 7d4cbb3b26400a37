/**
 * Partial or full? One pure function, asked by the serving side when a peer says HELLO, when the peer wants further origins, and when the
 * log has moved on past a slow peer. The reason is for people: it names both sides' numbers and is kept for `sync status`.
 *
 * Partial is possible exactly when the log still holds, of every origin that this peer is to be sent, all that the peer lacks.
 */
import type { OriginTable, VersionVector } from '../crdt/version-vector.ts';
import { replicationIdOf } from './origins.ts';
import type { LogLocation } from './ports.ts';

export interface SyncDecisionInput {
  readonly guid: string;
  readonly origins: OriginTable;
  /** The serving side's current origin (index), what it has, and what its log may no longer hold. */
  readonly self: number;
  readonly vector: VersionVector;
  readonly floor: VersionVector;
  /** The asking instance and what it has. */
  readonly peer: number;
  readonly peerVector: VersionVector;
  /** The peer's operator has ordered a full sync. */
  readonly ordered: boolean;
  /** What the log says about the origins the peer is to be sent. */
  readonly location: LogLocation;
}

export type SyncDecision =
  | { readonly kind: 'partial'; readonly reason: string; readonly position: number }
  | { readonly kind: 'full'; readonly reason: string; readonly wasPartialAsked: boolean };

/** Digits of a replication ID that tell origins apart in a sentence. */
const SHORT_ID_DIGITS = 6;

export function decideSync(input: SyncDecisionInput): SyncDecision {
  const { location, ordered, peerVector } = input;
  if (ordered) return { kind: 'full', reason: 'full: ordered by the operator', wasPartialAsked: false };
  if ('position' in location) {
    return { kind: 'partial', reason: `partial: ${explainPartial(input)}`, position: location.position };
  }
  const wasPartialAsked = !peerVector.entries().next().done;
  return { kind: 'full', reason: `full: ${explainFull(input, location.missing)}`, wasPartialAsked };
}

function explainPartial(input: SyncDecisionInput): string {
  const { self, vector, floor, peerVector } = input;
  const asked = `asked from offset ${peerVector.get(self)} of ${shortId(input, self)}`;
  if (peerVector.get(self) > vector.get(self)) {
    return `${asked}, the log ends at ${vector.get(self)}: the serving instance has lost operations of its own`;
  }
  return `${asked}, the log holds ${floor.get(self)} to ${vector.get(self)}`;
}

function explainFull(
  input: SyncDecisionInput,
  missing: { readonly origin: number; readonly have: number; readonly floor: number },
): string {
  const { self, origins, peer, peerVector } = input;
  const backlog = `the backlog starts at ${missing.floor}`;
  if (peerVector.entries().next().done) return `instance ${peer} is new and has nothing, ${backlog}`;
  const asked = `asked from offset ${missing.have}`;
  if (missing.origin === self) return `${asked}, ${backlog}`;
  const origin = origins.at(missing.origin);
  const kind = origin.instance === origins.at(self).instance ? 'the earlier' : `instance ${origin.instance}'s`;
  return `${asked} of ${kind} ${shortId(input, missing.origin)}, ${backlog}`;
}

const shortId = (input: SyncDecisionInput, index: number): string =>
  replicationIdOf(input.guid, input.origins.at(index)).slice(0, SHORT_ID_DIGITS);
