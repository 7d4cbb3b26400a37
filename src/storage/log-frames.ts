/**
 * The frames that only the log has: SEAL, SEGMENT, MERGE, CLEAN. Layouts are in docs/internals/frames.md.
 *
 * A seal says how many bytes it covers, so it can be checked on its own, without knowing where the previous one ended; and up to
 * which position the log was known to be on disk when it was made. The latter tells a torn tail from damage: a file system may
 * write later pages before earlier ones, so after a power failure a valid group can follow an invalid one. That is a torn tail
 * while no valid seal says the invalid bytes had been synced, and damage as soon as one does.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { FRAME, FRAME_HEADER_BYTES, readU32, readU48, writeU32, writeU48 } from '../crdt/frame.ts';
import {
  encodeVersionVector,
  readVersionVector,
  type OriginTable,
  type VersionVector,
} from '../crdt/version-vector.ts';

export const LOG_VERSION = 1;

/** Offsets within a SEAL frame: u32 bytes covered, u48 durable position, u32 crc32 of everything covered and of the seal before it. */
export const SEAL = { covered: 5, durable: 9, crc: 15, bytes: 19 } as const;

/** What a seal looks like wherever it stands: its length and its kind. */
export const SEAL_PATTERN = Buffer.from([SEAL.bytes - 4, 0, 0, 0, FRAME.seal]);

/** Writes a seal at `at`. `crc` is the checksum of the `covered` bytes before it. */
export function writeSeal(
  bytes: Buffer,
  at: number,
  seal: { readonly covered: number; readonly durable: number; readonly crc: number },
): void {
  SEAL_PATTERN.copy(bytes, at);
  writeU32(bytes, at + SEAL.covered, seal.covered);
  writeU48(bytes, at + SEAL.durable, seal.durable);
  writeU32(bytes, at + SEAL.crc, crc32(bytes.subarray(at, at + SEAL.crc), seal.crc));
}

/** Whether an intact seal stands at `at`, all that it covers included. */
export function isSealIntact(bytes: Buffer, at: number): boolean {
  if (at + SEAL.bytes > bytes.length || readU32(bytes, at) !== SEAL.bytes - 4 || bytes[at + 4] !== FRAME.seal)
    return false;
  const covered = readU32(bytes, at + SEAL.covered);
  return covered <= at && crc32(bytes.subarray(at - covered, at + SEAL.crc)) === readU32(bytes, at + SEAL.crc);
}

export const sealDurablePosition = (bytes: Uint8Array, at: number): number => readU48(bytes, at + SEAL.durable);

export interface SegmentHeader {
  /** Of the file's first byte, which is the first of this frame. */
  readonly position: number;
  /** The instance's version vector there. */
  readonly vector: VersionVector;
  /** For every origin the log held all batches beyond this one when the segment began. */
  readonly floor: VersionVector;
}

function encodeFrame(kind: number, parts: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  const frame = Buffer.concat([header, ...parts]);
  writeU32(frame, 0, frame.length - 4);
  frame[4] = kind;
  return frame;
}

export function encodeSegmentHeader(header: SegmentHeader, origins: OriginTable): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16LE(LOG_VERSION, 0);
  fixed.writeBigUInt64LE(BigInt(header.position), 2);
  const vectors = [encodeVersionVector(header.vector, origins), encodeVersionVector(header.floor, origins)];
  const frame = encodeFrame(FRAME.segment, [fixed, ...vectors, Buffer.alloc(4)]);
  writeU32(frame, frame.length - 4, crc32(frame.subarray(0, frame.length - 4)));
  return frame;
}

/** The header at the start of a segment file, the offset after it included; or in words what is wrong with it. */
export function readSegmentHeader(
  bytes: Buffer,
  origins: OriginTable,
): (SegmentHeader & { readonly end: number }) | string {
  if (bytes.length < FRAME_HEADER_BYTES) return `it has ${bytes.length} bytes, less than a segment header`;
  const end = 4 + readU32(bytes, 0);
  if (bytes[4] !== FRAME.segment || end < 21 || end > bytes.length) return 'it does not begin with a segment header';
  if (crc32(bytes.subarray(0, end - 4)) !== readU32(bytes, end - 4))
    return 'the checksum of its segment header is wrong';
  const version = bytes.readUInt16LE(5);
  if (version !== LOG_VERSION) return `it has format version ${version}, this release reads version ${LOG_VERSION}`;
  const vector = readVersionVector(bytes, 15, origins);
  const floor = vector && readVersionVector(bytes, vector.end, origins);
  assert(vector && floor, 'a segment header with a correct checksum can be read');
  return { position: Number(bytes.readBigUInt64LE(7)), vector: vector.vector, floor: floor.vector, end };
}

export interface MergeNote {
  /** Name of the spool file in the data directory; empty when there is none (no log file). */
  readonly file: string;
  readonly snapshotVector: VersionVector;
}

export function encodeMerge(note: MergeNote, origins: OriginTable): Buffer {
  const name = Buffer.from(note.file);
  const length = Buffer.from([name.length & 0xff, name.length >>> 8]);
  return encodeFrame(FRAME.merge, [length, name, encodeVersionVector(note.snapshotVector, origins)]);
}

/** Reads the MERGE frame that begins at `start`. */
export function readMerge(bytes: Uint8Array, start: number, origins: OriginTable): MergeNote {
  const nameStart = start + FRAME_HEADER_BYTES + 2;
  const nameEnd = nameStart + (bytes[nameStart - 2]! | (bytes[nameStart - 1]! << 8));
  const read = readVersionVector(bytes, nameEnd, origins);
  assert(read, 'a sealed MERGE frame can be read');
  return { file: Buffer.from(bytes.subarray(nameStart, nameEnd)).toString(), snapshotVector: read.vector };
}

export const encodeClean = (): Buffer => encodeFrame(FRAME.clean, []);

/** Every frame of verified bytes except seals: its kind, and where it begins and ends. */
export function* framesOf(
  bytes: Uint8Array,
  start: number,
  end: number,
): IterableIterator<{ readonly kind: number; readonly start: number; readonly end: number }> {
  for (let at = start; at < end;) {
    const next = at + 4 + readU32(bytes, at);
    if (bytes[at + 4] !== FRAME.seal) yield { kind: bytes[at + 4]!, start: at, end: next };
    at = next;
  }
}
