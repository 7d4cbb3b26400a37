/**
 * Daemon and instance write their log lines to a file that the system may refuse to extend. Here they write into a pipe that nobody reads,
 * which fails in the same way: they lose the lines and go on.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { TEST_NODE } from '../test-node.ts';
import { createCliHome, type CliHome } from './cli-home.ts';
import { findPorts } from './live-database.ts';
import { Wire } from './wire.ts';

jest.setTimeout(120_000);

const PROGRAMS = join(import.meta.dirname, '..', '..', 'dist', 'src');

/** A program whose output fails from the first line on. */
function startMute(program: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(TEST_NODE, [join(PROGRAMS, program), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  child.stderr.destroy();
  return child;
}

describe('log lines that cannot be written', () => {
  let home: CliHome;
  let child: ChildProcess | null = null;
  beforeEach(async () => {
    home = await createCliHome();
  });
  afterEach(async () => {
    if (child?.kill('SIGKILL') === true) await once(child, 'exit');
    await home.cleanUp();
  });

  it('do not end a node, nor an instance', async () => {
    child = startMute('node/main.js', '--home', home.path, '--cluster', 'local-1', '--version', '0.0.0-test');
    const { pid } = child;
    const port = await findPorts(1);
    const create = ['create', 'orders', '--local', '1', '--port', `${port}`];
    const running = async () => (await home.run(['node', 'status', '--json'])).stdout.includes('"status":"running"');
    await eventually('the node runs', running);
    expect(await home.run(create)).toMatchObject({ exitCode: 0 });
    const { document } = await home.json<{ nodes: { pid: number; data_directory: string }[] }>(['node', 'status']);
    expect(document.nodes[0]!.pid).toBe(pid);
    const { document: listed } = await home.json<{ databases: { guid: string }[] }>(['list']);
    const [folder, guid] = [document.nodes[0]!.data_directory, listed.databases[0]!.guid];
    await home.run(['node', 'stop', 'local-1']);
    await eventually('the node has ended', () => child!.exitCode !== null);

    child = startMute('instance/main.js', join(folder, 'databases', guid, 'instance.json'));
    const serves = async () => {
      const wire = await Wire.connect(`127.0.0.1:${port}`).catch(() => null);
      const reply = await wire?.ask('SET', 'a', '1').catch(() => null);
      wire?.close();
      return reply === 'OK';
    };
    await eventually('the instance serves', serves);
    expect(child.exitCode).toBeNull();
  });
});
