import { beforeEach, describe, expect, it } from '@jest/globals';
import { PLAIN } from '../../src/cli/output.ts';
import { watch } from '../../src/cli/watch.ts';
import { watchedText, watchSyncStatus, type WatchedDocument } from '../../src/cli/watch-sync.ts';
import { CrdbError } from '../../src/errors.ts';
import { failure, FakeControlPlane, fakeWaiting } from './fake-control-plane.ts';

let control: FakeControlPlane;
let nowMs: number;
let look: () => Promise<WatchedDocument>;
beforeEach(() => {
  control = new FakeControlPlane();
  control.addNode('local-1');
  control.addNode('local-2');
  control.addNode('local-3');
  control.addDatabase('orders', ['local-1', 'local-2']);
  nowMs = Date.UTC(2026, 0, 1);
  look = watchSyncStatus(control, 'orders', { nowMs: () => nowMs });
});

const stop = (...names: string[]): void => names.forEach((name) => control.silent.add(name));

describe('watching the synchronisation', () => {
  it('goes on while nobody answers, says since when, and recovers', async () => {
    const before = await look();
    stop('local-1', 'local-2', 'local-3');
    await look();
    nowMs += 5_000;
    const silence = await look();
    expect(silence).toMatchObject({
      ...{ guid: 'guid-orders', name: 'orders', silent_since: '2026-01-01T00:00:00.000Z', silent_ms: 5_000 },
      error: { code: 'node_unreachable', message: expect.stringContaining('local-1'), hint: 'crdb-cli node status' },
    });
    const text = watchedText(silence, { style: PLAIN, columns: 80 });
    expect(text).toContain('nobody answers since 2026-01-01T00:00:00.000Z, for 5.0 s');
    control.silent.clear();
    expect(await look()).toEqual(before);
    stop('local-1', 'local-2', 'local-3');
    expect(await look()).toMatchObject({ silent_since: '2026-01-01T00:00:05.000Z', silent_ms: 0 });
  });

  it('takes the answer of a node that has no part in the database for silence', async () => {
    await look();
    stop('local-1', 'local-2');
    expect(await look()).toMatchObject({ error: { code: 'database_not_found' }, silent_ms: 0 });
  });

  it('ends when the database has been deleted, though another of the same name is there', async () => {
    await look();
    control.databases.clear();
    control.addDatabase('orders', ['local-1', 'local-2'], 'guid-of-another');
    stop('local-2');
    const error = await failure(look());
    expect([error.code, error.message]).toEqual(['database_not_found', 'orders (guid-orders) has been deleted']);
  });

  it('fails at the first look like any command', async () => {
    stop('local-1', 'local-2', 'local-3');
    expect((await failure(look())).code).toBe('node_unreachable');
  });

  it('does not wait for an answer that is on its way when it is interrupted', async () => {
    const abort = new AbortController();
    const screen = { isTerminal: false, isOpen: () => true, write: () => {} };
    const never = new Promise<string>(() => setImmediate(() => abort.abort(new CrdbError('interrupted', ''))));
    await watch(() => never, { screen, waiting: fakeWaiting(), signal: abort.signal });
    expect(abort.signal.aborted).toBe(true);
  });
});
