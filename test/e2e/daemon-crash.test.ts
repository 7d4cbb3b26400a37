/** kill -9 of node daemons, alone and together with what they run: an instance outlives its daemon, and nothing needs a helping hand but a start. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually, processRuns } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';
import { checkEverythingAcknowledged, newLedger, writeLoad } from './load.ts';

jest.setTimeout(180_000);

interface NodeStatus {
  readonly nodes: readonly {
    readonly instances: readonly { readonly process: string; readonly pid: number | null; readonly restarts: number }[];
  }[];
}

describe('a database whose daemons are killed, appendfsync-always', () => {
  let database: LiveDatabase;
  const ledgers = [newLedger(0), newLedger(1)];
  beforeAll(async () => {
    database = await LiveDatabase.create('--aof-policy', 'appendfsync-always');
  });
  afterAll(() => database.cleanUp());

  const writeBoth = (count: number): Promise<unknown> =>
    Promise.all(ledgers.map((ledger) => writeLoad(database, ledger, count)));

  const instanceOf = async (cluster: number) => {
    const { document } = await database.home.json<NodeStatus>(['node', 'status', database.clusterName(cluster)]);
    return document.nodes[0]!.instances[0]!;
  };

  it('goes on serving and replicating without a daemon, and the next daemon takes the instance up', async () => {
    const pid = database.instancePid(0);
    await database.killDaemon(0);
    await writeBoth(2_000);
    await database.converged();
    expect(processRuns(pid)).toBe(true);
    await database.startNode(0);
    await eventually('the instance is taken up', async () => (await instanceOf(0)).process === 'running');
    expect(await instanceOf(0)).toMatchObject({ pid, restarts: 0 });
    expect((await database.home.run(['sync', 'status', 'orders'])).exitCode).toBe(0);
    await database.killInstance(0);
    await eventually('an instance that was taken up is looked after', async () => {
      const { process, pid: now } = await instanceOf(0);
      return process === 'running' && now !== pid;
    });
    await database.converged();
    await checkEverythingAcknowledged(database, ledgers);
  });

  it('has its data when a daemon dies with its instance', async () => {
    await writeBoth(2_000);
    await Promise.all([database.killDaemon(0), database.killInstance(0)]);
    await writeLoad(database, ledgers[1]!, 1_000);
    await database.startNode(0);
    await database.converged();
    await checkEverythingAcknowledged(database, ledgers);
  });

  it('has its data when everything dies', async () => {
    await writeBoth(2_000);
    // The daemons first: they would start their instances again.
    await Promise.all([database.killDaemon(0), database.killDaemon(1)]);
    await Promise.all([database.killInstance(0), database.killInstance(1)]);
    expect(database.home.processes()).toEqual([]);
    await database.startNode(0);
    await database.startNode(1);
    await database.converged();
    await checkEverythingAcknowledged(database, ledgers);
  });
});
