/** Memory sizes as operators write them: `1073741824`, `100mb`, `10g`, `1GB`. Units are powers of 1024, case does not matter. */
import { CrdbError } from '../errors.ts';

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kb: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
  t: 1024 ** 4,
  tb: 1024 ** 4,
};

/** Bytes. Throws invalid_request naming the flag and the text. */
export function parseSize(flag: string, text: string): number {
  const [, digits, unit] = /^(\d+)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = unit === undefined ? undefined : UNIT_BYTES[unit.toLowerCase()];
  if (digits === undefined || factor === undefined) {
    throw new CrdbError(
      'invalid_request',
      `${flag}: "${text}" is not a size, a whole number of bytes or with a unit is`,
      {
        hint: `${flag} 100mb, or ${flag} 1GB`,
      },
    );
  }
  const bytes = Number(digits) * factor;
  if (!Number.isSafeInteger(bytes)) {
    throw new CrdbError(
      'invalid_request',
      `${flag}: ${text} is too large, at most ${Number.MAX_SAFE_INTEGER} bytes are allowed`,
    );
  }
  return bytes;
}

/** The shortest exact spelling: 1073741824 is `1GB`, 0 is `unlimited` for a limit. */
export function sizeText(bytes: number): string {
  if (bytes === 0) return 'unlimited';
  for (const unit of ['tb', 'gb', 'mb', 'kb']) {
    const factor = UNIT_BYTES[unit]!;
    if (bytes % factor === 0) return `${bytes / factor}${unit.toUpperCase()}`;
  }
  return `${bytes}`;
}
