/**
 * The frame kinds and the fixed part of a batch, shared by log, feeds and snapshots. The format is described in
 * docs/internals/frames.md; it is little-endian, and the same bytes go everywhere.
 */
export const FRAME = {
  batch: 1,
  seal: 2,
  merge: 3,
  segment: 4,
  generation: 5,
  clean: 6,
  hello: 16,
  continue: 17,
  fullResync: 18,
  snapshot: 19,
  snapshotEnd: 20,
  ack: 21,
  heartbeat: 22,
  want: 23,
  publish: 24,
  ask: 25,
  error: 26,
  part: 27,
} as const;

/** Bytes of a frame before its payload: u32 length, u8 kind. The length counts the kind. */
export const FRAME_HEADER_BYTES = 5;

/** Offsets within a BATCH frame, from the frame's first byte. */
export const BATCH = { flags: 5, instance: 6, generation: 7, seq: 11, hlc: 17, body: 25 } as const;

export const BATCH_HAS_CONTEXT = 1;

/** An origin: who numbered an operation. */
export interface Origin {
  /** 1..255 */
  readonly instance: number;
  /** Second since 1970 in which the generation began; u32. */
  readonly generation: number;
}

export const readU32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

export const readU48 = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at) + (bytes[at + 4]! | (bytes[at + 5]! << 8)) * 0x1_0000_0000;

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function writeU48(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value);
  const high = (value / 0x1_0000_0000) | 0;
  bytes[at + 4] = high;
  bytes[at + 5] = high >>> 8;
}

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);

export function readF64(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) floatBytes[i] = bytes[at + i]!;
  return float[0]!;
}

export function writeF64(bytes: Uint8Array, at: number, value: number): void {
  float[0] = value;
  for (let i = 0; i < 8; i++) bytes[at + i] = floatBytes[i]!;
}
