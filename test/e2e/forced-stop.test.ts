/** An instance that does not end when it is told to: an operator who does not want to wait has the last word. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { SAME_INTERRUPT_MS_MAX } from '../../src/node/limits.ts';
import { eventually, processRuns } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';

jest.setTimeout(120_000);

let database: LiveDatabase;
beforeAll(async () => {
  database = await LiveDatabase.create();
});
afterAll(() => database.cleanUp());

interface Status {
  readonly nodes: readonly { readonly instances: readonly { readonly process: string }[] }[];
}

async function isStopping(): Promise<boolean> {
  const { document } = await database.home.json<Status>(['node', 'status', 'local-1']);
  return document.nodes[0]?.instances[0]?.process === 'stopping';
}

/** The instance's process does nothing any more; to whoever stops it this is the worst case. */
function freeze(): number {
  const pid = database.instancePid(0);
  process.kill(pid, 'SIGSTOP');
  return pid;
}

describe('a stop that an instance does not follow', () => {
  it('is forced from a second shell while the first one waits', async () => {
    const pid = freeze();
    const waiting = database.home.start(['node', 'stop', 'local-1']);
    await eventually('it is being stopped', isStopping);
    const { exitCode, stdout } = await database.home.run(['node', 'stop', 'local-1', '--force']);
    expect([exitCode, stdout]).toEqual([0, 'Stopped local-1']);
    expect(processRuns(pid)).toBe(false);
    expect(await waiting).toMatchObject({ exitCode: 0, stdout: 'Stopped local-1' });
  });

  it('is forced by a second Ctrl-C where the node runs in the foreground', async () => {
    const node = database.home.start(['node', 'start', '--name', 'local-1']);
    await database.ask(0, 'PING');
    const pid = freeze();
    // A wrapper may pass on what the terminal has sent to both.
    for (const signal of ['SIGINT', 'SIGINT', 'SIGHUP'] as const) node.kill(signal);
    await eventually('it is being stopped', isStopping);
    await new Promise((resolve) => setTimeout(resolve, SAME_INTERRUPT_MS_MAX));
    expect(await isStopping()).toBe(true);
    node.kill('SIGINT');
    expect((await node).exitCode).toBe(0);
    expect(processRuns(pid)).toBe(false);
  });
});
