/** Cursors of scans: they count in reversed bits (Pieter Noordhuis' algorithm), so that tables may double and halve under them. */

export const mask = (log: number): number => (1 << log) - 1;

/** Counts up in reversed bits below `log`: the higher bits of a cursor are settled first, so a resize neither skips nor restarts. */
export function nextCursor(cursor: number, log: number): number {
  cursor |= ~mask(log);
  cursor = reverseBits(cursor);
  cursor = (cursor + 1) | 0;
  return reverseBits(cursor);
}

function reverseBits(value: number): number {
  value = ((value >>> 1) & 0x55555555) | ((value & 0x55555555) << 1);
  value = ((value >>> 2) & 0x33333333) | ((value & 0x33333333) << 2);
  value = ((value >>> 4) & 0x0f0f0f0f) | ((value & 0x0f0f0f0f) << 4);
  value = ((value >>> 8) & 0x00ff00ff) | ((value & 0x00ff00ff) << 8);
  return (value >>> 16) | (value << 16);
}
