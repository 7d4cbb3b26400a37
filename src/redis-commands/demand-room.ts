/**
 * Before a command of several effects runs: whether all of them will be taken, in the batch and in memory, so that it is refused whole or done whole.
 *
 * What removes is not asked about memory: a full instance takes it, since it makes room.
 */
import type { Database } from '../database/database.ts';
import type { Args } from '../resp/args.ts';
import type { TableEntry } from './table.ts';

/**
 * Each argument may be said by an effect of its own, with the cuts of a counter that it replaces; and the key by all of them, which is shorter from the second on.
 * Throws what the first refused effect would.
 */
export function demandRoom(database: Database, args: Args, entry: TableEntry): void {
  if (!entry.writesSeveral) return;
  const { count, lengths } = args;
  let bytes = count > 1 ? lengths[1]! : 0;
  for (let i = 1; i < count; i++) bytes += lengths[i]!;
  // Members of sets have no counters.
  database.writer.demandRoom(count, bytes, { removes: !entry.deniedWhenFull, cuts: entry.spec.group !== 'set' });
}
