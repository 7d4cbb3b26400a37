/**
 * Work on the whole of a map, done late: a removal or a join that concerns every entry takes effect at once, and each entry is *settled* when it is first
 * touched; a sweep settles the rest in slices. So FLUSHALL, DEL of a large hash and the end of a full sync take one turn whatever their
 * size. The state stays a function of the batches applied, it is only computed late.
 *
 *            the map as it was -> main \
 *                                       stage (removal | join) -> stage ... -> the live map, where new entries are made
 *        what a full sync brought -> incoming /
 *
 * A stage takes the former map as its *main*, and an empty map becomes the live one. Settling an entry takes it out of the stages in their order,
 * applies each stage's operation, and puts what is left into the live map. The keyspace has stages, and so has every container
 * that is large enough; those of small ones are carried out at once (staged-keys.ts, staged-containers.ts).
 *
 * What a removal of our own takes away must be hidden at once, and the counters that it cuts must be named to the others: it *owes* their cuts, which
 * are announced when the entry is settled (owed-cuts.ts).
 *
 * Invariant: an entry is in the live map or in the maps of stages, never in both.
 */
import { Graveyard } from './graveyard.ts';
import type { Keyspace } from './keyspace.ts';
import { OwedCuts } from './owed-cuts.ts';
import { StagedContainers } from './staged-containers.ts';
import { StagedKeys } from './staged-keys.ts';

export class Stages {
  readonly graveyard: Graveyard;
  readonly owed: OwedCuts;
  readonly containers: StagedContainers;
  readonly keys: StagedKeys;

  constructor(keyspace: Keyspace) {
    this.graveyard = new Graveyard(keyspace);
    this.owed = new OwedCuts(keyspace);
    this.containers = new StagedContainers(keyspace, this.owed, this.graveyard);
    this.keys = new StagedKeys(keyspace, this.owed, this.containers);
  }

  get isSettled(): boolean {
    return this.keys.isSettled && this.containers.isSettled;
  }

  /** Settles about `count` keys or entries. Returns false when none waits. */
  sweep(count: number): boolean {
    return this.containers.sweepWanted(count) || this.keys.sweep(count) || this.containers.sweep(count);
  }
}
