/**
 * The stages of the keyspace (stages.ts): keys that wait for a FLUSHALL or for the join of a full sync, settled when they are looked up, and by the sweep.
 */
import { uniformBelow } from '../base/uniform.ts';
import { FLAG } from '../crdt/cell.ts';
import type { JoinVectors } from './container-type.ts';
import { isCellCovered, joinCell } from './join-cell.ts';
import { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { OwedCuts } from './owed-cuts.ts';
import { isHiddenRemoval, listBucket, StepBudget, type Removal, type Stage, type StageOperation } from './stage.ts';
import type { StagedContainers } from './staged-containers.ts';

interface KeyStage extends Stage {
  /** What a client would see of what is still here. */
  mainVisible: number;
  incomingVisible: number;
  /** For SCAN: ids of the maps, which only go up. */
  readonly mainId: number;
}

export class StagedKeys {
  readonly #keyspace: Keyspace;
  readonly #owed: OwedCuts;
  readonly #containers: StagedContainers;
  /** Oldest first. */
  readonly #stages: KeyStage[] = [];
  readonly #sweepRef = new KeyRef();
  readonly #bucket: number[] = [];
  /** Id of the live map. */
  #liveId = 0;
  #isSettling = false;

  constructor(keyspace: Keyspace, owed: OwedCuts, containers: StagedContainers) {
    this.#keyspace = keyspace;
    this.#owed = owed;
    this.#containers = containers;
  }

  get isSettled(): boolean {
    return this.#stages.length === 0;
  }

  /** Visible keys that wait; where two sides of a join have the same keys they are counted once. */
  get waitingCount(): number {
    let count = 0;
    for (const { operation, mainVisible, incomingVisible } of this.#seenStages()) {
      if (operation.kind === 'join') count += Math.max(mainVisible, incomingVisible);
    }
    return count;
  }

  /** The stages in which something waits that a client may see: those behind the latest removal of our own. */
  #seenStages(): readonly KeyStage[] {
    const stages = this.#stages;
    let from = stages.length;
    while (from > 0 && !isHiddenRemoval(stages[from - 1]!.operation)) from--;
    return from === 0 ? stages : stages.slice(from);
  }

  /** The live keys become the main of a new stage; `incoming`: a map of keys that nobody else uses. */
  stage(operation: StageOperation, incoming: { readonly map: number; readonly visible: number } | null): void {
    const ks = this.#keyspace;
    this.#stages.push({
      main: ks.keys,
      incoming: incoming?.map ?? 0,
      operation,
      mainVisible: ks.keyCount,
      incomingVisible: incoming?.visible ?? 0,
      mainId: this.#liveId,
      cursor: 0,
    });
    this.#liveId = (this.#liveId + 2) % MAP_IDS;
    ks.keys = ks.newKeyMap();
    ks.keyCount = 0;
    ks.volatileCount = 0;
    ks.stagesHoldKeys = true;
  }

  /** Settles the key that the reference names, if it waits. */
  settle(ref: KeyRef): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    let record = 0;
    for (const stage of this.#stages) record = this.#passKey(ref, stage, record);
    this.#isSettling = false;
  }

  #passKey(ref: KeyRef, stage: KeyStage, record: number): number {
    const ks = this.#keyspace;
    if (record === 0) {
      record = ks.keyMaps.find(stage.main, ref.hash, ref.bytes, ref.start, ref.length);
      if (record !== 0) {
        if ((ks.cells.flags(record) & FLAG.visible) !== 0) stage.mainVisible--;
        this.#adoptKey(ref, stage.main, record);
      }
    }
    const { operation } = stage;
    ref.record = record;
    if (operation.kind === 'removal') {
      if (record !== 0) this.removeCovered(ref, operation.removal);
      return ref.record;
    }
    const other =
      stage.incoming === 0 ? 0 : ks.keyMaps.find(stage.incoming, ref.hash, ref.bytes, ref.start, ref.length);
    if (other !== 0) {
      if ((ks.cells.flags(other) & FLAG.visible) !== 0) stage.incomingVisible--;
      ks.keyMaps.take(stage.incoming, other);
    }
    if (record !== 0 || other !== 0) this.#joinKey(ref, other, operation.vectors, operation.keepsWhole);
    return ref.record;
  }

  /** Takes the key's record from the map it waited in into the live one, where it does not count yet. */
  #adoptKey(ref: KeyRef, map: number, record: number): void {
    const ks = this.#keyspace;
    if (ks.preImages !== null) {
      ks.preImages.key(record);
      ref.record = record;
      ks.containers.each(record, (type, container) => ks.preImages!.release(type, ref, container));
    }
    ks.keyMaps.take(map, record);
    ks.cells.clearFlag(record, FLAG.visible | FLAG.volatile);
    ks.keyMaps.add(ks.keys, record);
  }

  /**
   * Takes away what the context covers of the key's record, which is live: of the register, the times to live, the containers; and of counters what
   * `cutsOf` says.
   */
  removeCovered(ref: KeyRef, removal: Removal): void {
    const ks = this.#keyspace;
    const { cells } = ks;
    if (ks.attributes(ref.record) !== 0) {
      const { cuts, reset } = this.#owed.cutsOf(removal, ref, null, cells.observedCuts(ref.record));
      for (const cut of cuts) cells.applyCut(ref.record, cut, reset);
      if (cuts.length > 0) ks.hasResidue = true;
    }
    ref.record = cells.dropRegister(ks.keyMaps, ks.keys, ref.record, removal.context);
    if (ks.attributes(ref.record) !== 0) {
      this.#containers.removeContents(ref, removal);
      cells.dropExpiry(ref.record, removal.context);
      ks.containers.dropEmpty(ref.record);
    }
    ks.settle(ref);
  }

  /** Joins `other`, a record of the same key that is in no map (0: none), into the reference's, and frees it. */
  #joinKey(ref: KeyRef, other: number, vectors: JoinVectors, keepsWhole: boolean): void {
    const ks = this.#keyspace;
    const { cells, containers } = ks;
    if (ref.record === 0 && this.#isPlainAndNew(other, vectors)) {
      // Nearly every key of a full sync into an empty instance: it is taken as it is.
      cells.clearFlag(other, FLAG.visible);
      cells.setEpoch(other, ks.epoch);
      ks.keyMaps.add(ks.keys, other);
      ref.record = other;
      ks.settle(ref);
      return;
    }
    if (ref.record === 0) {
      ref.record = cells.createLike(ks.keyMaps, ks.keys, other, ks.epoch);
    }
    ref.record = joinCell(ks, ks.keyMaps, ks.keys, ref.record, other, vectors);
    for (const type of containers.types) {
      const container = containers.of(type, ref.record);
      const otherContainer = other === 0 ? 0 : containers.of(type, other);
      if (otherContainer !== 0) cells.unlinkAttribute(other, otherContainer);
      if (container === 0 && otherContainer === 0) continue;
      this.#containers.join(ref, type, container, otherContainer, vectors, keepsWhole);
    }
    if (other !== 0) cells.destroy(other);
    containers.dropEmpty(ref.record);
    ks.settleJoined(ref);
  }

  #isPlainAndNew(record: number, vectors: JoinVectors): boolean {
    const { cells } = this.#keyspace;
    if (this.#keyspace.attributes(record) !== 0 || !cells.hasRegister(record)) return false;
    return !vectors.target.coversDot(cells.registerOrigin(record), cells.registerSeq(record));
  }

  // ---------------------------------------------------------------- the sweep

  /** Settles about `count` keys. Returns false when none waits. */
  sweep(count: number): boolean {
    const ks = this.#keyspace;
    const stage = this.#stages[0];
    if (stage === undefined) return false;
    const budget = new StepBudget(count, ks.limits.bucketsPerEntry);
    for (const map of [stage.main, stage.incoming]) {
      if (map === 0 || ks.keyMaps.count(map) === 0) continue;
      do {
        stage.cursor = listBucket(ks.keyMaps, map, stage.cursor, this.#bucket);
        for (const record of this.#bucket) this.#sweepKey(stage, map, record);
        budget.spend(this.#bucket.length);
      } while (stage.cursor !== 0 && !budget.isSpent);
      if (ks.keyMaps.count(map) > 0) return true;
      stage.cursor = 0;
    }
    // Both are empty: the operation has been applied to every key.
    this.#stages.shift();
    for (const map of [stage.main, stage.incoming]) {
      if (map === 0) continue;
      ks.keyMaps.destroy(map);
      ks.arena.free(map);
    }
    ks.stagesHoldKeys = this.#stages.length > 0;
    return true;
  }

  #sweepKey(stage: KeyStage, map: number, record: number): void {
    const ks = this.#keyspace;
    const { operation } = stage;
    const isPlain = operation.kind === 'removal' && this.#stages.length === 1 && ks.preImages === null;
    if (isPlain && map === stage.main && isCellCovered(ks, record, operation.removal.context)) {
      // Nearly every key of a FLUSHALL: nothing is left of it.
      if ((ks.cells.flags(record) & FLAG.visible) !== 0) stage.mainVisible--;
      ks.keyMaps.take(map, record);
      ks.cells.destroy(record);
      return;
    }
    this.settle(ks.refer(this.#sweepRef, record));
  }

  // ---------------------------------------------------------------- walks by clients

  /**
   * One step of a walk over all keys, those that wait included: calls back with records that are live by then. A cursor is `id * 2^32 + cursor within the
   * map`; maps with higher ids come later, and a key only ever moves to a later map, so none is missed.
   */
  scan(cursor: number, visit: (record: number) => void): number {
    const ks = this.#keyspace;
    let id = Math.floor(cursor / 2 ** 32);
    let inner = cursor % 2 ** 32;
    for (const stage of this.#seenStages()) {
      for (const [mapId, map] of [
        [stage.mainId, stage.main],
        [stage.mainId + 1, stage.incoming],
      ] as const) {
        if (map === 0 || mapId < id) continue;
        if (mapId > id) inner = 0;
        const next = listBucket(ks.keyMaps, map, inner | 0, this.#bucket);
        for (const record of this.#bucket) this.#visitWaiting(record, visit);
        return next === 0 ? (mapId + 1) * 2 ** 32 : mapId * 2 ** 32 + (next >>> 0);
      }
    }
    if (id !== this.#liveId) {
      id = this.#liveId;
      inner = 0;
    }
    const next = ks.keyMaps.scan(ks.keys, inner | 0, visit);
    return next === 0 ? 0 : id * 2 ** 32 + (next >>> 0);
  }

  #visitWaiting(record: number, visit: (record: number) => void): void {
    const ks = this.#keyspace;
    const ref = ks.refer(this.#sweepRef, record);
    this.settle(ref);
    const live = ks.keyMaps.find(ks.keys, ref.hash, ref.bytes, ref.start, ref.length);
    if (live !== 0) visit(live);
  }

  /** A key chosen at random, its record live by then; 0: none. `nextUint32` uniform. */
  random(nextUint32: () => number): number {
    const ks = this.#keyspace;
    const maps = [ks.keys];
    for (const { main, incoming } of this.#seenStages()) {
      maps.push(main);
      if (incoming !== 0) maps.push(incoming);
    }
    const total = maps.reduce((sum, map) => sum + ks.keyMaps.count(map), 0);
    if (total === 0) return 0;
    let pick = uniformBelow(total, nextUint32);
    for (const map of maps) {
      const count = ks.keyMaps.count(map);
      if (pick >= count) {
        pick -= count;
        continue;
      }
      const record = ks.keyMaps.random(map, nextUint32);
      if (map === ks.keys) return record;
      let live = 0;
      this.#visitWaiting(record, (settled) => {
        live = settled;
      });
      return live;
    }
    return 0;
  }
}

/** Ids of maps, which cursors carry above 32 bits. */
const MAP_IDS = 2 ** 20;
