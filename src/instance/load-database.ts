/**
 * Fills an empty database from the data directory, and says how far it is: in the log every few seconds, to whoever asked for it at every turn.
 *
 * Invariant: what is loaded is exactly what recovery hands over, in its order.
 */
import { FRAME, readU32 } from '../crdt/frame.ts';
import type { Database } from '../database/database.ts';
import type { Clock } from '../host/host.ts';
import type { RecoveryProgress } from '../storage/loading-pace.ts';
import { recover, type Recovery, type RecoveryOptions, type SnapshotSink } from '../storage/recovery.ts';
import type { LoadProgress } from './config.ts';
import { LOADING_LINE_MS } from './limits.ts';
import type { Logger } from './logger.ts';

export interface LoadDatabaseOptions extends Omit<RecoveryOptions, 'origins' | 'target' | 'onProgress'> {
  readonly log: Logger;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

export async function loadDatabase(database: Database, options: LoadDatabaseOptions): Promise<Recovery> {
  const { clock, onProgress } = options;
  const startedAtMs = clock.nowMs();
  const lines = new LoadingLines(options.log, clock);
  const report = (progress: RecoveryProgress): void => {
    const loading = { ...progress, keys: database.keyCount, startedAtMs };
    lines.note(loading);
    onProgress?.(loading);
  };
  const recovery = await recover({
    ...options,
    onProgress: report,
    origins: database.origins,
    target: {
      onSnapshot: () => loadSink(database),
      onMerge: () => joinSink(database),
      onFrame: (bytes, start, end) => {
        if (bytes[start + 4] === FRAME.generation) database.resumeGeneration(readU32(bytes, start + 5));
        else database.replayBatch(bytes, start, end);
      },
    },
  });
  lines.end(database.keyCount);
  return recovery;
}

function loadSink(database: Database): SnapshotSink {
  const load = database.loadSnapshot();
  return {
    get vector() {
      return load.vector;
    },
    get complete() {
      return load.complete;
    },
    feed: (bytes) => load.feed(bytes),
    finish: () => {
      load.finish();
      return true;
    },
  };
}

/** What was accepted once, with whatever clock, is accepted again. */
function joinSink(database: Database): SnapshotSink {
  const incoming = database.beginIncoming(Infinity);
  return {
    get vector() {
      return incoming.vector;
    },
    get complete() {
      return incoming.complete;
    },
    feed: (bytes) => incoming.feed(bytes),
    finish: () => {
      incoming.join();
      return true;
    },
  };
}

/** Nothing for a load that is over soon. */
class LoadingLines {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #nextMs: number;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.#nextMs = this.#startedMs + LOADING_LINE_MS;
  }

  note({ phase, loadedBytes, totalBytes, keys }: LoadProgress): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + LOADING_LINE_MS;
    this.#log(
      'info',
      `loading: ${percent(loadedBytes, totalBytes)}, ${phase}, ${keys} keys, ${loadedBytes} of ${totalBytes} bytes`,
    );
  }

  end(keys: number): void {
    const ms = this.#clock.monotonicMs() - this.#startedMs;
    if (ms >= LOADING_LINE_MS) this.#log('info', `loaded: ${keys} keys in ${(ms / 1000).toFixed(1)} s`);
  }
}

export const percent = (done: number, total: number): string =>
  `${total === 0 ? 100 : Math.min(100, Math.floor((100 * done) / total))} %`;
