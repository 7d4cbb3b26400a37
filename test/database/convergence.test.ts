import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import { assertLaw } from '../law.ts';
import { describeProgram, stepArbitrary, World, type Step } from './laws/world.ts';

interface Program {
  readonly replicas: number;
  /** Large removals and joins are carried out late. */
  readonly isLazy: boolean;
  readonly steps: readonly Step[];
}

const program = (options: { bulk: boolean; losses: boolean }, maxLength: number): fc.Arbitrary<Program> =>
  fc.record({
    replicas: fc.integer({ min: 2, max: 4 }),
    isLazy: fc.boolean(),
    steps: fc.array(stepArbitrary(options), { minLength: 1, maxLength, size: 'max' }),
  });

const print = ({ replicas, isLazy, steps }: Program): string =>
  `${replicas} replicas${isLazy ? ', lazy' : ''}\n${describeProgram(steps)}`;

function check({ replicas, isLazy, steps }: Program): void {
  const world = new World(replicas, isLazy);
  world.run(steps);
  world.converge();
  world.expectConverged();
  world.expectNothingLeft();
}

describe('replicas that write, sync in part and in full, and free what is stable', () => {
  it('converge to what the oracle says, and hold nothing once everything is removed', () => {
    assertLaw(program({ bulk: false, losses: false }, 40), check, { runs: 60, print });
  });

  it('do so when they lose their memory and begin new generations', () => {
    assertLaw(program({ bulk: false, losses: true }, 50), check, { runs: 60, print });
  });

  it('do so when tables grow and shrink', () => {
    assertLaw(program({ bulk: true, losses: true }, 40), check, { runs: 4, print });
  });
});
