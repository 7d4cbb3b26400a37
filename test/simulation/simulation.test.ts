/** Runs in processes of their own: within Jest's context everything takes four times as long. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, jest } from '@jest/globals';
import { execa } from 'execa';
import { Simulation } from './simulation.ts';

/** By the number of instances. */
const NEW_SEEDS = [
  { instances: 2, first: 1001, count: 50 },
  { instances: 3, first: 2001, count: 100 },
  { instances: 4, first: 3001, count: 50 },
];
const KEPT = readFileSync(`${import.meta.dirname}/seeds.txt`, 'utf8')
  .split('\n')
  .filter((line) => /^\d/.test(line))
  .map((line) => line.split(' '))
  .map(([seed, minutes, instances, troubles, ...found]) => ({
    seed,
    minutes,
    instances,
    troubles,
    found: found.join(' '),
  }));

/** Wall clock, which a run does not know: what it may take is bounded in turns and work of its own. This only ends one that hangs. */
jest.setTimeout(1_200_000);

/** What it prints says which seed failed, and how to run it again. */
async function simulate(options: Readonly<Record<string, string | number>>): Promise<void> {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const main = `${import.meta.dirname}/main.ts`;
  const { exitCode, all } = await execa(process.execPath, ['--import', 'tsx', main, ...args], {
    reject: false,
    all: true,
  });
  expect([exitCode, all]).toEqual([0, expect.stringContaining(' seeds, all converged')]);
}

describe('instances under load and faults', () => {
  it.each(NEW_SEEDS)(
    '$instances of them converge to what the oracle and the clients say ($count seeds)',
    ({ instances, first, count }) => simulate({ seed: first, seeds: count, minutes: 1, instances, processes: 2 }),
  );

  it.each(KEPT)('no longer fail with seed $seed: $found', ({ found: _found, troubles, ...run }) =>
    simulate({ ...run, ...(troubles === '-' ? {} : { troubles: troubles! }) } as Record<string, string>),
  );

  it('do the same again for the same seed', async () => {
    const run = (): Promise<unknown> => new Simulation({ seed: 42, minutes: 0.5, instances: 3 }).run();
    expect(await run()).toEqual(await run());
  });
});
