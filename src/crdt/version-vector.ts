/**
 * Version vectors: origin -> highest seq applied, and the table that gives every origin a small index.
 *
 * Records in memory name an origin by its index in the `OriginTable` (u16, local to the process, append only); the wire names it by
 * (instance, generation). A `VersionVector` is a Float64Array over those indexes: covering a dot is one load and one compare.
 *
 * Invariant: an index, once given, never changes its meaning within a process.
 */
import { assert } from '../base/assert.ts';
import { readVarint, varintBytes, writeVarint } from '../base/varint.ts';
import { readU32, writeU32, type Origin } from './frame.ts';

/** Origins a database may ever see; an index fits 16 bits. */
export const ORIGINS_MAX = 65_535;

export class OriginTable {
  readonly #origins: Origin[] = [];
  readonly #indexes = new Map<number, number>();
  /** The one asked for last: batches of one origin come in runs. */
  #lastInstance = -1;
  #lastGeneration = -1;
  #lastIndex = -1;

  get count(): number {
    return this.#origins.length;
  }

  /** The index of the origin, given on first sight. */
  indexOf(instance: number, generation: number): number {
    if (generation === this.#lastGeneration && instance === this.#lastInstance) return this.#lastIndex;
    const key = generation * 256 + instance;
    let index = this.#indexes.get(key);
    if (index === undefined) {
      index = this.#origins.length;
      assert(index < ORIGINS_MAX, 'more origins than an index can name');
      this.#origins.push({ instance, generation });
      this.#indexes.set(key, index);
    }
    this.#lastInstance = instance;
    this.#lastGeneration = generation;
    this.#lastIndex = index;
    return index;
  }

  /** -1 when the origin was never seen. */
  find(instance: number, generation: number): number {
    return this.#indexes.get(generation * 256 + instance) ?? -1;
  }

  at(index: number): Origin {
    return this.#origins[index]!;
  }
}

export class VersionVector {
  #seqs: Float64Array;

  constructor(capacity = 8) {
    this.#seqs = new Float64Array(capacity);
  }

  /** 0: nothing of that origin. */
  get(index: number): number {
    return index < this.#seqs.length ? this.#seqs[index]! : 0;
  }

  set(index: number, seq: number): void {
    if (index >= this.#seqs.length) this.#grow(index);
    this.#seqs[index] = seq;
  }

  /** Raises the entry to `seq` if it is lower. */
  raise(index: number, seq: number): void {
    if (seq > this.get(index)) this.set(index, seq);
  }

  coversDot(index: number, seq: number): boolean {
    return index < this.#seqs.length && this.#seqs[index]! >= seq;
  }

  /** Whether every dot of `other` is in this one. */
  covers(other: VersionVector): boolean {
    for (let i = 0; i < other.#seqs.length; i++) if (other.#seqs[i]! > this.get(i)) return false;
    return true;
  }

  raiseAll(other: VersionVector): void {
    for (let i = 0; i < other.#seqs.length; i++) this.raise(i, other.#seqs[i]!);
  }

  /** Lowers every entry to the other's, absent ones to 0: the greatest lower bound. */
  lowerAll(other: VersionVector): void {
    for (let i = 0; i < this.#seqs.length; i++) this.#seqs[i] = Math.min(this.#seqs[i]!, other.get(i));
  }

  copyFrom(other: VersionVector): void {
    if (other.#seqs.length > this.#seqs.length) this.#seqs = new Float64Array(other.#seqs.length);
    this.#seqs.fill(0);
    this.#seqs.set(other.#seqs);
  }

  clone(): VersionVector {
    const copy = new VersionVector(this.#seqs.length);
    copy.#seqs.set(this.#seqs);
    return copy;
  }

  /** Entries above zero, by origin index. */
  *entries(): IterableIterator<readonly [index: number, seq: number]> {
    for (let i = 0; i < this.#seqs.length; i++) if (this.#seqs[i]! > 0) yield [i, this.#seqs[i]!];
  }

  /** The sum of what this one has beyond `other`: operations of lag. */
  countBeyond(other: VersionVector): number {
    let count = 0;
    for (let i = 0; i < this.#seqs.length; i++) count += Math.max(0, this.#seqs[i]! - other.get(i));
    return count;
  }

  #grow(index: number): void {
    const seqs = new Float64Array(Math.max(index + 1, this.#seqs.length * 2));
    seqs.set(this.#seqs);
    this.#seqs = seqs;
  }
}

/** Bytes that `writeVersionVector` needs at most. */
export const versionVectorBytesMax = (vector: VersionVector): number => 5 + 13 * [...vector.entries()].length;

/** Writes the vector in its wire form; returns the offset after it. */
export function writeVersionVector(bytes: Uint8Array, at: number, vector: VersionVector, origins: OriginTable): number {
  const entries = [...vector.entries()];
  at = writeVarint(bytes, at, entries.length);
  for (const [index, seq] of entries) {
    const origin = origins.at(index);
    bytes[at] = origin.instance;
    writeU32(bytes, at + 1, origin.generation);
    at = writeVarint(bytes, at + 5, seq);
  }
  return at;
}

export function encodeVersionVector(vector: VersionVector, origins: OriginTable): Buffer {
  const bytes = Buffer.alloc(versionVectorBytesMax(vector));
  return bytes.subarray(0, writeVersionVector(bytes, 0, vector, origins));
}

/**
 * Reads the wire form at `at`. Returns the vector and the offset after it; null when the bytes end too soon, or name instance 0.
 * Origins never seen before are given an index.
 */
export function readVersionVector(
  bytes: Uint8Array,
  at: number,
  origins: OriginTable,
): { readonly vector: VersionVector; readonly end: number } | null {
  const vector = new VersionVector();
  if (at >= bytes.length) return null;
  const count = readVarint(bytes, at);
  at += varintBytes(count);
  if (isCut(bytes, at)) return null;
  for (let i = 0; i < count; i++) {
    if (at + 6 > bytes.length || bytes[at] === 0) return null;
    const index = origins.indexOf(bytes[at]!, readU32(bytes, at + 1));
    const seq = readVarint(bytes, at + 5);
    at += 5 + varintBytes(seq);
    if (isCut(bytes, at)) return null;
    vector.set(index, seq);
  }
  return { vector, end: at };
}

/** Whether the varint that should end at `end` goes on there, beyond the bytes or not. */
const isCut = (bytes: Uint8Array, end: number): boolean => end > bytes.length || bytes[end - 1]! > 0x7f;

/** For people and JSON: `{"1:1764000000": 812}`. */
export function describeVersionVector(vector: VersionVector, origins: OriginTable): Record<string, number> {
  const described: Record<string, number> = {};
  for (const [index, seq] of vector.entries()) {
    const origin = origins.at(index);
    described[`${origin.instance}:${origin.generation}`] = seq;
  }
  return described;
}

/** The reverse of `describeVersionVector`; null when the value has another shape. */
export function parseVersionVector(value: unknown, origins: OriginTable): VersionVector | null {
  if (typeof value !== 'object' || value === null) return null;
  const vector = new VersionVector();
  for (const [name, seq] of Object.entries(value)) {
    const match = /^(\d{1,3}):(\d{1,10})$/.exec(name);
    if (!match || !Number.isSafeInteger(seq) || (seq as number) < 0) return null;
    const instance = Number(match[1]);
    const generation = Number(match[2]);
    if (instance < 1 || instance > 255 || generation > 0xffff_ffff) return null;
    vector.set(origins.indexOf(instance, generation), seq as number);
  }
  return vector;
}
