/** `sync status --watch` over what happens to the nodes meanwhile. */
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { createCliHome, type CliHome } from './cli-home.ts';

jest.setTimeout(120_000);

let home: CliHome;
beforeEach(async () => {
  home = await createCliHome();
  const { exitCode, stderr } = await home.run(['create', 'orders', '--local', '1']);
  if (exitCode !== 0) throw new Error(stderr);
});
afterEach(() => home.cleanUp());

it('a watch goes on through the stop and start of all nodes, and ends with the database', async () => {
  const watching = home.start(['sync', 'status', 'orders', '--watch', '--json']);
  const documents: Record<string, unknown>[] = [];
  const reading = (async () => {
    for await (const line of watching) documents.push(JSON.parse(line) as Record<string, unknown>);
  })();
  const sees = (member: string, sentence: string) =>
    eventually(sentence, () => documents.at(-1)?.[member] !== undefined);

  await sees('instances', 'it shows the instances');
  await home.run(['node', 'stop', 'local-1']);
  await sees('silent_since', 'it says since when nobody answers');
  expect(documents.at(-1)).toMatchObject({ name: 'orders', error: { code: 'node_unreachable' } });
  await home.run(['node', 'start', '--detach']);
  await sees('instances', 'it shows the instances again');
  await home.run(['delete', 'orders', '--yes']);
  await reading;
  const { exitCode } = await watching;
  expect(exitCode).toBe(1);
  expect(documents.at(-1)).toMatchObject({ error: { code: 'database_not_found' } });
  expect((documents.at(-1) as { error: { message: string } }).error.message).toMatch(
    /^orders \(.+\) has been deleted$/,
  );
});
