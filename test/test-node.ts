/**
 * The Node.js that tests of real processes start the command line and instances with: this one, or the one that `CRDB_TEST_NODE` names. Jest itself runs
 * on the oldest version that is supported; so what operators run is tested on the version that they are told to use, without a second Jest.
 */
import { execFileSync } from 'node:child_process';

export const TEST_NODE = process.env['CRDB_TEST_NODE'] || process.execPath;

/** `v24.1.0`, as the program itself says it. */
export const testNodeVersion = (): string => execFileSync(TEST_NODE, ['--version'], { encoding: 'latin1' }).trim();
