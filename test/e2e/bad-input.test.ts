/**
 * Bytes that no client should send, to a real process: each ends in an error reply or a closed connection, and changes nothing for anybody
 * else. What the parser makes of them in detail is tested in test/resp; here the process has to live.
 */
import { randomBytes } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';
import { addressOf, encode, type Reply } from './wire.ts';

jest.setTimeout(120_000);

/** What may come back: an error, then the end of the connection. */
const PROTOCOL_ERROR = /^-ERR Protocol error/;

describe('an instance that is sent what it cannot use', () => {
  let database: LiveDatabase;
  let pids: readonly number[];
  let marks = 0;

  const pidsNow = (): number[] => [0, 1].map((cluster) => database.instancePid(cluster));

  beforeAll(async () => {
    database = await LiveDatabase.create();
    pids = pidsNow();
  });
  afterAll(() => database.cleanUp());

  /** Both processes live on, and a write still reaches the other side, in both directions. */
  afterEach(async () => {
    expect(pidsNow()).toEqual(pids);
    const mark = `${++marks}`;
    for (const cluster of [0, 1]) {
      expect(await database.ask(cluster, 'SET', `mark:${cluster}`, mark)).toBe('OK');
      await eventually(
        'the other instance has the write',
        async () => (await database.ask(1 - cluster, 'GET', `mark:${cluster}`)) === mark,
      );
    }
    expect(pidsNow()).toEqual(pids);
  });

  /** Sends the bytes on a connection of their own and collects the replies until it is closed. */
  const repliesUntilClosed = async (bytes: string | Uint8Array): Promise<Reply[]> => {
    const wire = await database.connect(0);
    wire.send(bytes);
    const replies: Reply[] = [];
    for (;;) {
      const reply = await wire.next().catch(() => undefined);
      if (reply === undefined) return replies;
      replies.push(reply);
    }
  };

  it.each([
    ['more arguments than there can be', '*2147483648\r\n'],
    ['an argument of 600 MB', '*2\r\n$3\r\nGET\r\n$600000000\r\n'],
    ['an argument of negative length', '*2\r\n$3\r\nGET\r\n$-5\r\n'],
    ['a length that is no number', '*2\r\n$three\r\nGET\r\n'],
    ['a count that is no number', '*many\r\n'],
    ['a number beyond 64 bits', '*1\r\n$99999999999999999999\r\n'],
    ['an integer where an argument should be', '*1\r\n:5\r\n'],
    ['an array inside an array', '*1\r\n*1\r\n$4\r\nPING\r\n'],
    ['a quote that does not end', 'SET a "b\r\n'],
    ['an inline request that does not end', 'a'.repeat(70_000)],
    ['a length that does not end', `*${'1'.repeat(70_000)}`],
  ])('answers %s with an error and closes', async (_what, bytes) => {
    const replies = await repliesUntilClosed(`PING\r\n${bytes}`);
    expect(replies).toEqual(['PONG', expect.stringMatching(PROTOCOL_ERROR)]);
  });

  it('takes announced lengths for what they are: nothing yet', async () => {
    const before = database.residentBytes(0);
    const wires = await Promise.all(Array.from({ length: 50 }, () => database.connect(0)));
    for (const [i, wire] of wires.entries()) {
      wire.send(i % 2 === 0 ? '*1000000000\r\n$3\r\nDEL\r\n' : '*2\r\n$3\r\nGET\r\n$536870912\r\nabc');
    }
    expect(await database.ask(0, 'PING')).toBe('PONG');
    expect(database.residentBytes(0) - before).toBeLessThan(32 * 1024 * 1024);
    for (const wire of wires) wire.close();
  });

  it('executes empty requests as nothing', async () => {
    const wire = await database.connect(0);
    wire.send('*0\r\n*-1\r\n\r\n\r\n*1\r\n$4\r\nPING\r\n');
    expect(await wire.next()).toBe('PONG');
    wire.close();
  });

  it.each([
    ['GET', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['POST', 'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\nset web 1\r\n\r\n'],
  ])('executes nothing for HTTP: %s', async (_method, bytes) => {
    const replies = await repliesUntilClosed(bytes);
    expect(replies.filter((reply) => !String(reply).startsWith('-ERR'))).toEqual([]);
    expect(await database.ask(0, 'EXISTS', 'web')).toBe(0);
  });

  it('refuses a TLS hello', async () => {
    const { host, port } = addressOf(database.endpoints[0]!);
    const socket = connectTls({ host, port, rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', () => reject(new Error('the endpoint speaks TLS')));
      socket.once('error', () => resolve());
    });
    socket.destroy();
  });

  it('survives binary garbage in any quantity', async () => {
    const before = await database.ask(1, 'DEBUG', 'DIGEST');
    for (const size of [1, 2, 3, 16, 100, 1_000, 65_536, 300_000]) {
      for (const head of ['', '*', '$', '*3\r\n', '*2\r\n$4\r\nECHO\r\n$', '\r\n']) {
        const wire = await database.connect(0);
        wire.send(Buffer.concat([Buffer.from(head), randomBytes(size)]));
        wire.socket.end();
        await wire.closed;
      }
    }
    expect(await database.ask(0, 'DEBUG', 'DIGEST')).toBe(before);
  });

  it('answers wrong requests with errors and goes on with the right ones, in order', async () => {
    const wire = await database.connect(0);
    const cases: readonly (readonly [readonly string[], Reply | RegExp])[] = [
      [['SET', 'text', 'abc'], 'OK'],
      [['GET'], /^-ERR wrong number of arguments for 'get' command/],
      [['GET', 'a', 'b'], /^-ERR wrong number of arguments for 'get' command/],
      [['NOSUCH', 'a'], /^-ERR unknown command 'NOSUCH'/],
      [[''], /^-ERR unknown command ''/],
      [['\x00\r\n+OK'], /^-ERR unknown command/],
      [['x'.repeat(100_000)], /^-ERR unknown command/],
      [['INCR', 'text'], /^-ERR value is not an integer or out of range/],
      [['SADD', 'text', 'a'], /^-WRONGTYPE/],
      [['HGET', 'text', 'a'], /^-WRONGTYPE/],
      [['EXPIRE', 'text', 'soon'], /^-ERR value is not an integer/],
      [['SETRANGE', 'text', '600000000', 'x'], /^-ERR string exceeds maximum allowed size/],
      [['SELECT', '5'], /^-ERR/],
      [['EXEC'], /^-ERR EXEC without MULTI/],
      [['CRDT.SYNC', '{}'], /^-NOPERM/],
      [['CRDT.SHUTDOWN'], /^-NOPERM/],
      [['AUTH', '__control', 'guess'], /^-WRONGPASS/],
      [['GET', 'text'], 'abc'],
    ];
    wire.send(Buffer.concat(cases.map(([words]) => encode(words))));
    for (const [words, expected] of cases) {
      const reply = await wire.next();
      const wanted = expected instanceof RegExp ? expect.stringMatching(expected) : expected;
      expect([words[0]!.slice(0, 20), reply]).toEqual([words[0]!.slice(0, 20), wanted]);
    }
    wire.close();
  });
});
