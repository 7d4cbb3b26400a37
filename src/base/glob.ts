/**
 * Glob patterns over bytes, as KEYS, SCAN MATCH and PSUBSCRIBE take them: `*`, `?`, `[abc]`, `[^a-z]`, `\x`.
 *
 * A star is tried with the shortest run first, and only the latest star is ever tried again: what an earlier one could take more of, the
 * latest can as well. So time is at most pattern times text, never exponential (Kirk J. Krauss, "Matching Wildcards", 2008).
 *
 * Odd corners are Redis's own: an unclosed class ends with the pattern, `[a-]` is the range from a to `]`, and a backslash at
 * the end means itself.
 */
const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const BACKSLASH = 92;
const CLOSE = 93;
const CARET = 94;
const DASH = 45;

/** Whether the whole of `text` (from `start`, `length` bytes) fits the pattern. */
export function matchGlob(pattern: Uint8Array, text: Uint8Array, start = 0, length = text.length - start): boolean {
  const end = start + length;
  let p = 0;
  let t = start;
  let starAt = -1;
  let starText = 0;
  while (t < end) {
    if (pattern[p] === STAR) {
      starAt = p++;
      starText = t;
      continue;
    }
    const next = p < pattern.length ? matchOne(pattern, p, text[t]!) : -1;
    if (next >= 0) {
      p = next;
      t++;
    } else if (starAt >= 0) {
      p = starAt + 1;
      t = ++starText;
    } else {
      return false;
    }
  }
  while (pattern[p] === STAR) p++;
  return p === pattern.length;
}

/** Where the pattern goes on after its one-byte item at `p`; -1: the byte does not fit it. */
function matchOne(pattern: Uint8Array, p: number, byte: number): number {
  const item = pattern[p]!;
  if (item === QUESTION) return p + 1;
  if (item === OPEN) return matchClass(pattern, p + 1, byte);
  if (item === BACKSLASH && p + 1 < pattern.length) return pattern[p + 1] === byte ? p + 2 : -1;
  return item === byte ? p + 1 : -1;
}

/** `p`: behind the bracket. */
function matchClass(pattern: Uint8Array, p: number, byte: number): number {
  const isNegated = pattern[p] === CARET;
  if (isNegated) p++;
  let isIn = false;
  for (; p < pattern.length && pattern[p] !== CLOSE; p++) {
    const first = pattern[p]!;
    // The pattern is walked through to the end of its class, whatever was found: an escaped bracket does not close it.
    if (first === BACKSLASH && p + 1 < pattern.length) {
      p++;
      isIn ||= pattern[p] === byte;
    } else if (pattern[p + 1] === DASH && p + 2 < pattern.length) {
      p += 2;
      isIn ||= isBetween(byte, first, pattern[p]!);
    } else {
      isIn ||= first === byte;
    }
  }
  return isIn === isNegated ? -1 : Math.min(p + 1, pattern.length);
}

/** The ends of a range may be in either order. Bytes are signed there, as Redis's are on most processors. */
function isBetween(byte: number, first: number, last: number): boolean {
  const [value, a, b] = [(byte << 24) >> 24, (first << 24) >> 24, (last << 24) >> 24];
  return a <= b ? value >= a && value <= b : value >= b && value <= a;
}
