/**
 * Random commands over few keys, so that conflicts are the rule: every write command of the types that exist, with arguments that make
 * sense often and fail sometimes, different types under one name included.
 *
 * Invariant: the commands are a function of the random stream alone, never of replies, so that a changed engine meets the same workload.
 */
import { isKnownCommand } from './instance/command-runner.ts';
import type { SeededRandom } from './world/random.ts';

type Make = (workload: Workload) => readonly string[];

const FIELDS = ['f1', 'f2', 'f3', 'f4'];
const MEMBERS = ['m1', 'm2', 'm3', 'm4', 'm5'];
const OFTEN = 10;
const SOMETIMES = 3;
const RARELY = 0.05;

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
  [SOMETIMES, 'RENAME', (w) => ['RENAME', w.key(), w.key()]],
  [SOMETIMES, 'RENAMENX', (w) => ['RENAMENX', w.key(), w.key()]],
  [SOMETIMES, 'COPY', (w) => ['COPY', w.key(), w.key(), ...w.pick([[], ['REPLACE']])]],
  [RARELY, 'FLUSHALL', () => ['FLUSHALL']],
];

export interface WorkloadOptions {
  readonly random: SeededRandom;
  /** Keys per type. */
  readonly keys: number;
  readonly flushes: boolean;
}

export class Workload {
  readonly #random: SeededRandom;
  readonly #keys: number;
  readonly #choices: readonly (readonly [weight: number, make: Make])[];

  constructor(options: WorkloadOptions) {
    this.#random = options.random;
    this.#keys = options.keys;
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
  next(): readonly (readonly string[])[] {
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
