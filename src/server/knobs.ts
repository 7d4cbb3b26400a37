/**
 * Kinds of settings, and what values they take: checked as Redis checks them, with its words, so that a tool which asks whether a setting took gets
 * the answer it knows. Which settings there are is in redis-settings.ts.
 */

/** The value as it is kept; `error`: why not, as Redis says it. */
export type Checked = { readonly value: string } | { readonly error: string };

export interface Knob {
  readonly preset: string;
  readonly check: (value: string, current: string) => Checked;
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
  if (!isInteger(value)) return { error: "argument couldn't be parsed into an integer" };
  return checkBounds(BigInt(value), min, max);
};

/** As Redis reads integers: no sign but '-', no leading zero, 64 bits. */
function isInteger(value: string): boolean {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(value)) return false;
  return BigInt(value) <= LONG_MAX && BigInt(value) >= -LONG_MAX - 1n;
}

function checkBounds(value: bigint, min: bigint, max: bigint): Checked {
  if (value < min || value > max) return { error: `argument must be between ${min} and ${max} inclusive` };
  return { value: String(value) };
}

/** Nothing at all is 0, as on Redis. null: no amount of memory. */
function parseBytes(value: string): bigint | null {
  const [, digits, unit] = /^(\d{0,19})([a-z]*)$/i.exec(value) ?? [];
  const factor = unit === undefined ? undefined : UNITS[unit.toLowerCase()];
  return digits === undefined || factor === undefined ? null : BigInt(digits) * factor;
}

function checkBytes(value: string, min: bigint, max: bigint): Checked {
  const bytes = parseBytes(value);
  return bytes === null ? { error: 'argument must be a memory value' } : checkBounds(bytes, min, max);
}

const PERCENT_TOO_LARGE = 'percentage argument must be less or equal to 100';

function checkBytesOrPercent(value: string): Checked {
  const [, percent] = /^(\d{1,9})%$/.exec(value) ?? [];
  if (percent !== undefined) {
    return Number(percent) <= 100 ? { value } : { error: PERCENT_TOO_LARGE };
  }
  const bytes = parseBytes(value);
  if (bytes === null) return { error: 'argument must be a memory or percent value' };
  // Redis takes what its 64 bits make negative for a percentage.
  return bytes > LONG_MAX ? { error: PERCENT_TOO_LARGE } : { value: String(bytes) };
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

function checkWord(value: string, words: readonly string[]): Checked {
  const word = words.find((each) => each === value.toLowerCase());
  return word === undefined ? { error: oneOf(words) } : { value: word };
}

/** What to do on a signal: several words at once, shown in the order of the list. */
function checkShutdownWays(value: string, words: readonly string[]): Checked {
  const wanted = value.toLowerCase().split(' ');
  if (!wanted.every((word) => words.includes(word))) return { error: oneOf(words) };
  if (wanted.includes('save') && wanted.includes('nosave')) {
    return { error: "shutdown options SAVE and NOSAVE can't be used simultaneously" };
  }
  const named = words.filter((word) => wanted.includes(word) && word !== words[0]);
  return { value: named.length === 0 ? words[0]! : named.join(' ') };
}

const oneOf = (words: readonly string[]): string => `argument(s) must be one of the following: ${words.join(', ')}`;

const BACKLOG_BYTES_MIN = 16 * 1024;

/** A smaller one is taken for the smallest. */
function checkBacklog(value: string): Checked {
  const checked = checkBytes(value, 1n, LONG_MAX);
  if ('error' in checked) return checked;
  return { value: Number(checked.value) < BACKLOG_BYTES_MIN ? String(BACKLOG_BYTES_MIN) : checked.value };
}

const CLIENT_CLASSES = ['normal', 'slave', 'pubsub'];

/** The classes that are named change, the others stay. */
function checkOutputLimits(value: string, current: string): Checked {
  const words = value.split(' ').filter((word) => word !== '');
  if (words.length % 4 !== 0) {
    return { error: 'Wrong number of arguments in buffer limit configuration.' };
  }
  const shown = current.split(' ');
  for (let i = 0; i < words.length; i += 4) {
    const name = words[i]!.toLowerCase();
    const place = CLIENT_CLASSES.indexOf(name === 'replica' ? 'slave' : name);
    if (place < 0) return { error: 'Invalid client class specified in buffer limit configuration.' };
    const [hard, soft] = [parseBytes(words[i + 1]!), parseBytes(words[i + 2]!)];
    const seconds = words[i + 3]!;
    if (hard === null || soft === null || !/^\d{1,18}$/.test(seconds)) {
      return { error: 'Error in hard, soft or soft_seconds setting in buffer limit configuration.' };
    }
    shown.splice(4 * place + 1, 3, String(hard), String(soft), String(BigInt(seconds)));
  }
  return { value: shown.join(' ') };
}

const OOM_ADJUSTMENT_MAX = 2000n;

function checkOomAdjustments(value: string): Checked {
  const words = value.split(' ').filter((word) => word !== '');
  if (words.length !== 3) return { error: 'wrong number of arguments' };
  const isWithin = (word: string): boolean => 'value' in checkInteger(word, -OOM_ADJUSTMENT_MAX, OOM_ADJUSTMENT_MAX);
  if (words.every(isWithin)) return { value: words.join(' ') };
  return { error: 'Invalid oom-score-adj-values, elements must be between -2000 and 2000.' };
}

function checkPercentiles(value: string): Checked {
  const words = value.split(' ').filter((word) => word !== '');
  if (!words.every((word) => /^-?\d+(\.\d+)?$/.test(word))) {
    return { error: 'Invalid latency-tracking-info-percentiles parameters' };
  }
  if (words.some((word) => Number(word) < 0 || Number(word) > 100)) {
    return { error: 'latency-tracking-info-percentiles parameters should sit between [0.0,100.0]' };
  }
  return { value: words.map(Number).join(' ') };
}

function checkHostname(value: string): Checked {
  if (value.length >= 256) return { error: 'Hostnames must be less than 256 characters' };
  if (/^[\da-z.-]*$/i.test(value)) return { value };
  return { error: 'Hostnames may only contain alphanumeric characters, hyphens or dots' };
}

const TITLE_VARIABLES = new Set('title listen-addr server-mode port tls-port unixsocket config-file'.split(' '));

function checkTitle(value: string): Checked {
  const rest = value.replace(/\{([^{}]*)\}/g, (all, name: string) => (TITLE_VARIABLES.has(name) ? '' : all));
  return value === '' || /[{}]/.test(rest)
    ? { error: 'template format is invalid or contains unknown variables' }
    : { value };
}

export const integer = (preset: string, min: bigint, max: bigint): Knob => ({
  preset,
  check: (value) => checkInteger(value, min, max),
});
export const natural = (preset: string): Knob => integer(preset, 0n, INT_MAX);
export const count = (preset: string): Knob => integer(preset, 0n, LONG_MAX);
export const anyInteger = (preset: string): Knob => integer(preset, -INT_MAX - 1n, INT_MAX);
export const port = (preset: string): Knob => integer(preset, 0n, 65_535n);
export const bytes = (preset: string, min = 0n, max = LONG_MAX): Knob => ({
  preset,
  check: (value) => checkBytes(value, min, max),
});
export const bytesOrPercent = (preset: string): Knob => ({ preset, check: checkBytesOrPercent });
export const yesNo = (preset: string): Knob => ({ preset, check: checkYesNo });
export const text = (preset: string): Knob => ({ preset, check: (value) => ({ value }) });
export const word = (preset: string, words: string): Knob => ({
  preset,
  check: (value) => checkWord(value, words.split(' ')),
});
export const shutdownWays = (preset: string, all: string): Knob => ({
  preset,
  check: (value) => checkShutdownWays(value, all.split(' ')),
});
/** What Redis takes from its file only. */
export const immutable = (preset: string): Knob => ({
  preset,
  check: () => ({ error: "can't set immutable config" }),
});
export const protectedText = (preset: string): Knob => ({
  preset,
  check: () => ({ error: "can't set protected config" }),
});
export const special = {
  eventClasses: { preset: '', check: checkEventClasses },
  outputLimits: {
    preset: 'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
    check: checkOutputLimits,
  },
  backlog: { preset: '1048576', check: checkBacklog },
  oomAdjustments: { preset: '0 200 800', check: checkOomAdjustments },
  percentiles: { preset: '50 99 99.9', check: checkPercentiles },
  hostname: { preset: '', check: checkHostname },
  title: { preset: '{title} {listen-addr} {server-mode}', check: checkTitle },
} as const satisfies Readonly<Record<string, Knob>>;
