/**
 * Seeded randomness: the only source of chance in a simulated world.
 *
 * Every purpose (a disk, a link, the workload ...) forks its own stream by name, so that one more draw in one place does not change
 * what every other place draws: a seed stays readable while the code around it changes.
 *
 * The generator is xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it), seeded through splitmix-like mixing of the seed and the name.
 *
 * Invariant: two streams made with the same seed and name yield the same numbers.
 */
import type { Random } from '../../../src/host/host.ts';

export class SeededRandom implements Random {
  readonly #seed: number;
  readonly #state = new Uint32Array(4);

  constructor(seed: number, name = '') {
    this.#seed = seed >>> 0;
    let mixed = mixWord(0x9e3779b9, this.#seed);
    for (let i = 0; i < name.length; i++) mixed = mixWord(mixed, name.charCodeAt(i));
    for (let i = 0; i < 4; i++) {
      mixed = mixWord(mixed, 0x85ebca6b + i);
      this.#state[i] = mixed;
    }
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** An independent stream of the same seed. */
  fork(name: string): SeededRandom {
    return new SeededRandom(mixWord(this.#seed, 0x27d4eb2f), name);
  }

  uint32(): number {
    const s = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotateLeft(s[3]!, 11);
    return result;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.uint32() >>> 24;
    return bytes;
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** An integer in 0 .. count-1. */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  /** An integer in low .. high, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** Uniform in [low, high). */
  real(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  /** Mostly small, sometimes large: exponential with that mean. */
  exponential(mean: number): number {
    return -Math.log(1 - this.fraction()) * mean;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** Picks by weight: `[[weight, value] ...]`. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    let rest = this.fraction() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of choices) {
      rest -= weight;
      if (rest < 0) return value;
    }
    return choices[choices.length - 1]![1];
  }
}

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** One step of a 32-bit mix (the finalizer of MurmurHash3 over the sum). */
export function mixWord(state: number, word: number): number {
  let h = Math.imul((state ^ word) >>> 0, 0xcc9e2d51) + 0x6d2b79f5;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
