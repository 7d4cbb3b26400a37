/**
 * Every queue, period, retry and size of replication, once, with its unit. The composition may pass other values (tests do);
 * the meaning of each is a promise that docs/internals/replication.md repeats.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

export const REPLICATION_PROTOCOL = 1;

export const REPLICATION_LIMITS = {
  /** One batch: 1 GiB of effects and what surrounds them. */
  batchFrameBytesMax: 1024 * MIB + 64 * KIB,
  /** A frame of HELLO, ACK, WANT and all others that are not batches; a PUBLISH too. */
  controlFrameBytesMax: MIB,
  /** A message of those; what has more bytes than one frame travels in parts. */
  controlMessageBytesMax: 8 * MIB,
  /** Characters of a text from or for the other side: reasons, errors. */
  textCharsMax: 1000,
  /** One RESP line of the handshake. */
  handshakeLineBytesMax: 4 * KIB,
  /** Origins that one message may name. */
  originsPerMessageMax: 32_767,

  /** Pulling side: time for applying batches and loading snapshots per event-loop turn, all links together. */
  applyTurnMs: 2,
  /** Pulling side: batches between two looks at the clock. */
  applyFramesPerClockReading: 32,
  /** Pulling side: log that only memory holds; beyond it no batch is applied. Less than what stops clients' writes, so that these have their part of a slow disk. */
  applyUnwrittenBytesMax: MIB,
  /** Pulling side: how often it is looked whether the disk has caught up, ms. */
  applyDiskCheckMs: 1,
  /** Pulling side: batches that wait for others, per link; reading stops at either. */
  earlyBytesMax: 8 * MIB,
  earlyCountMax: 10_000,
  /** A link that stands still with full early batches this long starts over, asking for what they wait for. */
  earlyStallMs: 1000,

  connectTimeoutMs: 5000,
  /** From the connection to the decision between partial and full sync. */
  handshakeTimeoutMs: 10_000,
  /** A peer that sends nothing for this long is gone; it sends a HEARTBEAT every second. */
  linkSilenceMs: 10_000,
  /** A puller that sends nothing for this long is gone; it sends an ACK at least every `ackIdleMs`. */
  feedSilenceMs: 30_000,
  retryMinMs: 100,
  retryMaxMs: 5000,
  /** After an error that only an operator can mend: wrong secret, wrong database, wrong instance, other protocol. */
  retrySlowMs: 30_000,

  heartbeatMs: 1000,
  ackMinMs: 10,
  ackMaxMs: 1000,
  ackIdleMs: 5000,

  /** Serving side: gathering time between two pumps. */
  pumpMinMs: 1,
  /** Serving side: bytes per read of the log, and so the most that a write that says "wait" is overrun by. */
  feedReadBytes: 256 * KIB,
  /** Serving side: bytes per pump and feed, after which others get their turn. */
  feedPumpBytesMax: MIB,
  /** Client messages that wait in a feed; more are dropped. */
  publishQueuedBytesMax: MIB,

  /** One SNAPSHOT frame's payload, and so what is loaded at the other side between two looks at the clock. */
  snapshotPieceBytes: 16 * KIB,

  /** A link down for longer has its origins relayed by another peer. */
  relayGraceMs: 500,
  relayDecisionMs: 250,

  /** What carries a clock that is further ahead than this is not taken in. */
  clockAheadMaxMs: 60_000,
  /** A peer's clock further away than this is reported. */
  driftMaxMs: 500,
  /** Heartbeats of which the most favourable counts: one that waited in a buffer looks like a clock that lags. */
  driftHeartbeats: 5,
} as const;

export type ReplicationLimits = { readonly [name in keyof typeof REPLICATION_LIMITS]: number };
