/**
 * The one buffer in which commands put a new value together before it is written: APPEND, SETRANGE, SETBIT, COPY ...
 *
 * Invariant: what it holds is good until the next call; no command keeps it.
 */
import { SCRATCH_KEPT_BYTES } from './limits.ts';

let kept = Buffer.allocUnsafeSlow(4096);

/** A buffer of at least that many bytes, contents arbitrary. */
export function scratch(byteCount: number): Buffer {
  if (byteCount <= kept.length) return kept;
  const size = Math.max(byteCount, Math.min(2 * byteCount, SCRATCH_KEPT_BYTES));
  const buffer = Buffer.allocUnsafeSlow(size);
  if (size <= SCRATCH_KEPT_BYTES) kept = buffer;
  return buffer;
}
