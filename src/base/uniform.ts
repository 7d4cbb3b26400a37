/**
 * A uniform number below `bound` (1 .. 2^32) from uniform numbers of 32 bits.
 *
 * Why not the remainder: it favours the small ones wherever the bound does not divide 2^32. Bits beyond the bound are masked away and what is
 * still too large is drawn again: fewer than two draws on average.
 */
const { clz32 } = Math;

export function uniformBelow(bound: number, nextUint32: () => number): number {
  if (bound <= 1) return 0;
  const shift = clz32(bound - 1);
  for (;;) {
    // The upper bits: the lower ones of a simple generator are the worse ones.
    const value = nextUint32() >>> shift;
    if (value < bound) return value;
  }
}
