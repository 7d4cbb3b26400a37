/**
 * The hash of a key: a container whose entries are cells, the fields.
 *
 * A field may be there without being visible: all that is left of it is a counter whose cut is not final yet, or a time to live. Hence the count of
 * visible fields beside the map's own. Volatile ones (with a time to live, visible or not) and those with
 * counters are counted too: where there are none, no command has to ask a field whether it has expired, and a removal has nothing to name.
 *
 * Invariant: every field carries as flags what it is counted as.
 */
import { CELL_KEY_OFFSET, EPOCH_MASK, FLAG, TAG, type Cells, type Context, type Dot } from '../crdt/cell.ts';
import type { CounterCut } from '../crdt/cell.ts';
import type { Arena } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import { collectCell, isOrphan } from './collect-cell.ts';
import { CONTAINER, ContainerType, mapOf, type EntryWriter, type JoinVectors } from './container-type.ts';
import { digestField } from './digest-cell.ts';
import { joinCell, isCellCovered } from './join-cell.ts';
import { TYPE } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import { RECORD } from './snapshot-format.ts';
import type { Stability } from './stability.ts';

export class Hashes extends ContainerType {
  readonly tag = TAG.hash;
  readonly type = TYPE.hash;
  readonly name = 'hash';
  readonly recordKind = RECORD.field;
  readonly nameOffset = CELL_KEY_OFFSET;
  readonly maps: ByteMap;
  readonly #keyspace: Keyspace;
  readonly #cells: Cells;

  constructor(arena: Arena, keyspace: Keyspace, maps: ByteMap) {
    super(arena);
    this.#keyspace = keyspace;
    this.#cells = keyspace.cells;
    this.maps = maps;
  }

  volatileCount(hash: number): number {
    return hash === 0 ? 0 : this.word(hash, CONTAINER.volatile);
  }

  /** Visible fields that are known to have expired; all that have, once the wheel is up to this moment (`Expiries.settleHash`). */
  expiredCount(hash: number): number {
    return hash === 0 ? 0 : this.word(hash, CONTAINER.expired);
  }

  /** Counts a field as expired or not, after either its value or its time to live has changed. */
  countExpired(hash: number, field: number): void {
    const flags = this.#cells.flags(field);
    const isExpired = (flags & FLAG.visible) !== 0 && this.#cells.hasFired(field);
    if (isExpired === ((flags & FLAG.expired) !== 0)) return;
    this.addTo(hash, CONTAINER.expired, isExpired ? 1 : -1);
    if (isExpired) this.#cells.setFlag(field, FLAG.expired);
    else this.#cells.clearFlag(field, FLAG.expired);
  }

  // ---------------------------------------------------------------- entries

  override epochOf(field: number): number {
    return this.#cells.flags(field) & EPOCH_MASK;
  }

  override setEpoch(field: number, epoch: number): void {
    this.#cells.setEpoch(field, epoch);
  }

  override destroyEntry(field: number): void {
    this.#cells.destroy(field);
  }

  override countEntry(hash: number, field: number): void {
    this.#keyspace.settleField(hash, field);
  }

  override discountEntry(hash: number, field: number): void {
    const flags = this.#cells.flags(field);
    if ((flags & FLAG.visible) !== 0) this.addTo(hash, CONTAINER.visible, -1);
    if ((flags & FLAG.volatile) !== 0) this.addTo(hash, CONTAINER.volatile, -1);
    if ((flags & FLAG.residual) !== 0) this.addTo(hash, CONTAINER.residual, -1);
    if ((flags & FLAG.expired) !== 0) this.addTo(hash, CONTAINER.expired, -1);
    this.#cells.clearFlag(field, FLAG.visible | FLAG.volatile | FLAG.residual | FLAG.expired);
    // It is armed as a field of this container.
    this.#cells.disarmExpiry(field);
  }

  override isCovered(field: number, context: Context): boolean {
    return isCellCovered(this.#keyspace, field, context);
  }

  override removeCovered(hash: number, field: number, context: Context): number {
    const kept = this.#cells.dropRegister(this.maps, mapOf(hash), field, context);
    this.#cells.dropExpiry(kept, context);
    return this.#keyspace.settleField(hash, kept);
  }

  override observedCuts(field: number): readonly CounterCut[] {
    return this.#keyspace.attributes(field) === 0 ? NO_CUTS : this.#cells.observedCuts(field);
  }

  override applyCuts(hash: number, field: number, cuts: readonly CounterCut[], reset: Dot): void {
    for (const cut of cuts) this.#cells.applyCut(field, cut, reset);
    if (cuts.length > 0) this.#keyspace.hasResidue = true;
    this.#keyspace.settleField(hash, field);
  }

  override joinEntry(hash: number, target: number, other: number, vectors: JoinVectors): number {
    const cells = this.#cells;
    if (target === 0) {
      target = cells.createLike(this.maps, mapOf(hash), other, this.#keyspace.epoch);
    }
    target = joinCell(this.#keyspace, this.maps, mapOf(hash), target, other, vectors);
    if (other !== 0) cells.destroy(other);
    this.noteDots(hash, target);
    return this.#keyspace.settleField(hash, target);
  }

  override noteDots(hash: number, field: number): void {
    const cells = this.#cells;
    if (this.#keyspace.attributes(field) === 0) {
      if (cells.hasRegister(field)) this.noteDot(hash, cells.registerOrigin(field), cells.registerSeq(field));
      return;
    }
    cells.eachValue(field, ({ origin, seq }) => this.noteDot(hash, origin, seq));
    cells.eachExpiry(field, ({ origin, seq }) => this.noteDot(hash, origin, seq));
    cells.eachCounter(field, ({ origin, frame }) => this.noteDot(hash, origin, frame));
  }

  override collectEntry(hash: number, field: number, stability: Stability): boolean {
    if (this.#keyspace.attributes(field) === 0) return false;
    const remains = collectCell(this.#cells, field, stability);
    this.#keyspace.settleField(hash, field);
    return remains;
  }

  override isOrphan(field: number, self: number, stability: Stability): boolean {
    const cells = this.#cells;
    return (cells.flags(field) & FLAG.visible) === 0 && isOrphan(cells, field, self, stability);
  }

  override mayHoldResidue(hash: number): boolean {
    return this.isResidual(hash) || this.#hasUncounted(hash);
  }

  /** Records that are there without being visible: what is left of conflicts. */
  #hasUncounted(hash: number): boolean {
    return this.entryCount(hash) !== this.word(hash, CONTAINER.visible);
  }

  override encodeEntry(out: EntryWriter, field: number): void {
    out.cell(field);
  }

  override digestEntry(field: number): Buffer | null {
    return this.#keyspace.isFieldVisible(field) ? digestField(this.#keyspace, field) : null;
  }

  protected override releaseContainer(): void {}
}

const NO_CUTS: readonly CounterCut[] = [];
