import { readFileSync, realpathSync } from 'node:fs';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { TEST_NODE, testNodeVersion } from '../test-node.ts';
import { createCliHome, type CliHome } from './cli-home.ts';

jest.setTimeout(120_000);

let home: CliHome;
beforeAll(async () => {
  home = await createCliHome();
});
afterAll(() => home.cleanUp());

test('daemons and instances run on the Node.js that the command line runs on', async () => {
  expect((await home.run(['--version'])).stdout).toContain(testNodeVersion());
  expect(await home.run(['create', 'versions', '--local', '2'])).toMatchObject({ exitCode: 0 });
  const processes = home.processes();
  const isInstance = (pid: number): boolean => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('instance/main');
  expect(processes.filter(isInstance)).toHaveLength(2);
  expect(processes.length).toBeGreaterThan(2);
  for (const pid of processes) expect(realpathSync(`/proc/${pid}/exe`)).toBe(realpathSync(TEST_NODE));
});
