/** CRDT.RESYNC, CRDT.RESUME ... ACCEPT-CLOCK and what is counted, with real processes: what the command line's `sync` commands stand on. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { InstanceStatus, LinkStatus } from '../../src/instance/config.ts';
import { eventually } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';
import type { Wire } from './wire.ts';

const VALUE = 'v'.repeat(1000);

describe('a resync of real instances', () => {
  let database: LiveDatabase;
  let control: Wire;

  beforeAll(async () => {
    database = await LiveDatabase.create();
    control = await database.connect(1);
    await control.ask('AUTH', '__control', database.config(1).controlSecret);
    const writer = await database.connect(0);
    for (let i = 0; i < 200; i++) {
      const pairs = Array.from({ length: 100 }, (_, n) => [`key:${i * 100 + n}`, VALUE]).flat();
      await writer.ask('MSET', ...pairs);
    }
    writer.close();
    await eventually('level', async () => (await link()).lagOperations === 0 && (await keys(1)) === 20_000);
  });

  afterAll(async () => {
    control.close();
    await database.cleanUp();
  });

  const link = async (): Promise<LinkStatus> =>
    (JSON.parse(String(await control.ask('CRDT.STATUS'))) as InstanceStatus).links[0]!;
  const keys = async (cluster: number): Promise<number> => Number(await database.ask(cluster, 'DBSIZE'));
  const served = async (): Promise<string[]> =>
    String(await database.ask(0, 'INFO', 'crdt'))
      .split('\r\n')
      .filter((line) => line.startsWith('crdt_sync_'));

  it('is partial where nothing else is said, full where it is ordered, while writes go on, and is counted until CONFIG RESETSTAT', async () => {
    await database.ask(0, 'CONFIG', 'RESETSTAT');
    expect(await control.ask('CRDT.RESYNC', 'FROM', '1')).toBe('OK');
    await eventually('partial', async () => (await served())[1] === 'crdt_sync_partial_ok:1');
    expect(await control.ask('CRDT.RESYNC', 'FROM', '1', 'FULL')).toBe('OK');
    let writes = 0;
    await eventually('full', async () => {
      await database.ask(1, 'SET', `during:${writes++}`, 'x');
      const { state, lastSync } = await link();
      return state === 'streaming' && lastSync?.kind === 'full';
    });
    expect(await link()).toMatchObject({
      lastSync: { reason: 'full: ordered by the operator' },
      fullSync: null,
      lastError: null,
    });
    expect(await served()).toEqual(['crdt_sync_full:1', 'crdt_sync_partial_ok:1', 'crdt_sync_partial_err:0']);
    await eventually('equal', async () => {
      const digests = await Promise.all([0, 1].map((cluster) => database.ask(cluster, 'DEBUG', 'DIGEST')));
      return digests[0] === digests[1];
    });
    expect(await keys(0)).toBe(20_000 + writes);
    await database.ask(0, 'CONFIG', 'RESETSTAT');
    expect(await served()).toEqual(['crdt_sync_full:0', 'crdt_sync_partial_ok:0', 'crdt_sync_partial_err:0']);
  });

  it.each([
    [['CRDT.RESYNC', 'FROM', '9'], 'ERR instance 9 is no peer of this one, its peers are 1'],
    [['CRDT.RESYNC', 'FULL', 'FROM', '1'], 'ERR expected: [FROM instance-id] [FULL]'],
    [['CRDT.RESYNC', 'FROM', 'x'], 'ERR expected: [FROM instance-id] [FULL]'],
    [['CRDT.RESUME', 'FROM', '9', 'ACCEPT-CLOCK'], 'ERR instance 9 is no peer of this one, its peers are 1'],
    [['CRDT.PAUSE', 'FULL'], 'ERR expected: [FROM instance-id]'],
  ])('%j is refused', async (words, error) => {
    expect(String(await control.ask(...words))).toContain(error);
  });

  it('is refused for a paused link, which a resume mends', async () => {
    await control.ask('CRDT.PAUSE');
    expect(String(await control.ask('CRDT.RESYNC', 'FROM', '1'))).toContain('the link from instance 1 is paused');
    expect(await control.ask('CRDT.RESUME', 'FROM', '1', 'ACCEPT-CLOCK')).toBe('OK');
    await eventually('streaming', async () => (await link()).state === 'streaming');
  });
});
