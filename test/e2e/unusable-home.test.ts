/** A CRDB_HOME where nothing can be kept: every command says so within moments, and nothing is left behind. */
import { createServer } from 'node:net';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createCliHome, type CliHome } from './cli-home.ts';

jest.setTimeout(180_000);

let place: CliHome;
let folder: string;
beforeEach(async () => {
  place = await createCliHome();
  folder = dirname(place.path);
});
afterEach(() => place.cleanUp());

const CREATE = ['create', 'orders', '--local', '2'];
const START = ['node', 'start', '--detach'];

describe('a home that cannot be used', () => {
  it.each([
    [
      'is in a file system that takes no folder',
      () => '/proc/nope',
      'The folder /proc/nope cannot be made: /proc takes no new folder',
    ],
    ['is a file', () => join(folder, 'file'), 'file cannot be used: it is a file'],
    ['is said to be in a file', () => join(folder, 'file', 'home'), 'home cannot be used: not a directory (ENOTDIR)'],
    ['has too long a name', () => join(folder, 'x'.repeat(300)), 'cannot be used: name too long (ENAMETOOLONG)'],
    ['holds a file where the nodes should be', () => join(folder, 'odd'), 'ENOTDIR: not a directory'],
  ])('because it %s is named with the reason', async (_what, pathOf, reason) => {
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'odd'));
    writeFileSync(join(folder, 'odd', 'nodes'), '');
    const before = readdirSync(folder, { recursive: true });
    const tries = [CREATE, START].map((command) => place.run(command, { env: { CRDB_HOME: pathOf() } }));
    for (const { exitCode, stderr } of await Promise.all(tries)) {
      expect(stderr).toContain(reason);
      expect(stderr).toMatch(/\nTry: CRDB_HOME names the folder that is used[^\n]*$/);
      expect(stderr.match(/^Error: /gm)).toHaveLength(1);
      expect(exitCode).toBe(1);
    }
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
  });
});

describe('a node that does not start for the first time', () => {
  it('takes back all the folders that were made for it, in the background or not', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as { port: number };
    try {
      for (const detach of [[], ['--detach']]) {
        const start = ['node', 'start', '--admin-port', `${port}`, ...detach];
        const { exitCode, stderr } = await place.run(start, { env: { CRDB_HOME: join(folder, 'made', 'for', 'it') } });
        expect([exitCode, stderr]).toEqual([1, expect.stringContaining('in use by')]);
        expect(readdirSync(folder)).toEqual([]);
      }
    } finally {
      holder.close();
    }
  });
});
