/**
 * Who relays what: a pure function from the state of all links to the origins to ask each peer for.
 *
 * An origin is normally pulled from its own instance only. When that link has been down for longer than a grace and somebody connected has
 * more of the origin, or when a batch that is here already waits for it, the connected peer with the smallest id is asked for it. So
 * the database converges as long as the graph of instances is connected: a peer that lacks the origin itself asks the next one in the same way.
 * Not relayed: an origin whose link the operator has paused (that is what pausing means) or that waits for a clock, our own current origin (nobody has more of it, or
 * we lost data, which is handled elsewhere), and retired generations (every feed carries them anyway). Duplicates are harmless: they
 * are covered.
 */
import type { OriginTable, VersionVector } from '../crdt/version-vector.ts';

export interface RelayLink {
  readonly peer: number;
  /** Batches of the peer's own operations arrive, or a full sync with it is under way. */
  readonly isDelivering: boolean;
  /** Can be asked now. */
  readonly isStreaming: boolean;
  /** By the operator, or because its clock is too far ahead: then nobody else shall bring it either. */
  readonly isPaused: boolean;
  /** Milliseconds since it last delivered; counted from the start for a link that never did. */
  readonly downMs: number;
  /** What the peer has, as it last said. */
  readonly vector: VersionVector | null;
}

export interface RelayInput {
  readonly self: number;
  readonly origins: OriginTable;
  readonly isRetired: (origin: number) => boolean;
  readonly local: VersionVector;
  readonly links: readonly RelayLink[];
  /** Origin (index) that early batches wait for -> peers these came from, who therefore have it. */
  readonly needed: ReadonlyMap<number, ReadonlySet<number>>;
  readonly graceMs: number;
}

/** Peer -> origins (indexes, ascending) to WANT from it. Peers that are asked for nothing are left out. */
export function decideRelay(input: RelayInput): Map<number, number[]> {
  const wants = new Map<number, number[]>();
  const links = [...input.links].sort((a, b) => a.peer - b.peer);
  for (let origin = 0; origin < input.origins.count; origin++) {
    if (!mayBeRelayed(origin, links, input)) continue;
    const source = links.find((link) => link.isStreaming && hasMore(link, origin, input));
    if (!source) continue;
    const wanted = wants.get(source.peer);
    if (wanted) wanted.push(origin);
    else wants.set(source.peer, [origin]);
  }
  return wants;
}

function mayBeRelayed(origin: number, links: readonly RelayLink[], input: RelayInput): boolean {
  const { instance } = input.origins.at(origin);
  if (instance === input.self || input.isRetired(origin)) return false;
  const direct = links.find((link) => link.peer === instance);
  if (!direct) return true;
  if (direct.isPaused || direct.isDelivering) return false;
  return direct.downMs > input.graceMs || input.needed.has(origin);
}

function hasMore(link: RelayLink, origin: number, input: RelayInput): boolean {
  if (link.vector && link.vector.get(origin) > input.local.get(origin)) return true;
  return input.needed.get(origin)?.has(link.peer) ?? false;
}
