/** Files of a database that are damaged while its node is stopped: what the next start makes of them. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stopNode } from '../../src/node/detach.ts';
import { listNodes } from '../../src/node/home.ts';
import { createOn, eventually, processRuns, requestFor, taskEnd, TestNodes, type TestNode } from './nodes.ts';

let nodes: TestNodes;
let eu: TestNode;
let us: TestNode;
let guid: string;
beforeEach(async () => {
  nodes = new TestNodes();
  eu = await nodes.start('eu');
  us = await nodes.start('us');
  guid = await createOn([eu, us], 'orders');
});
afterEach(() => nodes.close());

const file = (name: string): string => join(nodes.folder('eu', guid), name);

/** Stops eu, does it, starts eu again. */
async function restartAfter(change: () => void): Promise<void> {
  await eu.stop();
  change();
  eu = await nodes.start('eu');
}

const DAMAGES: readonly (readonly [string, () => void, string])[] = [
  ['an empty database.json', () => writeFileSync(file('database.json'), ''), 'database.json is damaged: it is empty'],
  ['a cut off instance.json', () => cutOff(file('instance.json')), 'instance.json is damaged: it is no JSON'],
  [
    'a database.json of another database',
    () => {
      const other = readFileSync(file('database.json'), 'utf8').replaceAll(
        guid,
        '00000000-0000-4000-8000-000000000000',
      );
      writeFileSync(file('database.json'), other);
    },
    'is of another database',
  ],
  [
    'both files cut off',
    () => {
      cutOff(file('database.json'));
      cutOff(file('instance.json'));
    },
    'database.json is damaged',
  ],
  [
    'no database.json, and data',
    () => {
      rmSync(file('database.json'));
      writeFileSync(file('data/log-0000000000000000'), 'operations');
    },
    'database.json is missing, but',
  ],
];

function cutOff(path: string): void {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.slice(0, text.length - 40));
}

describe('a database with', () => {
  it.each(DAMAGES)(
    '%s is told with the file and the way back, and keeps its name and its port',
    async (_what, damage, problem) => {
      const { endpoint } = (await eu.client.nodeStatus()).instances[0]!;
      const port = Number(endpoint.split(':')[1]);
      await restartAfter(damage);
      const { instances, damaged_databases: damaged } = await eu.client.nodeStatus();
      expect(instances).toEqual([]);
      expect(damaged).toEqual([
        {
          guid,
          name: 'orders',
          port,
          reason: expect.stringContaining(problem),
          hint: expect.stringContaining('crdb-cli'),
        },
      ]);
      await expect(eu.client.createDatabase(requestFor('orders', [eu]))).rejects.toMatchObject({
        code: 'database_exists',
        message: expect.stringContaining(problem),
      });
      const asked = await taskEnd(eu.client, await eu.client.createDatabase(requestFor('more', [eu], port)));
      expect(asked.errors).toMatchObject([{ error_code: 'port_in_use' }]);
      expect(asked.errors[0]!.description).toContain('belongs to the database orders of eu');
      const chosen = await createOn([eu], 'more');
      expect((await eu.client.getDatabase(chosen)).instances[0]!.endpoint).not.toBe(endpoint);
      await expect(eu.client.syncStatus(guid)).rejects.toMatchObject({ message: expect.stringContaining(problem) });
      expect((await us.client.syncStatus(guid)).process).toBe('running');
    },
  );

  it('a damaged database.json comes back with a copy from another node', async () => {
    await restartAfter(() => writeFileSync(file('database.json'), 'scribble'));
    await restartAfter(() => cpSync(join(nodes.folder('us', guid), 'database.json'), file('database.json')));
    await eventually('it runs', async () => (await eu.client.nodeStatus()).instances[0]?.process === 'running');
  });

  it('no instance.json gets one that is made from database.json', async () => {
    const before = JSON.parse(readFileSync(file('instance.json'), 'utf8')) as Record<string, unknown>;
    await restartAfter(() => rmSync(file('instance.json')));
    await eventually('it runs', async () => (await eu.client.nodeStatus()).instances[0]?.process === 'running');
    const after = JSON.parse(readFileSync(file('instance.json'), 'utf8')) as Record<string, unknown>;
    expect(after).toEqual({ ...before, controlSecret: expect.any(String) });
    expect(after['controlSecret']).not.toBe(before['controlSecret']);
  });

  it('a damaged file is removed by a delete that another node coordinates', async () => {
    await restartAfter(() => writeFileSync(file('database.json'), ''));
    expect(await taskEnd(us.client, await us.client.deleteDatabase(guid))).toMatchObject({ status: 'finished' });
    expect(existsSync(nodes.folder('eu', guid))).toBe(false);
    expect((await eu.client.nodeStatus()).damaged_databases).toEqual([]);
    await createOn([eu, us], 'orders');
  });

  it.each(['database.json', 'instance.json'])(
    'a damaged %s leaves no process behind when its node is stopped',
    async (name) => {
      const { pid } = (await eu.client.nodeStatus()).instances[0]!;
      await eu.stop({ keepInstances: true });
      writeFileSync(file(name), '');
      expect(processRuns(pid!)).toBe(true);
      eu = await nodes.start('eu');
      await eu.stop();
      expect(processRuns(pid!)).toBe(false);
    },
  );

  it('a damaged instance.json is ended by a signal where there is no daemon', async () => {
    const { pid } = (await eu.client.nodeStatus()).instances[0]!;
    await eu.stop({ keepInstances: true });
    writeFileSync(file('instance.json'), '');
    expect(await stopNode(nodes.home, 'eu')).toBe(true);
    expect(processRuns(pid!)).toBe(false);
  });

  it('a copy of its folder beside it is not taken for a second one, nor removed', async () => {
    const copy = `${nodes.folder('eu', guid)}.bak`;
    const empty = join(nodes.folder('eu', guid), '..', 'lost+found');
    await restartAfter(() => {
      cpSync(nodes.folder('eu', guid), copy, { recursive: true });
      mkdirSync(empty);
    });
    const { instances, damaged_databases: damaged } = await eu.client.nodeStatus();
    expect([instances.length, damaged]).toEqual([1, []]);
    expect([existsSync(copy), existsSync(empty)]).toEqual([true, true]);
  });
});

describe('the port of an instance whose node is stopped', () => {
  it('is not given away by another node of the home, neither chosen nor asked for', async () => {
    const { endpoint } = (await us.client.nodeStatus()).instances[0]!;
    const port = Number(endpoint.split(':')[1]);
    await us.stop();
    const chosen = await createOn([eu], 'more');
    expect((await eu.client.getDatabase(chosen)).instances[0]!.endpoint).not.toBe(endpoint);
    const asked = await taskEnd(eu.client, await eu.client.createDatabase(requestFor('even-more', [eu], port)));
    expect(asked.errors).toMatchObject([{ error_code: 'port_in_use' }]);
    expect(asked.errors[0]!.description).toContain('belongs to the database orders of us, whether it runs or not');
    us = await nodes.start('us');
    await eventually('it has its port', async () => (await us.client.nodeStatus()).instances[0]?.process === 'running');
  });

  it('of the admin API neither', async () => {
    const { adminPort } = us.record;
    await us.stop();
    // asia would try 9443 and those after it; us has one of them only when it was left to choose.
    const moved = await nodes.startWithoutPort('us');
    expect(moved.record.adminPort).toBe(adminPort);
    const asia = await nodes.startWithoutPort('asia');
    const asiaPort = asia.record.adminPort;
    await asia.stop();
    const africa = await nodes.startWithoutPort('africa');
    expect(africa.record.adminPort).not.toBe(asiaPort);
  });
});

describe('a node that lacks one of its files', () => {
  const path = (name: string): string => join(nodes.home, 'nodes', 'eu', name);

  it.each(['admin.json', 'cert.pem', 'node.json'])('%s is shown as damaged, not left out', async (name) => {
    await eu.stop();
    rmSync(path(name));
    const [node] = await listNodes(nodes.home);
    expect(node).toMatchObject({ cluster: 'eu', damage: { message: expect.stringContaining(`${name} is missing`) } });
  });

  it.each([
    ['admin.json is missing', () => rmSync(path('admin.json')), /admin\.json is missing/],
    ['cert.pem is missing', () => rmSync(path('cert.pem')), /cert\.pem is missing/],
    ['key.pem is missing', () => rmSync(path('key.pem')), /key\.pem is missing/],
    ['cert.pem is scribble', () => writeFileSync(path('cert.pem'), 'x'), /cert\.pem is damaged/],
    ['key.pem is scribble', () => writeFileSync(path('key.pem'), 'x'), /key\.pem is damaged/],
  ])('is not started with a new secret behind the backs of the others when %s', async (_what, change, problem) => {
    await eu.stop();
    change();
    await expect(nodes.start('eu')).rejects.toThrow(problem);
  });

  it('gets a new certificate when certificate and key are removed together', async () => {
    await eu.stop();
    rmSync(path('cert.pem'));
    rmSync(path('key.pem'));
    const again = await nodes.start('eu');
    expect(again.certificate).not.toBe(eu.certificate);
  });
});
