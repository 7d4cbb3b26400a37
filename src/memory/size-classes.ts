/**
 * The sizes in which an arena hands out small blocks: exact multiples of 8 bytes up to 512, then eight classes per doubling up to 32 KiB, so
 * rounding costs at most an eighth. Each class is cut from spans of so many pages that at most a sixteenth of a span is left over.
 */

export const PAGE_SHIFT = 10;
export const PAGE_UNITS = 1 << PAGE_SHIFT;
export const PAGE_BYTES = 8 * PAGE_UNITS;

const EXACT_UNITS_MAX = 64;
export const CLASS_UNITS_MAX = 4096;
/** A span wastes at most this part of itself at its end. */
const SPAN_WASTE_MAX = 1 / 16;

/** Units of each class, by class number (0 is unused). */
export const CLASS_UNITS: number[] = [0];
for (let units = 1; units <= EXACT_UNITS_MAX; units++) CLASS_UNITS.push(units);
for (let base = EXACT_UNITS_MAX; base < CLASS_UNITS_MAX; base *= 2) {
  for (let step = 1; step <= 8; step++) CLASS_UNITS.push(base + (base / 8) * step);
}
export const CLASSES = CLASS_UNITS.length;

export const CLASS_PAGES = CLASS_UNITS.map((units) => {
  if (units === 0) return 0;
  let pages = Math.ceil(units / PAGE_UNITS);
  while ((pages * PAGE_UNITS) % units > pages * PAGE_UNITS * SPAN_WASTE_MAX) pages++;
  return pages;
});

export const CLASS_PAGES_MAX = Math.max(...CLASS_PAGES);

/** One span of every class. */
export const ALL_CLASSES_BYTES = CLASS_PAGES.reduce((sum, pages) => sum + pages * PAGE_BYTES, 0);

export function classOf(units: number): number {
  if (units <= EXACT_UNITS_MAX) return units;
  const log = 31 - Math.clz32(units - 1);
  const step = ((units - 1) >>> (log - 3)) & 7;
  return EXACT_UNITS_MAX + (log - 6) * 8 + step + 1;
}
