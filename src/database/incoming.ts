/**
 * A full sync that is being received: the snapshot is loaded into a map of keys of its own, beside the live data, while reads and writes go on.
 *
 *   feed ... feed -> complete -> join()        or, at any time, abandon()
 *
 * `join` is the one moment at which anything changes: the version vector rises to the join of both sides, and every key, from here and from there, waits
 * to be joined when it is first touched (stages.ts). A full sync is always a merge: what one side alone has stays unless the other
 * side has seen it and knows it to be gone.
 *
 * Invariant: until `join` nothing of the snapshot can be seen.
 */
import { assert } from '../base/assert.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import { hlcToMs, isClockValue } from '../crdt/hybrid-clock.ts';
import { ArenaFullError } from '../memory/arena.ts';
import { ClockAheadError } from './applier.ts';
import type { Keyspace } from './keyspace.ts';
import { SnapshotLoader } from './snapshot-loader.ts';
import { SnapshotFormatError, type SnapshotHeader } from './snapshot-parser.ts';

export interface IncomingOptions {
  /** The version vector of the live data. */
  readonly local: () => VersionVector;
  /** ms that the snapshot's clock may be ahead of the one here. */
  readonly clockAheadMsMax: number;
  /** Raise the version vector now. */
  readonly onJoin: (header: SnapshotHeader) => void;
}

export class Incoming {
  readonly #keyspace: Keyspace;
  readonly #loader: SnapshotLoader;
  readonly #options: IncomingOptions;
  readonly #snapshots: number;
  #isEnded = false;

  constructor(keyspace: Keyspace, options: IncomingOptions) {
    this.#keyspace = keyspace;
    this.#loader = new SnapshotLoader(keyspace, keyspace.newKeyMap());
    this.#options = options;
    this.#snapshots = keyspace.snapshots;
  }

  /** What the snapshot contains; null before its header was fed. */
  get vector(): VersionVector | null {
    return this.#loader.header?.vector ?? null;
  }

  /** Keys loaded so far. */
  get keys(): number {
    return this.#loader.keys;
  }

  get complete(): boolean {
    return this.#loader.complete;
  }

  /** Loads the next bytes. Throws SnapshotFormatError, ClockAheadError, ArenaFullError: then it is to be abandoned. */
  feed(bytes: Uint8Array): void {
    assert(!this.#isEnded, 'a full sync is fed until it is joined or abandoned');
    const { arena, limits } = this.#keyspace;
    const neededBytes = 2 * bytes.length + limits.applyReserveBytes;
    if (!arena.reserve(neededBytes, bytes.length)) throw new ArenaFullError(neededBytes);
    const isBegun = this.vector !== null;
    this.#loader.feed(bytes);
    if (!isBegun && this.#loader.header) this.#checkClock(this.#loader.header.hlc);
  }

  #checkClock(hlc: number): void {
    if (!isClockValue(hlc)) throw new SnapshotFormatError(`a clock that says ${hlc}`);
    const aheadMs = hlcToMs(hlc) - this.#keyspace.nowMs;
    if (aheadMs > this.#options.clockAheadMsMax) throw new ClockAheadError(0, aheadMs);
  }

  /** In this one turn the state becomes the join. */
  join(): void {
    const { header, map, keys } = this.#loader;
    assert(header !== null && this.complete && !this.#isEnded, 'a full sync is joined once, when it is complete');
    this.#isEnded = true;
    const ks = this.#keyspace;
    ks.stages.keys.stage(
      {
        kind: 'join',
        vectors: { target: this.#options.local().clone(), other: header.vector },
        // What was loaded before a snapshot began carries another epoch, also where epochs have come round: it must be looked at one by one.
        keepsWhole: ks.snapshots === this.#snapshots,
      },
      { map, visible: keys },
    );
    ks.hasResidue = true;
    this.#options.onJoin(header);
  }

  abandon(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#keyspace.stages.graveyard.buryKeys(this.#loader.map);
  }
}
