/**
 * The repair of a damaged log, for the command line: `node dist/src/storage/repair.js <directory> [--apply]`.
 *
 * Without `--apply` it only shows what would be dropped. The instance must be stopped. Exit codes: 0 nothing to do, or done; 1 failed;
 * 2 usage; 3 damage found and not repaired.
 */
import { CrdbError } from '../errors.ts';
import { RealDisk } from '../host/real-disk.ts';
import { droppedName } from './file-names.ts';
import { applyRepair, planRepair, type RepairPlan } from './repair-log.ts';

const USAGE = 'Usage: node dist/src/storage/repair.js <directory> [--apply]';

function describePlan(directory: string, plan: RepairPlan): string {
  const lines = [
    `The log in ${directory} is damaged at position ${plan.position}: ${plan.reason}.`,
    `Kept: the snapshot, if there is one, and ${plan.keptBatches} batches after it.`,
    `Dropped: ${plan.droppedBytes} bytes:`,
  ];
  if (plan.cut) {
    const { file, offset, bytes } = plan.cut;
    lines.push(`  ${file} from byte ${offset} on, ${bytes} bytes -> ${droppedName(file, plan.position)}`);
  }
  for (const { file, bytes } of plan.dropped)
    lines.push(`  ${file}, ${bytes} bytes -> ${droppedName(file, plan.position)}`);
  if (plan.droppedBytes === 0) lines.push('  (nothing is left there; the instance will start from what is kept)');
  return lines.join('\n');
}

async function main(args: readonly string[]): Promise<number> {
  const directories = args.filter((arg) => !arg.startsWith('-'));
  const flags = args.filter((arg) => arg.startsWith('-'));
  const directory = directories[0];
  if (directory === undefined || directories.length > 1 || flags.some((flag) => flag !== '--apply')) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const disk = new RealDisk();
  const plan = await planRepair(disk, directory);
  if (plan === null) {
    process.stdout.write(`The log in ${directory} needs no repair.\n`);
    return 0;
  }
  process.stdout.write(`${describePlan(directory, plan)}\n`);
  if (flags.length === 0) {
    process.stdout.write(`Nothing was changed. To repair: node dist/src/storage/repair.js ${directory} --apply\n`);
    return 3;
  }
  await applyRepair(disk, directory, plan);
  process.stdout.write('Repaired. The instance begins a new generation at its next start.\n');
  return 0;
}

main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n${error instanceof CrdbError ? `${error.hint}\n` : ''}`);
    process.exitCode = 1;
  },
);
