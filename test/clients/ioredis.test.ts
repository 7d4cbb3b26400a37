/** ioredis as an application uses it: pipelines, subscriptions, streams of keys, and what it does when the server goes away. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis, type RedisOptions } from 'ioredis';
import { eventually } from '../server/endpoint.ts';
import { RealInstance } from './real-instance.ts';

let instance: RealInstance;
const clients: Redis[] = [];

beforeAll(async () => {
  instance = await RealInstance.start();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});
afterAll(() => instance.stop());

function connect(options: RedisOptions = {}): Redis {
  const client = new Redis({ host: '127.0.0.1', port: instance.port, ...options });
  client.on('error', () => {});
  clients.push(client);
  return client;
}

describe('ioredis', () => {
  it('waits until INFO says that the server is ready', async () => {
    const client = connect({ enableReadyCheck: true, lazyConnect: true });
    const states: string[] = [];
    for (const state of ['connect', 'ready']) client.on(state, () => states.push(state));
    await client.connect();
    expect(states).toEqual(['connect', 'ready']);
    expect(await client.info('server')).toContain('redis_version:7.0.15');
  });

  it('pipelines, also by itself', async () => {
    const client = connect({ enableAutoPipelining: true });
    await client.flushall();
    const replies = await client.pipeline().set('a', '1').incr('a').lpush('a', 'x').get('a').exec();
    expect(replies!.map(([error, value]) => error?.message.split(',')[0] ?? value)).toEqual([
      'OK',
      2,
      "ERR unknown command 'lpush'",
      '2',
    ]);
    const values = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.incrby('sum', i)));
    expect(values.at(-1)).toBe(499_500);
    expect(await client.mset(new Map([['m1', 'x']]))).toBe('OK');
    expect(await client.getBuffer('m1')).toEqual(Buffer.from('x'));
  });

  it('runs transactions', async () => {
    const client = connect();
    expect(await client.multi().set('t', '1').incr('t').exec()).toEqual([
      [null, 'OK'],
      [null, 2],
    ]);
    await client.watch('t');
    await connect().set('t', '5');
    expect(await client.multi().get('t').exec()).toBeNull();
    await client.multi({ pipeline: false });
    expect(await client.get('t')).toBe('QUEUED');
    expect(await client.exec()).toEqual([[null, '5']]);
    await expect(client.multi().call('set', 't').exec()).rejects.toThrow('EXECABORT');
  });

  it('streams keys and fields', async () => {
    const client = connect();
    await client.flushall();
    await client.mset(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, '1'])));
    await client.hset('h', Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, '1'])));
    const keys = new Set<string>();
    for await (const some of client.scanStream({ match: 'k*', count: 50, type: 'string' })) {
      for (const key of some as string[]) keys.add(key);
    }
    expect(keys.size).toBe(500);
    const fields = new Set<string>();
    for await (const some of client.hscanStream('h', { count: 50 })) {
      (some as string[]).forEach((word, i) => i % 2 === 0 && fields.add(word));
    }
    expect(fields.size).toBe(500);
  });

  it('gives messages to its subscribers, and the connection back', async () => {
    const client = connect({ keyPrefix: 'app:' });
    const subscriber = connect();
    const seen: string[] = [];
    subscriber.on('message', (channel: string, message: string) => seen.push(`${channel}: ${message}`));
    subscriber.on('pmessage', (pattern: string, channel: string, message: string) =>
      seen.push(`${pattern} ${channel}: ${message}`),
    );
    expect(await subscriber.subscribe('news', 'more')).toBe(2);
    expect(await subscriber.psubscribe('n*')).toBe(3);
    expect(await connect().publish('news', 'hello')).toBe(2);
    await eventually(() => seen.length === 2, 'the messages arrive');
    expect(seen).toEqual(['news: hello', 'n* news: hello']);
    await subscriber.unsubscribe('news', 'more');
    await subscriber.punsubscribe('n*');
    expect(await subscriber.get('nothing')).toBeNull();
    await client.set('key', 'v');
    expect(await subscriber.get('app:key')).toBe('v');
  });

  it('shows what others do', async () => {
    const client = connect();
    const monitor = await client.monitor();
    clients.push(monitor);
    const seen: string[][] = [];
    monitor.on('monitor', (_time: string, words: string[]) => seen.push(words));
    await client.set('watched', 'a "quoted" \xff value');
    await eventually(() => seen.length > 0, 'the monitor sees it');
    expect(seen[0]).toEqual(['set', 'watched', 'a "quoted" \\xc3\\xbf value']);
  });

  it('keeps commands while the server is away, and subscriptions, too', async () => {
    const own = await RealInstance.start();
    const retryStrategy = (): number => 50;
    const client = connect({ port: own.port, retryStrategy, maxRetriesPerRequest: null });
    const subscriber = connect({ port: own.port, retryStrategy });
    const seen: string[] = [];
    subscriber.on('message', (_channel, message: string) => seen.push(message));
    await subscriber.subscribe('news');
    await client.set('before', '1');
    await own.stop();
    await eventually(() => client.status !== 'ready' && subscriber.status !== 'ready', 'both notice');
    const waiting = client.set('offline', 'kept');
    const again = await RealInstance.start({ port: own.port });
    try {
      expect(await waiting).toBe('OK');
      expect(await client.get('offline')).toBe('kept');
      await eventually(() => subscriber.status === 'ready', 'the subscriber is back');
      await expect(subscriber.ping()).resolves.toBeDefined();
      expect(await client.publish('news', 'after')).toBe(1);
      await eventually(() => seen.length === 1, 'the message arrives');
    } finally {
      client.disconnect();
      subscriber.disconnect();
      await again.stop();
    }
  });

  it('is told why a script does not run', async () => {
    const client = connect({ scripts: { answer: { lua: 'return 42', numberOfKeys: 0 } } });
    const { answer } = client as unknown as { answer: () => Promise<unknown> };
    await expect(answer.call(client)).rejects.toThrow('scripts and functions are not supported');
  });
});
