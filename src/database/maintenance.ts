/**
 * Work that no command asks for, in short steps: removing what has expired.
 *
 * *Expiry*, of keys and of hash fields: the instance whose time to live won owns the removal, which replicates as an observed-remove; so one instance removes, and a write that it
 * had not seen survives. When that instance is gone for long, `mayExpireFor` lets another one step in.
 *
 * Invariant: neither changes what a client sees, except that expired keys, already hidden, are gone.
 */
import type { Database } from './database.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import { KeyRef } from './key-ref.ts';

/** Keys sampled per expiry step; as long as a quarter of them was due, the caller should step again. */
export const EXPIRY_SAMPLE_KEYS = 20;
/** Fields of one hash removed per step at most: one batch. */
const FIELDS_PER_STEP_MAX = 256;
/** A hash is walked through to find what expired in it, so it rests a while after: this many ms for each thousand fields. */
const REST_MS_PER_1000_FIELDS = 10;
/** How long to let fields be whose removal is another instance's. */
const FOREIGN_REST_MS = 1000;

export class Maintenance {
  readonly #database: Database;
  readonly #ref = new KeyRef();

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Removes keys and fields that have expired, as one batch. `mayExpireFor` says whether this instance acts for the one that owns the expiry.
   * Returns how many were removed.
   */
  expireStep(mayExpireFor: (instance: number) => boolean): number {
    const { keyspace, writer, origins } = this.#database;
    let removed = this.#expireFields(mayExpireFor);
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

  /** Removes fields that have expired from hashes met at random. */
  #expireFields(mayExpireFor: (instance: number) => boolean): number {
    const { keyspace, random } = this.#database;
    const { containers, fieldExpiries, nowMs } = keyspace;
    if (fieldExpiries.count === 0) return 0;
    let removed = 0;
    for (const key of fieldExpiries.sample(EXPIRY_SAMPLE_KEYS, nowMs, random)) {
      const ref = keyspace.locate(this.#ref, key, 0, key.length);
      const hash = ref.record === 0 ? 0 : containers.hash(ref.record);
      // Noted anew by what remains.
      fieldExpiries.set(ref.hash, key, 0, key.length, -1);
      if (containers.volatileCount(hash) > 0) removed += this.#expireFieldsOf(ref, hash, mayExpireFor);
    }
    return removed;
  }

  #expireFieldsOf(ref: KeyRef, hash: number, mayExpireFor: (instance: number) => boolean): number {
    const { keyspace, writer, origins } = this.#database;
    const { arena, cells, containers, nowMs } = keyspace;
    const due: Buffer[] = [];
    let next = Infinity;
    containers.eachField(hash, (field) => {
      const owner = keyspace.attributes(field) === 0 ? -1 : cells.expiryOwner(field);
      if (owner < 0) return;
      const atMs = cells.expiry(field);
      const isDue = atMs <= nowMs;
      if (isDue && due.length < FIELDS_PER_STEP_MAX && mayExpireFor(origins.at(owner).instance)) {
        const start = containers.nameOffset(field);
        const bytes = arena.bytes[field >>> SEGMENT_SHIFT]!;
        due.push(Buffer.from(bytes.subarray(start, start + containers.nameLength(field))));
      } else {
        next = Math.min(next, isDue && due.length < FIELDS_PER_STEP_MAX ? nowMs + FOREIGN_REST_MS : atMs);
      }
    });
    const rest = due.length < FIELDS_PER_STEP_MAX ? (containers.fieldCount(hash) / 1000) * REST_MS_PER_1000_FIELDS : 0;
    if (next !== Infinity) {
      keyspace.fieldExpiries.set(ref.hash, ref.bytes, ref.start, ref.length, Math.max(next, nowMs + rest));
    }
    for (const name of due) writer.removeField(ref, name, 0, name.length);
    return due.length;
  }
}
