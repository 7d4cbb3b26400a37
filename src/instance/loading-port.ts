/**
 * The instance as its endpoint sees it while the data is loaded: nothing to read, nothing to write, and how far it is.
 *
 * Clients connect, authenticate and wait as they do with Redis: a connection that was closed instead would look like a failure, and some client
 * libraries give up. Commands on data are refused before they get here (dispatcher.ts); what is asked nonetheless finds an empty database.
 *
 * Invariant: nothing done here reaches the data that is being loaded.
 */
import { Database } from '../database/database.ts';
import type { Host } from '../host/host.ts';
import type { AckPort, ControlPort } from '../redis-commands/session.ts';
import type { InstancePort } from '../server/ports.ts';
import type { InstanceConfig, InstanceStatus, LoadProgress } from './config.ts';
import { STAND_IN_SEGMENT_BYTES } from './limits.ts';
import type { Logger } from './logger.ts';

export interface LoadingPortOptions {
  readonly host: Host;
  readonly config: InstanceConfig;
  readonly pid: number;
  readonly log: Logger;
  readonly onShutdown: () => void;
}

const NOT_LOADED = 'the data is not loaded yet';

export class LoadingPort implements InstancePort {
  /** Stands in for the one that is being loaded; empty. */
  readonly database: Database;
  readonly replyAfterSync = false;
  readonly #options: LoadingPortOptions;
  readonly #startedMs: number;
  #progress: LoadProgress;

  constructor(options: LoadingPortOptions) {
    const { config, host } = options;
    this.#options = options;
    this.#startedMs = host.clock.monotonicMs();
    this.#progress = { phase: 'snapshot', loadedBytes: 0, totalBytes: 0, keys: 0, startedAtMs: host.clock.nowMs() };
    this.database = new Database({
      instance: config.instanceId,
      generation: 0,
      random: () => host.random.uint32(),
      segmentBytes: STAND_IN_SEGMENT_BYTES,
      memoryBytesMax: config.memoryBytesMax,
    });
    this.enterTurn();
  }

  /** Loading has come so far. */
  note(progress: LoadProgress): void {
    this.#progress = progress;
  }

  enterTurn(): void {
    this.database.setTime(this.#options.host.clock.nowMs());
  }

  wake(): void {}

  handOver(): void {}

  unwrittenBytes(): number {
    return 0;
  }

  logEnd(): number {
    return 0;
  }

  isDurable(): boolean {
    return true;
  }

  whenDurable(_position: number, fn: () => void): void {
    fn();
  }

  get acks(): AckPort {
    return {
      acked: () => 0,
      whenAcked: () => () => {},
      isDurable: () => true,
      whenDurable: (fn) => fn(),
    };
  }

  get control(): ControlPort {
    return {
      status: () => JSON.stringify(this.#status()),
      pause: () => {},
      resume: () => {},
      acceptClock: () => NOT_LOADED,
      resync: () => NOT_LOADED,
      configure: () => NOT_LOADED,
      shutdown: this.#options.onShutdown,
    };
  }

  /** Nobody is linked yet; messages are best effort. */
  publishToPeers(): void {}

  acceptFeed: InstancePort['acceptFeed'] = (connection) => connection.close();

  info(): ReturnType<InstancePort['info']> {
    return { persistence: describeProgress(this.#progress, this.#options.host.clock.nowMs()) };
  }

  resetStats(): void {}

  log(level: 'error' | 'info' | 'debug', line: string): void {
    this.#options.log(level, line);
  }

  #status(): InstanceStatus {
    const { config, host, pid } = this.#options;
    return {
      guid: config.guid,
      instanceId: config.instanceId,
      pid,
      state: 'loading',
      replicationId: '',
      offset: 0,
      keys: this.#progress.keys,
      usedMemoryBytes: 0,
      uptimeSeconds: Math.floor((host.clock.monotonicMs() - this.#startedMs) / 1000),
      links: [],
      loading: this.#progress,
    };
  }
}

/** The fields of INFO that client libraries wait by, as Redis computes them. */
export function describeProgress(progress: LoadProgress, nowMs: number): Readonly<Record<string, string | number>> {
  const { loadedBytes, totalBytes, startedAtMs } = progress;
  const seconds = Math.floor(Math.max(0, nowMs - startedAtMs) / 1000);
  const missing = Math.max(0, totalBytes - loadedBytes);
  return {
    loading: 1,
    async_loading: 0,
    loading_start_time: Math.floor(startedAtMs / 1000),
    loading_total_bytes: totalBytes,
    loading_loaded_bytes: loadedBytes,
    loading_loaded_perc: (totalBytes === 0 ? 0 : (100 * loadedBytes) / totalBytes).toFixed(2),
    loading_eta_seconds: seconds === 0 ? 1 : Math.floor((seconds * missing) / (loadedBytes + 1)),
    loading_keys: progress.keys,
  };
}
