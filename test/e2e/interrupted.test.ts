/** Ctrl-C at the moments when it is hardest to answer: before there is a command, while something is started, and a second time. */
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { createCliHome, RUN, type CliHome } from './cli-home.ts';

jest.setTimeout(180_000);

/**
 * Whether the program handles signals itself, by the mask that the kernel shows. Told from SIGHUP, the first bit and the last that it takes:
 * Node.js has handlers of its own for the others, and before the program is loaded the mask is its parent's.
 */
function handlesSignals(pid: number): boolean {
  if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(RUN)) return false;
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & 1n) !== 0n;
}

describe('a command that is interrupted', () => {
  let home: CliHome;
  beforeEach(async () => {
    home = await createCliHome();
  });
  afterEach(() => home.cleanUp());

  it('while it is still being loaded, says that nothing was changed', async () => {
    const creating = home.start(['create', 'orders', '--local', '2']);
    await eventually('it handles the signal', () => handlesSignals(creating.pid!));
    creating.kill('SIGINT');
    const { exitCode, stderr } = await creating;
    expect([exitCode, stderr]).toEqual([130, 'Error: Interrupted. Nothing was changed.']);
    expect(existsSync(home.path)).toBe(false);
  });

  it('a second time, names what it could not take back', async () => {
    const creating = home.start(['create', 'orders', '--local', '2']);
    await eventually('the first node is being started', () => existsSync(`${home.path}/nodes/local-1`));
    await eventually('it ends', () => !creating.kill('SIGINT') || creating.exitCode !== null);
    const { exitCode, stderr } = await creating;
    expect(exitCode).toBe(130);
    expect(stderr).toMatch(
      /^Error: Interrupted. Not taken back, so do it by hand: (remove local-2, )?remove local-1\.$/m,
    );
    expect(stderr).toContain('Try: crdb-cli node status');
  });

  it('while a node is started in the background, does not say that nothing was changed', async () => {
    const starting = home.start(['node', 'start', '--detach']);
    await eventually('the node is being started', () => existsSync(`${home.path}/nodes/local-1`));
    starting.kill('SIGINT');
    const { exitCode, stderr } = await starting;
    expect(exitCode).toBe(130);
    expect(stderr).toContain('Error: Interrupted. "Starting local-1" had begun, and may still come to its end.');
  });
});
