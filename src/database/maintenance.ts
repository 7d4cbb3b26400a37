/**
 * Work that no command asks for, in short steps: removing what has expired, freeing what conflicts left behind.
 *
 * *Expiry*, of keys and of hash fields: expirer.ts.
 *
 * *Collection*: once every instance has applied a reset, the counters it cut will never be heard of again; likewise a time to live without a value,
 * or one that only says "none". They are freed locally, each instance in its own time: nothing visible changes.
 *
 * Invariant: neither changes what a client sees, except that expired keys, already hidden, are gone.
 */
import { TAG } from '../crdt/cell.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Database } from './database.ts';
import { Expirer, type ExpiryLimits } from './expirer.ts';
import { KeyRef } from './key-ref.ts';

export class Maintenance {
  readonly #database: Database;
  readonly #ref = new KeyRef();
  readonly #expirer: Expirer;
  #cursor = 0;

  constructor(database: Database, limits: Partial<ExpiryLimits> = {}) {
    this.#database = database;
    this.#expirer = new Expirer(database, limits);
  }

  /**
   * Removes keys and fields that have expired, as one batch. `mayExpireFor` says whether this instance acts for the one that owns the expiry.
   * Returns how much was done; 0: nothing is left to do at this moment.
   */
  expireStep(mayExpireFor: (instance: number) => boolean): number {
    return this.#database.writesHeld ? 0 : this.#expirer.step(mayExpireFor);
  }

  /** Looks at about `recordsMax` keys and frees what is stable. `stable`: what every instance has applied. */
  collectStep(stable: VersionVector, recordsMax: number): void {
    const { keyspace } = this.#database;
    if (this.#database.writesHeld) return;
    if (this.#cursor === 0) {
      if (!keyspace.hasResidue) return;
      // From here on it says whether another pass is due: for what is not stable yet, or comes up behind the cursor.
      keyspace.hasResidue = false;
    }
    let looked = 0;
    do {
      this.#cursor = keyspace.keyMaps.scan(keyspace.keys, this.#cursor, (record) => {
        looked++;
        if (keyspace.attributes(record) === 0) return;
        const isDue = keyspace.hasResidue;
        const remains = this.#collectKey(record, stable);
        // Settling the key has noted what nobody can free yet, such as a time to live without a value.
        keyspace.hasResidue = isDue || remains;
      });
    } while (this.#cursor !== 0 && looked < recordsMax);
  }

  /** Returns whether anything remains that will be freed when it is stable. */
  #collectKey(record: number, stable: VersionVector): boolean {
    const { keyspace } = this.#database;
    const { containers } = keyspace;
    keyspace.preImages?.key(record);
    let remains = this.#collectCell(record, stable);
    const ref = keyspace.refer(this.#ref, record);
    const hash = containers.hash(record);
    containers.eachField(hash, (field) => {
      if (keyspace.attributes(field) === 0) return;
      keyspace.preImages?.field(record, field);
      if (this.#collectCell(field, stable)) remains = true;
      keyspace.settleField(ref, hash, field);
    });
    keyspace.dropEmptyContainers(record);
    keyspace.settle(ref);
    return remains;
  }

  #collectCell(cell: number, stable: VersionVector): boolean {
    const { cells } = this.#database.keyspace;
    const remains = cells.dropStableCounters(cell, stable);
    if (cells.attribute(cell, TAG.expiry) === 0 || cells.expiry(cell) !== Infinity) return remains;
    // "None" is what no time to live at all says too. They go together: the longest must not go first.
    const dots: { readonly origin: number; readonly seq: number }[] = [];
    cells.eachExpiry(cell, ({ origin, seq }) => dots.push({ origin, seq }));
    if (!dots.every(({ origin, seq }) => stable.coversDot(origin, seq))) return true;
    for (const dot of dots) cells.dropExpiryDot(cell, dot);
    return remains;
  }
}
