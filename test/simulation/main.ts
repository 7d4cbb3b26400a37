/**
 * `npm run simulate -- --seed 42 [--seeds 2000] [--processes 2] [--minutes 10] [--instances 3] [--troubles none|a,b] [--trace]`
 *
 * One line per seed that fails, with the command that reproduces it; exit code 1 if any does.
 */
import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import { readTroubles } from './profile.ts';
import { Simulation } from './simulation.ts';
import { Workload } from './workload.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    processes: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
    instances: { type: 'string', default: '3' },
    troubles: { type: 'string' },
    trace: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

const first = Number(values.seed);
const count = Number(values.seeds);
const processes = Math.min(count, Number(values.processes));
const minutes = Number(values.minutes);
const instances = Number(values.instances);
const isChild = process.send !== undefined;

if (processes > 1) await runInProcesses();
else await runHere();

/** Each takes a part of the seeds, and reports how many of them failed. */
async function runInProcesses(): Promise<void> {
  const share = Math.ceil(count / processes);
  const parts = Array.from({ length: processes }, (_, i) => ({
    seed: first + i * share,
    seeds: Math.min(share, count - i * share),
  }));
  const failures = await Promise.all(
    parts.filter(({ seeds }) => seeds > 0).map(({ seed, seeds }) => runChild(seed, seeds)),
  );
  say(failures.reduce((sum, failed) => sum + failed, 0));
}

function runChild(seed: number, seeds: number): Promise<number> {
  const rest = process.argv.slice(2);
  const args = [...rest, '--processes', '1', '--seed', String(seed), '--seeds', String(seeds)];
  const child = fork(import.meta.filename, args);
  return new Promise((resolve) => {
    let failed = seeds;
    child.on('message', (message) => (failed = message as number));
    child.on('exit', () => resolve(failed));
  });
}

async function runHere(): Promise<void> {
  if (Workload.missing.length > 0) console.log(`not simulated, since they do not exist: ${Workload.missing.join(' ')}`);
  let failed = 0;
  for (let seed = first; seed < first + count; seed++) if (!(await runSeed(seed))) failed++;
  if (isChild) process.send!(failed);
  else say(failed);
}

/** Returns whether all was well. */
async function runSeed(seed: number): Promise<boolean> {
  const simulation = new Simulation({
    seed,
    minutes,
    instances,
    ...readTroubles(values.troubles),
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
    return true;
  } catch (error) {
    const { message, stack } = error as Error;
    const again = `--seed ${seed} --minutes ${minutes} --instances ${instances}`;
    const troubles = values.troubles === undefined ? '' : ` --troubles ${values.troubles}`;
    const when = `${(simulation.world.nowMs / 1000).toFixed(3)} s`;
    console.log(`seed ${seed} failed at ${when}: ${message}. Again: npm run simulate -- ${again}${troubles}`);
    if (values.verbose) console.log(`  (${simulation.profile.name})\n${stack}`);
    return false;
  }
}

function say(failed: number): void {
  console.log(failed === 0 ? `${count} seeds, all converged` : `${failed} of ${count} seeds failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
