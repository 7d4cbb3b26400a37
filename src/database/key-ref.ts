/**
 * A key being worked on: its bytes, its hash and what was found under it. Reused objects: commands ask for one by slot, so that a
 * lookup allocates nothing and a second lookup of the same key is not needed.
 *
 * Invariant: `record` is the key's current record or 0; whatever moves or removes the record through this reference updates it. A reference
 * is good until its slot is looked up again.
 */
import { copyBytes } from '../base/copy-bytes.ts';

export const TYPE = { none: 0, string: 1, set: 2, hash: 3 } as const;
export type Type = (typeof TYPE)[keyof typeof TYPE];

/** As TYPE prints it. */
export const TYPE_NAMES: readonly string[] = ['none', 'string', 'set', 'hash'];

export class KeyRef {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  length = 0;
  hash = 0;
  record = 0;
  /** Visible type; `TYPE.none` also where a record holds nothing but leftovers of resolved conflicts. */
  type: Type = TYPE.none;
  /** Goes up with every lookup into this slot. */
  serial = 0;
  #kept = Buffer.allocUnsafeSlow(64);

  /** Takes a copy of the name into a buffer of its own, which the next call overwrites. */
  keep(bytes: Uint8Array, start: number, length: number): void {
    if (length > this.#kept.length) this.#kept = Buffer.allocUnsafeSlow(2 * length);
    copyBytes(this.#kept, 0, bytes, start, length);
    this.bytes = this.#kept;
    this.start = 0;
    this.length = length;
  }

  toString(): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + this.start, this.length).toString('latin1');
  }
}
