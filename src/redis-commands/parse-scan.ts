/** What SCAN, HSCAN and SSCAN take: a cursor, then MATCH, COUNT and, for keys, TYPE. */
import { parseInteger } from './parse-number.ts';
import type { Call } from './spec.ts';
import { NOT_AN_INTEGER, SYNTAX_ERROR } from './texts.ts';

export interface ScanOptions {
  /** How many entries to look at, at least 1. */
  count: number;
  /** A view of the argument; null: all match. */
  pattern: Uint8Array | null;
  /** Lower case; null: all. */
  type: string | null;
  /** HSCAN: names of fields only. */
  noValues: boolean;
}

const COUNT_DEFAULT = 10;
/** What strtoul takes, which Redis reads cursors with: a sign, too, and nothing at all for 0. */
/** What a cursor may take: an integer that a double holds. */
const CURSOR_BITS = 52;
const CURSOR = /^$|^[+-]?[0-9]{1,20}$/;

/** The cursor as the byte map takes it (32 bits); null: an error was replied. */
export function readCursorOrReply({ args, reply }: Call, index: number): number | null {
  const text = args.latin1(index);
  const cursor = CURSOR.test(text) ? BigInt(text) : 2n ** 64n;
  if (cursor > -(2n ** 64n) && cursor < 2n ** 64n) return Number(BigInt.asUintN(CURSOR_BITS, cursor));
  reply.error('ERR invalid cursor');
  return null;
}

/** The options from argument `from` on; null: an error was replied. TYPE is SCAN's own, NOVALUES HSCAN's. */
export function parseScanOptionsOrReply(
  call: Call,
  from: number,
  takesType: boolean,
  takesNoValues = false,
): ScanOptions | null {
  const { args, reply } = call;
  const options: ScanOptions = { count: COUNT_DEFAULT, pattern: null, type: null, noValues: false };
  for (let i = from; i < args.count; i += 2) {
    const hasValue = i + 1 < args.count;
    if (hasValue && args.isWord(i, 'COUNT')) {
      options.count = parseInteger(args, i + 1);
      if (!(options.count >= 1)) {
        reply.error(Number.isNaN(options.count) ? NOT_AN_INTEGER : SYNTAX_ERROR);
        return null;
      }
    } else if (hasValue && args.isWord(i, 'MATCH')) {
      options.pattern = args.view(i + 1);
    } else if (hasValue && takesType && args.isWord(i, 'TYPE')) {
      options.type = args.latin1(i + 1).toLowerCase();
    } else if (takesNoValues && args.isWord(i, 'NOVALUES')) {
      options.noValues = true;
      i--;
    } else {
      reply.error(SYNTAX_ERROR);
      return null;
    }
  }
  return options;
}
