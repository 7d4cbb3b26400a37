import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Endpoint, eventually, type TestClient } from './endpoint.ts';

let endpoint: Endpoint;
let subscriber: TestClient;
let publisher: TestClient;

beforeEach(async () => {
  endpoint = await Endpoint.start();
  subscriber = await endpoint.connect();
  publisher = await endpoint.connect();
});

afterEach(() => endpoint.stop());

describe('Publish and subscribe', () => {
  it('delivers to channels and patterns, counting receivers', async () => {
    expect(await subscriber.ask('subscribe news')).toEqual(['subscribe', 'news', 1]);
    expect(await subscriber.ask('psubscribe n?ws')).toEqual(['psubscribe', 'n?ws', 2]);
    expect(await publisher.ask('publish news hello')).toBe(2);
    expect(await subscriber.next()).toEqual(['message', 'news', 'hello']);
    expect(await subscriber.next()).toEqual(['pmessage', 'n?ws', 'news', 'hello']);
    expect(await publisher.ask('publish other hello')).toBe(0);
    expect(endpoint.published).toEqual(['news: hello', 'other: hello']);
  });

  it('keeps shard channels apart', async () => {
    expect(await subscriber.ask('ssubscribe news')).toEqual(['ssubscribe', 'news', 1]);
    expect(await publisher.ask('publish news hello')).toBe(0);
    expect(await publisher.ask('spublish news hello')).toBe(1);
    expect(await subscriber.next()).toEqual(['smessage', 'news', 'hello']);
    expect(await publisher.ask('pubsub shardchannels')).toEqual(['news']);
    expect(await publisher.ask('pubsub channels')).toEqual([]);
  });

  it('restricts subscribers of RESP2 and not those of RESP3', async () => {
    await subscriber.ask('subscribe news');
    expect(await subscriber.ask('get a')).toBe(
      "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    );
    expect(await subscriber.ask('ping')).toEqual(['pong', '']);
    await subscriber.ask('unsubscribe');
    expect(await subscriber.ask('get a')).toBeNull();
    await subscriber.ask('hello 3');
    expect(await subscriber.ask('subscribe news')).toEqual({ push: ['subscribe', 'news', 1] });
    expect(await subscriber.ask('get a')).toBeNull();
    expect(await publisher.ask('publish news hello')).toBe(1);
    expect(await subscriber.next()).toEqual({ push: ['message', 'news', 'hello'] });
  });

  it('delivers what other instances publish', async () => {
    await subscriber.ask('subscribe news');
    endpoint.server.pubsub.deliver(Buffer.from('news'), Buffer.from('from afar'), false);
    expect(await subscriber.next()).toEqual(['message', 'news', 'from afar']);
  });

  it('delivers messages in order, among the replies of the subscriber itself', async () => {
    await subscriber.ask('hello 3');
    await subscriber.ask('subscribe news');
    publisher.send('publish news 1\r\npublish news 2\r\npublish news 3');
    for (const text of ['1', '2', '3']) expect(await subscriber.next()).toEqual({ push: ['message', 'news', text] });
    subscriber.send('ping a\r\npublish news mine\r\nping b');
    expect(await subscriber.next()).toBe('a');
    expect(await subscriber.next()).toBe(1);
    expect(await subscriber.next()).toEqual({ push: ['message', 'news', 'mine'] });
    expect(await subscriber.next()).toBe('b');
  });

  it.each([2, 3])('delivers what a client tells itself in a transaction behind EXEC, in RESP%d', async (protocol) => {
    await subscriber.ask(`hello ${protocol}`);
    const confirmation = ['subscribe', 'news', 1];
    const message = (text: string): string[] => ['message', 'news', text];
    for (const line of ['multi', 'subscribe news', 'publish news 1', 'publish news 2']) await subscriber.ask(line);
    const [inside, first, second] =
      protocol === 3
        ? [confirmation, message('1'), message('2')].map((push) => ({ push }))
        : [confirmation, message('1'), message('2')];
    expect(await subscriber.ask('exec')).toEqual([inside, 1, 1]);
    expect(await subscriber.next()).toEqual(first);
    expect(await subscriber.next()).toEqual(second);
  });

  it('confirms subscriptions and delivers messages to a client that wants no replies', async () => {
    subscriber.send('client reply off\r\nsubscribe news\r\nping\r\nclient reply skip');
    expect(await subscriber.next()).toEqual(['subscribe', 'news', 1]);
    expect(await publisher.ask('publish news hello')).toBe(1);
    expect(await subscriber.next()).toEqual(['message', 'news', 'hello']);
    subscriber.send('unsubscribe\r\nget a\r\nclient reply on');
    expect(await subscriber.next()).toEqual(['unsubscribe', 'news', 0]);
    expect(await subscriber.next()).toBe('OK');
  });

  it('disconnects a subscriber that does not read, and nobody else', async () => {
    await subscriber.ask('subscribe news');
    const reader = await endpoint.connect();
    await reader.ask('subscribe news');
    subscriber.socket.pause();
    const message = 'm'.repeat(60_000);
    let sent = 0;
    while (endpoint.logLines.length === 0 && sent < 2000) {
      await publisher.ask(`publish news ${message}`);
      expect(await reader.next()).toEqual(['message', 'news', message]);
      sent++;
    }
    expect(endpoint.logLines[0]).toMatch(/client \d+ closed: it does not read, \d+ bytes wait for it/);
    await eventually(() => [...endpoint.server.sessions()].length === 2, 'the subscriber is gone');
    expect(await publisher.ask('publish news x')).toBe(1);
  });

  it('forgets the subscriptions of a client that has gone', async () => {
    await subscriber.ask('subscribe a b');
    await subscriber.ask('unsubscribe x');
    expect(await publisher.ask('pubsub numsub a b c')).toEqual(['a', 1, 'b', 1, 'c', 0]);
    subscriber.socket.destroy();
    await eventually(() => [...endpoint.server.sessions()].length === 1, 'the subscriber is gone');
    expect(await publisher.ask('pubsub channels')).toEqual([]);
  });

  it('shows monitors the commands of a transaction, its EXEC behind them, and what they do themselves', async () => {
    expect(await subscriber.ask('monitor')).toBe('OK');
    const seen = async (): Promise<string> => String(await subscriber.next()).replace(/^[^"]*/, '');
    for (const line of ['multi', 'set a 1', 'config get x', 'get a', 'exec']) await publisher.ask(line);
    for (const line of ['"multi"', '"set" "a" "1"', '"get" "a"', '"exec"']) expect(await seen()).toBe(line);
    expect(await subscriber.ask('ping')).toBe('PONG');
    expect(await seen()).toBe('"ping"');
  });

  it('shows monitors every command, without passwords', async () => {
    expect(await subscriber.ask('monitor')).toBe('OK');
    publisher.send('set a "x\\n"\r\nauth default secret\r\nhello 2 auth default secret setname x\r\nget a');
    expect(await subscriber.next()).toMatch(/^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "set" "a" "x\\n"$/);
    expect(await subscriber.next()).toMatch(/ "auth" "\(redacted\)" "\(redacted\)"$/);
    expect(await subscriber.next()).toMatch(/ "hello" "2" "auth" "\(redacted\)" "\(redacted\)" "setname" "x"$/);
    expect(await subscriber.next()).toMatch(/ "get" "a"$/);
  });
});
