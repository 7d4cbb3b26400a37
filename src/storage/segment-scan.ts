/**
 * Verifies the bytes of one segment file, and walks its frames. Pure: recovery and repair share it.
 *
 * The walk goes from seal to seal. Where it meets something that is not sealed intact, what follows decides what that is:
 * - in a segment that has a successor, damage: the successor was begun only after this one was on disk;
 * - in the newest segment, damage if an intact seal further on says that the log had been on disk beyond this place; else a torn
 *   tail, which the crash left and which nobody was promised.
 */
import { FRAME, FRAME_HEADER_BYTES, readU32 } from '../crdt/frame.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import {
  isSealIntact,
  readSegmentHeader,
  SEAL,
  SEAL_PATTERN,
  sealDurablePosition,
  type SegmentHeader,
} from './log-frames.ts';

export interface SegmentScan {
  /** null when the header itself is damaged. */
  readonly header: SegmentHeader | null;
  /** Offset of the first frame after the header. */
  readonly framesStart: number;
  /** Offset after the last intact seal of the unbroken run; everything before it may be used. */
  readonly goodEnd: number;
  /** The last frame before the last intact seal is a clean marker, and nothing follows. */
  readonly endsClean: boolean;
  /** What is wrong at `goodEnd`; null when the file ends there. */
  readonly problem: { readonly kind: 'torn' | 'damaged'; readonly reason: string } | null;
}

/** `position` is the one in the file's name. */
export function scanSegment(
  bytes: Buffer,
  segment: { readonly position: number; readonly isNewest: boolean },
  origins: OriginTable,
): SegmentScan {
  const header = readSegmentHeader(bytes, origins);
  if (typeof header === 'string') return withoutHeader(header);
  if (header.position !== segment.position) {
    return withoutHeader(`its name says position ${segment.position}, its header says ${header.position}`);
  }
  const walk = walkGroups(bytes, header.end);
  const scan = { header, framesStart: header.end, goodEnd: walk.goodEnd };
  if (walk.reason === null) return { ...scan, endsClean: walk.endsClean, problem: null };
  const beyond = segment.isNewest ? findSealBeyond(bytes, walk.goodEnd, segment.position) : null;
  if (segment.isNewest && beyond === null) {
    return { ...scan, endsClean: false, problem: { kind: 'torn', reason: walk.reason } };
  }
  const evidence = beyond === null ? 'a later segment exists' : `an intact group ends at position ${beyond}`;
  return { ...scan, endsClean: false, problem: { kind: 'damaged', reason: `${walk.reason}, but ${evidence}` } };
}

const withoutHeader = (reason: string): SegmentScan => ({
  header: null,
  framesStart: 0,
  goodEnd: 0,
  endsClean: false,
  problem: { kind: 'damaged', reason },
});

function walkGroups(bytes: Buffer, start: number): { goodEnd: number; endsClean: boolean; reason: string | null } {
  let goodEnd = start;
  let endsClean = false;
  let lastKind = 0;
  for (let at = start; at < bytes.length;) {
    const broken = (reason: string) => ({ goodEnd, endsClean: false, reason });
    if (at + FRAME_HEADER_BYTES > bytes.length) return broken('the file ends within a frame');
    const end = at + 4 + readU32(bytes, at);
    if (end < at + FRAME_HEADER_BYTES || end > bytes.length) return broken('a frame does not end within the file');
    const kind = bytes[at + 4]!;
    if (kind === FRAME.seal) {
      if (!isSealIntact(bytes, at) || readU32(bytes, at + SEAL.covered) !== at - goodEnd)
        return broken('a checksum is wrong');
      goodEnd = end;
      endsClean = lastKind === FRAME.clean;
    }
    lastKind = kind;
    at = end;
  }
  const reason = goodEnd === bytes.length ? null : 'the last group has no seal';
  return { goodEnd, endsClean: endsClean && reason === null, reason };
}

/**
 * The position after an intact seal behind `goodEnd` that proves `goodEnd` was once on disk; null when there is none. Data may
 * contain what looks like seals, so the bytes that are checksummed are limited; beyond the limit the answer is the cautious one.
 */
function findSealBeyond(bytes: Buffer, goodEnd: number, position: number): number | null {
  let budget = 64 * (bytes.length - goodEnd) + 1024 * 1024;
  for (let at = bytes.indexOf(SEAL_PATTERN, goodEnd); at >= 0; at = bytes.indexOf(SEAL_PATTERN, at + 1)) {
    if (at + SEAL.bytes > bytes.length) return null;
    if (sealDurablePosition(bytes, at) <= position + goodEnd) continue;
    const covered = readU32(bytes, at + SEAL.covered);
    if (covered > at - goodEnd) continue;
    budget -= covered + SEAL.bytes;
    if (budget < 0 || isSealIntact(bytes, at)) return position + at + SEAL.bytes;
  }
  return null;
}

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
