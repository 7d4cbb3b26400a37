/**
 * One instance without its endpoint: database, log, snapshots, replication and housekeeping, composed over a host.
 *
 *   open: recover -> new generation unless the log proves that nothing published is lost -> log -> replication
 *   run:  commands write into `database` and call `wake`; peers' batches arrive through replication; both end in the one log
 *   stop: links closed -> last snapshot where snapshots are all there is -> log flushed, clean marker
 *
 * The real process (main.ts) puts the RESP endpoint on top; the simulation runs exactly this on a simulated host.
 *
 * Invariant: nothing is published under a generation that is not on disk; a merge's MERGE frame is in the log before anything that came after it.
 */
import { Database } from '../database/database.ts';
import type { DatabaseLimits } from '../database/limits.ts';
import type { Host, Timer } from '../host/host.ts';
import { Replication } from '../replication/replication.ts';
import { REPLICATION_LIMITS, type ReplicationLimits } from '../replication/limits.ts';
import { EMPTY_LOG, Log, type LogPersistence } from '../storage/log.ts';
import { NO_PROMISE, type ManifestStore } from '../storage/manifest.ts';
import { openManifest, type DirectoryOptions } from '../storage/data-directory.ts';
import type { StorageLimits } from '../storage/limits.ts';
import type { Recovery } from '../storage/recovery.ts';
import { SnapshotSource } from '../storage/snapshot-source.ts';
import { SnapshotAbandoned } from '../storage/snapshot-file.ts';
import { Snapshotter } from '../storage/snapshotter.ts';
import { Spools } from '../storage/spool.ts';
import type { InstanceConfig, InstanceStatus, LinkStatus, LoadProgress } from './config.ts';
import { Housekeeping } from './housekeeping.ts';
import * as limits from './limits.ts';
import { loadDatabase, percent } from './load-database.ts';
import type { Logger } from './logger.ts';
import { NO_SPOOLS } from './no-spools.ts';
import { TypeConflictLog } from './type-conflict-log.ts';

export interface PeerMessage {
  readonly sharded: boolean;
  readonly channel: Uint8Array;
  readonly message: Uint8Array;
}

export interface EngineOptions {
  readonly host: Host;
  readonly config: InstanceConfig;
  readonly log: Logger;
  /** Something failed that only a restart can mend; the process should end with this reason. */
  readonly onFatal: (reason: string) => void;
  /** A client of another instance published. */
  readonly onPeerMessage?: (message: PeerMessage) => void;
  /** Clients' writes are to be refused with this error; null: they may be taken again. */
  readonly onWritable?: (refusal: string | null) => void;
  /** What differs from the defaults. */
  readonly replicationLimits?: Partial<ReplicationLimits>;
  /** Smaller ones suit the simulation, bytes. */
  readonly arenaSegmentBytes?: number;
  readonly logChunkBytes?: number;
  readonly logSegmentBytes?: number;
  readonly storageLimits?: Partial<StorageLimits>;
  readonly databaseLimits?: Partial<DatabaseLimits>;
  /** While the data is loaded, in every turn. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Looked at in every turn of the loading: once true, `open` rejects with LoadingStopped. */
  readonly isStopping?: () => boolean;
}

export class Engine {
  readonly database: Database;
  readonly log: Log;
  readonly replication: Replication;
  readonly #options: EngineOptions;
  readonly #host: Host;
  readonly #manifest: ManifestStore;
  /** null: nothing is persisted. */
  readonly #recovery: Recovery | null;
  readonly #snapshotter: Snapshotter;
  readonly #spools: Spools;
  /** Snapshots for peers. */
  readonly snapshots: SnapshotSource;
  readonly #housekeeping: Housekeeping;
  readonly #typeConflictLog: TypeConflictLog;
  readonly #startedAtMs: number;
  /** When each peer's link was last seen streaming, by monotonic clock. */
  readonly #streamedAtMs = new Map<number, number>();
  #config: InstanceConfig;
  #timers: Timer[] = [];
  /** The next slice of removing what has expired, while more is due. */
  #snapshotDue = false;
  #stopped = false;

  /** Recovers what is on disk and goes on from there. Throws a CrdbError when it cannot. */
  static async open(options: EngineOptions): Promise<Engine> {
    const { host, config } = options;
    const database = new Database({
      instance: config.instanceId,
      generation: 0,
      random: () => host.random.uint32(),
      memoryBytesMax: config.memoryBytesMax,
      ...(options.arenaSegmentBytes === undefined ? {} : { segmentBytes: options.arenaSegmentBytes }),
      ...(options.logChunkBytes === undefined ? {} : { logChunkBytes: options.logChunkBytes }),
      ...(options.databaseLimits === undefined ? {} : { limits: options.databaseLimits }),
    });
    database.setTime(host.clock.nowMs());
    const recovery = config.persistence.kind === 'disabled' ? null : await load(database, options);
    const manifest = recovery?.manifest ?? (await openManifest(directoryOf(options)));
    const log = await Log.open(
      {
        disk: host.disk,
        clock: host.clock,
        bootId: host.bootId,
        directory: config.dataDirectory,
        buffer: database.log,
        origins: database.origins,
        vector: () => database.vector,
        persistence: logPersistence(config),
        manifest,
        backlogBytesMax: config.backlogBytesMax,
        limits: storageLimitsOf(options),
        onFatal: (error) => options.onFatal(`the log cannot be written: ${error.message}`),
        onRoom: (error) => noteRoom(options, error),
        onSlowSync: (ms) => options.log('info', `fsync is slow: ${Math.round(ms)} ms, replies may wait for it`),
      },
      recovery?.log ?? EMPTY_LOG,
    );
    const engine = new Engine(options, database, log, manifest, recovery);
    await engine.#beginGeneration();
    return engine;
  }

  private constructor(
    options: EngineOptions,
    database: Database,
    log: Log,
    manifest: ManifestStore,
    recovery: Recovery | null,
  ) {
    const { host, config } = options;
    this.#options = options;
    this.#host = host;
    this.#config = config;
    this.#manifest = manifest;
    this.#recovery = recovery;
    this.database = database;
    this.log = log;
    database.writer.hasPeers = config.peers.length > 0;
    this.#startedAtMs = host.clock.monotonicMs();
    this.#typeConflictLog = this.#watchTypes();
    this.#spools = new Spools({
      disk: host.disk,
      directory: config.dataDirectory,
      endPosition: () => log.endPosition,
      limits: storageLimitsOf(options),
    });
    this.#snapshotter = this.#createSnapshotter();
    this.snapshots = this.#createSnapshotSource();
    this.replication = new Replication({
      guid: config.guid,
      secret: () => this.#config.replicationSecret,
      clock: host.clock,
      random: host.random,
      network: host.network,
      database,
      log,
      snapshots: this.snapshots,
      spool: recovery === null ? NO_SPOOLS : this.#spools,
      events: this.#replicationEvents(),
      ...(options.replicationLimits === undefined ? {} : { limits: options.replicationLimits }),
    });
    this.#housekeeping = new Housekeeping({
      clock: host.clock,
      database,
      log,
      mayExpireFor: (instance) => this.#mayExpireFor(instance),
      stability: () => this.replication.stability(),
      collectGarbage: host.collectGarbage,
    });
    this.#applyClockBound();
    log.onPublishable = () => this.replication.notePublishable();
  }

  /** Starts replication and housekeeping. */
  start(): void {
    const { clock } = this.#host;
    this.replication.start(this.#config.peers);
    this.#housekeeping.start();
    this.#timers = [clock.every(limits.HOUSEKEEPING_PERIOD_MS, () => this.#keepHouse())];
  }

  get config(): InstanceConfig {
    return this.#config;
  }

  /** Reads the clock: once per event-loop turn, before commands run. */
  enterTurn(): void {
    this.database.setTime(this.#host.clock.nowMs());
  }

  /** Something was committed: the log and the feeds learn of it. */
  wake(): void {
    this.log.wake();
  }

  /** Takes over a new configuration: peers, secrets, limits. */
  configure(config: InstanceConfig): void {
    this.#config = config;
    this.database.memoryBytesMax = config.memoryBytesMax;
    this.database.writer.hasPeers ||= config.peers.length > 0;
    this.#applyClockBound();
    this.replication.configure(config.peers);
  }

  /** Stops pulling, from one peer or all. */
  pause(from?: number): void {
    this.#setPaused(true, from);
  }

  resume(from?: number): void {
    this.#setPaused(false, from);
  }

  /** Takes in what a link brings although its clock is ahead. null: done; else why not. */
  acceptClock(from?: number): string | null {
    return this.replication.acceptClock(from);
  }

  /** The operator's resync of one link or all. null: ordered; else why it cannot be. */
  resync(order: { readonly from?: number | undefined; readonly full: boolean }): string | null {
    return this.replication.resync(order);
  }

  links(): LinkStatus[] {
    return this.replication.status();
  }

  status(pid: number, replicationId: string): InstanceStatus {
    return {
      guid: this.#config.guid,
      instanceId: this.#config.instanceId,
      pid,
      state: 'ready',
      replicationId,
      offset: this.database.vector.get(this.database.self.index),
      keys: this.database.keyCount,
      usedMemoryBytes: this.database.usedMemoryBytes,
      uptimeSeconds: Math.floor((this.#host.clock.monotonicMs() - this.#startedAtMs) / 1000),
      links: this.links(),
    };
  }

  /** Takes a snapshot now; resolves when it counts. Nothing happens where nothing is persisted, or where none can be begun now. */
  async snapshot(): Promise<void> {
    if (this.#recovery === null || this.#stopped) return;
    if (!this.#snapshotter.running && !this.database.maySnapshot) return;
    this.#snapshotDue = false;
    // One that is given up when the instance stops is followed by the last one.
    await this.#snapshotter.run().catch((error: unknown) => {
      if (!(error instanceof SnapshotAbandoned)) throw error;
    });
  }

  /**
   * Ends cleanly: every write that was acknowledged is on disk then, and under `aof` the next start goes on with the same generation. It takes as
   * long as there is something to write, and says so.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#housekeeping.stop();
    this.snapshots.close();
    this.replication.stop();
    this.database.commit();
    const lines = this.#host.clock.every(limits.STOPPING_LINE_MS, () => this.#sayHowFar());
    try {
      await this.#settleAll();
      await this.#snapshotter.finish(() => {});
      await this.log.close();
    } finally {
      lines.cancel();
    }
  }

  /** A snapshot is of a settled state. */
  async #settleAll(): Promise<void> {
    const { clock } = this.#host;
    while (!this.database.isSettled) {
      const untilMs = clock.monotonicMs() + limits.SETTLE_SLICE_MS;
      while (!this.database.isSettled && clock.monotonicMs() < untilMs) this.database.settleStep(limits.SETTLE_STEP);
      this.log.wake();
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
  }

  #sayHowFar(): void {
    const { progress } = this.#snapshotter;
    const what =
      progress === null
        ? `log, ${this.log.unwrittenBytes} bytes to write`
        : `snapshot, ${progress.writtenBytes} bytes written, about ${percent(progress.writtenBytes, progress.estimatedBytes)}`;
    this.#options.log('info', `stopping: ${what}`);
  }

  #replicationEvents() {
    const { onPeerMessage, onFatal, log } = this.#options;
    return {
      onOwnLoss: () => this.#renewGeneration(this.database.self.generation),
      onNewerGeneration: (generation: number) => this.#renewGeneration(generation),
      // The spool stays until a snapshot of our own makes it superfluous.
      onMerged: () => {
        this.#snapshotDue = true;
        this.#housekeeping.settleSoon();
      },
      onPublish: (message: PeerMessage) => onPeerMessage?.(message),
      onFatal,
      onLog: log,
    };
  }

  // ---------------------------------------------------------------- generations

  async #beginGeneration(): Promise<void> {
    const recovery = this.#recovery;
    const { generation } = this.#manifest.current;
    if (recovery === null) {
      const next = this.#nextGeneration(generation);
      await this.#manifest.beginGeneration(next, NO_PROMISE);
      this.#startGeneration(next);
      return;
    }
    if (recovery.cutBytes > 0) {
      this.#options.log('info', `log tail cut: ${recovery.cutBytes} bytes were written only in part`);
    }
    if (recovery.keepsGeneration && generation > 0) {
      this.database.resumeGeneration(generation);
      this.database.observeHlc(recovery.hlcMax);
      return;
    }
    const next = this.#nextGeneration(generation);
    await this.#manifest.beginGeneration(next, this.log.promise);
    if (!recovery.fresh) this.#options.log('info', `new generation ${next}: ${recovery.doubt}`);
    this.database.observeHlc(recovery.hlcMax);
    this.#startGeneration(next);
  }

  /**
   * An older state of this instance was put back, and a peer tells: it has more of the present generation than is here, or knows a later one, `known`.
   * The next generation is later than all of these. What is lost of theirs comes back from the peers, like that of any retired generation; and nothing
   * of the new one is published before the manifest knows it, since there may be no log file that would.
   */
  #renewGeneration(known: number): void {
    const before = this.database.self.generation;
    const next = this.#nextGeneration(known);
    const release = this.log.holdPublishing();
    this.#startGeneration(next);
    this.#options.log(
      'info',
      `new generation ${next} after ${before}: peers know more, of generation ${known}; older files were put back`,
    );
    this.#manifest.update({ generation: next }).then(release, (error: unknown) => {
      this.#options.onFatal(`the manifest cannot be written: ${String(error)}`);
    });
  }

  #startGeneration(generation: number): void {
    this.database.startGeneration(generation, 0);
    this.log.wake();
  }

  /**
   * Later than every generation of this instance that anything here has heard of. Where files are a copy there may have been others since, and the clock
   * may have gone back to one of them: chance keeps away from those.
   */
  #nextGeneration(after: number): number {
    const { origins, self } = this.database;
    let latest = Math.max(after, self.generation);
    for (let i = 0; i < origins.count; i++) {
      const origin = origins.at(i);
      if (origin.instance === self.instance) latest = Math.max(latest, origin.generation);
    }
    const distance = this.#manifest.isCopy ? this.#host.random.uint32() & 0xffff : 0;
    return Math.max(Math.floor(this.#host.clock.nowMs() / 1000), latest + 1) + distance;
  }

  // ---------------------------------------------------------------- housekeeping

  #applyClockBound(): void {
    this.replication.setClockAheadMax(this.#config.clockAheadMaxMs ?? REPLICATION_LIMITS.clockAheadMaxMs);
  }

  #setPaused(paused: boolean, from: number | undefined): void {
    const peers = this.#config.peers.map((peer) =>
      from === undefined || peer.id === from ? { ...peer, paused } : peer,
    );
    this.#config = { ...this.#config, peers };
    if (paused) this.replication.pause(from);
    else this.replication.resume(from);
  }

  /** Counts from here on: what recovery met is no news. */
  #watchTypes(): TypeConflictLog {
    const { keyspace } = this.database;
    const { clock } = this.#host;
    const conflictLog = new TypeConflictLog({ log: this.#options.log, monotonicMs: () => clock.monotonicMs() });
    keyspace.typeConflicts.arisen = 0;
    keyspace.typeConflicts.onArisen = (ref) => conflictLog.note(ref, keyspace.typesOf(ref.record));
    return conflictLog;
  }

  #createSnapshotter(): Snapshotter {
    const { host, config } = this.#options;
    const { persistence } = config;
    return new Snapshotter({
      disk: host.disk,
      clock: host.clock,
      directory: config.dataDirectory,
      log: this.log,
      manifest: this.#manifest,
      policy: persistence.kind === 'aof' ? { kind: 'aof' } : persistence,
      recovered: this.#recovery?.snapshot ?? null,
      vector: () => this.database.vector,
      maySnapshot: () => this.database.maySnapshot,
      beginSnapshot: () => this.database.beginSnapshot(),
      isSpoolNeeded: (file, position) => this.#spools.isNeeded(file, position),
      limits: storageLimitsOf(this.#options),
    });
  }

  #createSnapshotSource(): SnapshotSource {
    const { host, config } = this.#options;
    return new SnapshotSource({
      disk: host.disk,
      clock: host.clock,
      directory: config.dataDirectory,
      log: this.log,
      snapshotter: this.#snapshotter,
      maySnapshot: () => this.database.maySnapshot,
      dataBytes: () => this.database.keyspace.arena.usedBytes,
      limits: storageLimitsOf(this.#options),
    });
  }

  /** The owner itself, or the smallest connected instance once the owner has been gone for long. */
  #mayExpireFor(owner: number): boolean {
    const self = this.#config.instanceId;
    if (owner === self) return true;
    const now = this.#host.clock.monotonicMs();
    const isGone = (id: number): boolean =>
      now - (this.#streamedAtMs.get(id) ?? this.#startedAtMs) > limits.EXPIRY_TAKEOVER_MS;
    const { peers } = this.#config;
    const owning = peers.find((peer) => peer.id === owner);
    if (owning !== undefined && (owning.paused || !isGone(owner))) return false;
    return peers.every((peer) => peer.id > self || peer.id === owner || isGone(peer.id));
  }

  #keepHouse(): void {
    const now = this.#host.clock.monotonicMs();
    for (const link of this.links()) if (link.state === 'streaming') this.#streamedAtMs.set(link.from, now);
    this.enterTurn();
    this.#typeConflictLog.endPeriod();
    if (!this.database.maySnapshot || (!this.#snapshotDue && !this.#snapshotter.wanted())) return;
    this.snapshot().catch((error: unknown) => this.#options.log('error', `snapshot failed: ${String(error)}`));
  }
}

function noteRoom({ log, onWritable }: EngineOptions, error: Error | null): void {
  if (error === null) log('info', 'there is room for the log again: writes are taken');
  else log('error', `no room for the log: ${error.message}; writes are refused until there is`);
  onWritable?.(
    error === null
      ? null
      : 'MISCONF no room on the disk for the log: writes are refused until there is. Free some space; nothing else is needed',
  );
}

function logPersistence(config: InstanceConfig): LogPersistence {
  const { persistence } = config;
  return persistence.kind === 'aof' ? persistence : { kind: persistence.kind };
}

const directoryOf = ({ host, config }: EngineOptions): DirectoryOptions => ({
  disk: host.disk,
  directory: config.dataDirectory,
  guid: config.guid,
  instanceId: config.instanceId,
});

const storageLimitsOf = (options: EngineOptions): Partial<StorageLimits> => ({
  ...options.storageLimits,
  ...(options.logSegmentBytes === undefined ? {} : { segmentBytes: options.logSegmentBytes }),
});

const load = (database: Database, options: EngineOptions): Promise<Recovery> =>
  loadDatabase(database, {
    ...directoryOf(options),
    bootId: options.host.bootId,
    clock: options.host.clock,
    limits: storageLimitsOf(options),
    log: options.log,
    onProgress: options.onProgress,
    ...(options.isStopping === undefined ? {} : { isStopping: options.isStopping }),
  });
