/**
 * The detached daemon's own program, started by `detach.ts`: no command-line framework is loaded. Its standard output and
 * error are the node's log.
 */
import { parseArgs } from 'node:util';
import { reasonOf, toError } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import { runNode } from './daemon.ts';
import { createLog } from './log.ts';

const { values } = parseArgs({
  options: {
    home: { type: 'string' },
    cluster: { type: 'string' },
    host: { type: 'string' },
    'admin-port': { type: 'string' },
    version: { type: 'string' },
    'instance-script': { type: 'string' },
  },
});

// A line that cannot be written (the disk is full) is lost; the instances go on being looked after.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
const log = createLog(process.stdout);
try {
  await runNode({
    home: required(values.home),
    cluster: required(values.cluster),
    version: required(values.version),
    log,
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values['admin-port'] === undefined ? {} : { adminPort: Number(values['admin-port']) }),
    ...(values['instance-script'] === undefined
      ? {}
      : { instanceEntry: { flags: [], script: values['instance-script'] } }),
  });
} catch (error) {
  const code = error instanceof CrdbError ? error.code : 'bug';
  log.error('node_failed', {
    code,
    reason: reasonOf(error),
    hint: error instanceof CrdbError ? error.hint : '',
    ...(code === 'bug' ? { stack: toError(error).stack ?? '' } : {}),
  });
  process.exitCode = error instanceof CrdbError ? error.exitCode : 70;
}
// Everything is closed by now; what a client left half open must not keep the process.
process.exit();

function required(value: string | undefined): string {
  if (value === undefined)
    throw new CrdbError('invalid_request', 'usage: main --home PATH --cluster NAME --version VERSION');
  return value;
}
