/**
 * Work on the whole of a map, done late: a removal or a join that concerns every entry takes effect at once, and each entry is *settled* when it is first
 * touched; a sweep settles the rest in slices (sweeper.ts). So FLUSHALL, DEL of a large hash and the end of a full sync take one turn whatever their
 * size. The state stays a function of the batches applied, it is only computed late.
 *
 *            the map as it was -> main \
 *                                       stage (removal | join) -> stage ... -> the live map, where new entries are made
 *        what a full sync brought -> incoming /
 *
 * A stage takes the former map as its *main*, and an empty map becomes the live one. Settling an entry takes it out of the stages in their order,
 * applies each stage's operation, and puts what is left into the live map. The keyspace has stages, and so has every container
 * that is large enough; those of small ones are carried out at once.
 *
 * What a removal of our own takes away must be hidden at once, and the counters that it cuts must be named to the others: it *owes* their cuts, which
 * are announced when the entry is settled (owed-cuts.ts).
 *
 * Invariant: an entry is in the live map or in the maps of stages, never in both.
 */
import type { Context } from '../crdt/cell.ts';
import { FLAG } from '../crdt/cell.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import { MAP_BYTES, type ByteMap } from '../memory/byte-map.ts';
import { mapOf, type ContainerType, type JoinVectors } from './container-type.ts';
import { Graveyard } from './graveyard.ts';
import { isCellCovered, joinCell } from './join-cell.ts';
import { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { DatabaseLimits } from './limits.ts';
import type { OwedCuts } from './owed-cuts.ts';

export type StageOperation =
  /** Takes away what the context covers; null: all that is there. `owes`: the cuts of counters are ours to announce. */
  | { readonly kind: 'removal'; readonly context: Context; readonly owes: boolean }
  /** `keepsWhole`: what came alone may be taken as it is, if nothing of it needs a look. */
  | { readonly kind: 'join'; readonly vectors: JoinVectors; readonly keepsWhole: boolean };

interface Stage {
  /** A map of keys, or a container. */
  readonly main: number;
  /** 0: none. */
  readonly incoming: number;
  readonly operation: StageOperation;
  /** Of keys, what a client would see: counts of what is still here. */
  mainVisible: number;
  incomingVisible: number;
  /** For SCAN: ids of the maps, which only go up. */
  readonly mainId: number;
  cursor: number;
}

interface StagedContainer {
  readonly type: ContainerType;
  /** The key's name. */
  readonly name: Buffer;
  readonly stages: Stage[];
}

export class Stages {
  readonly graveyard: Graveyard;
  readonly owed: OwedCuts;
  readonly #keyspace: Keyspace;
  readonly #limits: DatabaseLimits;
  /** Of the keyspace, oldest first. */
  readonly #stages: Stage[] = [];
  /** By live container. */
  readonly #containers = new Map<number, StagedContainer>();
  /** Keys whose containers were settled in one go: they may have nothing left. */
  readonly #toSettle: StagedContainer[] = [];
  readonly #ref = new KeyRef();
  readonly #sweepRef = new KeyRef();
  /** Id of the live map of keys. */
  #liveId = 0;
  #isSettlingKey = false;
  readonly #bucket: number[] = [];

  constructor(keyspace: Keyspace, limits: DatabaseLimits, owed: OwedCuts) {
    this.#keyspace = keyspace;
    this.#limits = limits;
    this.owed = owed;
    this.graveyard = new Graveyard(keyspace);
  }

  /** Keys wait to be settled: a look-up must come here first. */
  get holdsKeys(): boolean {
    return this.#stages.length > 0;
  }

  get isSettled(): boolean {
    return this.#stages.length === 0 && this.#containers.size === 0 && this.#toSettle.length === 0;
  }

  /** Visible keys that wait; where two sides of a join have the same keys they are counted once. */
  get waitingKeys(): number {
    let count = 0;
    for (const { operation, mainVisible, incomingVisible } of this.#stages) {
      if (operation.kind === 'join') count += Math.max(mainVisible, incomingVisible);
    }
    return count;
  }

  // ---------------------------------------------------------------- keys

  /** The live keys become the main of a new stage; `incoming`: a map of keys that nobody else uses. */
  stageKeys(operation: StageOperation, incoming: { readonly map: number; readonly visible: number } | null): void {
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
    ks.keys = ks.arena.allocate(MAP_BYTES);
    ks.keyMaps.create(ks.keys);
    ks.keyCount = 0;
    ks.volatileCount = 0;
    ks.stagesHoldKeys = true;
  }

  /** Settles the key that the reference names, if it waits. */
  settleKey(ref: KeyRef): void {
    if (this.#isSettlingKey) return;
    this.#isSettlingKey = true;
    let record = 0;
    for (const stage of this.#stages) record = this.#passKey(ref, stage, record);
    this.#isSettlingKey = false;
  }

  #passKey(ref: KeyRef, stage: Stage, record: number): number {
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
      if (record !== 0) this.removeCovered(ref, operation.context, operation.owes);
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
   * Takes away what the context covers of the key's record, which is live: of the register, the times to live, the containers. Counters are cut by
   * nobody but who removed them; where that is us the cuts are owed.
   */
  removeCovered(ref: KeyRef, context: Context, owes: boolean): void {
    const ks = this.#keyspace;
    const { cells } = ks;
    if (owes && ks.attributes(ref.record) !== 0) {
      const cuts = cells.observedCuts(ref.record);
      if (cuts.length > 0) {
        const reset = this.owed.add(ref, null, cuts);
        for (const cut of cuts) cells.applyCut(ref.record, cut, reset);
        ks.hasResidue = true;
      }
    }
    ref.record = cells.dropRegister(ks.keyMaps, ks.keys, ref.record, context);
    if (ks.attributes(ref.record) !== 0) {
      this.removeContents(ref, context, owes);
      cells.dropExpiry(ref.record, context);
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
      this.#joinContainer(ref, type, container, otherContainer, vectors, keepsWhole);
    }
    if (other !== 0) cells.destroy(other);
    containers.dropEmpty(ref.record);
    ks.typeConflicts.begin();
    ks.settle(ref);
    ks.typeConflicts.end(ks);
  }

  #isPlainAndNew(record: number, vectors: JoinVectors): boolean {
    const { cells } = this.#keyspace;
    if (this.#keyspace.attributes(record) !== 0 || !cells.hasRegister(record)) return false;
    return !vectors.target.coversDot(cells.registerOrigin(record), cells.registerSeq(record));
  }

  // ---------------------------------------------------------------- containers

  /** Removes what the context covers from all containers of the key, at once or staged; they may stay, empty. */
  removeContents(ref: KeyRef, context: Context, owes: boolean): void {
    this.#keyspace.containers.each(ref.record, (type, container) => {
      this.#removeContent(ref, type, container, context, owes);
    });
  }

  #removeContent(ref: KeyRef, type: ContainerType, container: number, context: Context, owes: boolean): void {
    if (this.#isAllCovered(type, container, context)) return this.#bury(ref, type, container);
    if (type.isStaged(container) || type.entryCount(container) > this.#limits.smallContainerEntries) {
      // The context of a remote batch goes on changing.
      const kept = context === null ? null : context.clone();
      this.#stageContainer(ref, type, container, 0, { kind: 'removal', context: kept, owes });
      return;
    }
    this.#eachEntry(type, container, (entry) => this.#removeEntry(ref, type, container, entry, context, owes));
  }

  #isAllCovered(type: ContainerType, container: number, context: Context): boolean {
    if (!type.isSummaryCovered(container, context) || type.isResidual(container)) return false;
    const staged = this.#containers.get(container);
    return (
      staged === undefined ||
      staged.stages.every(
        ({ main, incoming }) =>
          type.isSummaryCovered(main, context) &&
          !type.isResidual(main) &&
          (incoming === 0 || (type.isSummaryCovered(incoming, context) && !type.isResidual(incoming))),
      )
    );
  }

  /** Takes the container from the key; it is freed in slices. */
  #bury(ref: KeyRef, type: ContainerType, container: number): void {
    const ks = this.#keyspace;
    ks.preImages?.release(type, ref, container);
    ks.cells.unlinkAttribute(ref.record, container);
    const staged = this.#containers.get(container);
    this.#containers.delete(container);
    for (const { main, incoming } of staged?.stages ?? []) {
      this.graveyard.bury(type, main);
      if (incoming !== 0) this.graveyard.bury(type, incoming);
    }
    this.graveyard.bury(type, container);
  }

  #removeEntry(
    ref: KeyRef,
    type: ContainerType,
    container: number,
    entry: number,
    context: Context,
    owes: boolean,
  ): number {
    const ks = this.#keyspace;
    ks.preImages?.entry(type, ref, entry);
    if (owes && type.isResidual(container)) this.#oweCuts(ref, type, container, entry);
    return type.removeCovered(container, entry, context);
  }

  #oweCuts(ref: KeyRef, type: ContainerType, container: number, entry: number): void {
    const cuts = type.observedCuts(entry);
    if (cuts.length === 0) return;
    type.applyCuts(container, entry, cuts, this.owed.add(ref, { type, entry }, cuts));
  }

  /** A new, empty container takes the place of this one, which becomes the main of a stage. */
  #stageContainer(
    ref: KeyRef,
    type: ContainerType,
    container: number,
    incoming: number,
    operation: StageOperation,
  ): number {
    const ks = this.#keyspace;
    const live = type.create(ref.hash);
    if (container === 0) {
      container = type.create(ref.hash);
    } else {
      ks.preImages?.release(type, ref, container);
      ks.cells.unlinkAttribute(ref.record, container);
    }
    ks.cells.linkAttribute(ref.record, live);
    const staged = this.#containers.get(container) ?? {
      type,
      name: Buffer.from(ref.bytes.subarray(ref.start, ref.start + ref.length)),
      stages: [],
    };
    this.#containers.delete(container);
    type.setStaged(container, false);
    staged.stages.push({
      main: container,
      incoming,
      operation,
      mainVisible: 0,
      incomingVisible: 0,
      mainId: 0,
      cursor: 0,
    });
    this.#containers.set(live, staged);
    type.setStaged(live, true);
    return live;
  }

  #joinContainer(
    ref: KeyRef,
    type: ContainerType,
    container: number,
    other: number,
    vectors: JoinVectors,
    keepsWhole: boolean,
  ): void {
    if (other === 0 && !type.isStaged(container) && type.isSummaryUnknown(container, vectors.other)) return;
    if (container === 0 && keepsWhole && type.isSummaryUnknown(other, vectors.target) && !type.isVolatile(other)) {
      this.#keyspace.cells.linkAttribute(ref.record, other);
      return;
    }
    const entries = (container === 0 ? 0 : type.entryCount(container)) + (other === 0 ? 0 : type.entryCount(other));
    if ((container !== 0 && type.isStaged(container)) || entries > this.#limits.smallContainerEntries) {
      this.#stageContainer(ref, type, container, other, { kind: 'join', vectors, keepsWhole });
      return;
    }
    if (container === 0) container = this.#keyspace.containers.open(type, ref.record);
    this.#joinSmall(ref, type, container, other, vectors);
  }

  #joinSmall(ref: KeyRef, type: ContainerType, container: number, other: number, vectors: JoinVectors): void {
    const { maps } = type;
    this.#eachEntry(type, container, (entry) => {
      this.#keyspace.preImages?.entry(type, ref, entry);
      const twin = other === 0 ? 0 : this.#findTwin(type, other, entry);
      if (twin !== 0) maps.take(mapOf(other), twin);
      type.joinEntry(container, entry, twin, vectors);
    });
    if (other === 0) return;
    this.#eachEntry(type, other, (entry) => {
      maps.take(mapOf(other), entry);
      type.joinEntry(container, 0, entry, vectors);
    });
    this.#keyspace.preImages?.gone(other);
    type.destroy(other);
  }

  #findTwin(type: ContainerType, container: number, entry: number): number {
    const { arena } = this.#keyspace;
    const bytes = arena.bytes[entry >>> SEGMENT_SHIFT]!;
    const { maps } = type;
    return maps.find(mapOf(container), type.hashOf(entry), bytes, type.nameStart(entry), type.nameLength(entry));
  }

  /** Visits each entry once, also where the visit moves or removes it: the few of a small container are listed first. */
  #eachEntry(type: ContainerType, container: number, visit: (entry: number) => void): void {
    const entries: number[] = [];
    let cursor = 0;
    do {
      cursor = type.maps.scan(mapOf(container), cursor, (entry) => {
        entries.push(entry);
      });
    } while (cursor !== 0);
    for (const entry of entries) visit(entry);
  }

  /** A guess, for whether the key is there at all: what waits and may be seen. */
  guessVisible(container: number): number {
    let count = 0;
    const { type, stages } = this.#containers.get(container)!;
    for (const { operation, main, incoming } of stages) {
      if (operation.kind === 'join') {
        count += Math.max(type.visibleCount(main), incoming === 0 ? 0 : type.visibleCount(incoming));
      } else if (operation.context !== null && type.visibleCount(main) > 0) {
        // Something was written that the removal had not seen, or counters wait for their cuts.
        count += 1;
      }
    }
    return count;
  }

  /** Whether nothing that waits can be seen by a client: all of it was removed by ourselves. */
  isHidden(container: number): boolean {
    return this.#containers
      .get(container)!
      .stages.every(({ operation }) => operation.kind === 'removal' && operation.context === null);
  }

  /** Settles one entry of a staged container. */
  settleEntry(container: number, bytes: Uint8Array, start: number, length: number): void {
    const staged = this.#containers.get(container)!;
    const hash = staged.type.maps.hash(bytes, start, length);
    this.#settleEntry(container, staged, hash, bytes, start, length);
  }

  #settleEntry(
    container: number,
    staged: StagedContainer,
    hash: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void {
    const { type, stages } = staged;
    const ref = this.#refer(staged);
    const { maps } = type;
    if (stages.length > 1) {
      // The name may lie in an entry that the first stage frees.
      bytes = Buffer.from(bytes.subarray(start, start + length));
      start = 0;
    }
    let entry = 0;
    for (const { main, incoming, operation } of stages) {
      if (entry === 0) {
        entry = maps.find(mapOf(main), hash, bytes, start, length);
        if (entry !== 0) this.#adoptEntry(ref, type, main, container, entry);
      }
      if (operation.kind === 'removal') {
        if (entry !== 0) entry = this.#removeEntry(ref, type, container, entry, operation.context, operation.owes);
        continue;
      }
      const other = incoming === 0 ? 0 : maps.find(mapOf(incoming), hash, bytes, start, length);
      if (other !== 0) {
        type.discountEntry(incoming, other);
        maps.take(mapOf(incoming), other);
      }
      if (entry !== 0 || other !== 0) {
        if (entry !== 0) this.#keyspace.preImages?.entry(type, ref, entry);
        entry = type.joinEntry(container, entry, other, operation.vectors);
      }
    }
  }

  #adoptEntry(ref: KeyRef, type: ContainerType, from: number, to: number, entry: number): void {
    this.#keyspace.preImages?.entry(type, ref, entry);
    type.discountEntry(from, entry);
    type.maps.take(mapOf(from), entry);
    type.maps.add(mapOf(to), entry);
    type.noteDots(to, entry);
    type.countEntry(to, entry);
  }

  /** A reference to the key of a staged container: its name, and the live record. */
  #refer({ name }: StagedContainer): KeyRef {
    const ks = this.#keyspace;
    const ref = this.#ref;
    ref.bytes = name;
    ref.start = 0;
    ref.length = name.length;
    ref.hash = ks.keyMaps.hash(name, 0, name.length);
    ref.record = ks.keyMaps.find(ks.keys, ref.hash, name, 0, name.length);
    return ref;
  }

  /** Settles all of a staged container now, for whoever must see the whole of it; nothing to do where what waits is hidden. */
  settleContainer(container: number): void {
    if (this.isHidden(container)) return;
    const staged = this.#containers.get(container)!;
    while (staged.stages.length > 0) this.#sweepStage(container, staged, Infinity);
    this.#containers.delete(container);
    staged.type.setStaged(container, false);
    // The caller holds the container, which may be empty by now: the key is looked at by the sweep.
    this.#toSettle.push(staged);
  }

  // ---------------------------------------------------------------- the sweep

  /** Settles about `count` entries. Returns whether more wait. */
  sweep(count: number): boolean {
    if (this.#stages.length > 0) {
      this.#sweepKeys(count);
      return true;
    }
    const settled = this.#toSettle.pop();
    if (settled !== undefined) {
      this.#settleEmptied(settled);
      return true;
    }
    const next = this.#containers.entries().next();
    if (next.done === true) return false;
    this.#sweepContainer(next.value[0], next.value[1], count);
    return true;
  }

  #sweepKeys(count: number): void {
    const ks = this.#keyspace;
    const stage = this.#stages[0]!;
    const { left, isOver } = this.#budget(count);
    for (const map of [stage.main, stage.incoming]) {
      if (map === 0 || ks.keyMaps.count(map) === 0) continue;
      do {
        stage.cursor = this.#listBucket(ks.keyMaps, map, stage.cursor);
        for (const record of this.#bucket) this.#sweepKey(stage, map, record);
        left.entries -= this.#bucket.length;
      } while (stage.cursor !== 0 && !isOver());
      if (ks.keyMaps.count(map) > 0) return;
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
  }

  #sweepKey(stage: Stage, map: number, record: number): void {
    const ks = this.#keyspace;
    const { operation } = stage;
    const isPlain = operation.kind === 'removal' && this.#stages.length === 1 && ks.preImages === null;
    if (isPlain && map === stage.main && isCellCovered(ks, record, operation.context)) {
      // Nearly every key of a FLUSHALL: nothing is left of it.
      if ((ks.cells.flags(record) & FLAG.visible) !== 0) stage.mainVisible--;
      ks.keyMaps.take(map, record);
      ks.cells.destroy(record);
      return;
    }
    this.settleKey(ks.refer(this.#sweepRef, record));
  }

  #sweepContainer(container: number, staged: StagedContainer, count: number): void {
    this.#sweepStage(container, staged, count);
    if (staged.stages.length > 0) return;
    this.#containers.delete(container);
    staged.type.setStaged(container, false);
    this.#settleEmptied(staged);
  }

  #settleEmptied(staged: StagedContainer): void {
    const ref = this.#refer(staged);
    if (ref.record === 0) return;
    this.#keyspace.containers.dropEmpty(ref.record);
    this.#keyspace.settle(ref);
  }

  /** Works on the oldest stage, and takes it away when nothing waits in it. */
  #sweepStage(container: number, staged: StagedContainer, count: number): void {
    const { type, stages } = staged;
    const stage = stages[0]!;
    const { maps } = type;
    const { arena } = this.#keyspace;
    const { left, isOver } = this.#budget(count);
    for (const source of [stage.main, stage.incoming]) {
      if (source === 0 || type.entryCount(source) === 0) continue;
      do {
        stage.cursor = this.#listBucket(maps, mapOf(source), stage.cursor);
        for (const entry of this.#bucket) {
          const bytes = arena.bytes[entry >>> SEGMENT_SHIFT]!;
          const start = type.nameStart(entry);
          this.#settleEntry(container, staged, type.hashOf(entry), bytes, start, type.nameLength(entry));
        }
        left.entries -= this.#bucket.length;
      } while (stage.cursor !== 0 && !isOver());
      if (type.entryCount(source) > 0) return;
      stage.cursor = 0;
    }
    stages.shift();
    for (const source of [stage.main, stage.incoming]) {
      if (source === 0) continue;
      this.#keyspace.preImages?.gone(source);
      type.destroy(source);
    }
  }

  #budget(count: number): { readonly left: { entries: number }; readonly isOver: () => boolean } {
    const left = { entries: count };
    let buckets = count * this.#limits.bucketsPerEntry;
    return { left, isOver: () => left.entries <= 0 || --buckets <= 0 };
  }

  /** Lists one bucket, to be worked on between the steps of the walk, so that tables can grow. Returns the next cursor. */
  #listBucket(maps: ByteMap, map: number, cursor: number): number {
    const bucket = this.#bucket;
    bucket.length = 0;
    return maps.scan(map, cursor, (entry) => {
      bucket.push(entry);
    });
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
    for (const stage of this.#stages) {
      if (isHiddenRemoval(stage.operation)) continue;
      for (const [mapId, map] of [
        [stage.mainId, stage.main],
        [stage.mainId + 1, stage.incoming],
      ] as const) {
        if (map === 0 || mapId < id) continue;
        if (mapId > id) inner = 0;
        const next = this.#listBucket(ks.keyMaps, map, inner | 0);
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
    this.settleKey(ref);
    const live = ks.keyMaps.find(ks.keys, ref.hash, ref.bytes, ref.start, ref.length);
    if (live !== 0) visit(live);
  }

  /** A key chosen at random, its record live by then; 0: none. `nextUint32` uniform. */
  random(nextUint32: () => number): number {
    const ks = this.#keyspace;
    const maps = [ks.keys];
    for (const { operation, main, incoming } of this.#stages) {
      if (isHiddenRemoval(operation)) continue;
      maps.push(main);
      if (incoming !== 0) maps.push(incoming);
    }
    const total = maps.reduce((sum, map) => sum + ks.keyMaps.count(map), 0);
    if (total === 0) return 0;
    let pick = Math.floor((nextUint32() / 2 ** 32) * total);
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

const isHiddenRemoval = (operation: StageOperation): boolean =>
  operation.kind === 'removal' && operation.context === null;
