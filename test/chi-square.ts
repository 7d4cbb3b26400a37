/**
 * Pearson's chi-square of counts that should be in proportion to the weights, per degree of freedom: near 1 when they are, whatever the sizes. With fixed
 * seeds it is a fixed number. One bin has no degree of freedom: 0.
 */
export function chiSquare(counts: readonly number[], weights: readonly number[] = counts.map(() => 1)): number {
  const drawn = counts.reduce((sum, count) => sum + count, 0);
  const weight = weights.reduce((sum, one) => sum + one, 0);
  let sum = 0;
  for (const [bin, count] of counts.entries()) {
    const expected = (drawn * weights[bin]!) / weight;
    sum += (count - expected) ** 2 / expected;
  }
  return counts.length === 1 ? 0 : sum / (counts.length - 1);
}
