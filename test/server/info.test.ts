import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeWithRedis, RedisServer } from '../redis-commands/redis-server.ts';
import { Endpoint } from './endpoint.ts';

/** Fields that Redis 7.0.15 does not have: of later versions, or of this engine. */
const OWN = new Set(['pubsub_clients', 'instance_id']);

let endpoint: Endpoint;

beforeEach(async () => {
  endpoint = await Endpoint.start();
});
afterEach(() => endpoint.stop());

/** `section.field` and the field's value. */
function parseInfo(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  let section = '';
  for (const line of text.split('\r\n')) {
    if (line.startsWith('# ')) section = line.slice(2);
    else if (line !== '')
      fields.set(`${section}.${line.slice(0, line.indexOf(':'))}`, line.slice(line.indexOf(':') + 1));
  }
  return fields;
}

async function ask(...lines: string[]): Promise<Map<string, string>> {
  const client = await endpoint.connect();
  for (const line of lines.slice(0, -1)) await client.ask(line);
  return parseInfo(String(await client.ask(lines.at(-1)!)));
}

describeWithRedis('INFO', () => {
  it('has only fields that Redis has, in the sections where Redis has them', async () => {
    const redis = await RedisServer.start();
    try {
      const lines = ['set a 1 ex 1000', 'get a', 'incr b', 'foo', 'info', 'info everything'];
      const text = (await redis.run(lines.map((line) => line.split(' ')))).toString('latin1');
      const theirs = parseInfo(text.slice(text.lastIndexOf('# Server')));
      const ours = await ask(...lines);
      const extra = [...ours.keys()].filter((name) => !theirs.has(name) && !OWN.has(name.split('.')[1]!));
      expect(extra).toEqual([]);
      for (const name of [
        'Errorstats.errorstat_ERR',
        'Server.redis_version',
        'Replication.role',
        'Cluster.cluster_enabled',
      ]) {
        expect(`${name} ${ours.get(name)}`).toBe(`${name} ${theirs.get(name)}`);
      }
      const withoutTime = (value = ''): string =>
        value.replace(/usec=\d+,usec_per_call=[\d.]+/, 'usec=#,usec_per_call=#');
      for (const command of ['set', 'get', 'incr']) {
        const name = `Commandstats.cmdstat_${command}`;
        expect(withoutTime(ours.get(name))).toBe(withoutTime(theirs.get(name)));
      }
    } finally {
      await redis.stop();
    }
  });

  it('gives the sections that are asked for, and all but the statistics of commands when none is', async () => {
    const sections = async (line: string): Promise<string[]> => [
      ...new Set([...(await ask('set a 1', 'foo', line)).keys()].map((name) => name.split('.')[0]!)),
    ];
    expect(await sections('info memory keyspace')).toEqual(['Memory', 'Keyspace']);
    expect(await sections('INFO Memory')).toEqual(['Memory']);
    expect(await sections('info nosuchsection')).toEqual([]);
    const usual = 'Server Clients Memory Persistence Stats Replication CPU Errorstats Cluster Keyspace Crdt'.split(' ');
    expect(await sections('info')).toEqual(usual);
    expect((await sections('info all')).filter((name) => !usual.includes(name))).toEqual(['Commandstats']);
  });

  it('starts over what it has counted at CONFIG RESETSTAT, also what the instance counts', async () => {
    const fields = await ask('get a', 'foo', 'config resetstat', 'info everything');
    expect(fields.has('Commandstats.cmdstat_get')).toBe(false);
    expect(fields.get('Stats.total_error_replies')).toBe('0');
    expect(endpoint.resets).toBe(1);
  });

  it('tells how many commands are executed per second since it was asked before', async () => {
    const client = await endpoint.connect();
    const rate = async (): Promise<number> =>
      Number(parseInfo(String(await client.ask('info stats'))).get('Stats.instantaneous_ops_per_sec'));
    const startedMs = performance.now();
    await rate();
    let commands = 1;
    while (performance.now() < startedMs + 150) {
      await client.ask('get a');
      commands++;
    }
    const measured = await rate();
    const elapsedMs = performance.now() - startedMs;
    expect(measured).toBeGreaterThan(0);
    expect(measured).toBeLessThanOrEqual((commands * 1000) / 100);
    expect(measured).toBeGreaterThan((commands * 1000) / elapsedMs / 10);
  });
});
