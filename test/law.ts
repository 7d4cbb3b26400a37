/**
 * A law: a property that fast-check tries on random inputs, and whose smallest counterexample is printed for people.
 *
 * `npm run laws` multiplies the runs of every law; a committed number is what a working day allows. A failure names seed and path, which
 * `LAW` below takes to repeat it.
 */
import fc from 'fast-check';

declare global {
  /** Set by `jest --globals '{"lawFactor":100}'`: how many times the committed number of runs. */
  var lawFactor: number | undefined;
}

export interface LawOptions<T> {
  readonly runs: number;
  readonly print: (input: T) => string;
  /** Of an earlier failure. */
  readonly repeat?: { readonly seed: number; readonly path: string };
}

export function assertLaw<T>(arbitrary: fc.Arbitrary<T>, check: (input: T) => void, options: LawOptions<T>): void {
  fc.assert(fc.property(arbitrary, check), {
    numRuns: options.runs * (globalThis.lawFactor ?? 1),
    ...options.repeat,
    reporter: (details) => {
      if (!details.failed) return;
      const [input] = details.counterexample ?? [];
      const reason = details.errorInstance instanceof Error ? details.errorInstance.message : details.errorInstance;
      throw new Error(
        `after ${details.numRuns} runs and ${details.numShrinks} times made smaller ` +
          `(repeat: { seed: ${details.seed}, path: '${details.counterexamplePath}' }):\n` +
          `${input === undefined ? 'no counterexample' : options.print(input)}\n${String(reason)}`,
      );
    },
  });
}
