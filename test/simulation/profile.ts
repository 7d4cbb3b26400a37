/** What kind of run a seed is: how durable, how busy, how large the backlog, how wrong the clocks. */
import type { Persistence } from '../../src/instance/config.ts';
import type { Pace } from './world/clock.ts';
import type { SeededRandom } from './world/random.ts';

export interface InstanceProfile {
  readonly id: number;
  readonly persistence: Persistence;
  readonly offsetMs: number;
  readonly drift: number;
}

export interface Profile {
  readonly name: string;
  readonly instances: readonly InstanceProfile[];
  readonly backlogBytesMax: number;
  readonly logSegmentBytes: number;
  /** Mean distance of one client's writes. */
  readonly writeEveryMs: number;
  readonly faultEveryMs: number;
  /** Keys per type. */
  readonly keys: number;
  /** FLUSHALL happens; then there are no books of the clients. */
  readonly flushes: boolean;
  readonly troubles: ReadonlySet<Trouble>;
  /** Commands may be refused for want of room. */
  readonly refuses: boolean;
  readonly arenaSegmentBytes: number;
  readonly arenaBytesMax: number;
  readonly windowBytes: number;
  readonly pace: Pace;
}

/**
 * What a run has besides the ordinary faults. Each seed draws a few: a run that has everything shows little but what fails first.
 *
 *   large-values      at, below and above every limit of a size
 *   large-containers  hashes and sets that are large against every slice
 *   storms            much expires at once, keys and fields
 *   full-memory       an arena that the workload fills
 *   slow-disks        throughput of an old disk, an fsync of seconds
 *   slow-lines        links with little bandwidth
 *   late-tails        an instance loses its last writes, and a peer that is cut off has them and brings them back late
 *   wild-clocks       one instance's clock is hours or years ahead for a while
 *   old-copies        data folders are put back to any earlier state
 *   worst-moments     what stops, crashes and cuts does so while a snapshot or full sync runs
 */
export const TROUBLES = [
  'large-values',
  'large-containers',
  'storms',
  'full-memory',
  'slow-disks',
  'slow-lines',
  'late-tails',
  'wild-clocks',
  'old-copies',
  'worst-moments',
] as const;
export type Trouble = (typeof TROUBLES)[number];

/** Names separated by commas; `none`; undefined: what the seed draws. Throws at a name that is none. */
export function readTroubles(text: string | undefined): { readonly troubles?: readonly Trouble[] } {
  if (text === undefined) return {};
  const words = text === 'none' || text === '' ? [] : text.split(',');
  const unknown = words.find((word) => !TROUBLES.includes(word as Trouble));
  if (unknown !== undefined) throw new Error(`${unknown} is no trouble; there are: none, ${TROUBLES.join(', ')}`);
  return { troubles: words as Trouble[] };
}

export interface ProfileOptions {
  readonly seed: number;
  readonly instances: number;
  readonly minutes: number;
  /** Instead of what the seed draws. */
  readonly troubles?: readonly Trouble[];
}

const ALWAYS: Persistence = { kind: 'aof', fsync: 'always' };
const EVERY_SEC: Persistence = { kind: 'aof', fsync: 'every-sec' };
const SNAPSHOT: Persistence = { kind: 'snapshot', afterSeconds: 5, afterWrites: 10 };
const DISABLED: Persistence = { kind: 'disabled' };

const nameOf = (persistence: Persistence): string =>
  persistence.kind === 'aof' ? persistence.fsync : persistence.kind;

/** A run of so many simulated minutes is as busy as a run can be; longer ones spread as many events over their time. */
const BUSY_MINUTES_MAX = 5;

/** Few keys make conflicts; every so many seeds there are many, so that tables grow and shrink under scans, snapshots and merges. */
const MANY_KEYS_EVERY = 8;
const MANY_KEYS = 300;

const TROUBLE_CHANCE = 0.25;
const MIB = 1024 * 1024;
/** Of an arena, the last segments stay free for what peers send: the small one takes three MiB. */
const ARENA = { arenaSegmentBytes: MIB, arenaBytesMax: 64 * MIB };
const SMALL_ARENA = { arenaSegmentBytes: MIB / 4, arenaBytesMax: 8 * MIB };
const WINDOWS_BYTES = [16 * 1024, 64 * 1024, 256 * 1024];
/** Scheduler pauses: rarely within a turn, or so often that every loop meets one. */
const PACES: readonly Pace[] = [
  { readingMs: 0.001, pauseChance: 0.0005, pauseMsMean: 3 },
  { readingMs: 0.002, pauseChance: 0.01, pauseMsMean: 2 },
  { readingMs: 0.005, pauseChance: 0.1, pauseMsMean: 1 },
];

export function chooseProfile(random: SeededRandom, options: ProfileOptions): Profile {
  const { seed, instances, minutes } = options;
  const stretch = Math.max(1, minutes / BUSY_MINUTES_MAX);
  const all = [ALWAYS, EVERY_SEC, SNAPSHOT, DISABLED];
  const common = random.weighted<Persistence | null>([
    [3, ALWAYS],
    [4, EVERY_SEC],
    [1, SNAPSHOT],
    [1, DISABLED],
    [2, null],
  ]);
  const chosen = Array.from({ length: instances }, (_, i) => ({
    id: i + 1,
    persistence: common ?? random.pick(all),
    offsetMs: random.chance(0.5) ? random.between(-3000, 3000) : 0,
    drift: random.real(-0.0002, 0.0002),
  }));
  const backlogBytesMax = random.pick([2_000, 20_000, 1_000_000]);
  const fewKeys = random.pick([1, 3, 8]);
  const hasMany = seed % MANY_KEYS_EVERY === 0;
  const keys = hasMany ? MANY_KEYS : fewKeys;
  const flushes = random.chance(0.25) || hasMany;
  const kinds = common === null ? chosen.map(({ persistence }) => nameOf(persistence)).join('+') : nameOf(common);
  const drawn = TROUBLES.filter(() => random.chance(TROUBLE_CHANCE));
  const troubles = new Set(options.troubles ?? drawn);
  const name = [
    kinds,
    `backlog ${backlogBytesMax}`,
    `${keys} keys per type`,
    ...(flushes ? ['flushes'] : []),
    ...troubles,
  ];
  return {
    name: name.join(', '),
    instances: chosen,
    backlogBytesMax,
    logSegmentBytes: random.pick([4_000, 40_000, 1_000_000]),
    writeEveryMs: random.pick([30, 100, 300]) * stretch,
    faultEveryMs: random.pick([1500, 4000, 12_000]) * stretch,
    keys,
    flushes,
    troubles,
    refuses: troubles.has('large-values') || troubles.has('full-memory'),
    ...(troubles.has('full-memory') ? SMALL_ARENA : ARENA),
    windowBytes: random.pick(WINDOWS_BYTES),
    pace: random.pick(PACES),
  };
}
