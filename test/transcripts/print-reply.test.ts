/** What transcripts show, against what redis-cli prints for the same commands. */
import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { Endpoint } from '../server/endpoint.ts';
import { Instances } from './instances.ts';

const LINES = [
  'SET k "a \\"quoted\\" \\\\ text\\n\\r\\t\\a\\b\\x00\\xff~ "',
  'GET k',
  'GET absent',
  'SET empty ""',
  'GET empty',
  'INCRBY n -9223372036854775808',
  'INCR k',
  'SMEMBERS absent',
  'MGET n absent k',
  'SCAN 0 MATCH nothing',
  'MGET 1 2 3 4 5 6 7 8 9 n',
  'MULTI',
  'INCR n',
  'MGET n absent',
  'LCS n n IDX',
  'INCR k',
  'EXEC',
  'TYPE n',
];

const isInstalled = spawnSync('redis-cli', ['--version']).status === 0;
if (!isInstalled && process.env['CI'] === undefined) process.stderr.write('SKIPPED, redis-cli is not installed\n');

describe('A reply in a transcript', () => {
  (isInstalled || process.env['CI'] !== undefined ? it : it.skip)('looks as redis-cli prints it', async () => {
    const endpoint = await Endpoint.start();
    const cli = spawn('redis-cli', ['--no-raw', '-p', String(endpoint.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
    cli.stdin.end(`${LINES.join('\n')}\n`);
    const printed = await text(cli.stdout);
    await endpoint.stop();

    const instances = new Instances(2, { mergesSnapshots: false });
    let shown = '';
    for (const line of LINES) shown += (await instances.run('1', line)).join('\n') + '\n';
    expect(shown).toBe(printed);
  });

  it('without an order of its own is put in order', async () => {
    const instances = new Instances(2, { mergesSnapshots: false });
    await instances.run('1', 'HSET h z 1 a 3 k 2');
    await instances.run('1', 'SADD s z a k');
    expect(await instances.run('1', 'HGETALL h')).toEqual(['1) "a"', '2) "3"', '3) "k"', '4) "2"', '5) "z"', '6) "1"']);
    expect(await instances.run('1', 'SMEMBERS s')).toEqual(['1) "a"', '2) "k"', '3) "z"']);
  });
});
