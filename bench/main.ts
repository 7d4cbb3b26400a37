/** Side by side with redis-server, in one run: `npm run bench -- --help`. Both servers keep an every-second log. */
import { latency, memory } from './footprint.ts';
import { growth } from './growth.ts';
import { HELP, readOptions, type Options, type Part } from './options.ts';
import { stalls } from './stalls.ts';
import { replicated, throughput } from './throughput.ts';

const RUN: Readonly<Record<Part, (options: Options) => Promise<void>>> = {
  throughput,
  replicated,
  memory,
  latency,
  growth,
  stalls,
};

const EXIT_USAGE = 2;

function optionsOrExit(): Options | 'help' {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\nTry: npm run bench -- --help\n`);
    process.exit(EXIT_USAGE);
  }
}

const options = optionsOrExit();
if (options === 'help') process.stdout.write(HELP);
else for (const part of options.parts) await RUN[part](options);
