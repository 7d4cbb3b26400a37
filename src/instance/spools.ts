/** Where received full syncs are held: a file each, or memory where there is no data directory. */
import type { Disk } from '../host/host.ts';
import type { SpoolPort } from '../replication/ports.ts';
import { FileSpool, MemorySpool } from '../storage/spool.ts';
import type { StorageLimits } from '../storage/limits.ts';
import type { Log } from '../storage/log.ts';

export function createSpools(options: {
  readonly disk: Disk;
  readonly directory: string;
  readonly log: Log;
  readonly inMemory: boolean;
  readonly limits?: Partial<StorageLimits>;
}): SpoolPort {
  const { disk, directory, log } = options;
  return {
    create: (from) =>
      options.inMemory
        ? new MemorySpool()
        : new FileSpool({ disk, directory, position: log.endPosition, from, limits: options.limits ?? {} }),
  };
}
