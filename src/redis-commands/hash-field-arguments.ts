/**
 * The arguments that commands on volatile fields share: `FIELDS numfields field ...`, and times to live with their own bounds.
 *
 * Redis words the same mistake differently from command to command; clients may match on any of it, so the texts are arguments.
 */
import { parseInteger } from './parse-number.ts';
import type { Call } from './spec.ts';
import { invalidExpireTime, NOT_AN_INTEGER } from './texts.ts';

/** Latest time that a field may expire at, ms since 1970: Redis keeps the bits above for itself. */
const FIELD_EXPIRY_MAX = 2 ** 46 - 1;
const FIELDS_MAX = 2 ** 31 - 1;

export interface FieldExpiryUnit {
  /** Milliseconds per unit. */
  readonly scale: 1 | 1000;
  /** Counted from now, or from 1970. */
  readonly isRelative: boolean;
}

export const POSITIVE_FIELD_COUNT = 'ERR Number of fields must be a positive integer';

/**
 * Checks `FIELDS numfields field ...` from argument `index` to the end. Returns the index of the first field; 0: an error was replied, for a
 * number that is none or not positive the one given.
 */
export function findFieldsOrReply({ args, reply }: Call, index: number, countError: string): number {
  if (index + 1 >= args.count || !args.isWord(index, 'FIELDS')) {
    reply.error('ERR Mandatory argument FIELDS is missing or not at the right position');
    return 0;
  }
  const count = parseInteger(args, index + 1);
  if (!(count >= 1)) {
    reply.error(countError);
    return 0;
  }
  if (count !== args.count - index - 2) {
    reply.error('ERR The `numfields` parameter must match the number of arguments');
    return 0;
  }
  return index + 2;
}

/** Whether `numfields` at that argument fits what follows it: so many pairs of field and value. -1: it is no number in range. */
export function countPairs({ args }: Call, index: number): number {
  const count = parseInteger(args, index);
  if (!(count >= 1 && count <= FIELDS_MAX)) return -1;
  return 2 * count === args.count - index - 1 ? count : 0;
}

/** The time that the argument names, ms since 1970; NaN: an error was replied. `command`: lower case, for its text. */
export function readFieldExpiryOrReply(call: Call, index: number, unit: FieldExpiryUnit, command: string): number {
  const value = parseInteger(call.args, index);
  const atMs = value * unit.scale + (unit.isRelative ? call.database.nowMs : 0);
  if (Number.isNaN(value)) call.reply.error(NOT_AN_INTEGER);
  else if (value < 0) call.reply.error('ERR invalid expire time, must be >= 0');
  else if (atMs > FIELD_EXPIRY_MAX) call.reply.error(invalidExpireTime(command));
  else return Math.trunc(atMs);
  return NaN;
}
