/** The npm package `redis`, in both protocols, as an application uses it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, WatchError } from 'redis';
import { eventually } from '../server/endpoint.ts';
import { RealInstance } from './real-instance.ts';

let instance: RealInstance;

beforeAll(async () => {
  instance = await RealInstance.start({ password: 'secret' });
});
afterAll(() => instance.stop());

describe.each([2, 3] as const)('node-redis over RESP%i', (RESP) => {
  const connect = (name = 'app') =>
    createClient({ url: `redis://default:secret@127.0.0.1:${instance.port}`, RESP, name })
      .on('error', () => {})
      .connect();
  let client: Awaited<ReturnType<typeof connect>>;

  beforeAll(async () => {
    client = await connect();
    await client.flushAll();
  });
  afterAll(() => client.close());

  it('logs in, names itself and its library', async () => {
    const info = await client.clientInfo();
    expect(info).toMatchObject({ name: 'app', user: 'default', db: 0, libName: 'node-redis' });
    expect(Object.entries(info).filter(([, value]) => Number.isNaN(value))).toEqual([]);
    expect((await client.clientList()).map(({ id }) => id)).toContain(info.id);
    expect(await client.hello()).toMatchObject({ server: 'redis', proto: RESP, role: 'master' });
    await expect(
      createClient({
        url: `redis://default:wrong@127.0.0.1:${instance.port}`,
        RESP,
        socket: { reconnectStrategy: false },
      })
        .on('error', () => {})
        .connect(),
    ).rejects.toThrow('WRONGPASS');
  });

  it('reads and writes every type that there is', async () => {
    expect(await client.set('s', '1', { condition: 'NX', expiration: { type: 'EX', value: 100 } })).toBe('OK');
    expect(await client.set('s', '2', { condition: 'NX', GET: true })).toBe('1');
    expect(await client.incrBy('s', 41)).toBe(42);
    expect(await client.ttl('s')).toBeGreaterThan(90);
    expect(await client.hSet('h', { a: '1', b: '2' })).toBe(2);
    expect(await client.hGetAll('h')).toEqual({ a: '1', b: '2' });
    expect(await client.hExpire('h', ['a', 'none'], 100)).toEqual([1, -2]);
    expect(await client.hTTL('h', ['b'])).toEqual([-1]);
    expect((await client.hScan('h', '0')).entries).toHaveLength(2);
    expect(await client.hRandFieldCountWithValues('h', 5)).toHaveLength(2);
    expect(await client.sAdd('set', ['x', 'y'])).toBe(2);
    expect([...(await client.sMembers('set'))].sort()).toEqual(['x', 'y']);
    expect(await client.smIsMember('set', ['x', 'z'])).toEqual([1, 0]);
    expect(await client.bitField('bits', [{ operation: 'INCRBY', encoding: 'u8', offset: 0, increment: 300 }])).toEqual(
      [44],
    );
    const keys: string[] = [];
    for await (const some of client.scanIterator()) keys.push(...some);
    expect(keys.sort()).toEqual(['bits', 'h', 's', 'set']);
    expect(await client.objectEncoding('s')).toBe('int');
    expect(await client.memoryUsage('h')).toBeGreaterThan(0);
  });

  it('runs transactions, and hears when a watched key changed', async () => {
    expect(await client.multi().set('x', '1').incr('x').get('x').exec()).toEqual(['OK', 2, '2']);
    await client.watch('x');
    const other = await connect('other');
    await other.set('x', '9');
    await other.close();
    await expect(client.multi().get('x').exec()).rejects.toThrow(WatchError);
    expect(await client.multi().get('x').exec()).toEqual(['9']);
  });

  it('subscribes to channels, patterns and shard channels', async () => {
    const subscriber = await connect('subscriber');
    const seen: string[] = [];
    await subscriber.subscribe('news', (message, channel) => void seen.push(`${channel}: ${message}`));
    await subscriber.pSubscribe('n*', (message, channel) => void seen.push(`${channel} by pattern: ${message}`));
    await subscriber.sSubscribe('shard', (message, channel) => void seen.push(`${channel}: ${message}`));
    expect(await client.pubSubNumSub(['news', 'other'])).toEqual({ news: 1, other: 0 });
    expect(await client.publish('news', 'hello')).toBe(2);
    expect(await client.sPublish('shard', 'hello')).toBe(1);
    await eventually(() => seen.length === 3, 'the messages arrive');
    expect(seen).toEqual(['news: hello', 'news by pattern: hello', 'shard: hello']);
    await subscriber.unsubscribe('news');
    await subscriber.pUnsubscribe('n*');
    await subscriber.sUnsubscribe('shard');
    expect(await client.publish('news', 'nobody')).toBe(0);
    expect(await subscriber.get('nothing')).toBeNull();
    await subscriber.close();
  });

  it('asks about the server, and is told what is not supported', async () => {
    expect(await client.configGet(['maxmemory-policy'])).toEqual({ 'maxmemory-policy': 'noeviction' });
    expect(await client.commandGetKeys(['MSET', 'a', '1', 'b', '2'])).toEqual(['a', 'b']);
    expect((await client.commandInfo(['get', 'nosuch']))[0]).toMatchObject({ name: 'get', arity: 2 });
    expect((await client.command()).length).toBe(await client.commandCount());
    expect(await client.aclWhoAmI()).toBe('default');
    expect(await client.clientTrackingInfo()).toMatchObject({ redirect: -1 });
    await expect(client.clientTracking(true)).rejects.toThrow('client-side caching is not supported');
    await expect(client.eval('return 1')).rejects.toThrow('scripts and functions are not supported');
    await expect(client.sendCommand(['CLUSTER', 'INFO'])).rejects.toThrow('cluster support disabled');
  });

  it('sends what it can at once, and gets every reply where it belongs', async () => {
    const count = 2000;
    const replies = await Promise.all(Array.from({ length: count }, (_, i) => client.set(`k${i}`, `${i}`)));
    expect(replies.every((reply) => reply === 'OK')).toBe(true);
    const values = await Promise.all(Array.from({ length: count }, (_, i) => client.get(`k${i}`)));
    expect(values).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
  });
});
