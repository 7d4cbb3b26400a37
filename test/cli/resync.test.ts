import { beforeEach, describe, expect, it } from '@jest/globals';
import { RESYNC_STALL_MS_MAX } from '../../src/cli/limits.ts';
import { createConfirmation } from '../../src/cli/prompt.ts';
import { resync, resyncText, type ResyncOptions } from '../../src/cli/resync.ts';
import type { Steps } from '../../src/cli/steps.ts';
import { CrdbError } from '../../src/errors.ts';
import { failure, FakeControlPlane, fakeWaiting } from './fake-control-plane.ts';

let control: FakeControlPlane;
let shown: string[];
let progress: string[];
let abort: AbortController;
let onProgress: () => void;
beforeEach(() => {
  control = new FakeControlPlane();
  for (const name of ['local-1', 'local-2', 'local-3']) control.addNode(name);
  control.addDatabase('orders', ['local-1', 'local-2', 'local-3']);
  [shown, progress, abort, onProgress] = [[], [], new AbortController(), () => {}];
  control.resyncStages.push(
    { state: 'connecting' },
    {
      state: 'full-sync',
      last_sync: NEW,
      full_sync: { keys: 5_000, bytes: 2_000_000, total_bytes: 4_000_000, percent: 50 },
    },
    { state: 'streaming', last_sync: NEW },
  );
});

const NEW = { kind: 'full', reason: 'full: ordered by the operator', at: '2026-01-01T00:00:09.000Z' } as const;
const PARTIAL = { kind: 'partial', reason: 'partial: asked from offset 7', at: '2026-01-01T00:00:09.000Z' } as const;

const steps: Steps = {
  run: (_title, work) =>
    work((detail) => {
      progress.push(detail);
      onProgress();
    }),
  note: () => {},
};

const order = (options: Partial<ResyncOptions> = {}, { yes = true, mayAsk = false, answer = false } = {}) =>
  resync(
    {
      ...{ nameOrGuid: 'orders', instance: undefined, from: undefined, full: true, wait: true, dryRun: false },
      ...options,
    },
    {
      ...{ control, steps, waiting: fakeWaiting(), signal: abort.signal, show: (text) => shown.push(text) },
      confirmation: createConfirmation({ yes, mayAsk, ask: async () => answer }),
    },
  );

const orders = (): string[] => control.journal.filter((entry) => entry.startsWith('resync'));

describe('a resync', () => {
  it('shows what it will do, orders it, tells how far it is, and ends with what was done and why', async () => {
    const document = await order({ instance: 2, from: 1 });
    expect(shown).toEqual([
      'This syncs 1 link of orders anew: the whole data set is sent (1,234,567 keys in all) and merged; nothing is flushed.\n' +
        '  instance 2 (local-2) from 1',
    ]);
    expect(orders()).toEqual(['resync 2<1 full']);
    expect(progress).toContain('0 of 1 link done; 2 from 1: 5,000 keys, 2.0 MB of 4.0 MB (50 %)');
    expect(document).toEqual({
      ...{ status: 'resynced', guid: 'guid-orders', name: 'orders', full: true },
      links: [{ instance: 2, cluster: 'local-2', from: 1, kind: 'full', reason: NEW.reason }],
    });
    expect(resyncText(document)).toBe('Synced orders:\n  instance 2 (local-2) from 1  full: ordered by the operator');
  });

  it('is of all links unless some are named', async () => {
    expect((await order()).links.map(({ instance, from }) => `${instance}<${from}`)).toEqual([
      ...['1<2', '1<3', '2<1', '2<3', '3<1', '3<2'],
    ]);
  });

  it('is of what all others pull from one instance', async () => {
    await order({ from: 3 });
    expect(orders()).toEqual(['resync 1<3 full', 'resync 2<3 full']);
  });

  it('that is partial says so, and takes a full one where the log does not reach back', async () => {
    control.resyncStages.splice(0, 3, { state: 'handshake' }, { state: 'streaming', last_sync: PARTIAL });
    expect((await order({ instance: 1, from: 2, full: false })).links).toMatchObject([{ kind: 'partial' }]);
    expect(shown[0]).toContain('what is missing is sent');
    control.resyncStages.splice(0, 2, { state: 'streaming', last_sync: NEW });
    expect((await order({ instance: 1, from: 3, full: false })).links).toMatchObject([{ kind: 'full' }]);
  });

  it('that was ordered as a full one is not over with a partial one that came between', async () => {
    control.resyncStages.splice(
      0,
      3,
      { state: 'streaming', last_sync: PARTIAL },
      { state: 'streaming', last_sync: NEW },
    );
    expect((await order({ instance: 1, from: 2 })).links).toMatchObject([{ kind: 'full', reason: NEW.reason }]);
  });

  it('that comes while a full sync runs joins it', async () => {
    const running = { ...NEW, reason: 'full: instance 2 is new' };
    control.links.set('1<2', { state: 'full-sync', last_sync: running });
    control.resyncStages.splice(
      0,
      3,
      { state: 'full-sync', last_sync: running },
      { state: 'streaming', last_sync: running },
    );
    expect((await order({ instance: 1, from: 2 })).links).toMatchObject([{ kind: 'full', reason: running.reason }]);
  });

  it('starts a link again that an error has stopped', async () => {
    control.links.set('1<2', { state: 'waiting', last_error: 'a batch of 2 GiB was announced' });
    control.resyncStages.splice(
      0,
      3,
      { state: 'handshake' },
      { state: 'streaming', last_error: null, last_sync: PARTIAL },
    );
    expect((await order({ instance: 1, from: 2, full: false })).status).toBe('resynced');
  });

  it('returns at once when nobody waits, and does nothing when it is a dry run', async () => {
    expect(await order({ instance: 1, from: 2, wait: false })).toMatchObject({
      status: 'ordered',
      links: [{ kind: null }],
    });
    expect(orders()).toHaveLength(1);
    expect((await order({ dryRun: true })).status).toBe('planned');
    expect(orders()).toHaveLength(1);
  });

  it('asks, and changes nothing without a yes', async () => {
    for (const how of [{ yes: false }, { yes: false, mayAsk: true, answer: false }])
      expect((await failure(order({}, how))).exitCode).toBe(5);
    expect(orders()).toEqual([]);
    await order({}, { yes: false, mayAsk: true, answer: true });
    expect(orders()).toHaveLength(6);
  });
});

describe('a resync that cannot be done', () => {
  it('names the command that ends a pause', async () => {
    control.paused.add('2<1');
    const error = await failure(order());
    expect([error.code, error.exitCode, error.message, error.hint]).toEqual([
      ...['link_paused', 1, 'Nothing was changed: instance 2 has paused pulling from 1'],
      'crdb-cli sync resume orders --instance 2 --from 1',
    ]);
    expect(orders()).toEqual([]);
    await order({ instance: 1 });
    expect(orders()).toHaveLength(2);
  });

  it('names an instance that is not there, and one that would pull from itself', async () => {
    expect((await failure(order({ from: 9 }))).message).toBe('orders has no instance 9, it has 1, 2, 3');
    expect((await failure(order({ instance: 2, from: 2 }))).exitCode).toBe(2);
  });

  it('names a node that cannot be asked', async () => {
    control.silent.add('local-3');
    expect(await failure(order())).toMatchObject({ code: 'node_unreachable', exitCode: 4 });
    control.silent.clear();
    control.local.get('local-3')!.running = false;
    const error = await failure(order());
    expect([error.exitCode, error.message]).toEqual([
      4,
      'Nothing was changed: instance 3 cannot be reached, local-3 is stopped',
    ]);
  });

  it('names a source that is down, unless its link streams all the same', async () => {
    control.processes.set('local-2', { process: 'restarting', keys: null, links: [] });
    control.links.set('1<2', { state: 'waiting', last_error: 'connection refused' });
    const error = await failure(order({ instance: 1, from: 2 }));
    expect([error.code, error.message]).toEqual([
      'instance_failed',
      'Nothing was changed: instance 2 on local-2 is restarting, it cannot take part in a sync now',
    ]);
    control.links.clear();
    expect((await order({ instance: 1, from: 2 })).status).toBe('resynced');
    expect(shown.at(-1)).toContain('the whole data set is sent and merged');
  });

  it('passes on what the instance refuses', async () => {
    control.before = (entry) => {
      if (entry.startsWith('resync')) throw new CrdbError('instance_failed', 'ERR the link is paused');
    };
    expect((await failure(order())).message).toBe('ERR the link is paused');
  });
});

describe('a resync that does not come to its end', () => {
  it('fails when nothing moves, with the error that the link stands at', async () => {
    control.resyncStages.splice(0, 3, { state: 'waiting', last_error: 'connection refused' });
    const error = await failure(order({ instance: 1, from: 2 }));
    expect([error.code, error.message]).toEqual([
      'timed_out',
      `Nothing has moved for ${RESYNC_STALL_MS_MAX / 1000} s; instance 1 from 2: waiting (connection refused)`,
    ]);
    expect(error.hint).toContain('crdb-cli sync status orders');
  });

  it('is waited for as long as it moves', async () => {
    const stages = Array.from({ length: 2_000 }, (_, keys) => ({
      ...({ state: 'full-sync', last_sync: NEW } as const),
      full_sync: { keys, bytes: keys, total_bytes: null, percent: null },
    }));
    control.resyncStages.splice(0, 3, ...stages, { state: 'streaming', last_sync: NEW });
    expect((await order({ instance: 1, from: 2 })).status).toBe('resynced');
  });

  it('goes on by itself when the waiting is interrupted', async () => {
    control.resyncStages.splice(0, 3, { state: 'full-sync' });
    onProgress = () => abort.abort(new CrdbError('interrupted', 'Interrupted (SIGINT)'));
    const error = await failure(order({ instance: 1, from: 2 }));
    expect([error.exitCode, error.message]).toEqual([130, 'Interrupted. The sync was ordered, and goes on by itself.']);
  });
});
