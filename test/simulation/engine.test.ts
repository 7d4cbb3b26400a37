import { describe, expect, it } from '@jest/globals';
import { EngineRun } from './engine-run.ts';

const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1);

describe('the engine alone, with batches in any order and merges at any moment', () => {
  it.each(SEEDS)('converges to what the oracle says (seed %i)', (seed) => {
    const run = new EngineRun({ seed, instances: 2 + (seed % 3), steps: 1500 });
    const { batches } = run.run();
    expect(batches).toBeGreaterThan(0);
  });
});
