/**
 * Work that no command asks for, in short steps: removing what has expired, freeing what conflicts left behind.
 *
 * *Expiry*: the instance whose time to live won owns the removal, which replicates as an observed-remove; so one instance removes, and a write that it
 * had not seen survives. When that instance is gone for long, `mayExpireFor` lets another one step in.
 *
 * *Collection*: once every instance has applied a reset, the counters it cut will never be heard of again; likewise a time to live without a value,
 * or one that only says "none". They are freed locally, each instance in its own time: nothing visible changes.
 *
 * Invariant: neither changes what a client sees, except that expired keys, already hidden, are gone.
 */
import { TAG } from '../crdt/cell.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Database } from './database.ts';
import { KeyRef, TYPE } from './key-ref.ts';

/** Keys sampled per expiry step; as long as a quarter of them was due, the caller should step again. */
export const EXPIRY_SAMPLE_KEYS = 20;

export class Maintenance {
  readonly #database: Database;
  readonly #ref = new KeyRef();
  #cursor = 0;
  #residueSeen = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Removes keys that have expired, as one batch. `mayExpireFor` says whether this instance acts for the one that owns the expiry.
   * Returns how many were removed.
   */
  expireStep(mayExpireFor: (instance: number) => boolean): number {
    const { keyspace, writer, origins } = this.#database;
    if (keyspace.expiries.count === 0 || this.#database.writesHeld) return 0;
    let removed = 0;
    for (const key of keyspace.expiries.sample(EXPIRY_SAMPLE_KEYS, keyspace.nowMs, this.#database.random)) {
      const ref = keyspace.locate(this.#ref, key, 0, key.length);
      if (ref.record === 0 || !keyspace.isExpired(ref.record)) continue;
      const owner = keyspace.cells.expiryOwner(ref.record);
      if (owner < 0 || !mayExpireFor(origins.at(owner).instance)) continue;
      writer.remove(ref);
      removed++;
    }
    this.#database.commit();
    return removed;
  }

  /** Looks at about `recordsMax` keys and frees what is stable. `stable`: what every instance has applied. */
  collectStep(stable: VersionVector, recordsMax: number): void {
    const { keyspace } = this.#database;
    if (!keyspace.hasResidue || this.#database.writesHeld) return;
    let looked = 0;
    do {
      this.#cursor = keyspace.keyMaps.scan(keyspace.keys, this.#cursor, (record) => {
        looked++;
        if (keyspace.attributes(record) !== 0) this.#collectKey(record, stable);
      });
    } while (this.#cursor !== 0 && looked < recordsMax);
    if (this.#cursor !== 0) return;
    keyspace.hasResidue = this.#residueSeen;
    this.#residueSeen = false;
  }

  #collectKey(record: number, stable: VersionVector): void {
    const { keyspace } = this.#database;
    const { containers } = keyspace;
    keyspace.preImages?.key(record);
    this.#collectCell(record, stable, keyspace.typeOf(record) === TYPE.none);
    const hash = containers.hash(record);
    containers.eachField(hash, (field) => {
      if (keyspace.attributes(field) === 0) return;
      keyspace.preImages?.field(record, field);
      const isOrphan = !keyspace.cells.hasRegister(field) && !keyspace.cells.hasCounter(field);
      this.#collectCell(field, stable, isOrphan);
      keyspace.settleField(hash, field);
    });
    keyspace.dropEmptyContainers(record);
    keyspace.settle(keyspace.refer(this.#ref, record));
  }

  #collectCell(cell: number, stable: VersionVector, isOrphan: boolean): void {
    const { cells } = this.#database.keyspace;
    if (cells.dropStableCounters(cell, stable)) this.#residueSeen = true;
    const first = cells.attribute(cell, TAG.expiry);
    if (first === 0) return;
    const saysNone = cells.nextAttribute(first, TAG.expiry) === 0 && cells.expiry(cell) === Infinity;
    if (!saysNone) return;
    const dots: { readonly origin: number; readonly seq: number }[] = [];
    cells.eachExpiry(cell, ({ origin, seq }) => dots.push({ origin, seq }));
    for (const dot of dots) {
      if (stable.coversDot(dot.origin, dot.seq)) cells.dropExpiryDot(cell, dot);
      else this.#residueSeen = true;
    }
  }
}
