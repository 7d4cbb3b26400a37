/**
 * The hash of keys in byte maps: HalfSipHash-1-3 (https://github.com/veorq/SipHash, J.-P. Aumasson and D. J. Bernstein), 32 bits from a secret of 64.
 *
 * Why a keyed hash that withstands: whoever can write keys could otherwise craft thousands that share a bucket, and every access to one of them would walk
 * the whole chain. A seed of 32 bits does not keep that away, whatever the function: the order in which SCAN returns known keys tells
 * which of the 2^32 seeds it is (docs/decisions/0014-keyed-hash.md). One round per word and three at the end are what Rust's and CPython's tables
 * take of SipHash.
 */

/** 64 random bits. */
export type HashSeed = readonly [number, number];

export function hashKey(seed0: number, seed1: number, bytes: Uint8Array, start: number, length: number): number {
  let v0 = seed0 | 0;
  let v1 = seed1 | 0;
  let v2 = 0x6c796765 ^ seed0;
  let v3 = 0x74656462 ^ seed1;
  const end = start + length;
  const words = start + (length & ~3);
  // The round is written out twice: called, it would return four numbers.
  for (let at = start; at < words; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  let last = length << 24;
  for (let at = words, shift = 0; at < end; at++, shift += 8) last |= bytes[at]! << shift;
  v3 ^= last;
  for (let round = 0; round < 4; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    if (round > 0) continue;
    v0 ^= last;
    v2 ^= 0xff;
  }
  return v1 ^ v3;
}
