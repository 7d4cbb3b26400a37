/**
 * The register of a cell: one visible value in the record, concurrent ones beside it as SIBLING attributes.
 *
 *   SIBLING   0 next | 1 tag, flags << 8, origin << 16 | seq f64 | hlc f64 | 6 length | value at byte 32
 *
 * A write drops the values whose dots its context covers, then adds itself; of several the highest is visible: later hlc, then smaller instance
 * id. Keeping only the highest would diverge: a delete that observed it must uncover the one below.
 *
 * Invariant: the record's own value is the highest; siblings are all concurrent to it and to each other.
 */
import { copyBytes, SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import {
  CELL,
  CELL_HLC,
  CELL_KEY_OFFSET,
  CELL_SEQ,
  CellRecords,
  FLAG,
  TAG,
  type Context,
  type Dot,
} from './cell-record.ts';

const SIBLING_BYTES = 32;

export class CellRegisters extends CellRecords {
  /**
   * Applies a register write. Returns the record's address, which changes when the value needs more room. `spare`: bytes of room to
   * keep behind the value (for APPEND).
   */
  writeRegister(
    maps: ByteMap,
    map: number,
    record: number,
    write: {
      readonly origin: number;
      readonly seq: number;
      readonly hlc: number;
      readonly persists: boolean;
      readonly context: Context;
    },
    bytes: Uint8Array,
    start: number,
    length: number,
    spare = 0,
  ): number {
    if (this.word(record, CELL.attributes) !== 0) this.#dropSiblings(record, write.context);
    const words = this.arena.words[record >>> SEGMENT_SHIFT]!;
    const at = (record & SEGMENT_MASK) << 1;
    const meta = words[at + CELL.meta]!;
    if ((meta & FLAG.register) !== 0 && !this.covers(write.context, meta >>> 16, this.float(record, CELL_SEQ))) {
      const loses = this.#orderAgainst(record, write.hlc, write.origin, write.seq) > 0;
      if (loses) {
        this.#addSibling(record, write, write.persists, bytes, start, length);
        return record;
      }
      this.#demoteRegister(record);
    } else if (this.word(record, CELL.attributes) !== 0 && this.#betterSibling(record, write) !== 0) {
      // The register itself is observed, but a concurrent value is above the new one.
      this.#addSibling(record, write, write.persists, bytes, start, length);
      this.#forgetRegister(record);
      return this.promoteSibling(maps, map, record);
    }
    return this.#overwrite(maps, map, record, write, bytes, start, length, spare);
  }

  /** Drops the register and siblings that the context covers. Returns the record's address. */
  dropRegister(maps: ByteMap, map: number, record: number, context: Context): number {
    if (this.word(record, CELL.attributes) !== 0) this.#dropSiblings(record, context);
    const meta = this.word(record, CELL.meta);
    if ((meta & FLAG.register) === 0) return record;
    if (!this.covers(context, meta >>> 16, this.float(record, CELL_SEQ))) return record;
    this.#forgetRegister(record);
    return this.promoteSibling(maps, map, record);
  }

  /** Drops the one value with that dot, if it is there. Returns the record's address. */
  dropValue(maps: ByteMap, map: number, record: number, dot: Dot): number {
    const meta = this.word(record, CELL.meta);
    const isOwn = meta >>> 16 === dot.origin && this.float(record, CELL_SEQ) === dot.seq;
    if ((meta & FLAG.register) !== 0 && isOwn) {
      this.#forgetRegister(record);
      return this.promoteSibling(maps, map, record);
    }
    const a = this.#siblingWith(record, dot);
    if (a !== 0) {
      this.unlinkAttribute(record, a);
      this.arena.free(a);
    }
    return record;
  }

  /** The value with that dot, if it is there, no longer says "no time to live". */
  clearPersists(record: number, origin: number, seq: number): void {
    const meta = this.word(record, CELL.meta);
    if ((meta & FLAG.register) !== 0 && meta >>> 16 === origin && this.float(record, CELL_SEQ) === seq) {
      this.clearFlag(record, FLAG.persists);
      return;
    }
    const a = this.#siblingWith(record, { origin, seq });
    if (a !== 0) this.setWord(a, 1, this.word(a, 1) & ~(FLAG.persists << 8));
  }

  #siblingWith(record: number, dot: Dot): number {
    let a = this.attribute(record, TAG.sibling);
    while (a !== 0 && (this.word(a, 1) >>> 16 !== dot.origin || this.float(a, 1) !== dot.seq)) {
      a = this.nextAttribute(a, TAG.sibling);
    }
    return a;
  }

  hasValue(record: number, origin: number, seq: number): boolean {
    const meta = this.word(record, CELL.meta);
    const isOwn = (meta & FLAG.register) !== 0 && meta >>> 16 === origin && this.float(record, CELL_SEQ) === seq;
    return isOwn || this.#siblingWith(record, { origin, seq }) !== 0;
  }

  /** Calls back for the register and every sibling. */
  eachValue(
    record: number,
    visit: (value: {
      origin: number;
      seq: number;
      hlc: number;
      persists: boolean;
      address: number;
      byteOffset: number;
      length: number;
    }) => void,
  ): void {
    const meta = this.word(record, CELL.meta);
    if ((meta & FLAG.register) !== 0) {
      visit({
        origin: meta >>> 16,
        seq: this.float(record, CELL_SEQ),
        hlc: this.float(record, CELL_HLC),
        persists: (meta & FLAG.persists) !== 0,
        address: record,
        byteOffset: this.valueOffset(record),
        length: this.word(record, CELL.valueLength),
      });
    }
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      const tag = this.word(a, 1);
      visit({
        origin: tag >>> 16,
        seq: this.float(a, 1),
        hlc: this.float(a, 2),
        persists: ((tag >>> 8) & FLAG.persists) !== 0,
        address: a,
        byteOffset: ((a & SEGMENT_MASK) << 3) + SIBLING_BYTES,
        length: this.word(a, 6),
      });
    }
  }

  hasRegister(record: number): boolean {
    return (this.word(record, CELL.meta) & FLAG.register) !== 0;
  }

  /** Offset of the register's value in the bytes of the record's segment; `CELL.valueLength` is its length. */
  valueOffset(record: number): number {
    return ((record & SEGMENT_MASK) << 3) + CELL_KEY_OFFSET + this.word(record, CELL.keyLength);
  }

  /** Puts the highest sibling in the place of a register that was dropped. Returns the record's address. */
  promoteSibling(maps: ByteMap, map: number, record: number): number {
    let best = 0;
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      if (best === 0 || this.#compareSiblings(a, best) > 0) best = a;
    }
    if (best === 0) return record;
    this.unlinkAttribute(record, best);
    const tag = this.word(best, 1);
    const write = { origin: tag >>> 16, seq: this.float(best, 1), hlc: this.float(best, 2) };
    const persists = ((tag >>> 8) & FLAG.persists) !== 0;
    const moved = this.#overwrite(
      maps,
      map,
      record,
      { ...write, persists },
      this.arena.bytes[best >>> SEGMENT_SHIFT]!,
      ((best & SEGMENT_MASK) << 3) + SIBLING_BYTES,
      this.word(best, 6),
      0,
    );
    this.arena.free(best);
    return moved;
  }

  #overwrite(
    maps: ByteMap,
    map: number,
    record: number,
    write: { readonly origin: number; readonly seq: number; readonly hlc: number; readonly persists: boolean },
    bytes: Uint8Array,
    start: number,
    length: number,
    spare: number,
  ): number {
    const keyLength = this.word(record, CELL.keyLength);
    const needed = CELL_KEY_OFFSET + keyLength + length;
    const capacity = this.arena.capacity(record);
    if (needed > capacity || (spare === 0 && capacity > 256 && needed < capacity >>> 1)) {
      record = this.#move(maps, map, record, needed + spare);
    }
    const seg = record >>> SEGMENT_SHIFT;
    const words = this.arena.words[seg]!;
    const at = (record & SEGMENT_MASK) << 1;
    words[at + CELL.valueLength] = length;
    const flags = (words[at + CELL.meta]! & 0xffff & ~FLAG.persists) | FLAG.register;
    words[at + CELL.meta] = flags | (write.persists ? FLAG.persists : 0) | (write.origin << 16);
    const floats = this.arena.floats[seg]!;
    const floatAt = record & SEGMENT_MASK;
    floats[floatAt + CELL_SEQ] = write.seq;
    floats[floatAt + CELL_HLC] = write.hlc;
    copyBytes(this.arena.bytes[seg]!, (at << 2) + CELL_KEY_OFFSET + keyLength, bytes, start, length);
    return record;
  }

  /** Moves the record, header and key only, to a block of at least that many bytes. */
  #move(maps: ByteMap, map: number, record: number, byteCount: number): number {
    const copy = this.arena.allocate(byteCount);
    const length = CELL_KEY_OFFSET + this.word(record, CELL.keyLength);
    const from = (record & SEGMENT_MASK) << 3;
    copyBytes(
      this.arena.bytes[copy >>> SEGMENT_SHIFT]!,
      (copy & SEGMENT_MASK) << 3,
      this.arena.bytes[record >>> SEGMENT_SHIFT]!,
      from,
      length,
    );
    maps.replace(map, record, copy);
    this.arena.free(record);
    return copy;
  }

  #forgetRegister(record: number): void {
    const words = this.arena.words[record >>> SEGMENT_SHIFT]!;
    const at = (record & SEGMENT_MASK) << 1;
    words[at + CELL.meta] = words[at + CELL.meta]! & 0xffff & ~(FLAG.register | FLAG.persists);
    words[at + CELL.valueLength] = 0;
  }

  #demoteRegister(record: number): void {
    const meta = this.word(record, CELL.meta);
    const write = {
      origin: meta >>> 16,
      seq: this.float(record, CELL_SEQ),
      hlc: this.float(record, CELL_HLC),
    };
    this.#addSibling(
      record,
      write,
      (meta & FLAG.persists) !== 0,
      this.arena.bytes[record >>> SEGMENT_SHIFT]!,
      this.valueOffset(record),
      this.word(record, CELL.valueLength),
    );
    this.#forgetRegister(record);
  }

  #addSibling(
    record: number,
    write: { readonly origin: number; readonly seq: number; readonly hlc: number },
    persists: boolean,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void {
    const sibling = this.arena.allocate(SIBLING_BYTES + length);
    const words = this.arena.words[sibling >>> SEGMENT_SHIFT]!;
    const at = (sibling & SEGMENT_MASK) << 1;
    words[at + 1] = TAG.sibling | ((persists ? FLAG.persists : 0) << 8) | (write.origin << 16);
    words[at + 6] = length;
    this.setFloat(sibling, 1, write.seq);
    this.setFloat(sibling, 2, write.hlc);
    copyBytes(this.arena.bytes[sibling >>> SEGMENT_SHIFT]!, (at << 2) + SIBLING_BYTES, bytes, start, length);
    this.linkAttribute(record, sibling);
  }

  #dropSiblings(record: number, context: Context): void {
    let a = this.attribute(record, TAG.sibling);
    while (a !== 0) {
      const next = this.nextAttribute(a, TAG.sibling);
      if (this.covers(context, this.word(a, 1) >>> 16, this.float(a, 1))) {
        this.unlinkAttribute(record, a);
        this.arena.free(a);
      }
      a = next;
    }
  }

  #betterSibling(record: number, write: { hlc: number; origin: number; seq: number }): number {
    for (let a = this.attribute(record, TAG.sibling); a !== 0; a = this.nextAttribute(a, TAG.sibling)) {
      const order = this.#compare(
        this.float(a, 2),
        this.word(a, 1) >>> 16,
        this.float(a, 1),
        write.hlc,
        write.origin,
        write.seq,
      );
      if (order > 0) return a;
    }
    return 0;
  }

  /** Positive: the record's register is above a write with that time and dot. */
  #orderAgainst(record: number, hlc: number, origin: number, seq: number): number {
    return this.#compare(
      this.float(record, CELL_HLC),
      this.word(record, CELL.meta) >>> 16,
      this.float(record, CELL_SEQ),
      hlc,
      origin,
      seq,
    );
  }

  #compareSiblings(a: number, b: number): number {
    return this.#compare(
      this.float(a, 2),
      this.word(a, 1) >>> 16,
      this.float(a, 1),
      this.float(b, 2),
      this.word(b, 1) >>> 16,
      this.float(b, 1),
    );
  }

  /** Later hlc, then smaller instance id, then later generation, then later seq. */
  #compare(hlcA: number, originA: number, seqA: number, hlcB: number, originB: number, seqB: number): number {
    if (hlcA !== hlcB) return hlcA - hlcB;
    const a = this.origins.at(originA);
    const b = this.origins.at(originB);
    if (a.instance !== b.instance) return b.instance - a.instance;
    return a.generation !== b.generation ? a.generation - b.generation : seqA - seqB;
  }
}
