/** Where received full syncs are kept when nothing is persisted: nowhere. */
import type { SpoolPort } from '../replication/ports.ts';

export const NO_SPOOLS: SpoolPort = {
  create: () => ({
    file: '',
    append: () => true,
    finish: () => Promise.resolve(),
    noteMerged: () => undefined,
    discard: () => Promise.resolve(),
    onDrain: () => undefined,
  }),
};
