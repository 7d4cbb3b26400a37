/** kill -9 in the middle of a full sync, on either side: it starts over, and neither side's own writes are lost. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';
import { checkEverythingAcknowledged, newLedger, writeLoad } from './load.ts';
import type { Word } from './wire.ts';

jest.setTimeout(180_000);

const KEYS = 3_000;
const VALUE_BYTES = 24_000;
const PIPELINE = 100;
/** The log of one pass is larger than a segment (64 MiB); what it replaces is of no use any more. */
const BACKLOG_BYTES = 1024 * 1024;

describe('a full sync in whose middle a process is killed', () => {
  let database: LiveDatabase;
  const ledgers = [newLedger(0), newLedger(1)];
  let pass = 0;

  beforeAll(async () => {
    database = await LiveDatabase.create('--aof-policy', 'appendfsync-always');
    await database.stopNode(0);
    database.changeConfig(0, { backlogBytesMax: BACKLOG_BYTES });
    await database.startNode(0);
  });
  afterAll(() => database.cleanUp());

  /** Lets the first instance's log move on until it no longer holds what the second one lacks. */
  const outrunBacklog = async (): Promise<void> => {
    await database.changeSync('pause', 1);
    const segmentsBefore = database.segments(0);
    const wire = await database.connect(0);
    const overwriteAll = async (): Promise<void> => {
      const value = Buffer.alloc(VALUE_BYTES, `${++pass} `);
      for (let first = 0; first < KEYS; first += PIPELINE) {
        const requests = Array.from({ length: PIPELINE }, (_, i): Word[] => ['SET', `large:${first + i}`, value]);
        await wire.pipeline(requests, (reply) => expect(reply).toBe('OK'));
      }
    };
    await eventually(
      'the log has moved on',
      async () => {
        await overwriteAll();
        return !segmentsBefore.some((segment) => database.segments(0).includes(segment));
      },
      60_000,
    );
    wire.close();
    await Promise.all(ledgers.map((ledger) => writeLoad(database, ledger, 1_000)));
  };

  const isInFullSync = async (): Promise<boolean> => (await database.status(1)).links[0]!.state === 'full-sync';

  it.each([
    ['the receiving one', 1],
    ['the sending one', 0],
  ])('starts over and completes: %s', async (_which, killed) => {
    await outrunBacklog();
    // Not awaited: it may be over before the command returns.
    const resuming = database.home.run(['sync', 'resume', 'orders']);
    await eventually('a full sync is under way', isInFullSync).catch(async (error: Error) => {
      const { exitCode, stderr } = await resuming;
      const { links } = await database.status(1);
      throw new Error(`${error.message}; resume: ${exitCode} ${stderr}; links: ${JSON.stringify(links)}`);
    });
    await database.killInstance(killed);
    await resuming;
    await database.converged();
    expect((await database.status(1)).links[0]!.lastSync!.kind).toBe('full');
    await checkEverythingAcknowledged(database, ledgers);
    // What was merged is still there after the next crash, whether or not a snapshot has replaced the spool by then.
    await database.killInstance(1);
    await database.converged();
    await checkEverythingAcknowledged(database, ledgers);
  });
});
