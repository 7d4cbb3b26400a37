/** Spools for received full syncs as replication wants them, made of those that storage offers. */
import type { Disk } from '../host/host.ts';
import type { SpoolFile, SpoolPort } from '../replication/ports.ts';
import { FileSpool, MemorySpool, type Spool } from '../storage/spool.ts';
import type { Log } from '../storage/log.ts';

export function createSpools(options: {
  readonly disk: Disk;
  readonly directory: string;
  readonly log: Log;
  readonly inMemory: boolean;
}): SpoolPort {
  const { disk, directory, log } = options;
  let number = 0;
  return {
    create: () => {
      number++;
      const spool = options.inMemory
        ? new MemorySpool()
        : new FileSpool({ disk, directory, position: log.endPosition, from: number });
      return Promise.resolve(adaptSpool(spool));
    },
  };
}

function adaptSpool(spool: Spool): SpoolFile {
  /** What `next` gave beyond what was asked for. */
  let rest: Uint8Array = new Uint8Array(0);
  return {
    name: spool.file,
    append: async (bytes) => {
      if (spool.append(bytes)) return;
      await new Promise<void>((resolve) => {
        spool.onDrain = resolve;
      });
    },
    finish: () => spool.finish(),
    read: async (_position, bytesMax) => {
      if (rest.length === 0) rest = (await spool.next()) ?? new Uint8Array(0);
      const piece = rest.subarray(0, bytesMax);
      rest = rest.subarray(piece.length);
      return piece;
    },
    close: () => Promise.resolve(),
    discard: () => spool.discard(),
  };
}
