/** Unsigned LEB128 over the safe integers: 7 bits per byte, least significant first. */

export const VARINT_BYTES_MAX = 8;

/** Writes the value at `at`; returns the offset after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  // The remainder of doubles is a call into C; what fits 32 bits, nearly everything, needs none.
  while (value > 0xffff_ffff) {
    bytes[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  let rest = value >>> 0;
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Reads a value at `at`; its length is `varintBytes(value)`. Bytes past the end count as 0. */
export function readVarint(bytes: Uint8Array, at: number): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = at + i < bytes.length ? bytes[at + i]! : 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  return value;
}

/** Length of the encoding; valid for values that were written by `writeVarint`. */
export function varintBytes(value: number): number {
  let count = 1;
  while (value > 0x7f) {
    value = Math.floor(value / 128);
    count++;
  }
  return count;
}
