/**
 * Settings that are accepted, kept and shown, and tune what this engine does not have: Redis's encodings, mostly. Values are checked as Redis checks
 * them, so that a tool which asks whether a setting took gets the answer it knows.
 */

/** The value as it is kept; `error`: why not, as Redis says it. */
export type Checked = { readonly value: string } | { readonly error: string };

export interface Knob {
  readonly preset: string;
  readonly check: (value: string) => Checked;
}

const INT_MAX = 2n ** 31n - 1n;
const LONG_MAX = 2n ** 63n - 1n;
const UNITS: Readonly<Record<string, bigint>> = {
  '': 1n,
  b: 1n,
  k: 1000n,
  kb: 1024n,
  m: 1_000_000n,
  mb: 1024n ** 2n,
  g: 1_000_000_000n,
  gb: 1024n ** 3n,
};
/** Classes of events in the order in which Redis shows them, and those that A stands for. */
const EVENT_CLASSES = 'A g $ l s h z x e t d K E m n'.split(' ');
const ALL_CLASSES = 'g$lshzxetd';

export const checkInteger = (value: string, min: bigint, max: bigint): Checked => {
  if (!/^-?\d{1,19}$/.test(value)) return { error: "argument couldn't be parsed into an integer" };
  return checkBounds(BigInt(value), min, max, 'argument');
};

function checkBounds(value: bigint, min: bigint, max: bigint, what: string): Checked {
  if (value < min || value > max) return { error: `${what} must be between ${min} and ${max} inclusive` };
  return { value: String(value) };
}

function checkBytes(value: string): Checked {
  const [, digits, unit] = /^(\d{1,18})([a-z]*)$/i.exec(value) ?? [];
  const factor = unit === undefined ? undefined : UNITS[unit.toLowerCase()];
  if (digits === undefined || factor === undefined) return { error: 'argument must be a memory value' };
  return checkBounds(BigInt(digits) * factor, 0n, LONG_MAX, 'argument');
}

function checkYesNo(value: string): Checked {
  const word = value.toLowerCase();
  return word === 'yes' || word === 'no' ? { value: word } : { error: "argument must be 'yes' or 'no'" };
}

function checkEventClasses(value: string): Checked {
  const wanted = new Set(value.replaceAll('A', ALL_CLASSES));
  if ([...wanted].some((char) => !EVENT_CLASSES.includes(char))) {
    return { error: "Invalid event class character. Use 'Ag$lshzxeKEtmdn'." };
  }
  const isAll = [...ALL_CLASSES].every((char) => wanted.has(char));
  const shown = EVENT_CLASSES.filter((char) =>
    char === 'A' ? isAll : wanted.has(char) && !(isAll && ALL_CLASSES.includes(char)),
  );
  return { value: shown.join('') };
}

const integer = (preset: string, min: bigint, max: bigint): Knob => ({
  preset,
  check: (value) => checkInteger(value, min, max),
});
const count = (preset: string): Knob => integer(preset, 0n, LONG_MAX);
const bytes = (preset: string): Knob => ({ preset, check: checkBytes });
const yesNo = (preset: string): Knob => ({ preset, check: checkYesNo });

export const KNOBS: Readonly<Record<string, Knob>> = {
  activerehashing: yesNo('yes'),
  'hash-max-listpack-entries': count('512'),
  'hash-max-listpack-value': bytes('64'),
  'set-max-intset-entries': count('512'),
  'list-max-listpack-size': integer('-2', -INT_MAX - 1n, INT_MAX),
  'list-compress-depth': integer('0', 0n, INT_MAX),
  'zset-max-listpack-entries': count('128'),
  'zset-max-listpack-value': bytes('64'),
  'stream-node-max-bytes': bytes('4096'),
  'stream-node-max-entries': integer('100', 0n, LONG_MAX),
  'hll-sparse-max-bytes': bytes('3000'),
  'busy-reply-threshold': integer('5000', 0n, LONG_MAX),
  'notify-keyspace-events': { preset: '', check: checkEventClasses },
  timeout: integer('0', 0n, INT_MAX),
  'tcp-keepalive': integer('300', 0n, INT_MAX),
  'latency-tracking': yesNo('no'),
  'latency-monitor-threshold': integer('0', 0n, LONG_MAX),
};

/** Old names that Redis still takes. */
export const KNOB_ALIASES: Readonly<Record<string, string>> = {
  'hash-max-ziplist-entries': 'hash-max-listpack-entries',
  'hash-max-ziplist-value': 'hash-max-listpack-value',
  'list-max-ziplist-size': 'list-max-listpack-size',
  'zset-max-ziplist-entries': 'zset-max-listpack-entries',
  'zset-max-ziplist-value': 'zset-max-listpack-value',
  'lua-time-limit': 'busy-reply-threshold',
};
