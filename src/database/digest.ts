/**
 * A fingerprint of the logical state: equal on instances that have converged, whatever order things arrived in.
 *
 * Every key contributes a SHA-1 over its name, type, time to live and visible contents, where entries are combined by exclusive or; and so are the keys, so
 * the order of hash tables does not matter. What is only bookkeeping (cut counters, hidden siblings) does not count, since instances
 * free it at different times.
 *
 * It is of one moment, and made in steps: a walk that finds that something was written since it began is of no moment, and begins anew.
 */
import { createHash, type Hash } from 'node:crypto';
import { mapOf, type ContainerType } from './container-type.ts';
import { exclusiveOr, nameOf, updateValue, visibleExpiry } from './digest-cell.ts';
import { TYPE } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import { isGone } from './visible-fields.ts';

/** A key whose container is too large to be walked in one step. */
interface LargeKey {
  readonly hash: Hash;
  readonly type: ContainerType;
  readonly container: number;
  readonly contents: Buffer;
  cursor: number;
}

export class DigestWalk {
  readonly #keyspace: Keyspace;
  readonly #sum = Buffer.alloc(20);
  readonly #large: LargeKey[] = [];
  #cursor = 0;
  #isWalked = false;

  /** Everything must be settled, and nothing may be written as long as it is stepped. */
  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  /** Looks at about `count` records. Returns 40 hex digits when it is over (zeros for an empty database); null: there is more. */
  step(count: number): string | null {
    const ks = this.#keyspace;
    let left = count;
    let buckets = count * ks.limits.bucketsPerEntry;
    while (left > 0 && buckets-- > 0) {
      if (this.#large.length > 0) {
        left -= this.#stepLarge();
      } else if (this.#isWalked) {
        return this.#sum.toString('hex');
      } else {
        this.#cursor = ks.keyMaps.scan(ks.keys, this.#cursor, (record) => {
          left--;
          if (ks.typeOf(record) !== TYPE.none && !isGone(ks, record)) this.#addKey(record);
        });
        this.#isWalked = this.#cursor === 0;
      }
    }
    return null;
  }

  #addKey(record: number): void {
    const ks = this.#keyspace;
    const type = ks.typeOf(record);
    const name = nameOf(ks, record);
    const hash = createHash('sha1')
      .update(`${type}:${name.length}:`)
      .update(name)
      .update(`:${visibleExpiry(ks, record)}:`);
    const contents = Buffer.alloc(20);
    if (type === TYPE.string) {
      updateValue(hash, ks, record);
      return exclusiveOr(this.#sum, hash.update(contents).digest());
    }
    const container = ks.containers.types.find((each) => each.type === type)!;
    const large = { hash, type: container, container: ks.containers.of(container, record), contents, cursor: 0 };
    if (container.entryCount(large.container) > ks.limits.smallContainerEntries) {
      this.#large.push(large);
      return;
    }
    do this.#addBucket(large);
    while (large.cursor !== 0);
    exclusiveOr(this.#sum, hash.update(contents).digest());
  }

  #stepLarge(): number {
    const large = this.#large[this.#large.length - 1]!;
    const count = this.#addBucket(large);
    if (large.cursor === 0) {
      this.#large.pop();
      exclusiveOr(this.#sum, large.hash.update(large.contents).digest());
    }
    return count;
  }

  #addBucket(large: LargeKey): number {
    const { type, container, contents } = large;
    let count = 1;
    large.cursor = type.maps.scan(mapOf(container), large.cursor, (entry) => {
      count++;
      const digest = type.digestEntry(entry);
      if (digest !== null) exclusiveOr(contents, digest);
    });
    return count;
  }
}
