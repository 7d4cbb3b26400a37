/** The life of a database from the command line: real nodes, real instances, real Redis clients on loopback. */
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Redis } from 'ioredis';
import { createCliHome, type CliHome } from './cli-home.ts';

jest.setTimeout(180_000);

interface Created {
  readonly status: string;
  readonly guid: string;
  readonly name: string;
  readonly instances: readonly {
    readonly id: number;
    readonly cluster: string;
    readonly endpoint: string;
    readonly admin_url: string;
  }[];
}
interface SyncStatus {
  readonly instances: readonly { readonly process: string; readonly links: readonly { readonly state: string }[] }[];
}
interface NodeStatus {
  readonly nodes: readonly {
    readonly status: string;
    readonly pid: number | null;
    readonly instances: readonly { readonly pid: number | null }[];
  }[];
}
interface Failure {
  readonly error: { readonly code: string; readonly message: string };
}

async function eventually(
  condition: () => Promise<boolean> | boolean,
  sentence: string,
  withinMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Not within ${withinMs} ms: ${sentence}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function connectTo(endpoint: string, password?: string): Redis {
  const [host, port] = endpoint.split(':');
  return new Redis({ host: host!, port: Number(port), ...(password === undefined ? {} : { password }) });
}

describe('a database of two local clusters', () => {
  let home: CliHome;
  let created: Created;

  beforeAll(async () => {
    home = await createCliHome();
    const { exitCode, stdout, stderr } = await home.run(['create', 'orders', '--local', '2', '--json']);
    if (exitCode !== 0) throw new Error(`create failed with ${exitCode}\n${stdout}\n${stderr}`);
    created = JSON.parse(stdout) as Created;
  });
  afterAll(() => home.cleanUp());

  const linkStates = async (): Promise<string[]> => {
    const { document } = await home.json<SyncStatus>(['sync', 'status', 'orders']);
    return document.instances.flatMap(({ links }) => links.map(({ state }) => state));
  };

  it('is created with its endpoints named', () => {
    expect(Object.keys(created)).toEqual(['status', 'guid', 'name', 'instances']);
    expect([created.status, created.name]).toEqual(['created', 'orders']);
    expect(created.instances.map(({ id, cluster }) => [id, cluster])).toEqual([
      [1, 'local-1'],
      [2, 'local-2'],
    ]);
    expect(Object.keys(created.instances[0]!)).toEqual(['id', 'cluster', 'endpoint', 'admin_url']);
  });

  it('shows a write of one instance at the other, and the other way round', async () => {
    const [one, two] = created.instances.map(({ endpoint }) => connectTo(endpoint)) as [Redis, Redis];
    try {
      await one.set('hello', 'world');
      await eventually(
        async () => (await two.get('hello')) === 'world',
        'the second instance has the write of the first',
      );
      await two.set('hello', 'again');
      await eventually(
        async () => (await one.get('hello')) === 'again',
        'the first instance has the write of the second',
      );
    } finally {
      one.disconnect();
      two.disconnect();
    }
  });

  it('is listed and described by name and by guid', async () => {
    const { stdout } = await home.run(['list']);
    const lines = stdout.split('\n').map((line) => line.split(/\s+/));
    expect(lines).toEqual([
      ['CRDB-GUID', 'NAME', 'REPL-ID', 'CLUSTER-FQDN', 'ENDPOINT'],
      ...created.instances.map(({ id, cluster, endpoint }) => [created.guid, 'orders', `${id}`, cluster, endpoint]),
    ]);
    const byName = await home.json<Created>(['get', 'orders']);
    const byGuid = await home.json<Created>(['crdb', 'get', '--crdb-guid', created.guid]);
    expect(byGuid.document).toEqual(byName.document);
  });

  it('pauses and resumes', async () => {
    const paused = await home.json<{ status: string }>(['sync', 'pause', 'orders', '--instance', '1']);
    expect([paused.exitCode, paused.document.status]).toEqual([0, 'paused']);
    expect((await home.json<{ status: string }>(['sync', 'pause', 'orders', '--instance', '1'])).document.status).toBe(
      'already_paused',
    );
    await eventually(async () => (await linkStates()).join() === 'paused,streaming', 'one link is paused');

    const [one, two] = created.instances.map(({ endpoint }) => connectTo(endpoint)) as [Redis, Redis];
    try {
      await two.set('while-paused', 'yes');
      expect((await home.json<{ status: string }>(['sync', 'resume', 'orders'])).document.status).toBe('resumed');
      expect((await home.json<{ status: string }>(['sync', 'resume', 'orders'])).document.status).toBe(
        'already_running',
      );
      await eventually(
        async () => (await one.get('while-paused')) === 'yes',
        'what was written during the pause has arrived',
      );
      await eventually(async () => (await linkStates()).join() === 'streaming,streaming', 'both links stream again');
    } finally {
      one.disconnect();
      two.disconnect();
    }
  });

  it('is watched as one document per line until interrupted', async () => {
    const watching = home.start(['sync', 'status', 'orders', '--watch', '--json']);
    const lines: string[] = [];
    for await (const line of watching) {
      lines.push(line);
      if (lines.length === 2) watching.kill('SIGINT');
    }
    expect(lines.map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(lines.map(() => 'orders'));
    expect((await watching).exitCode).toBe(130);
  });

  it('cannot be created a second time', async () => {
    const { exitCode, document } = await home.json<Failure>(['create', 'orders', '--local', '2']);
    expect([exitCode, document.error.code]).toEqual([5, 'database_exists']);
    expect(document.error.message).toContain(created.guid);
    expect((await home.json<{ databases: unknown[] }>(['list'])).document.databases).toHaveLength(1);
  });

  it('serves on when the daemon of a node is killed, and the node says so', async () => {
    const { document: before } = await home.json<NodeStatus>(['node', 'status', 'local-2']);
    process.kill(before.nodes[0]!.pid!, 'SIGKILL');
    let now = before;
    await eventually(async () => {
      now = (await home.json<NodeStatus>(['node', 'status', 'local-2'])).document;
      return now.nodes[0]!.status === 'unattended';
    }, 'the node is told to be unattended');
    expect(now.nodes[0]!.instances).toEqual(before.nodes[0]!.instances);
    const client = connectTo(created.instances[1]!.endpoint);
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
    const { stdout } = await home.run(['sync', 'status', 'orders']);
    expect(stdout).toContain('its instances serve on; crdb-cli node start --name local-2 --detach');
    expect((await home.run(['node', 'start', '--name', 'local-2', '--detach'])).exitCode).toBe(0);
    await eventually(async () => (await linkStates()).join() === 'streaming,streaming', 'both instances answer again');
  });

  it('tells the lag, the last sync and the drift of the clocks of each link, also in INFO', async () => {
    const { document } = await home.json<SyncStatus>(['sync', 'status', 'orders']);
    const [link] = document.instances[0]!.links as unknown as Record<string, unknown>[];
    expect(link).toMatchObject({ lag_operations: 0, lag_ms: 0, backlog_covered: true, last_error: null });
    expect(link!['last_sync']).toMatchObject({
      kind: 'partial',
      reason: expect.stringMatching(/^partial: asked from/),
    });
    expect(Math.abs(link!['clock_drift_ms'] as number)).toBeLessThan(500);
    const client = connectTo(created.instances[0]!.endpoint);
    expect(await client.info('crdt')).toMatch(/^peer_2:state=streaming,.*,clock_drift_ms=-?\d+\r?$/m);
    client.disconnect();
  });

  it('survives the stop and start of its nodes', async () => {
    await home.run(['node', 'stop', '--all']);
    expect(home.processes()).toEqual([]);
    expect((await home.run(['list'])).exitCode).toBe(4);
    for (const name of ['local-1', 'local-2']) {
      expect((await home.json<{ status: string }>(['node', 'start', '--name', name, '--detach'])).document.status).toBe(
        'started',
      );
    }
    await eventually(
      async () => (await linkStates()).join() === 'streaming,streaming',
      'both links stream after a restart',
    );
    const client = connectTo(created.instances[0]!.endpoint);
    expect(await client.get('hello')).toBe('again');
    client.disconnect();
  });

  it('is deleted only when that is confirmed', async () => {
    const refused = await home.run(['delete', 'orders']);
    expect(refused.exitCode).toBe(5);
    expect(refused.stderr).toContain('--yes');
    expect((await home.json<{ status: string }>(['delete', 'orders', '--dry-run'])).document.status).toBe('planned');
    const deleted = await home.json<{ status: string; guid: string }>(['delete', 'orders', '--yes']);
    expect(deleted.document).toMatchObject({ status: 'deleted', guid: created.guid });
    expect(deleted.exitCode).toBe(0);
    expect((await home.json(['list'])).document).toEqual({ databases: [], unreachable: [], damaged: [] });
    expect((await home.run(['delete', 'orders', '--yes'])).exitCode).toBe(1);
  });

  it('leaves no process when its nodes are stopped', async () => {
    const { exitCode, document } = await home.json<{ nodes: { status: string }[] }>(['node', 'stop', '--all']);
    expect([exitCode, document.nodes.map(({ status }) => status)]).toEqual([0, ['stopped', 'stopped']]);
    expect(home.processes()).toEqual([]);
  });
});

describe('a database of clusters that exist', () => {
  let clusters: CliHome;
  let home: CliHome;

  beforeAll(async () => {
    clusters = await createCliHome();
    home = await createCliHome();
    for (const name of ['eu.example.com', 'us.example.com']) {
      const { exitCode, stderr } = await clusters.run(['node', 'start', '--name', name, '--detach']);
      if (exitCode !== 0) throw new Error(stderr);
    }
  });
  afterAll(async () => {
    await clusters.cleanUp();
    await home.cleanUp();
  });

  /** What an operator copies from the node's directory. */
  const instance = (name: string, password?: string): string[] => {
    const folder = `${clusters.path}/nodes/${name}`;
    const { adminUrl } = JSON.parse(readFileSync(`${folder}/node.json`, 'utf8')) as { adminUrl: string };
    const admin = JSON.parse(readFileSync(`${folder}/admin.json`, 'utf8')) as { username: string; password: string };
    const secrets = `username=${admin.username},password=${password ?? admin.password}`;
    return ['--instance', `fqdn=${name},url=${adminUrl},${secrets},certificate=${folder}/cert.pem`];
  };

  it('is refused with wrong credentials, and nothing is remembered', async () => {
    const args = ['create', 'far', ...instance('eu.example.com'), ...instance('us.example.com', 'wrong')];
    const { exitCode, document } = await home.json<Failure>(args);
    expect([exitCode, document.error.code]).toEqual([1, 'unauthorized']);
    expect(document.error.message).toContain('us.example.com');
    expect(existsSync(home.path)).toBe(false);
    expect((await clusters.json(['list'])).document).toEqual({ databases: [], unreachable: [], damaged: [] });
  });

  it('is refused without the certificate of a cluster, and says how to get it', async () => {
    const bare = instance('us.example.com')[1]!.replace(/,certificate=.*/, '');
    const { exitCode, stderr } = await home.run(['create', 'far', ...instance('eu.example.com'), '--instance', bare]);
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(/^Error: us.example.com: .* presents a certificate that is not trusted here: self-signed/m);
    expect(stderr).toMatch(/^Try: copy \$CRDB_HOME\/nodes\/us.example.com\/cert.pem .*certificate=PATH$/m);
  });

  it('is created without a secret on the command line, seen from this home afterwards, and deleted', async () => {
    const spelled = ['crdb', 'create', '--name', 'far', '--memory-size', '100mb', '--password-file', '-', '--json'];
    const withoutSecrets = (name: string): string[] => {
      const [flag, value] = instance(name) as [string, string];
      const file = `${clusters.path}/nodes/${name}/admin.json`;
      return [flag, value.replace(/username=.*?,password=.*?,/, `credentials=${file},`)];
    };
    const { exitCode, stdout } = await home.run(
      [...spelled, ...withoutSecrets('eu.example.com'), ...withoutSecrets('us.example.com')],
      { input: 'a b:c\n' },
    );
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('"status":"created"')]);
    const document = JSON.parse(stdout) as Created;
    expect(document.instances.map(({ cluster }) => cluster)).toEqual(['eu.example.com', 'us.example.com']);
    const client = connectTo(document.instances[1]!.endpoint, 'a b:c');
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
    const status = await home.json<SyncStatus>(['sync', 'status', 'far']);
    expect(status.document.instances.map(({ process }) => process)).toEqual(['running', 'running']);
    expect((await home.run(['node', 'stop', 'eu.example.com'])).stderr).toContain('another machine');
    expect((await home.run(['crdb', 'delete', '--crdb-guid', document.guid, '--yes'])).exitCode).toBe(0);
    expect((await clusters.json(['list'])).document).toEqual({ databases: [], unreachable: [], damaged: [] });
  });
});

describe('a create that does not come to its end', () => {
  let home: CliHome;
  let blocker: Server | null = null;
  afterEach(async () => {
    blocker?.close();
    blocker = null;
    await home.cleanUp();
  });

  it('leaves no process and no file when a port is taken', async () => {
    home = await createCliHome();
    blocker = createServer();
    const port = await new Promise<number>((resolve) => {
      blocker!.listen(0, '127.0.0.1', () => resolve((blocker!.address() as { port: number }).port));
    });
    // The second instance gets the port after the given one.
    const { exitCode, document } = await home.json<Failure>([
      'create',
      'orders',
      '--local',
      '2',
      '--port',
      `${port - 1}`,
    ]);
    expect([exitCode, document.error.code]).toEqual([1, 'port_in_use']);
    expect(document.error.message).toContain(`${port}`);
    expect(home.processes()).toEqual([]);
    expect(existsSync(home.path)).toBe(false);
  });

  it('leaves no process and no file when it is interrupted', async () => {
    home = await createCliHome();
    const creating = home.start(['create', 'orders', '--local', '2']);
    await eventually(() => existsSync(`${home.path}/nodes/local-2`), 'the second node is being started');
    creating.kill('SIGINT');
    const { exitCode, stderr } = await creating;
    expect(exitCode).toBe(130);
    expect(stderr).toContain('Taking back what was done: done');
    expect(home.processes()).toEqual([]);
    expect(existsSync(home.path)).toBe(false);
  });
});
