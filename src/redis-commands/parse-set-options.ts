/**
 * The options of SET and GETEX, which share a grammar: which combinations are errors, in which order.
 *
 * Invariant: the result is one reused object; read it before the next command.
 */
import type { Args } from '../resp/args.ts';
import { EX, EXAT, PX, PXAT, type ExpiryUnit } from './parse-expiry.ts';

export interface SetOptions {
  onlyIfMissing: boolean;
  onlyIfThere: boolean;
  get: boolean;
  keepTtl: boolean;
  persist: boolean;
  unit: ExpiryUnit | null;
  /** Index of the argument with the time; 0: none. */
  expiryIndex: number;
}

const OPTIONS: SetOptions = {
  onlyIfMissing: false,
  onlyIfThere: false,
  get: false,
  keepTtl: false,
  persist: false,
  unit: null,
  expiryIndex: 0,
};

/** The options from argument `from` on; null: a syntax error. */
export function parseSetOptions(args: Args, from: number, command: 'set' | 'getex'): SetOptions | null {
  OPTIONS.onlyIfMissing = OPTIONS.onlyIfThere = OPTIONS.get = OPTIONS.keepTtl = OPTIONS.persist = false;
  OPTIONS.unit = null;
  OPTIONS.expiryIndex = 0;
  for (let i = from; i < args.count; i++) {
    if (command === 'set' ? parseSetWord(args, i) : parseGetexWord(args, i)) continue;
    const unit = expiryUnit(args, i);
    if (unit === null || i + 1 === args.count || OPTIONS.keepTtl || OPTIONS.persist) return null;
    if (OPTIONS.unit !== null && OPTIONS.unit !== unit) return null;
    OPTIONS.unit = unit;
    OPTIONS.expiryIndex = ++i;
  }
  return OPTIONS;
}

function parseSetWord(args: Args, index: number): boolean {
  if (args.isWord(index, 'NX') && !OPTIONS.onlyIfThere) OPTIONS.onlyIfMissing = true;
  else if (args.isWord(index, 'XX') && !OPTIONS.onlyIfMissing) OPTIONS.onlyIfThere = true;
  else if (args.isWord(index, 'GET')) OPTIONS.get = true;
  else if (args.isWord(index, 'KEEPTTL') && OPTIONS.unit === null) OPTIONS.keepTtl = true;
  else return false;
  return true;
}

function parseGetexWord(args: Args, index: number): boolean {
  if (!args.isWord(index, 'PERSIST') || OPTIONS.unit !== null) return false;
  OPTIONS.persist = true;
  return true;
}

function expiryUnit(args: Args, index: number): ExpiryUnit | null {
  if (args.isWord(index, 'EX')) return EX;
  if (args.isWord(index, 'PX')) return PX;
  if (args.isWord(index, 'EXAT')) return EXAT;
  return args.isWord(index, 'PXAT') ? PXAT : null;
}
