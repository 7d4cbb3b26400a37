/** One node of a home has a damaged node.json: the commands show the others and say what is wrong; the advice they give is followed. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { createCliHome, type CliHome } from './cli-home.ts';

jest.setTimeout(120_000);

interface NodeRecord {
  readonly adminPort: number;
  readonly process: { readonly pid: number } | null;
}

describe('a node with a damaged node.json', () => {
  let home: CliHome;
  let path: string;
  const record = () => JSON.parse(readFileSync(path, 'utf8')) as NodeRecord;

  beforeAll(async () => {
    home = await createCliHome();
    const { exitCode, stderr } = await home.run(['create', 'orders', '--local', '2']);
    if (exitCode !== 0) throw new Error(stderr);
    path = `${home.path}/nodes/local-1/node.json`;
  });
  afterAll(() => home.cleanUp());

  it('hides no other, is told by every command, and is not made anew by a create', async () => {
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, '');
    const problem = `${path} is damaged: it is empty`;
    const [list, get, nodes, sync, create] = await Promise.all([
      home.run(['list']),
      home.run(['get', 'orders']),
      home.json(['node', 'status']),
      home.json(['sync', 'status', 'orders']),
      home.json(['create', 'more', '--local', '3']),
    ]);
    for (const { exitCode, stdout, stderr } of [list, get]) {
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining('local-2')]);
      expect(stderr).toContain(problem);
      expect(stderr).toContain('crdb-cli node stop local-1');
    }
    const error = expect.stringContaining(problem);
    expect(nodes).toMatchObject({
      ...{ exitCode: 0, document: { nodes: [{ status: 'damaged', admin_url: null, error }, { status: 'running' }] } },
    });
    expect(sync).toMatchObject({
      ...{ exitCode: 0, document: { instances: [{ process: 'unreachable', error }, { process: 'running' }] } },
    });
    expect(create).toMatchObject({ exitCode: 1, document: { error: { code: 'failed', message: problem } } });
    writeFileSync(path, before);
    expect((await home.json(['node', 'status'])).document).toMatchObject({
      nodes: [{ status: 'running' }, { status: 'running' }],
    });
  });

  it('is mended by a stop while its daemon runs', async () => {
    const { adminPort } = record();
    writeFileSync(path, 'scribble');
    expect(await home.run(['node', 'stop', 'local-1'])).toMatchObject({ exitCode: 0, stdout: 'Stopped local-1' });
    expect(record()).toMatchObject({ adminPort, process: null });
  });

  it('does not keep the others from being stopped, and is mended by a start with the port that it had', async () => {
    const { adminPort } = record();
    writeFileSync(path, 'scribble');
    const { exitCode, stderr } = await home.run(['node', 'stop', '--all']);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('Try: Move the file away')]);
    expect(home.processes()).toEqual([]);
    renameSync(path, `${path}.damaged`);
    const start = ['node', 'start', '--name', 'local-1', '--detach', '--admin-port', `${adminPort}`];
    expect(await home.run(start)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('local-1: done') });
    const instances = async (): Promise<{ process: string; links: { from: number }[] }[]> =>
      (await home.json<{ instances: { process: string; links: { from: number }[] }[] }>(['sync', 'status', 'orders']))
        .document.instances;
    await eventually('its instance pulls again', async () => (await instances())[0]!.links[0]?.from === 2);
    expect((await instances())[1]!.process).toBe('unreachable');
  });
});
