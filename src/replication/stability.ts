/**
 * Stability: what every instance has applied. Metadata that exists only to resolve conflicts is freed when it is stable.
 *
 * `stable` is the entrywise minimum over all configured instances; one never heard of has nothing. The reported vector of a peer must have been
 * covered by the local one first (acks.ts holds it aside until then): only then has everything the peer did *before* it knew of an operation
 * arrived here, so that nothing concurrent with a stable operation can still come.
 */
import { VersionVector } from '../crdt/version-vector.ts';

export function stableVector(local: VersionVector, peers: Iterable<VersionVector | null>): VersionVector {
  const stable = local.clone();
  for (const peer of peers) {
    if (peer === null) return new VersionVector();
    stable.lowerAll(peer);
  }
  return stable;
}
