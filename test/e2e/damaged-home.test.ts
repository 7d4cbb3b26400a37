/** Files of a home that are damaged, as the command line tells them: named with the way back, and in nobody's way who does not need them. */
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createCliHome, type CliHome } from './cli-home.ts';

jest.setTimeout(120_000);

let home: CliHome;
let guid: string;
beforeAll(async () => {
  home = await createCliHome();
  const { exitCode, document } = await home.json<{ guid: string }>(['create', 'orders', '--local', '2']);
  if (exitCode !== 0) throw new Error(JSON.stringify(document));
  ({ guid } = document);
});
afterAll(() => home.cleanUp());

describe('a damaged clusters.json', () => {
  it('blocks what needs it, and nothing else', async () => {
    const path = `${home.path}/clusters.json`;
    writeFileSync(path, '{"version":1,"clus');
    const problem = `${path} is damaged: it is no JSON, or not all of it`;
    const list = await home.run(['list']);
    expect([list.exitCode, list.stdout, list.stderr]).toEqual([
      0,
      expect.stringContaining(guid),
      expect.stringMatching(/^Note: .*clusters\.json is damaged.* Try: Put a copy of it back, or move it away/),
    ]);
    const nodes = await home.run(['node', 'status']);
    expect([nodes.exitCode, nodes.stdout]).toEqual([0, expect.stringContaining(problem)]);
    expect(await home.json(['node', 'status', 'local-1'])).toMatchObject({
      ...{ exitCode: 0, document: { nodes: [{ status: 'running' }], damaged: [{ path, reason: problem }] } },
    });
    expect((await home.run(['get', 'orders'])).exitCode).toBe(0);
    expect((await home.run(['sync', 'status', 'orders'])).exitCode).toBe(0);
    expect(await home.run(['node', 'stop', 'local-2'])).toMatchObject({ exitCode: 0, stdout: 'Stopped local-2' });
    expect((await home.run(['node', 'start', '--name', 'local-2', '--detach'])).exitCode).toBe(0);
    const instance = (name: string) => [
      ...['--instance', `fqdn=${name},url=https://127.0.0.1:1,username=admin,password=x`],
    ];
    const create = ['create', 'more', ...instance('eu.example.com'), ...instance('us.example.com')];
    for (const how of [[], ['--dry-run']]) {
      const { exitCode, document } = await home.json([...create, ...how]);
      expect([exitCode, document]).toMatchObject([1, { error: { code: 'failed', message: problem } }]);
    }
    expect((await home.json(['get', 'payments'])).document).toMatchObject({
      error: { code: 'database_not_found', message: expect.stringContaining(problem) },
    });
    rmSync(path);
  });
});

describe('a database whose files on one node are damaged', () => {
  it('is told by every command that shows it, and keeps its name', async () => {
    const path = `${home.path}/nodes/local-1/databases/${guid}/database.json`;
    await home.run(['node', 'stop', 'local-1']);
    writeFileSync(path, '');
    expect((await home.run(['node', 'start', '--name', 'local-1', '--detach'])).exitCode).toBe(0);
    const problem = `${path} is damaged: it is empty`;
    const [list, get, sync, nodes] = await Promise.all([
      home.run(['list']),
      home.run(['get', 'orders']),
      home.json(['sync', 'status', 'orders']),
      home.run(['node', 'status', 'local-1']),
    ]);
    for (const { exitCode, stderr } of [list, get]) {
      expect([exitCode, stderr]).toEqual([0, expect.stringContaining(`orders cannot be used on local-1: ${problem}`)]);
      expect(stderr).toContain('Put a copy of database.json there');
    }
    expect(sync).toMatchObject({
      exitCode: 0,
      document: {
        instances: [{ process: 'unreachable', error: expect.stringContaining(problem) }, { process: 'running' }],
      },
    });
    expect([nodes.exitCode, nodes.stdout]).toEqual([
      0,
      expect.stringContaining(`damaged: orders cannot be used: ${problem}`),
    ]);
    expect(await home.json(['create', 'orders', '--local', '1'])).toMatchObject({
      ...{ exitCode: 5, document: { error: { code: 'database_exists' } } },
    });
  });

  it('is deleted through another one', async () => {
    expect(await home.run(['delete', 'orders', '--yes'])).toMatchObject({ exitCode: 0 });
    expect((await home.json(['node', 'status'])).document).toMatchObject({
      nodes: [
        { instances: [], damaged_databases: [] },
        { instances: [], damaged_databases: [] },
      ],
    });
  });
});
