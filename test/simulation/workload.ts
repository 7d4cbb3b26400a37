/**
 * Random commands over few keys, so that conflicts are the rule: every write command of the types that exist, with arguments that make
 * sense often and fail sometimes, different types under one name included.
 *
 * Beside them what a profile's troubles ask for: values next to a limit, containers that grow large and go at once, much that expires together.
 *
 * Invariant: the commands are a function of the random stream alone, never of replies, so that a changed engine meets the same workload.
 */
import { isKnownCommand } from './instance/command-runner.ts';
import { EDGES } from './limits.ts';
import type { Trouble } from './profile.ts';
import type { SeededRandom } from './world/random.ts';

type Make = (workload: Workload) => readonly string[];

const FIELDS = ['f1', 'f2', 'f3', 'f4'];
const MEMBERS = ['m1', 'm2', 'm3', 'm4', 'm5'];
const OFTEN = 10;
const SOMETIMES = 3;
const RARELY = 0.05;
/** Of the commands of a run that has troubles. */
const TROUBLE_SHARE = 0.3;

const COMMANDS: readonly (readonly [weight: number, name: string, make: Make])[] = [
  [OFTEN, 'SET', (w) => ['SET', w.key('s'), w.value(), ...w.setOptions()]],
  [SOMETIMES, 'GETSET', (w) => ['GETSET', w.key('s'), w.value()]],
  [SOMETIMES, 'SETNX', (w) => ['SETNX', w.key('s'), w.value()]],
  [SOMETIMES, 'APPEND', (w) => ['APPEND', w.key('s'), w.value()]],
  [SOMETIMES, 'SETRANGE', (w) => ['SETRANGE', w.key('s'), w.integer(0, 30), w.value()]],
  [SOMETIMES, 'SETBIT', (w) => ['SETBIT', w.key('s'), w.integer(0, 100), w.integer(0, 1)]],
  [OFTEN, 'INCR', (w) => ['INCR', w.key('s')]],
  [OFTEN, 'INCRBY', (w) => ['INCRBY', w.key('s'), w.amount()]],
  [SOMETIMES, 'DECR', (w) => ['DECR', w.key('s')]],
  [SOMETIMES, 'DECRBY', (w) => ['DECRBY', w.key('s'), w.amount()]],
  [SOMETIMES, 'INCRBYFLOAT', (w) => ['INCRBYFLOAT', w.key('s'), w.decimal()]],
  [SOMETIMES, 'MSET', (w) => ['MSET', w.key('s'), w.value(), w.key('s'), w.value()]],
  [SOMETIMES, 'GETDEL', (w) => ['GETDEL', w.key('s')]],
  [SOMETIMES, 'GETEX', (w) => ['GETEX', w.key('s'), ...w.pick([['PERSIST'], ['PX', w.ttlMs()]])]],
  [OFTEN, 'DEL', (w) => ['DEL', w.key()]],
  [SOMETIMES, 'UNLINK', (w) => ['UNLINK', w.key(), w.key()]],
  [SOMETIMES, 'PEXPIRE', (w) => ['PEXPIRE', w.key(), w.ttlMs()]],
  [
    SOMETIMES,
    'EXPIRE',
    (w) => ['EXPIRE', w.key(), w.integer(1, 5000), ...w.pick([[], [], ['NX'], ['XX'], ['GT'], ['LT']])],
  ],
  [SOMETIMES, 'PERSIST', (w) => ['PERSIST', w.key()]],
  [OFTEN, 'HSET', (w) => ['HSET', w.key('h'), w.pick(FIELDS), w.value(), w.pick(FIELDS), w.value()]],
  [SOMETIMES, 'HSETNX', (w) => ['HSETNX', w.key('h'), w.pick(FIELDS), w.value()]],
  [OFTEN, 'HDEL', (w) => ['HDEL', w.key('h'), w.pick(FIELDS)]],
  [OFTEN, 'HINCRBY', (w) => ['HINCRBY', w.key('h'), w.pick(FIELDS), w.amount()]],
  [SOMETIMES, 'HINCRBYFLOAT', (w) => ['HINCRBYFLOAT', w.key('h'), w.pick(FIELDS), w.decimal()]],
  [OFTEN, 'SADD', (w) => ['SADD', w.key('g'), w.pick(MEMBERS), w.pick(MEMBERS)]],
  [OFTEN, 'SREM', (w) => ['SREM', w.key('g'), w.pick(MEMBERS)]],
  [SOMETIMES, 'SPOP', (w) => ['SPOP', w.key('g'), ...w.pick([[], ['2']])]],
  [SOMETIMES, 'SMOVE', (w) => ['SMOVE', w.key('g'), w.key('g'), w.pick(MEMBERS)]],
  [SOMETIMES, 'SUNIONSTORE', (w) => ['SUNIONSTORE', w.key('g'), w.key('g'), w.key('g')]],
  [SOMETIMES, 'SINTERSTORE', (w) => ['SINTERSTORE', w.key('g'), w.key('g'), w.key('g')]],
  [SOMETIMES, 'SDIFFSTORE', (w) => ['SDIFFSTORE', w.key('g'), w.key('g'), w.key('g')]],
  [SOMETIMES, 'HPEXPIRE', (w) => ['HPEXPIRE', w.key('h'), w.ttlMs(), 'FIELDS', '2', w.pick(FIELDS), w.pick(FIELDS)]],
  [SOMETIMES, 'HPERSIST', (w) => ['HPERSIST', w.key('h'), 'FIELDS', '1', w.pick(FIELDS)]],
  [SOMETIMES, 'RENAME', (w) => ['RENAME', w.key(), w.key()]],
  [SOMETIMES, 'RENAMENX', (w) => ['RENAMENX', w.key(), w.key()]],
  [SOMETIMES, 'COPY', (w) => ['COPY', w.key(), w.key(), ...w.pick([[], ['REPLACE']])]],
  [RARELY, 'FLUSHALL', () => ['FLUSHALL']],
];

const LARGE_HASHES = ['bh0', 'bh1'];
const LARGE_SETS = ['bg0', 'bg1'];
const LARGE = [...LARGE_HASHES, ...LARGE_SETS];
/** Names of what a large container may hold. */
const LARGE_ELEMENTS = 5000;
/** How many a command adds. */
const RUN = 250;
const STORM = 40;
const BULKY_KEYS = 300;
/** Of a batch or record: what lies around a value. */
const SURROUNDINGS_BYTES = 80;

/** What troubles add to the commands: several commands are one transaction. */
const OF_TROUBLE: Partial<Record<Trouble, readonly (readonly [weight: number, make: (w: Workload) => Commands])[]>> = {
  'large-values': [
    [3, (w) => [['SET', w.key('s'), w.largeValue()]]],
    [1, (w) => [['HSET', w.key('h'), w.pick(FIELDS), w.largeValue()]]],
    [1, (w) => [['SADD', w.key('g'), w.largeValue()]]],
    [1, (w) => [['APPEND', w.key('s'), w.largeValue()]]],
    [0.5, (w) => [['SET', w.largeValue(), w.value()]]],
    [0.5, (w) => Array.from({ length: 4 }, () => ['SET', w.key('s'), w.largeValue()])],
  ],
  'large-containers': [
    [6, (w) => [['HSET', w.pick(LARGE_HASHES), ...w.run((name) => [name, 'v'])]]],
    [2, (w) => w.run((name) => [name]).map((name) => ['HINCRBY', 'bh0', name, '1'])],
    [6, (w) => [['SADD', w.pick(LARGE_SETS), ...w.run((name) => [name])]]],
    [0.5, (w) => [['SREM', w.pick(LARGE_SETS), ...w.run((name) => [name])]]],
    [0.5, (w) => [['DEL', w.pick(LARGE)]]],
    [0.2, (w) => [['SET', w.pick(LARGE), w.value()]]],
    [0.3, (w) => [['PEXPIRE', w.pick(LARGE), w.ttlMs()]]],
    [0.5, (w) => [['PERSIST', w.pick(LARGE)]]],
    [1, (w) => [['HPEXPIRE', w.pick(LARGE_HASHES), w.ttlMs(), 'FIELDS', String(RUN), ...w.run((name) => [name])]]],
  ],
  storms: [
    [2, (w) => Array.from({ length: STORM }, (_, i) => ['SET', `t${i}`, w.value(), 'PX', '1500'])],
    [1, (w) => [['HSET', w.key('h'), ...FIELDS.flatMap((field) => [field, 'v'])], expireAll(w.key('h'))]],
    [1, (w) => Array.from({ length: STORM }, (_, i) => ['PEXPIRE', `t${i}`, w.ttlMs()])],
  ],
  'full-memory': [
    [8, (w) => [['SET', `x${w.pick(BULKY)}`, 'x'.repeat(Number(w.integer(4_000, 40_000)))]]],
    [1, (w) => [['DEL', `x${w.pick(BULKY)}`]]],
  ],
};

const BULKY = Array.from({ length: BULKY_KEYS }, (_, i) => i);
const expireAll = (key: string): readonly string[] => ['HPEXPIRE', key, '700', 'FIELDS', '4', ...FIELDS];

/** Commands whose work grows with what they read or copy; all others take as long whatever is there. */
const LINEAR = new Set(['SUNIONSTORE', 'SINTERSTORE', 'SDIFFSTORE', 'RENAME', 'RENAMENX', 'COPY']);
export const isLinear = (commands: Commands): boolean => commands.some(([name]) => LINEAR.has(name!));

/** Removes what fills the memory. */
export const makeRoom = (random: SeededRandom): Commands => [['DEL', `x${random.pick(BULKY)}`, random.pick(LARGE)]];

export type Commands = readonly (readonly string[])[];

export interface WorkloadOptions {
  readonly random: SeededRandom;
  readonly troubles: ReadonlySet<Trouble>;
  /** Keys per type. */
  readonly keys: number;
  readonly flushes: boolean;
}

export class Workload {
  readonly #random: SeededRandom;
  readonly #keys: number;
  readonly #choices: readonly (readonly [weight: number, make: Make])[];
  readonly #ofTrouble: readonly (readonly [weight: number, make: (w: Workload) => Commands])[];

  constructor(options: WorkloadOptions) {
    this.#random = options.random;
    this.#keys = options.keys;
    this.#ofTrouble = [...options.troubles].flatMap((trouble) => OF_TROUBLE[trouble] ?? []);
    // A flush that finds little is no test: where there are many keys they come ten times as often.
    const flushWeight = !options.flushes ? 0 : options.keys > 100 ? 10 * RARELY : RARELY;
    this.#choices = COMMANDS.filter(([, name]) => isKnownCommand(name)).map(
      ([weight, name, make]) => [name === 'FLUSHALL' ? flushWeight : weight, make] as const,
    );
  }

  /** Commands that this workload would use and nobody has written yet. */
  static get missing(): readonly string[] {
    return COMMANDS.map(([, name]) => name).filter((name) => !isKnownCommand(name));
  }

  /** What one client sends: a command, or now and then several as a transaction. */
  next(): Commands {
    if (this.#ofTrouble.length > 0 && this.#random.chance(TROUBLE_SHARE)) {
      return this.#random.weighted(this.#ofTrouble)(this);
    }
    const count = this.#random.chance(0.05) ? this.#random.between(2, 6) : 1;
    return Array.from({ length: count }, () => this.#random.weighted(this.#choices)(this));
  }

  /** A key of that type's range; without a type of any, and sometimes of another all the same. */
  key(type?: 's' | 'h' | 'g'): string {
    const range = type !== undefined && this.#random.chance(0.92) ? type : this.#random.pick(['s', 'h', 'g'] as const);
    return `${range}${this.#random.below(this.#keys)}`;
  }

  pick<T>(values: readonly T[]): T {
    return this.#random.pick(values);
  }

  integer(low: number, high: number): string {
    return String(this.#random.between(low, high));
  }

  amount(): string {
    if (this.#random.chance(0.02)) return this.#random.pick(['9223372036854775000', '-9223372036854775000']);
    return this.integer(-5, 20);
  }

  decimal(): string {
    return this.#random.pick(['0.1', '-0.25', '1.5', '3', '0.0000001', '1e3']);
  }

  value(): string {
    const random = this.#random;
    return random.weighted<() => string>([
      [5, () => this.integer(-50, 1000)],
      [1, () => this.decimal()],
      [0.2, () => random.pick(['9223372036854775807', '-9223372036854775808', ''])],
      [4, () => `v${random.uint32().toString(36)}`],
      [1, () => Buffer.from(random.bytes(random.below(40))).toString('latin1')],
      [0.3, () => 'x'.repeat(random.between(100, 3000))],
    ])();
  }

  /** A value that is about as long as a limit. */
  largeValue(): string {
    const edge = this.#random.pick(EDGES);
    return String.fromCharCode(this.#random.between(97, 122)).repeat(
      edge + this.#random.between(-SURROUNDINGS_BYTES, 2),
    );
  }

  /** Something for each of a run of names. */
  run(make: (name: string) => readonly string[]): readonly string[] {
    const first = this.#random.below(LARGE_ELEMENTS);
    return Array.from({ length: RUN }, (_, i) => make(`e${(first + i) % LARGE_ELEMENTS}`)).flat();
  }

  /** Short ones expire within a run, long ones are compared at its end. */
  ttlMs(): string {
    return this.#random.chance(0.4) ? this.integer(50, 4000) : this.integer(3_600_000, 36_000_000);
  }

  setOptions(): readonly string[] {
    return this.#random.weighted<readonly string[]>([
      [8, []],
      [2, ['PX', this.ttlMs()]],
      [1, ['KEEPTTL']],
      [1, ['NX']],
      [1, ['XX']],
      [1, ['GET']],
    ]);
  }
}
