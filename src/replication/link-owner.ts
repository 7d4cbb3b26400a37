/** What a link needs, and what it asks of, and tells, the syncer, which sees all links. */
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Clock, Network, Random } from '../host/host.ts';
import type { ApplyTurns } from './apply-turns.ts';
import type { ReplicationLimits } from './limits.ts';
import type { LinkDriver } from './link-driver.ts';
import type { LinkMachine } from './link.ts';
import type { Ack, Heartbeat } from './messages.ts';
import type { DatabasePort, LogPort, ReplicationEvents, SpoolPort } from './ports.ts';

export interface LinkDependencies {
  readonly guid: string;
  readonly secret: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly spool: SpoolPort;
  readonly limits: ReplicationLimits;
  readonly events: ReplicationEvents;
  readonly turns: ApplyTurns;
  readonly readAck: () => Ack;
  /** How far ahead a clock may be; asked at every batch, since it may be changed. */
  readonly clockAheadMaxMs: () => number;
  /** The syncer, which sees all links. */
  readonly syncer: LinkOwner;
}

/** What a link asks of, and tells, the syncer. */
export interface LinkOwner {
  /** Full syncs joined since the start. */
  readonly joinCount: number;
  /** Takes the instance's one full-sync slot; false: another link has it. */
  takeFullSyncSlot(link: LinkDriver): boolean;
  freeFullSyncSlot(link: LinkDriver): void;
  /** The link's full sync is part of the live data now. */
  onJoined(link: LinkDriver): void;
  onStageChanged(link: LinkDriver, before: LinkMachine): void;
  /** The version vector moved, by batches of this link or by its full sync. */
  onVectorMoved(link: LinkDriver): void;
  onPeerVector(link: LinkDriver, vector: VersionVector): void;
  onHeartbeat(link: LinkDriver, heartbeat: Heartbeat): void;
  /** The first early batch after none. */
  onEarly(link: LinkDriver): void;
}
