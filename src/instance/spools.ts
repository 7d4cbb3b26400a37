/** Where received full syncs are kept for recovery: a file each; nowhere where nothing is persisted. */
import type { Disk } from '../host/host.ts';
import type { SpoolFile, SpoolPort } from '../replication/ports.ts';
import { FileSpool } from '../storage/spool.ts';
import type { Log } from '../storage/log.ts';

export function createSpools(options: {
  readonly disk: Disk;
  readonly directory: string;
  readonly log: Log;
  readonly inMemory: boolean;
}): SpoolPort {
  const { disk, directory, log } = options;
  return {
    create: (from) =>
      options.inMemory ? noSpool() : new FileSpool({ disk, directory, position: log.endPosition, from }),
  };
}

const noSpool = (): SpoolFile => ({
  file: '',
  append: () => true,
  finish: () => Promise.resolve(),
  discard: () => Promise.resolve(),
  onDrain: () => undefined,
});
