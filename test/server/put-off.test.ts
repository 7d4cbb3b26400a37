/** Commands that want the whole of a large container which is not settled yet: they wait, and nobody else does. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Database } from '../../src/database/database.ts';
import { seededRandom, START_MS } from '../database/cluster.ts';
import { takeSnapshot } from '../database/laws/state.ts';
import { Client } from '../redis-commands/harness.ts';
import { HASH_AND_SET_COMMANDS } from '../redis-commands/hash-and-set-commands.ts';
import { Endpoint, type TestClient } from './endpoint.ts';

const LIMIT = 100;
/** Each side has so many fields and members; half of them both have. */
const ENTRIES = 600;
const TOGETHER = 900;

const newDatabase = (instance: number): Database => {
  const database = new Database({
    instance,
    generation: 1_764_000_000,
    random: seededRandom(instance),
    segmentBytes: 1 << 20,
    limits: { smallContainerEntries: 8, settledAtOnceEntries: LIMIT },
  });
  database.setTime(START_MS);
  return database;
};

/** `first`: number of the first entry. */
function fill(database: Database, first: number): void {
  const client = new Client(HASH_AND_SET_COMMANDS, { database });
  for (let i = first; i < first + ENTRIES; i++) {
    client.run('HSET', 'hash', `f${i}`, `v${first}`);
    client.run('SADD', 'set', `m${i}`);
    client.run('SADD', 'other', `m${i}`);
  }
}

let endpoint: Endpoint;
let client: TestClient;
let other: TestClient;

beforeEach(async () => {
  const database = newDatabase(1);
  const peer = newDatabase(2);
  fill(database, 0);
  fill(peer, ENTRIES / 2);
  const incoming = database.beginIncoming();
  incoming.feed(takeSnapshot(peer));
  incoming.join();
  endpoint = await Endpoint.start({ database });
  client = await endpoint.connect();
  other = await endpoint.connect();
});

afterEach(() => endpoint.stop());

/** The sweep goes on until the commands that wait have been answered. */
async function settle(): Promise<void> {
  while (endpoint.database.settleStep(10)) await new Promise((resolve) => setImmediate(resolve));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('A command that wants the whole of a container which waits to be settled', () => {
  it.each([
    ['hlen hash', TOGETHER],
    ['scard set', TOGETHER],
    ['sinterstore result set other', TOGETHER],
    ['memory usage hash samples 0', expect.any(Number)],
  ])('is answered when it is settled, and others are served meanwhile: %s', async (command, reply) => {
    client.send(command);
    client.send('ping');
    await pause(30);
    expect(endpoint.database.isSettled).toBe(false);
    expect(await other.ask('set key value')).toBe('OK');
    expect(await other.ask('hget hash f1')).toBe('v0');
    expect(endpoint.database.isSettled).toBe(false);
    await settle();
    expect(await client.next()).toEqual(reply);
    expect(await client.next()).toBe('PONG');
    const [name] = command.split(' ');
    const stats = String(await other.ask('info commandstats'));
    expect(/cmdstat_([a-z|]+):calls=(\d+)/g.test(stats)).toBe(true);
    expect(stats).toMatch(new RegExp(`cmdstat_${name}(\\|usage)?:calls=1,`));
  });

  it('waits for that container only, whatever else is to be settled', async () => {
    const { database } = endpoint;
    client.send('hlen hash');
    await pause(30);
    let steps = 0;
    const isAnswered = client.next();
    while (database.keyspace.containers.hashes.isStaged(hashOf(database)) && steps < 1000) {
      database.settleStep(10);
      steps++;
    }
    expect(steps).toBeLessThan((2 * ENTRIES) / 10 + 10);
    expect(database.isSettled).toBe(false);
    expect(await isAnswered).toBe(TOGETHER);
  });

  it('puts off a transaction as a whole, which is one moment', async () => {
    const { database } = endpoint;
    for (const command of ['multi', 'set before 1', 'scard set', 'hlen hash', 'set after 1']) await client.ask(command);
    client.send('exec');
    client.send('ping');
    await pause(30);
    expect(database.isSettled).toBe(false);
    expect(await other.ask('mget before after')).toEqual([null, null]);
    await settle();
    expect(await client.next()).toEqual(['OK', TOGETHER, TOGETHER, 'OK']);
    expect(await client.next()).toBe('PONG');
    expect(String(await other.ask('info commandstats'))).toMatch(/cmdstat_exec:calls=1,/);
  });

  it('does not put off a transaction that is not executed, nor one that other keys are in', async () => {
    await client.ask('watch key');
    for (const command of ['multi', 'scard set']) await client.ask(command);
    await other.ask('set key 1');
    expect(await client.ask('exec')).toBeNull();
    for (const command of ['multi', 'nonsense', 'scard set']) await client.ask(command);
    expect(String(await client.ask('exec'))).toContain('EXECABORT');
    for (const command of ['multi', 'set key 2', 'get key', 'ping']) await client.ask(command);
    expect(await client.ask('exec')).toEqual(['OK', '2', 'PONG']);
    expect(endpoint.database.isSettled).toBe(false);
  });

  it('does not look at a long transaction again until there is a reason to', async () => {
    const { database } = endpoint;
    const demandSettled = database.demandSettled.bind(database);
    let looks = 0;
    database.demandSettled = (args, index) => {
      looks++;
      demandSettled(args, index);
    };
    await client.ask('multi');
    for (let i = 0; i < 20; i++) await client.ask(`set k${i} 1`);
    await client.ask('scard set');
    client.send('exec');
    await pause(100);
    expect(looks).toBe(21);
    await settle();
    expect((await client.next()) as unknown[]).toHaveLength(21);
  });

  it('lets a transaction see what came while it waited: a watched key ends it', async () => {
    await client.ask('watch key');
    for (const command of ['multi', 'scard set']) await client.ask(command);
    client.send('exec');
    await pause(30);
    await other.ask('set key 1');
    await settle();
    expect(await client.next()).toBeNull();
  });

  it('takes nothing with it when its client goes', async () => {
    client.send('hlen hash');
    await pause(30);
    client.socket.destroy();
    expect(await other.ask('get nothing')).toBeNull();
    await settle();
    expect(await other.ask('hlen hash')).toBe(TOGETHER);
  });

  it('runs at once where little waits', async () => {
    for (let i = LIMIT / 2; i < TOGETHER; i++) await other.ask(`hget hash f${i}`);
    expect(await client.ask('hlen hash')).toBe(TOGETHER);
    expect(endpoint.database.isSettled).toBe(false);
  });
});

function hashOf(database: Database): number {
  const { keyspace } = database;
  const name = Buffer.from('hash');
  return keyspace.containers.hash(keyspace.keyMaps.find(keyspace.keys, keyspace.keyMaps.hash(name, 0, 4), name, 0, 4));
}
