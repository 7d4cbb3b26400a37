/** Where received full syncs are kept for recovery: a file each; nowhere where nothing is persisted. */
import type { Disk } from '../host/host.ts';
import type { SpoolFile, SpoolPort } from '../replication/ports.ts';
import { FileSpool } from '../storage/spool.ts';
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
        ? noSpool()
        : new FileSpool({ disk, directory, position: log.endPosition, from, limits: options.limits ?? {} }),
  };
}

const noSpool = (): SpoolFile => ({
  file: '',
  append: () => true,
  finish: () => Promise.resolve(),
  discard: () => Promise.resolve(),
  onDrain: () => undefined,
});
