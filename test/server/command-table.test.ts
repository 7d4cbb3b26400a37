import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { ALL_COMMANDS } from '../../src/redis-commands/table.ts';
import { describeWithRedis, RedisServer } from '../redis-commands/redis-server.ts';
import { Endpoint } from './endpoint.ts';

type Row = readonly [string, number, string[], number, number, number, string[], unknown, unknown, Row[]];

let redis: RedisServer;
let theirs: Redis;
let endpoint: Endpoint;
let ours: Redis;

beforeEach(async () => {
  endpoint = await Endpoint.start();
  ours = new Redis({ host: '127.0.0.1', port: endpoint.port });
});
afterEach(async () => {
  ours.disconnect();
  await endpoint.stop();
});

/** What COMMAND says, by name, subcommands included. */
async function readTable(client: Redis): Promise<Map<string, Row>> {
  const table = new Map<string, Row>();
  const note = (rows: readonly Row[]): void => {
    for (const row of rows) {
      table.set(row[0], row);
      note(row[9]);
    }
  };
  note((await client.call('COMMAND')) as Row[]);
  return table;
}

const describeRow = ([, arity, flags, first, last, step, categories]: Row): unknown => ({
  arity,
  flags: [...flags].sort(),
  keys: [first, last, step],
  categories: [...categories].sort(),
});

const REFUSED = new Set(
  ALL_COMMANDS.filter(({ deviation = '' }) => deviation.startsWith('Refused')).map(({ name }) => name.toLowerCase()),
);
/** Ours has two subcommands, theirs is one command. */
const OTHERWISE = new Set(['debug']);

describeWithRedis('COMMAND', () => {
  beforeAll(async () => {
    redis = await RedisServer.start();
    theirs = new Redis(redis.path);
  });
  afterAll(async () => {
    theirs.disconnect();
    await redis.stop();
  });

  it('describes every command as Redis does: arity, flags, keys, categories', async () => {
    const [mine, other] = await Promise.all([readTable(ours), readTable(theirs)]);
    const shared = [...mine.keys()].filter((name) => other.has(name) && !REFUSED.has(name) && !OTHERWISE.has(name));
    expect(shared.length).toBeGreaterThan(170);
    const show = (table: Map<string, Row>): unknown =>
      Object.fromEntries(shared.map((name) => [name, describeRow(table.get(name)!)]));
    expect(show(mine)).toEqual(show(other));
  });

  it('counts and lists what it describes', async () => {
    const table = await readTable(ours);
    const names = (await ours.call('COMMAND', 'LIST')) as string[];
    expect([...names].sort()).toEqual([...table.keys()].sort());
    expect(await ours.call('COMMAND', 'COUNT')).toBe(names.filter((name) => !name.includes('|')).length);
    const docs = (await ours.call('COMMAND', 'DOCS')) as unknown[];
    expect(docs).toHaveLength(2 * names.filter((name) => !name.includes('|')).length);
    expect(names).toContain('config|help');
    expect(names.filter((name) => name.startsWith('crdt'))).toEqual([]);
  });

  it('helps with every container', async () => {
    for (const { name, flags, subcommands = [] } of ALL_COMMANDS) {
      if (subcommands.length === 0 || flags.includes('hidden')) continue;
      const lines = (await ours.call(name, 'HELP')) as string[];
      expect(lines[0]).toBe(`${name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`);
      for (const sub of subcommands) expect(lines).toContain(sub.name.slice(name.length + 1));
    }
  });
});
