/**
 * The stages of containers (stages.ts): entries of large hashes, sets ... that wait for a removal or a join of the whole, settled when they are looked
 * up, and by the sweep. Small containers are removed and joined at once.
 */
import type { Context } from '../crdt/cell.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import { mapOf, type ContainerType, type JoinVectors } from './container-type.ts';
import type { Graveyard } from './graveyard.ts';
import { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import type { OwedCuts } from './owed-cuts.ts';
import { PutOffError } from './put-off.ts';
import {
  isHiddenRemoval,
  keepRemoval,
  listBucket,
  StepBudget,
  type Removal,
  type Stage,
  type StageOperation,
} from './stage.ts';

interface StagedContainer {
  readonly type: ContainerType;
  /** The key's name. */
  readonly name: Buffer;
  readonly stages: Stage[];
  /** A batch of another instance, or a join, has staged it: several types that show in the end are a conflict that has arisen. */
  isJudged: boolean;
}

export class StagedContainers {
  readonly #keyspace: Keyspace;
  readonly #owed: OwedCuts;
  readonly #graveyard: Graveyard;
  /** By live container. */
  readonly #containers = new Map<number, StagedContainer>();
  /** The container that a command which was put off wants; 0: none. */
  #wanted = 0;
  /** Keys whose containers were settled in one go: they may have nothing left. */
  readonly #toSettle: StagedContainer[] = [];
  readonly #ref = new KeyRef();
  readonly #bucket: number[] = [];

  constructor(keyspace: Keyspace, owed: OwedCuts, graveyard: Graveyard) {
    this.#keyspace = keyspace;
    this.#owed = owed;
    this.#graveyard = graveyard;
  }

  get isSettled(): boolean {
    return this.#containers.size === 0 && this.#toSettle.length === 0;
  }

  /** Removes what the context covers from all containers of the key, at once or staged; they may stay, empty. */
  removeContents(ref: KeyRef, removal: Removal): void {
    this.#keyspace.containers.each(ref.record, (type, container) => {
      this.#removeContent(ref, type, container, removal);
    });
  }

  #removeContent(ref: KeyRef, type: ContainerType, container: number, removal: Removal): void {
    if (this.#isAllCovered(type, container, removal.context)) return this.#bury(ref, type, container);
    if (type.isStaged(container) || type.entryCount(container) > this.#keyspace.limits.smallContainerEntries) {
      this.#stageContainer(ref, type, container, 0, { kind: 'removal', removal: keepRemoval(removal) });
      return;
    }
    this.#eachEntry(type, container, (entry) => this.#removeEntry(ref, type, container, entry, removal));
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
      this.#graveyard.bury(type, main);
      if (incoming !== 0) this.#graveyard.bury(type, incoming);
    }
    this.#graveyard.bury(type, container);
  }

  #removeEntry(ref: KeyRef, type: ContainerType, container: number, entry: number, removal: Removal): number {
    this.#keyspace.preImages?.entry(type, ref, entry);
    if (type.isResidual(container)) {
      const { cuts, reset } = this.#owed.cutsOf(removal, ref, { type, entry }, type.observedCuts(entry));
      if (cuts.length > 0) type.applyCuts(container, entry, cuts, reset);
    }
    return type.removeCovered(container, entry, removal.context);
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
      isJudged: false,
    };
    staged.isJudged ||= operation.kind === 'join' || ks.typeConflicts.isJudging;
    this.#containers.delete(container);
    type.setStaged(container, false);
    staged.stages.push({
      main: container,
      incoming,
      operation,
      cursor: 0,
    });
    this.#containers.set(live, staged);
    type.setStaged(live, true);
    return live;
  }

  /** Joins the containers of one type that two records of a key have; 0: none. The other belongs to nobody by then. */
  join(
    ref: KeyRef,
    type: ContainerType,
    container: number,
    other: number,
    vectors: JoinVectors,
    keepsWhole: boolean,
  ): void {
    // What expired while the key waited has been looked for among the live keys in vain: its timers are to be set again, one by one.
    const isQuiet = container === 0 || (!type.isStaged(container) && !type.isVolatile(container));
    if (other === 0 && isQuiet && type.isSummaryUnknown(container, vectors.other)) return;
    if (container === 0 && keepsWhole && type.isSummaryUnknown(other, vectors.target) && !type.isVolatile(other)) {
      this.#keyspace.cells.linkAttribute(ref.record, other);
      return;
    }
    const entries = (container === 0 ? 0 : type.entryCount(container)) + (other === 0 ? 0 : type.entryCount(other));
    if ((container !== 0 && type.isStaged(container)) || entries > this.#keyspace.limits.smallContainerEntries) {
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
      if (isHiddenRemoval(operation)) {
        // It hides what the stages before it would leave, too.
        count = 0;
      } else if (operation.kind === 'join') {
        count += Math.max(type.visibleCount(main), incoming === 0 ? 0 : type.visibleCount(incoming));
      } else if (type.visibleCount(main) > 0) {
        // Something was written that the removal had not seen, or counters wait for their cuts.
        count += 1;
      }
    }
    return count;
  }

  /** Whether nothing that waits can be seen by a client: whatever the stages before leave, the last one is a removal of our own. */
  isHidden(container: number): boolean {
    const { stages } = this.#containers.get(container)!;
    return isHiddenRemoval(stages[stages.length - 1]!.operation);
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
        if (entry !== 0) entry = this.#removeEntry(ref, type, container, entry, operation.removal);
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

  /**
   * Settles all of a staged container now, for whoever must see the whole of it; nothing to do where what waits is hidden. Throws PutOffError where that is
   * much, and the caller can wait.
   */
  settleContainer(container: number): void {
    if (this.isHidden(container)) return;
    const staged = this.#containers.get(container)!;
    this.#putOffIfMuch(container, staged);
    while (staged.stages.length > 0) this.#sweepStage(container, staged, Infinity);
    this.#containers.delete(container);
    staged.type.setStaged(container, false);
    // The caller holds the container, which may be empty by now: the key is looked at by the sweep.
    this.#toSettle.push(staged);
  }

  /** The same question for whoever has several commands to run, and cannot be put off any more after the first: throws PutOffError where one would be. */
  demandSettled(ref: KeyRef): void {
    this.#keyspace.containers.each(ref.record, (type, container) => {
      if (!type.isStaged(container) || this.isHidden(container)) return;
      this.#putOffIfMuch(container, this.#containers.get(container)!);
    });
  }

  #putOffIfMuch(container: number, staged: StagedContainer): void {
    const { mayPutOff, limits } = this.#keyspace;
    if (!mayPutOff || this.#waitingEntries(staged) <= limits.settledAtOnceEntries) return;
    this.#wanted = container;
    throw new PutOffError();
  }

  #waitingEntries({ type, stages }: StagedContainer): number {
    return stages.reduce(
      (sum, { main, incoming }) => sum + type.entryCount(main) + (incoming === 0 ? 0 : type.entryCount(incoming)),
      0,
    );
  }

  // ---------------------------------------------------------------- the sweep

  /** Whether what the last command that was put off wants still waits: until then it need not be tried again. */
  get isWantedWaiting(): boolean {
    return this.#containers.has(this.#wanted);
  }

  /** The same as `sweep`, of what a command that was put off wants. Returns false when there is no such thing. */
  sweepWanted(count: number): boolean {
    const staged = this.#containers.get(this.#wanted);
    if (staged === undefined) return false;
    this.#sweepContainer(this.#wanted, staged, count);
    return true;
  }

  /** Settles about `count` entries. Returns false when none waits. */
  sweep(count: number): boolean {
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
    const ks = this.#keyspace;
    ks.containers.dropEmpty(ref.record);
    if (staged.isJudged) ks.typeConflicts.begin();
    ks.settle(ref);
    if (staged.isJudged) ks.typeConflicts.end(ks);
  }

  /** Works on the oldest stage, and takes it away when nothing waits in it. */
  #sweepStage(container: number, staged: StagedContainer, count: number): void {
    const { type, stages } = staged;
    const stage = stages[0]!;
    const { maps } = type;
    const { arena } = this.#keyspace;
    const budget = new StepBudget(count, this.#keyspace.limits.bucketsPerEntry);
    for (const source of [stage.main, stage.incoming]) {
      if (source === 0 || type.entryCount(source) === 0) continue;
      do {
        stage.cursor = listBucket(maps, mapOf(source), stage.cursor, this.#bucket);
        for (const entry of this.#bucket) {
          const bytes = arena.bytes[entry >>> SEGMENT_SHIFT]!;
          const start = type.nameStart(entry);
          this.#settleEntry(container, staged, type.hashOf(entry), bytes, start, type.nameLength(entry));
        }
        budget.spend(this.#bucket.length);
      } while (stage.cursor !== 0 && !budget.isSpent);
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
}
