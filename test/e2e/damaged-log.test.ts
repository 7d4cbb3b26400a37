/** Logs that a crash has cut and disks that have changed a byte: the one is mended and said, the other stops the start and names the repair. */
import { readFileSync, truncateSync, writeFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { execa } from 'execa';
import { eventually } from '../node/nodes.ts';
import { TEST_NODE } from '../test-node.ts';
import { LiveDatabase } from './live-database.ts';
import { checkEverythingAcknowledged, newLedger, writeLoad } from './load.ts';

jest.setTimeout(180_000);

const ROOT = join(import.meta.dirname, '..', '..');

describe('a log that is not as it was written', () => {
  let database: LiveDatabase;
  const ledgers = [newLedger(0), newLedger(1)];
  beforeAll(async () => {
    database = await LiveDatabase.create('--aof-policy', 'appendfsync-always');
    await writeLoad(database, ledgers[0]!, 4_000);
    await database.converged();
  });
  afterAll(() => database.cleanUp());

  const newestSegment = (): string => database.segments(0).at(-1)!;

  /** Nothing of the first cluster runs afterwards. */
  const killAll = async (): Promise<void> => {
    await database.killDaemon(0);
    await database.killInstance(0);
  };

  it('whose tail is torn is cut, says so, and is filled up by the peer', async () => {
    await killAll();
    const segment = newestSegment();
    truncateSync(segment, statSync(segment).size - 7);
    await database.startNode(0);
    await database.converged();
    expect(database.instanceLog(0)).toMatch(/log tail cut: \d+ bytes were written only in part/);
    await checkEverythingAcknowledged(database, ledgers);
  });

  it('with a changed byte in the middle stops the start, and the repair that the error names mends it', async () => {
    await writeLoad(database, ledgers[0]!, 4_000);
    await database.converged();
    await killAll();
    const segment = newestSegment();
    const bytes = readFileSync(segment);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = bytes[middle]! ^ 1;
    writeFileSync(segment, bytes);
    await database.startNode(0);

    const { dataDirectory } = database.config(0);
    const repair = `node dist/src/storage/repair.js ${dataDirectory}`;
    await eventually('the node says why the instance does not start', async () => {
      const { stdout } = await database.home.run(['node', 'status', database.clusterName(0), '--json']);
      return stdout.includes('is damaged in log-') && stdout.includes(repair);
    });
    // The other side goes on.
    await writeLoad(database, ledgers[1]!, 1_000);

    const run = async (...more: readonly string[]) => {
      const [, ...args] = [...repair.split(' '), ...more];
      return execa(TEST_NODE, args, { cwd: ROOT, reject: false });
    };
    const shown = await run();
    expect(shown.exitCode).toBe(3);
    expect(shown.stdout).toMatch(
      /Kept: .* [1-9]\d* batches[^]*Dropped: [1-9]\d* bytes:[^]*Nothing was changed\. To repair: /,
    );
    expect(readFileSync(segment)).toEqual(bytes);
    const done = await run('--apply');
    expect([done.exitCode, done.stdout]).toEqual([0, expect.stringContaining('Repaired.')]);
    expect(await run()).toMatchObject({ exitCode: 0 });
    // The node tries again by itself; what was dropped comes back from the peer.
    await database.converged();
    await checkEverythingAcknowledged(database, ledgers);
  });
});
