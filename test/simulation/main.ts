/**
 * `npm run simulate -- --seed 42 [--seeds 200] [--minutes 60] [--instances 3] [--troubles a,b] [--trace]`
 *
 * One line per seed that fails, with the command that reproduces it; exit code 1 if any does.
 */
import { parseArgs } from 'node:util';
import { Simulation } from './simulation.ts';
import { TROUBLES, type Trouble } from './profile.ts';
import { Workload } from './workload.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
    instances: { type: 'string', default: '3' },
    troubles: { type: 'string' },
    trace: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

const first = Number(values.seed);
const count = Number(values.seeds);
const minutes = Number(values.minutes);
const instances = Number(values.instances);
const chosen = values.troubles?.split(',').filter((word) => word !== '');
const unknown = chosen?.find((word) => !TROUBLES.includes(word as Trouble));
if (unknown !== undefined) throw new Error(`--troubles: ${unknown} is none of ${TROUBLES.join(', ')}`);
const troubles = chosen as Trouble[] | undefined;
let failed = 0;

if (Workload.missing.length > 0) console.log(`not simulated, since they do not exist: ${Workload.missing.join(' ')}`);
for (let seed = first; seed < first + count; seed++) {
  const simulation = new Simulation({
    seed,
    minutes,
    instances,
    ...(troubles === undefined ? {} : { troubles }),
    ...(values.trace ? { trace: (line: string) => console.log(line) } : {}),
  });
  try {
    const report = await simulation.run();
    if (values.verbose || count === 1) {
      console.log(
        `seed ${seed}: ${report.batches} batches, ${report.events} events, ${report.comparisons} comparisons, ` +
          `longest turn ${simulation.longestTurn.toFixed(2)} of what is allowed, trace ${report.traceHash} (${report.profile})`,
      );
    }
  } catch (error) {
    failed++;
    const { message, stack } = error as Error;
    const command =
      `npm run simulate -- --seed ${seed} --minutes ${minutes} --instances ${instances}` +
      (values.troubles === undefined ? '' : ` --troubles ${values.troubles}`);
    console.log(
      `seed ${seed} failed at ${(simulation.world.nowMs / 1000).toFixed(3)} s: ${message}. Again: ${command}`,
    );
    if (values.verbose) console.log(`  (${simulation.profile.name})\n${stack}`);
  }
}
console.log(failed === 0 ? `${count} seeds, all converged` : `${failed} of ${count} seeds failed`);
process.exitCode = failed === 0 ? 0 : 1;
