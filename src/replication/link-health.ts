/**
 * What an operator is told of one link: lag, clock drift, the last sync and the last error.
 *
 * Lag in operations is what the peer says it has beyond us, over the origins pulled from it. Lag in milliseconds is the time since the link was last
 * seen level. Drift is the peer's clock minus ours when its heartbeat is read; half the round trip is ignored. A heartbeat that waited in
 * a buffer makes the peer's clock look late, never early, so the most favourable of the last few counts.
 */
import { hostPort } from '../base/host-port.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock } from '../host/host.ts';
import type { LinkStatus } from '../instance/config.ts';
import type { LinkDriver } from './link-driver.ts';
import { describeStage } from './link.ts';
import type { ReplicationLimits } from './limits.ts';
import { replicationIdOf, type Generations } from './origins.ts';
import type { DatabasePort } from './ports.ts';

export class LinkHealth {
  readonly #limits: ReplicationLimits;
  readonly #drifts: number[] = [];
  #levelAtMs: number | null = null;
  #isDriftReported = false;
  /** Monotonic time at which the link last delivered. */
  deliveredAtMs: number;

  constructor(limits: ReplicationLimits, nowMs: number) {
    this.#limits = limits;
    this.deliveredAtMs = nowMs;
  }

  get driftMs(): number | null {
    return this.#drifts.length === 0 ? null : Math.max(...this.#drifts);
  }

  noteLevel(monotonicMs: number): void {
    this.#levelAtMs = monotonicMs;
  }

  /** Milliseconds since `noteLevel`; null: never. */
  lagMs(monotonicMs: number): number | null {
    return this.#levelAtMs === null ? null : Math.round(monotonicMs - this.#levelAtMs);
  }

  /** Returns the drift when it is to be reported: once each time it goes beyond the limit. */
  noteClock(driftMs: number): number | null {
    this.#drifts.push(driftMs);
    if (this.#drifts.length > this.#limits.driftHeartbeats) this.#drifts.shift();
    const isBeyond = Math.abs(this.driftMs!) > this.#limits.driftMaxMs;
    const isNews =
      isBeyond && !this.#isDriftReported && (driftMs > 0 || this.#drifts.length === this.#limits.driftHeartbeats);
    if (!isBeyond) this.#isDriftReported = false;
    if (isNews) this.#isDriftReported = true;
    return isNews ? this.driftMs : null;
  }
}

export interface LinkStatusInput {
  readonly link: LinkDriver;
  readonly health: LinkHealth;
  readonly guid: string;
  readonly database: DatabasePort;
  readonly generations: Generations;
  readonly clock: Clock;
}

export function describeLink(input: LinkStatusInput): LinkStatus {
  const { link, health, guid, database, generations, clock } = input;
  const { peer, machine } = link;
  const { lastSync } = machine;
  const isLevel = isLinkLevel(input);
  const generation = generations.newestOf(peer.id);
  const origin = generation < 0 ? -1 : database.origins.find(peer.id, generation);
  return {
    from: peer.id,
    cluster: peer.cluster,
    endpoint: hostPort(peer.host, peer.port),
    state: describeStage(machine.stage),
    lagOperations: lagOperations(input),
    lagMs: isLevel ? 0 : health.lagMs(clock.monotonicMs()),
    lastSync: lastSync && { kind: lastSync.kind, reason: lastSync.reason, at: new Date(lastSync.atMs).toISOString() },
    backlogCovered: isBacklogCovered(input),
    lastError: machine.lastError,
    replicationId: origin < 0 ? null : replicationIdOf(guid, { instance: peer.id, generation }),
    offset: origin < 0 ? 0 : database.vector.get(origin),
    driftMs: health.driftMs,
    fullSync: link.fullSyncProgress,
    syncs: { ...link.syncs },
  };
}

/** Streaming, and nothing known that we lack. */
export const isLinkLevel = (input: LinkStatusInput): boolean =>
  input.link.isStreaming && input.link.peerVector !== null && lagOperations(input) === 0;

function lagOperations(input: LinkStatusInput): number {
  const { link, database } = input;
  let lag = 0;
  forEachPulled(input, link.peerVector, (origin, seq) => {
    lag += Math.max(0, seq - database.vector.get(origin));
  });
  return lag;
}

function isBacklogCovered(input: LinkStatusInput): boolean | null {
  if (input.link.peerFloor === null) return null;
  let isCovered = true;
  forEachPulled(input, input.link.peerFloor, (origin, seq) => {
    if (seq > input.database.vector.get(origin)) isCovered = false;
  });
  return isCovered;
}

/** Entries of the vector whose origins are pulled over this link: the peer's own, retired ones, forgotten ones of our own, relayed ones. */
function forEachPulled(
  { link, database, generations }: LinkStatusInput,
  vector: VersionVector | null,
  visit: (origin: number, seq: number) => void,
): void {
  if (!vector) return;
  for (const [origin, seq] of vector.entries()) {
    const { instance } = database.origins.at(origin);
    const isPulled =
      instance === link.peer.id ||
      instance === database.self.instance ||
      generations.isRetired(origin) ||
      link.want.includes(origin);
    if (isPulled) visit(origin, seq);
  }
}
