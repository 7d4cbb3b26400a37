import { beforeEach, describe, expect, it } from '@jest/globals';
import { changeSync, changeSyncText, type ChangeSyncOptions } from '../../src/cli/change-sync.ts';
import { deleteDatabase } from '../../src/cli/delete-database.ts';
import { getDatabase, getNotes, getText } from '../../src/cli/get-database.ts';
import { listDatabases, listNotes, listText } from '../../src/cli/list-databases.ts';
import { CLOCK_DRIFT_MS_MAX } from '../../src/cli/limits.ts';
import { nodeStatus, nodeStatusText } from '../../src/cli/node-status.ts';
import { PLAIN } from '../../src/cli/output.ts';
import { createConfirmation } from '../../src/cli/prompt.ts';
import { startNode } from '../../src/cli/start-node.ts';
import { silentSteps } from '../../src/cli/steps.ts';
import { stopNodes } from '../../src/cli/stop-nodes.ts';
import { syncStatus, syncStatusText, type SyncStatusDocument } from '../../src/cli/sync-status.ts';
import { CrdbError } from '../../src/errors.ts';
import { REPLICATION_LIMITS } from '../../src/replication/limits.ts';
import { failure, FakeControlPlane, fakeWaiting } from './fake-control-plane.ts';

let control: FakeControlPlane;

beforeEach(() => {
  control = new FakeControlPlane();
  for (const name of ['local-1', 'local-2', 'local-3']) control.addNode(name);
  control.addDatabase('orders', ['local-1', 'local-2', 'local-3']);
});

describe('listing', () => {
  it('prints a header and one line per instance', async () => {
    const text = listText(await listDatabases(control), PLAIN);
    expect(text.split('\n').slice(0, 2)).toEqual([
      'CRDB-GUID    NAME    REPL-ID  CLUSTER-FQDN  ENDPOINT',
      'guid-orders  orders  1        local-1       127.0.0.1:12000',
    ]);
  });

  it('is empty in a home without nodes', async () => {
    expect(await listDatabases(new FakeControlPlane())).toEqual({ databases: [], unreachable: [], damaged: [] });
  });

  it('shows what the answering nodes know and names the silent one', async () => {
    control.silent.add('local-2');
    control.local.get('local-3')!.running = false;
    const { databases, unreachable } = await listDatabases(control);
    expect(databases).toHaveLength(1);
    expect(unreachable.map(({ cluster, reason }) => `${cluster} ${reason}`)).toEqual([
      'local-2 does not answer (The node of local-2 cannot be reached: connection refused)',
      'local-3 is stopped',
    ]);
  });

  it('fails when no node can be asked, because then nothing is known', async () => {
    for (const node of control.local.values()) node.running = false;
    const error = await failure(listDatabases(control));
    expect([error.exitCode, error.hint]).toEqual([4, 'crdb-cli node start --name local-1 --detach']);
    expect(error.message).toContain('local-1 is stopped; local-2 is stopped');
  });
});

describe('what is not as it should be', () => {
  const instance = { guid: 'guid-orders', name: 'orders', id: 2, endpoint: '127.0.0.1:12001', pid: 7, restarts: 0 };
  const details = { last_exit: null, loading: null, unresponsive: null, stopping: null };

  it('is told beside the list, for every instance that does not serve', async () => {
    const loading = { phase: 'log', keys: null, loaded_bytes: 1e9, total_bytes: 4e9, percent: 25 };
    control.instances.set('local-2', [{ ...instance, ...details, process: 'loading', loading }]);
    control.instances.set('local-3', [{ ...instance, ...details, id: 3, process: 'running' }]);
    const list = await listDatabases(control);
    expect(list.databases[0]!.instances.map(({ process }) => process)).toEqual([null, 'loading', 'running']);
    const note = 'Note: instance 2 of orders on local-2 is loading, it reads its log: 1.0 GB of 4.0 GB.';
    expect(listNotes(list)).toEqual([note]);
    expect(getNotes(await getDatabase(control, 'orders'))).toEqual([note]);
    const text = nodeStatusText(await nodeStatus(control, 'local-2'), PLAIN);
    expect(text).toMatch(/loading 25 % +7 +0 +-\n {2}orders \(2\) reads its log: 1.0 GB of 4.0 GB/);
  });

  it('is told with the way back when files of a database are damaged', async () => {
    const damaged = {
      guid: 'guid-orders',
      name: 'orders',
      port: 12_001,
      reason: 'database.json is empty',
      hint: 'copy it',
    };
    control.damagedDatabases.set('local-2', [damaged]);
    const note = 'Note: orders cannot be used on local-2: database.json is empty. Try: copy it';
    expect(listNotes(await listDatabases(control))).toContain(note);
    expect(getNotes(await getDatabase(control, 'orders'))).toContain(note);
    expect(nodeStatusText(await nodeStatus(control, 'local-2'), PLAIN)).toContain(
      'damaged: orders cannot be used: database.json is empty. copy it',
    );
    control.databases.clear();
    expect(await failure(getDatabase(control, 'orders'))).toMatchObject({
      ...{ code: 'database_not_found', hint: 'copy it', message: expect.stringContaining('database.json is empty') },
    });
  });

  it('is told, and blocks nothing, when the remembered clusters are damaged', async () => {
    const damage = new CrdbError('failed', 'clusters.json is damaged', { hint: 'move it away' });
    control.files.push({ path: '/home/clusters.json', damage });
    const list = await listDatabases(control);
    expect([list.databases.length, listNotes(list)]).toEqual([
      1,
      ['Note: clusters.json is damaged. Try: move it away'],
    ]);
    expect((await nodeStatus(control, undefined)).damaged).toEqual([
      { path: '/home/clusters.json', reason: 'clusters.json is damaged', hint: 'move it away' },
    ]);
    expect((await failure(getDatabase(control, 'payments'))).message).toBe(
      'No node that answers knows a database "payments"; clusters.json is damaged',
    );
    control.local.delete('local-3');
    expect((await syncStatus(control, 'orders')).instances[2]!.error).toBe(
      'this home has no credentials for local-3; clusters.json is damaged',
    );
    const services = { control, steps: silentSteps };
    expect((await stopNodes({ name: 'local-1', dryRun: false }, services)).nodes).toHaveLength(1);
    expect((await startNode({ name: 'local-1', options: {} }, services)).status).toBe('started');
  });
});

describe('finding a database', () => {
  it('takes its name or its guid', async () => {
    expect((await getDatabase(control, 'orders')).guid).toBe('guid-orders');
    expect((await getDatabase(control, 'guid-orders')).name).toBe('orders');
  });

  it('says when there is none, and whose answer is missing', async () => {
    control.local.get('local-3')!.running = false;
    const error = await failure(getDatabase(control, 'payments'));
    expect([error.code, error.exitCode]).toEqual(['database_not_found', 1]);
    expect(error.message).toBe('No node that answers knows a database "payments"; local-3 is stopped');
  });

  it('asks for the guid when a name means two databases', async () => {
    control.addDatabase('orders', ['local-3'], 'guid-2');
    const error = await failure(getDatabase(control, 'orders'));
    expect([error.exitCode, error.message]).toEqual([2, '"orders" is the name of 2 databases: guid-orders, guid-2']);
  });

  it('prints the configuration as Redis Enterprise lays it out', async () => {
    const text = getText(await getDatabase(control, 'orders'));
    expect(text).toContain('CRDB-GUID: guid-orders\nName: orders\nDefault-DB-Config:\n  memory_size: 0 (unlimited)');
    expect(text).toContain('Instance:\n  Id: 1\n  Cluster:\n    FQDN: local-1');
  });
});

describe('deleting', () => {
  const remove = (options: { yes?: boolean; mayAsk?: boolean; answer?: boolean; dryRun?: boolean }) => {
    const shown: string[] = [];
    const confirmation = createConfirmation({
      yes: options.yes ?? false,
      mayAsk: options.mayAsk ?? false,
      ask: async () => options.answer ?? false,
    });
    const services = {
      control,
      steps: silentSteps,
      waiting: fakeWaiting(),
      confirmation,
      show: (text: string) => shown.push(text),
    };
    return { shown, done: deleteDatabase({ nameOrGuid: 'orders', dryRun: options.dryRun ?? false }, services) };
  };

  it('shows what goes and asks', async () => {
    const { shown, done } = remove({ mayAsk: true, answer: true });
    expect((await done).status).toBe('deleted');
    expect(shown[0]).toContain('This deletes orders (guid-orders) and the data of 3 instances:\n  instance 1  local-1');
    expect(control.databases.size).toBe(0);
  });

  it.each([
    ['the answer is no', { mayAsk: true, answer: false }],
    ['nobody can be asked and --yes is missing', { mayAsk: false }],
  ])('changes nothing when %s', async (_case, options) => {
    const error = await failure(remove(options).done);
    expect([error.code, error.exitCode]).toEqual(['confirmation_required', 5]);
    expect(control.databases.size).toBe(1);
  });

  it('does not ask with --yes, and changes nothing with --dry-run', async () => {
    expect((await remove({ dryRun: true }).done).status).toBe('planned');
    expect(control.databases.size).toBe(1);
    expect((await remove({ yes: true }).done).status).toBe('deleted');
  });
});

describe('synchronisation', () => {
  const change = (options: Partial<ChangeSyncOptions>) =>
    changeSync(
      { nameOrGuid: 'orders', action: 'pause', instance: undefined, from: undefined, dryRun: false, ...options },
      control,
    );

  it('pauses all links, then has nothing left to do', async () => {
    expect((await change({})).status).toBe('paused');
    expect(control.paused.size).toBe(6);
    expect((await change({})).status).toBe('already_paused');
    expect((await change({ action: 'resume' })).status).toBe('resumed');
    expect((await change({ action: 'resume' })).status).toBe('already_running');
  });

  it('pauses one link', async () => {
    const document = await change({ instance: 2, from: 1 });
    expect(document.instances).toEqual([{ id: 2, cluster: 'local-2', from: [1], changed: true }]);
    expect([...control.paused]).toEqual(['2<1']);
    expect(changeSyncText(document)).toContain('instance 2 (local-2) from 1');
  });

  it('pauses what all others pull from one instance', async () => {
    expect((await change({ from: 1 })).instances.map(({ id }) => id)).toEqual([2, 3]);
  });

  it('changes nothing when one of the instances cannot be reached', async () => {
    control.silent.add('local-3');
    expect((await failure(change({}))).exitCode).toBe(4);
    control.local.get('local-3')!.running = false;
    expect((await failure(change({}))).message).toBe(
      'Nothing was changed: instance 3 cannot be reached, local-3 is stopped',
    );
    expect(control.paused.size).toBe(0);
  });

  it('refuses an instance that is not there, and one that would pull from itself', async () => {
    expect((await failure(change({ instance: 7 }))).message).toBe('orders has no instance 7, it has 1, 2, 3');
    expect((await failure(change({ instance: 1, from: 1 }))).exitCode).toBe(2);
  });

  it('accepts a clock that is ahead when it is told to', async () => {
    const document = await change({ action: 'resume', instance: 2, from: 1, acceptClock: true });
    expect([document.status, control.journal]).toEqual(['resumed', ['resume 2<1 accept-clock']]);
  });

  it('shows every link, and an instance whose node is silent as unreachable', async () => {
    control.silent.add('local-2');
    const status = await syncStatus(control, 'orders');
    expect(status.instances.map(({ process, links }) => [process, links.length])).toEqual([
      ['running', 2],
      ['unreachable', 0],
      ['running', 2],
    ]);
    const text = syncStatusText(status, { style: PLAIN, columns: Infinity });
    expect(text).toContain(
      '2 (local-2)  streaming  0        0 ms      +3 ms  covered  3        0     partial: offset 7 is in the backlog\n',
    );
    expect(text).toContain(
      'instance 2  local-2  127.0.0.1:12001  unreachable\n  The node of local-2 cannot be reached',
    );
  });
});

describe('the text of sync status', () => {
  const show = async (columns: number, change: Partial<SyncStatusDocument['instances'][number]> = {}) => {
    const status = await syncStatus(control, 'orders');
    const instances = status.instances.map((instance) => ({ ...instance, ...change }));
    return syncStatusText({ ...status, instances }, { style: PLAIN, columns });
  };
  const link = async (change: Partial<SyncStatusDocument['instances'][number]['links'][number]>) => {
    const [instance] = (await syncStatus(control, 'orders')).instances;
    return { links: [{ ...instance!.links[0]!, ...change }] };
  };

  it('has the last sync in the table where there is room, otherwise below its row', async () => {
    const [, , , header, row] = (await show(200)).split('\n');
    expect(header).toBe('  FROM         STATE      LAG OPS  LAG TIME  CLOCK  BACKLOG  PARTIAL  FULL  LAST SYNC');
    expect(row).toMatch(/covered {2}3 {8}0 {5}partial: offset 7 is in the backlog$/);
    const narrow = (await show(80)).split('\n');
    expect(narrow.slice(3, 6)).toEqual([
      '  FROM         STATE      LAG OPS  LAG TIME  CLOCK  BACKLOG  PARTIAL  FULL',
      '  2 (local-2)  streaming  0        0 ms      +3 ms  covered  3        0',
      '    last sync partial: offset 7 is in the backlog',
    ]);
    expect(narrow.filter((line) => line.length > 80)).toEqual([]);
  });

  it('points out clocks that are far apart, from the same bound as the instances', async () => {
    expect(CLOCK_DRIFT_MS_MAX).toBe(REPLICATION_LIMITS.driftMaxMs);
    expect(await show(200, await link({ clock_drift_ms: -3000 }))).toContain(
      "from 2: its clock is 3.0 s behind this one's",
    );
    expect(await show(200, await link({ clock_drift_ms: 500 }))).not.toContain('its clock');
    expect(await show(200, await link({ clock_drift_ms: null }))).toContain('0 ms      unknown');
  });

  it('names address and error of a link that does not stream', async () => {
    const text = await show(200, await link({ state: 'waiting', last_error: 'something else answers' }));
    expect(text).toContain('\n  from 2: 127.0.0.1:12001: something else answers');
  });

  it('tells how far a full sync is, and how often each kind was needed', async () => {
    const fullSync = { keys: 1_200_000, bytes: 300_000_000, total_bytes: 660_000_000, percent: 45 };
    const text = await show(200, await link({ state: 'full-sync', full_sync: fullSync }));
    expect(text).toMatch(/2 \(local-2\) {2}full-sync 45 %/);
    expect(text).toContain('from 2: full sync: 1,200,000 keys, 300.0 MB of 660.0 MB (45 %)');
    const unknown = { ...fullSync, total_bytes: null, percent: null };
    expect(await show(200, await link({ state: 'full-sync', full_sync: unknown }))).toContain(
      'full sync: 1,200,000 keys, 300.0 MB\n',
    );
    const syncs = { full: 2, partial_ok: 5, partial_err: 1 };
    expect(await show(200, await link({ syncs }))).toMatch(/covered {2}5 {8}2 /);
    expect(await show(200, await link({ syncs: null }))).toMatch(/covered {2}- {8}- /);
  });

  it('tells how far an instance is with its loading, and since when one is silent', async () => {
    const loading = { phase: 'snapshot', keys: 5_000_000, loaded_bytes: 1e9, total_bytes: 4e9, percent: 25 };
    control.processes.set('local-1', { process: 'loading', loading, links: [] });
    const unresponsive = { since: '2026-01-01T00:00:00.000Z', reason: 'let it go on: kill -CONT 7' };
    control.processes.set('local-2', { process: 'unresponsive', unresponsive, links: [] });
    const text = await show(200);
    expect(text).toMatch(/local-1 .* loading 25 %.*\n {2}reads its snapshot: 1.0 GB of 4.0 GB, 5,000,000 keys\n/);
    expect(text).toMatch(
      /local-2 .* unresponsive.*\n {2}has not answered since 2026-01-01T00:00:00.000Z: let it go on/,
    );
  });

  it('says why the process of an instance ended', async () => {
    expect(await show(200, { process: 'restarting', error: 'exit code 3: port in use', links: [] })).toContain(
      'restarting, offset 7\n  exit code 3: port in use',
    );
  });
});

describe('nodes', () => {
  it('describes running, stopped and silent ones', async () => {
    control.silent.add('local-2');
    control.local.get('local-3')!.running = false;
    const { nodes } = await nodeStatus(control, undefined);
    expect(nodes.map(({ status }) => status)).toEqual(['running', 'unreachable', 'stopped']);
    expect((await failure(nodeStatus(control, 'local-9'))).message).toBe(
      'This home has no node "local-9", it has local-1, local-2, local-3',
    );
  });

  it('says that instances serve on without their daemon, and what brings it back', async () => {
    control.local.get('local-1')!.running = false;
    const orphan = {
      ...({ guid: 'guid-orders', name: 'orders', id: 1, endpoint: '127.0.0.1:12000' } as const),
      ...({ process: 'running', pid: 7, restarts: 0, last_exit: null } as const),
      ...{ loading: null, unresponsive: null, stopping: null },
    };
    control.orphans.set('local-1', [orphan]);
    const status = await nodeStatus(control, 'local-1');
    expect(status.nodes[0]).toMatchObject({ status: 'unattended', pid: null, instances: [orphan] });
    const text = nodeStatusText(status, PLAIN);
    expect(text).toContain(
      'unattended\n  it has no daemon, though its instances serve on; the next one takes them up:',
    );
    expect(text).toContain('crdb-cli node start --name local-1 --detach');
    expect(text).toMatch(/orders +1 +127.0.0.1:12000 +running +7/);
    expect((await listDatabases(control)).unreachable).toEqual([
      {
        ...{ cluster: 'local-1', reason: 'has no daemon, though its instances serve on' },
        hint: 'crdb-cli node start --name local-1 --detach',
      },
    ]);
    const [instance] = (await syncStatus(control, 'orders')).instances;
    expect(instance).toMatchObject({
      process: 'unreachable',
      error: expect.stringContaining('node start --name local-1'),
    });
  });

  it('starts a node once', async () => {
    const services = { control, steps: silentSteps };
    expect((await startNode({ name: 'local-4', options: {} }, services)).status).toBe('started');
    expect((await startNode({ name: 'local-4', options: {} }, services)).status).toBe('already_running');
    const error = await failure(startNode({ name: 'local-4', options: { adminPort: 9999 } }, services));
    expect(error.message).toBe('local-4 runs already, with admin port 9443 and not 9999');
    expect((await startNode({ name: 'local-4', options: { host: '127.0.0.1' } }, services)).status).toBe(
      'already_running',
    );
    expect((await failure(startNode({ name: 'local-4', options: { host: '::1' } }, services))).message).toBe(
      'local-4 runs already, on 127.0.0.1 and not on ::1',
    );
  });

  it('stops one or all, and says which were stopped before', async () => {
    const services = { control, steps: silentSteps };
    expect(await stopNodes({ name: 'local-2', dryRun: false }, services)).toEqual({
      nodes: [{ cluster: 'local-2', status: 'stopped' }],
    });
    const { nodes } = await stopNodes({ name: undefined, dryRun: false }, services);
    expect(nodes.map(({ status }) => status)).toEqual(['stopped', 'already_stopped', 'stopped']);
  });

  it('kills the instances when it is forced', async () => {
    await stopNodes({ name: 'local-1', dryRun: false, force: true }, { control, steps: silentSteps });
    expect(control.journal).toEqual(['kill local-1']);
  });

  it('never stops or starts the node of another machine', async () => {
    control.addNode('eu.example.com', true, true);
    const services = { control, steps: silentSteps };
    expect((await failure(stopNodes({ name: 'eu.example.com', dryRun: false }, services))).message).toContain(
      'another machine',
    );
    expect((await failure(startNode({ name: 'eu.example.com', options: {} }, services))).message).toContain(
      'another machine',
    );
    expect((await stopNodes({ name: undefined, dryRun: true }, services)).nodes).toHaveLength(3);
  });
});
