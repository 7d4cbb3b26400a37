/**
 * What a connection has sent of a command that is not complete yet, and how far it was parsed.
 *
 * Sized by what arrived, never by what was announced: ten thousand clients that each announce 512 MB and send ten bytes cost ten thousand
 * small buffers. Growth is geometric, so a large argument is copied about twice in all, and ends at the announced size once that is near.
 *
 * Invariant: `bytes[0]` is the first byte of a command; offsets in `args` and `at` count from there.
 */
import { Args } from './args.ts';
import {
  ARGUMENTS_MAX,
  BULK_BYTES_MAX,
  CARRY_BYTES_MIN,
  CARRY_KEPT_BYTES,
  UNAUTHENTICATED_ARGUMENTS_MAX,
  UNAUTHENTICATED_BULK_BYTES_MAX,
} from './limits.ts';

const NOTHING = Buffer.alloc(0);

export class Input {
  bytes: Buffer = NOTHING;
  length = 0;
  /** Arguments found so far; null: none. */
  args: Args | null = null;
  /** Arguments still to come; -1: the command's head was not read. */
  missing = -1;
  /** Where parsing goes on. */
  at = 0;
  /** Total length that the command has at least, as far as it was announced. */
  announced = 0;
  argumentsMax = UNAUTHENTICATED_ARGUMENTS_MAX;
  bulkBytesMax = UNAUTHENTICATED_BULK_BYTES_MAX;

  /** The client has authenticated, or need not. */
  trust(bulkBytesMax = BULK_BYTES_MAX): void {
    this.argumentsMax = ARGUMENTS_MAX;
    this.bulkBytesMax = bulkBytesMax;
  }

  distrust(): void {
    this.argumentsMax = UNAUTHENTICATED_ARGUMENTS_MAX;
    this.bulkBytesMax = UNAUTHENTICATED_BULK_BYTES_MAX;
  }

  append(source: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) this.#grow(length);
    source.copy(this.bytes, this.length, start, end);
    this.length = length;
  }

  /** Holds these bytes instead, which may be part of what it held. */
  replace(source: Buffer, start: number, end: number): void {
    const length = end - start;
    if (source === this.bytes && length > this.bytes.length / 4) {
      if (start > 0) source.copy(source, 0, start, end);
      this.length = length;
      return;
    }
    if (source === this.bytes) this.bytes = NOTHING;
    this.length = 0;
    this.append(source, start, end);
  }

  clear(): void {
    this.length = 0;
    this.forgetProgress();
    if (this.bytes.length > CARRY_KEPT_BYTES) this.bytes = NOTHING;
  }

  forgetProgress(): void {
    this.args = null;
    this.missing = -1;
    this.at = 0;
    this.announced = 0;
  }

  #grow(length: number): void {
    let capacity = Math.max(CARRY_BYTES_MIN, this.bytes.length);
    while (capacity < length) capacity *= 2;
    if (this.announced >= length && this.announced < 2 * capacity) capacity = this.announced;
    const bytes = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(bytes, 0, 0, this.length);
    this.bytes = bytes;
  }
}
