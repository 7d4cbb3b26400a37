import { beforeEach, describe, expect, it } from '@jest/globals';
import { createDatabase, createdText, type CreatedDocument } from '../../src/cli/create-database.ts';
import { planCreate, type CreateFlags } from '../../src/cli/plan-create.ts';
import { previewCreate } from '../../src/cli/preview-create.ts';
import { silentSteps } from '../../src/cli/steps.ts';
import { CrdbError } from '../../src/errors.ts';
import { UndoStack } from '../../src/cli/undo-stack.ts';
import { failure, FakeControlPlane, fakeWaiting } from './fake-control-plane.ts';

const FLAGS: CreateFlags = {
  ...{
    name: 'orders',
    local: 2,
    instances: [],
    port: undefined,
    memoryBytesMax: undefined,
    dataPersistence: undefined,
  },
  ...{ aofPolicy: undefined, password: undefined, compression: undefined },
};

describe('creating a database', () => {
  let control: FakeControlPlane;
  let abort: AbortController;
  const create = async (flags: Partial<CreateFlags> = {}): Promise<CreatedDocument> =>
    createDatabase(await planCreate({ ...FLAGS, ...flags }), {
      ...{ control, steps: silentSteps, waiting: fakeWaiting(), undo: new UndoStack(), signal: abort.signal },
    });

  beforeEach(() => {
    control = new FakeControlPlane();
    abort = new AbortController();
  });

  it('starts the local nodes, creates on all of them and names the endpoints', async () => {
    const created = await create();
    expect(control.journal).toEqual(['start local-1', 'start local-2', 'create orders']);
    expect(created).toEqual({
      status: 'created',
      guid: 'guid-orders',
      name: 'orders',
      instances: [
        { id: 1, cluster: 'local-1', endpoint: '127.0.0.1:12000', admin_url: 'https://127.0.0.1:9443' },
        { id: 2, cluster: 'local-2', endpoint: '127.0.0.1:12001', admin_url: 'https://127.0.0.1:9444' },
      ],
    });
    expect(createdText(created, { password: false })).toContain(
      'redis-cli -p 12000 SET hello world\n  redis-cli -p 12001 GET hello',
    );
    expect(createdText(created, { password: true })).toContain('redis-cli --askpass -p 12001 GET hello');
  });

  it('leaves a node that runs already as it is', async () => {
    control.addNode('local-1');
    await create();
    expect(control.journal).toEqual(['start local-2', 'create orders']);
  });

  it('gives each local instance a port of its own, counted from the given one', async () => {
    await create({ port: 13000, local: 3 });
    expect(control.requests[0]!.instances.map((instance) => instance.db_config.port)).toEqual([13000, 13001, 13002]);
  });

  it('refuses a taken name before anything is started', async () => {
    control.addNode('local-1');
    control.addDatabase('orders', ['local-1']);
    const error = await failure(create());
    expect([error.code, error.exitCode]).toEqual(['database_exists', 5]);
    expect(error.message).toBe('There is already a database "orders" (guid-orders) on local-1');
    expect(control.journal).toEqual([]);
  });

  it('stops and removes the nodes it made when the create fails', async () => {
    control.taskFailure = { code: 'port_in_use', description: 'port 12000 is taken' };
    const error = await failure(create());
    expect([error.code, error.message]).toEqual(['port_in_use', 'local-1: port 12000 is taken']);
    expect(control.journal.slice(3)).toEqual(['remove local-2', 'remove local-1']);
    expect([...control.local.keys()]).toEqual([]);
  });

  it('stops but never removes a node that existed before', async () => {
    control.addNode('local-1', false);
    control.taskFailure = { code: 'failed', description: 'disk full' };
    await failure(create());
    expect(control.journal.slice(3)).toEqual(['remove local-2', 'stop local-1']);
    expect([...control.local.keys()]).toEqual(['local-1']);
  });

  it('does not stop instances that served without their daemon when the create fails', async () => {
    control.addNode('local-1', false);
    const orphan = { guid: 'g', name: 'payments', id: 1, endpoint: '127.0.0.1:12000', pid: 7, restarts: 0 } as const;
    const process = { process: 'running', last_exit: null, loading: null, unresponsive: null, stopping: null } as const;
    control.orphans.set('local-1', [{ ...orphan, ...process }]);
    control.taskFailure = { code: 'port_in_use', description: 'Port 12000 is in use' };
    await failure(create());
    expect(control.journal).toEqual(['start local-1', 'start local-2', 'create orders', 'remove local-2']);
  });

  it('removes what a node that could not be started left behind', async () => {
    control.before = (entry) => {
      if (entry === 'start local-2') throw new CrdbError('failed', 'local-2 did not come up');
    };
    expect((await failure(create())).message).toBe('local-2 did not come up');
    expect([...control.local.keys()]).toEqual([]);
  });

  it('deletes the database again when the links do not come up, and says which', async () => {
    control.linkState = 'connecting';
    const error = await failure(create());
    expect(error.code).toBe('timed_out');
    expect(error.message).toContain('local-1 from local-2: connecting; local-2 from local-1: connecting');
    expect(control.journal.slice(3, 4)).toEqual(['delete orders']);
    expect([control.databases.size, control.local.size]).toEqual([0, 0]);
  });

  it.each(['start local-2', 'create orders'])(
    'takes everything back when it is interrupted during "%s"',
    async (moment) => {
      control.before = (entry) => {
        if (entry === moment) abort.abort(new CrdbError('interrupted', 'Interrupted (SIGINT)'));
      };
      const error = await failure(create());
      expect([error.code, error.exitCode]).toEqual(['interrupted', 130]);
      expect([control.databases.size, control.local.size]).toEqual([0, 0]);
    },
  );

  it('says what could not be taken back, and takes back the rest', async () => {
    control.taskFailure = { code: 'failed', description: 'disk full' };
    control.before = (entry) => {
      if (entry === 'remove local-2') throw new CrdbError('failed', 'pid 7 does not end');
    };
    const error = await failure(create());
    expect(error.message).toBe(
      'local-1: disk full; and while taking it back: could not remove local-2: pid 7 does not end',
    );
    expect(control.journal.slice(3)).toEqual(['remove local-1']);
  });

  it('remembers remote clusters, so that later commands reach them', async () => {
    const instances = ['eu.example.com', 'us.example.com'].map((fqdn) => ({
      ...{ fqdn, url: 'https://127.0.0.1:9443', certificate: null },
      login: { username: 'admin', password: 'secret' },
    }));
    await create({ local: undefined, instances, port: 12000 });
    expect(control.remembered).toEqual(['eu.example.com', 'us.example.com']);
    expect(control.requests[0]!.default_db_config.port).toBe(12000);
    expect(control.journal).toEqual(['create orders']);
  });

  it('shows what it would do without doing it', async () => {
    control.addNode('local-1', false);
    const planned = await previewCreate(await planCreate({ ...FLAGS, port: 12000, password: 'secret' }), control);
    expect(planned.instances.map(({ cluster, port, node }) => [cluster, port, node])).toEqual([
      ['local-1', 12000, 'to_be_started'],
      ['local-2', 12001, 'to_be_made'],
    ]);
    expect(JSON.stringify(planned)).not.toContain('secret');
    expect(control.journal).toEqual([]);
  });
});

describe('planning a create', () => {
  it.each<[string, Partial<CreateFlags>, string]>([
    ['a name with a blank', { name: 'my orders' }, 'The name "my orders" is not possible'],
    ['neither --local nor --instance', { local: undefined }, '--local N for clusters on this machine, or --instance'],
    [
      'a port that leaves no room',
      { port: 65535 },
      '--port: 65535 is too large for 2 local instances, which take 65535 to 65536',
    ],
    [
      'an AOF policy without AOF',
      { aofPolicy: 'appendfsync-always', dataPersistence: 'disabled' },
      'needs --data-persistence aof, but it is disabled',
    ],
  ])('refuses %s', async (_what, flags, message) => {
    const error = await failure(planCreate({ ...FLAGS, ...flags }));
    expect([error.code, error.exitCode]).toEqual(['invalid_request', 2]);
    expect(error.message).toContain(message);
  });

  it('refuses both --local and --instance, and a single --instance', async () => {
    const instance = { fqdn: 'eu', url: 'https://eu:9443', login: { username: 'a', password: 'b' }, certificate: null };
    expect((await failure(planCreate({ ...FLAGS, instances: [instance] }))).message).toContain('exclude each other');
    expect((await failure(planCreate({ ...FLAGS, local: undefined, instances: [instance] }))).message).toContain(
      '1 given, 2 to 5',
    );
  });
});
