/** Snapshots for feeds, read in one go when they are asked for and kept in memory. */
import type { Database } from '../database/database.ts';
import type { Clock } from '../host/host.ts';
import type { SnapshotHandle, SnapshotSource } from '../replication/ports.ts';
import type { Log } from '../storage/log.ts';

/** While no snapshot can be begun. */
const RETRY_MS = 50;

export function liveSnapshots(database: Database, log: Log, clock: Clock): SnapshotSource {
  let count = 0;
  return {
    acquire: async (): Promise<SnapshotHandle> => {
      while (!database.maySnapshot) await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
      const snapshot = database.beginSnapshot();
      const vector = snapshot.vector.clone();
      const position = log.endPosition;
      const pieces: Buffer[] = [];
      for (let piece = snapshot.next(65536); piece !== null; piece = snapshot.next(65536)) {
        pieces.push(Buffer.from(piece));
      }
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
