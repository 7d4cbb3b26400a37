/**
 * Loads a snapshot into a map of keys that is empty before, and that nothing else writes to: the live one of a database that is being recovered, or one
 * that waits to be joined (incoming.ts).
 *
 * Records stand for themselves, so the loader finds or makes the key for each; the last key is remembered, since its entries nearly always follow it.
 *
 * Invariant: after each record the key's flags and counts say what is there by then.
 */
import { FLAG } from '../crdt/cell.ts';
import type { CounterEntry } from '../crdt/cell.ts';
import { VersionVector } from '../crdt/version-vector.ts';
import { mapOf } from './container-type.ts';
import { KeyRef, TYPE } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';
import { SnapshotFormatError, SnapshotParser, type SnapshotHeader } from './snapshot-parser.ts';

/** Covers nothing: every value of a snapshot stands beside the others. */
const NO_CONTEXT = new VersionVector(0);

export class SnapshotLoader extends SnapshotParser {
  /** Visible keys so far. */
  keys = 0;
  readonly map: number;
  readonly #keyspace: Keyspace;
  readonly #ref = new KeyRef();
  readonly #write = { origin: 0, seq: 0, hlc: 0, persists: false, context: NO_CONTEXT };

  /** `map`: where keys go. Where it is the live one, times to live count at once. */
  constructor(keyspace: Keyspace, map: number) {
    super(keyspace.origins);
    this.#keyspace = keyspace;
    this.map = map;
  }

  protected override onHeader(header: SnapshotHeader, features: readonly string[]): void {
    const { containers } = this.#keyspace;
    const unknown = features.find((feature) => !containers.knowsFeature(feature));
    if (unknown !== undefined)
      throw new SnapshotFormatError(`it holds data of a kind this release does not know: ${unknown}`);
    for (const feature of features) containers.noteFeature(feature);
    const { keyMaps, limits } = this.#keyspace;
    keyMaps.prepare(this.map, Math.min(header.keys, limits.foreseenKeysMax));
  }

  protected override onKey(start: number, length: number): void {
    const ks = this.#keyspace;
    const ref = this.#open(start, length, this.#peekValueLength());
    ref.record = this.#cell(this.map, ref.record);
    if (ks.attributes(ref.record) === 0 && ks.cells.hasRegister(ref.record)) {
      this.#countPlain(ref);
      return;
    }
    this.#count(ref);
    if (ks.attributes(ref.record) !== 0) this.#noteLeftovers(ref);
  }

  protected override onEntry(kind: number, key: number, keyLength: number, name: number, nameLength: number): boolean {
    const ks = this.#keyspace;
    const type = ks.containers.ofRecordKind(kind);
    if (type === undefined) return false;
    const ref = this.#open(key, keyLength);
    const container = ks.containers.open(type, ref.record);
    if (type === ks.containers.hashes) this.#field(container, name, nameLength);
    else this.#member(container, name, nameLength);
    if ((ks.cells.flags(ref.record) & FLAG.visible) === 0 || ks.typeOf(ref.record) !== ref.type) this.#count(ref);
    return true;
  }

  #open(start: number, length: number, room = 0): KeyRef {
    const ks = this.#keyspace;
    const ref = this.#ref;
    ref.bytes = this.bytes;
    ref.start = start;
    ref.length = length;
    ref.hash = ks.keyMaps.hash(this.bytes, start, length);
    ref.record = ks.keyMaps.find(this.map, ref.hash, this.bytes, start, length);
    if (ref.record === 0) {
      ref.record = ks.cells.create(ks.keyMaps, this.map, ref.hash, this.bytes, start, length, room, ks.epoch);
      ref.type = TYPE.none;
    } else {
      ref.type = ks.typeOf(ref.record);
    }
    return ref;
  }

  /** Length of the cell's value, if it has one and no more: made to measure, the record need not move. */
  #peekValueLength(): number {
    const { bytes } = this;
    let at = this.at;
    if (bytes[at++] !== 1) return 0;
    while (bytes[at++]! >= 0x80);
    while (bytes[at++]! >= 0x80);
    at += 9;
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 28) return 0;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) return Math.min(length, this.bytesLeft);
    }
  }

  #field(hash: number, name: number, nameLength: number): void {
    const ks = this.#keyspace;
    const { hashes } = ks.containers;
    const fieldHash = hashes.maps.hash(this.bytes, name, nameLength);
    const known = hashes.maps.find(mapOf(hash), fieldHash, this.bytes, name, nameLength);
    if (known !== 0) throw new SnapshotFormatError('a field comes twice');
    let field = ks.cells.create(hashes.maps, mapOf(hash), fieldHash, this.bytes, name, nameLength, 0, ks.epoch);
    field = this.#cell(mapOf(hash), field);
    hashes.noteDots(hash, field);
    ks.settleField(hash, field, this.map === ks.keys);
  }

  #member(set: number, name: number, nameLength: number): void {
    const ks = this.#keyspace;
    const { sets } = ks.containers;
    const hash = sets.maps.hash(this.bytes, name, nameLength);
    if (sets.maps.find(mapOf(set), hash, this.bytes, name, nameLength) !== 0)
      throw new SnapshotFormatError('a member comes twice');
    let member = 0;
    for (let left = this.varint(); left > 0; left--) {
      const dot = { origin: this.origin(), seq: this.varint() };
      if (member === 0)
        member = ks.elements.create(sets.maps, mapOf(set), hash, this.bytes, name, nameLength, dot, ks.epoch);
      else ks.elements.addDot(member, dot, NO_CONTEXT);
      sets.noteDot(set, dot.origin, dot.seq);
    }
    if (member === 0) throw new SnapshotFormatError('a member without a dot');
  }

  /** Reads a cell into the record. Returns the record's address. */
  #cell(map: number, record: number): number {
    const ks = this.#keyspace;
    const { cells } = ks;
    const maps = map === this.map ? ks.keyMaps : ks.containers.hashes.maps;
    const write = this.#write;
    for (let left = this.varint(); left > 0; left--) {
      write.origin = this.origin();
      write.seq = this.varint();
      write.hlc = this.float();
      write.persists = this.varint() === 1;
      const length = this.varint();
      record = cells.writeRegister(maps, map, record, write, this.bytes, this.skip(length), length);
    }
    for (let left = this.varint(); left > 0; left--) {
      cells.mergeCounter(record, this.#counter());
      ks.hasResidue = true;
    }
    for (let left = this.varint(); left > 0; left--) {
      const dot = { origin: this.origin(), seq: this.varint() };
      cells.addExpiry(record, dot, this.float());
    }
    return record;
  }

  #counter(): CounterEntry {
    const origin = this.origin();
    const frame = this.varint();
    const n = this.varint();
    const total = this.number();
    const isDecimal = this.varint() === 1;
    const cutN = this.varint();
    const cutTotal = this.number();
    const cutOrigin = this.origin();
    return { origin, frame, n, total, isDecimal, cutN, cutTotal, cutOrigin, cutSeq: this.varint() };
  }

  #count(ref: KeyRef): void {
    const ks = this.#keyspace;
    ref.type = ks.typeOf(ref.record);
    const isVisible = ref.type !== TYPE.none;
    if (isVisible !== ((ks.cells.flags(ref.record) & FLAG.visible) !== 0)) {
      this.keys += isVisible ? 1 : -1;
      if (isVisible) ks.cells.setFlag(ref.record, FLAG.visible);
      else ks.cells.clearFlag(ref.record, FLAG.visible);
    }
    if (this.map === ks.keys) {
      ks.keyCount = this.keys;
      ks.noteTypes(ref);
    }
  }

  /** Nearly every key: a value and nothing besides. */
  #countPlain(ref: KeyRef): void {
    const ks = this.#keyspace;
    ref.type = TYPE.string;
    if ((ks.cells.flags(ref.record) & FLAG.visible) !== 0) return;
    ks.cells.setFlag(ref.record, FLAG.visible);
    this.keys++;
    if (this.map === ks.keys) ks.keyCount = this.keys;
  }

  #noteLeftovers(ref: KeyRef): void {
    const ks = this.#keyspace;
    if (this.map === ks.keys && ks.cells.expiry(ref.record) !== -1) ks.armKey(ref.record);
    if (ref.type === TYPE.none) ks.hasResidue = true;
  }
}
