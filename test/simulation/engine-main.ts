/** `tsx test/simulation/engine-main.ts FIRST COUNT [STEPS]`: runs of the engine alone, one line per seed that fails. */
import { EngineRun } from './engine-run.ts';

const [first = 1, count = 100, steps = 1500] = process.argv.slice(2).map(Number);
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    new EngineRun({ seed, instances: 2 + (seed % 3), steps }).run();
  } catch (error) {
    failed++;
    console.log(
      `seed ${seed} failed: ${count === 1 ? (error as Error).stack : (error as Error).message.slice(0, 300)}`,
    );
  }
}
console.log(`${failed} of ${count} seeds failed`);
process.exitCode = failed === 0 ? 0 : 1;
