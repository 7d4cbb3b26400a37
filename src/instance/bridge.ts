/**
 * The ports of replication over a database that merges and over snapshots that are read live: what is received is kept and merged in one go at its end, what is
 * sent is read in one go at its beginning.
 */
import type { Database } from '../database/database.ts';
import { FEATURES, featuresOf } from '../database/features.ts';
import type { SnapshotHeader, SnapshotHandler } from '../database/snapshot-parser.ts';
import { IGNORE_SNAPSHOT, SnapshotParser } from '../database/snapshot-parser.ts';
import type { Clock } from '../host/host.ts';
import type { DatabasePort, Incoming, SnapshotHandle, SnapshotSource } from '../replication/ports.ts';
import type { Log } from '../storage/log.ts';

/** While another snapshot is read. */
const RETRY_MS = 50;

export function databasePort(database: Database): DatabasePort {
  return {
    origins: database.origins,
    vector: database.vector,
    get self() {
      return database.self;
    },
    get hlc() {
      return database.hlc;
    },
    capabilities: FEATURES,
    setTime: (nowMs) => database.setTime(nowMs),
    applyBatch: (bytes, start, end) => database.applyBatch(bytes, start, end),
    needsOf: (bytes, start, end) => featuresOf(bytes, start, end, database.origins),
    beginIncoming: () => new KeptIncoming(database),
  };
}

class KeptIncoming implements Incoming {
  vector: SnapshotHeader['vector'] | null = null;
  hlc: number | null = null;
  keys = 0;
  readonly #database: Database;
  readonly #parser: SnapshotParser;
  #pieces: Buffer[] = [];

  constructor(database: Database) {
    this.#database = database;
    const handler: SnapshotHandler = {
      ...IGNORE_SNAPSHOT,
      header: (header) => {
        this.vector = header.vector;
        this.hlc = header.hlc;
      },
      key: () => {
        this.keys++;
      },
    };
    this.#parser = new SnapshotParser(database.origins, handler);
  }

  get complete(): boolean {
    return this.#parser.complete;
  }

  feed(bytes: Uint8Array): void {
    this.#parser.feed(bytes);
    this.#pieces.push(Buffer.from(bytes));
  }

  join(): void {
    const merge = this.#database.beginMerge();
    for (const piece of this.#pieces) merge.feed(piece);
    while (!merge.step(Infinity));
    this.#pieces = [];
  }

  abandon(): void {
    this.#pieces = [];
  }
}

export function liveSnapshots(database: Database, log: Log, clock: Clock): SnapshotSource {
  let count = 0;
  return {
    acquire: async (): Promise<SnapshotHandle> => {
      while (database.isSnapshotting || database.writesHeld) {
        await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
      }
      const snapshot = database.beginSnapshot();
      const vector = snapshot.vector.clone();
      const position = log.endPosition;
      const pieces: Buffer[] = [];
      for (let piece = snapshot.next(65536); piece !== null; piece = snapshot.next(65536)) pieces.push(Buffer.from(piece));
      const holder = `full sync ${++count}`;
      log.retain(holder, position);
      let next = 0;
      return {
        vector,
        position,
        bytes: pieces.reduce((sum, piece) => sum + piece.length, 0),
        next: () => Promise.resolve(pieces[next++] ?? null),
        release: () => log.release(holder),
      };
    },
  };
}
