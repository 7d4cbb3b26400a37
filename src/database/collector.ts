/**
 * Frees what was kept only to resolve conflicts, once nobody can need it any more: counters that are cut whole. Each instance does so in its own time;
 * nothing visible changes. What cannot be freed so, a name with nothing but times to live that say "none", is reported to be removed.
 *
 * It walks the keys in steps, and large containers apart from their keys in steps of their own. Where nothing was left behind since the last pass began
 * there is none.
 */
import type { ContainerType } from './container-type.ts';
import { mapOf } from './container-type.ts';
import { collectCell, isOrphan } from './collect-cell.ts';
import { KeyRef, TYPE } from './key-ref.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { Keyspace } from './keyspace.ts';
import type { Stability } from './stability.ts';

export interface CollectorOptions {
  /** The own id. */
  readonly self: number;
  /** A name with nothing left but what this instance has to remove: of a key, or of an entry under it. Called between the steps of the walk. */
  readonly onOrphan: (key: Buffer, entry: { readonly type: ContainerType; readonly name: Buffer } | null) => void;
}

interface Orphan {
  readonly key: Buffer;
  readonly entry: { readonly type: ContainerType; readonly name: Buffer } | null;
}

export class Collector {
  readonly #options: CollectorOptions;
  readonly #orphans: Orphan[] = [];
  readonly #keyspace: Keyspace;
  readonly #ref = new KeyRef();
  #cursor = 0;
  #isWalking = false;
  /** Whether a pass has to follow the present one. */
  #remains = false;
  /** Large containers that are left of the present pass. */
  readonly #large: { readonly key: Buffer; readonly type: ContainerType; cursor: number }[] = [];

  constructor(keyspace: Keyspace, options: CollectorOptions) {
    this.#keyspace = keyspace;
    this.#options = options;
  }

  /** Looks at about `count` records. Returns whether the pass goes on. Not while anything waits to be settled. */
  step(stability: Stability, count: number): boolean {
    const isMore = this.#walk(stability, count);
    for (const { key, entry } of this.#orphans.splice(0)) this.#options.onOrphan(key, entry);
    return isMore;
  }

  #walk(stability: Stability, count: number): boolean {
    const ks = this.#keyspace;
    if (!this.#isWalking) {
      if (!ks.hasResidue) return false;
      // From here on it says whether another pass is due: for what comes up behind the cursor.
      ks.hasResidue = false;
      this.#isWalking = true;
      this.#remains = false;
      this.#cursor = 0;
    }
    let buckets = count * ks.limits.bucketsPerEntry;
    let left = count;
    while (left > 0 && buckets-- > 0) {
      if (this.#large.length > 0) {
        left -= this.#stepLarge(stability);
      } else {
        this.#cursor = ks.keyMaps.scan(ks.keys, this.#cursor, (record) => {
          left--;
          if (ks.attributes(record) !== 0) this.#collectKey(record, stability);
        });
        if (this.#cursor === 0 && this.#large.length === 0) return this.#endPass();
        if (this.#cursor === 0) this.#isLast = true;
      }
      if (this.#isLast && this.#large.length === 0) return this.#endPass();
    }
    return true;
  }

  /** The keys are walked, large containers are left. */
  #isLast = false;

  #endPass(): boolean {
    this.#isWalking = false;
    this.#isLast = false;
    this.#keyspace.hasResidue ||= this.#remains;
    return false;
  }

  #collectKey(record: number, stability: Stability): void {
    const ks = this.#keyspace;
    const isDue = ks.hasResidue;
    ks.preImages?.key(record);
    if (collectCell(ks.cells, record, stability)) this.#remains = true;
    const ref = ks.refer(this.#ref, record);
    ks.containers.each(record, (type, container) => {
      if (!type.mayHoldResidue(container)) return;
      if (type.entryCount(container) > ks.limits.smallContainerEntries) {
        this.#large.push({ key: nameOf(ref), type, cursor: 0 });
        return;
      }
      let cursor = 0;
      do {
        cursor = type.maps.scan(mapOf(container), cursor, (entry) =>
          this.#collectEntry(ref, type, container, entry, stability),
        );
      } while (cursor !== 0);
    });
    this.#settle(ref);
    if (ref.record !== 0 && ref.type === TYPE.none && isOrphan(ks.cells, ref.record, this.#options.self, stability)) {
      this.#orphans.push({ key: nameOf(ref), entry: null });
    }
    // Settling the key notes what nobody can free yet, such as a time to live without a value: that is for a later pass.
    if (ks.hasResidue && !isDue) this.#remains = true;
    ks.hasResidue = isDue;
  }

  /** One bucket of a large container. Returns how many entries it had. */
  #stepLarge(stability: Stability): number {
    const ks = this.#keyspace;
    const large = this.#large[this.#large.length - 1]!;
    const ref = ks.locate(this.#ref, large.key, 0, large.key.length);
    const container = ref.record === 0 ? 0 : ks.containers.of(large.type, ref.record);
    if (container === 0 || large.type.isStaged(container)) {
      this.#large.pop();
      if (container !== 0) this.#remains = true;
      return 1;
    }
    const isDue = ks.hasResidue;
    let count = 0;
    large.cursor = large.type.maps.scan(mapOf(container), large.cursor, (entry) => {
      count++;
      this.#collectEntry(ref, large.type, container, entry, stability);
    });
    if (large.cursor === 0) {
      this.#large.pop();
      this.#settle(ref);
    }
    if (ks.hasResidue && !isDue) this.#remains = true;
    ks.hasResidue = isDue;
    return count;
  }

  #collectEntry(ref: KeyRef, type: ContainerType, container: number, entry: number, stability: Stability): void {
    this.#keyspace.preImages?.entry(type, ref, entry);
    if (type.isOrphan(entry, this.#options.self, stability)) {
      const bytes = this.#keyspace.arena.bytes[entry >>> SEGMENT_SHIFT]!;
      const start = type.nameStart(entry);
      const name = Buffer.from(bytes.subarray(start, start + type.nameLength(entry)));
      this.#orphans.push({ key: nameOf(ref), entry: { type, name } });
    }
    if (type.collectEntry(container, entry, stability)) this.#remains = true;
  }

  #settle(ref: KeyRef): void {
    const ks = this.#keyspace;
    ks.containers.dropEmpty(ref.record);
    ks.settle(ref);
  }
}

const nameOf = ({ bytes, start, length }: KeyRef): Buffer => Buffer.from(bytes.subarray(start, start + length));
