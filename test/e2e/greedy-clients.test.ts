/** Clients that take and do not give: ten thousand that connect and say nothing, and some that never read what they asked for. */
import net from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';
import { addressOf, encode, type Wire } from './wire.ts';

jest.setTimeout(120_000);

const MIB = 1024 * 1024;
/** Below the limit of 10,000, so that the daemon, the peer and the good client still find a place. */
const SILENT_CLIENTS = 9_800;
/** Node.js needs about 3 KB for a socket, the session and half a request the rest. */
const BYTES_PER_SILENT_CLIENT = 16 * 1024;
const CONNECTING_AT_ONCE = 200;

describe('an instance with greedy clients', () => {
  let database: LiveDatabase;
  let good: Wire;
  let pid: number;
  const sockets: net.Socket[] = [];

  beforeAll(async () => {
    database = await LiveDatabase.create();
    good = await database.connect(0);
    pid = database.instancePid(0);
    await good.ask('SET', 'large', 'x'.repeat(MIB));
  });
  afterAll(() => database.cleanUp());

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    expect(await good.ask('SET', 'alive', 'yes')).toBe('OK');
    await database.converged();
    expect(database.instancePid(0)).toBe(pid);
  });

  /** A client that reads nothing. */
  const connectSilent = async (first: string | Uint8Array): Promise<net.Socket> => {
    const socket = net.connect(addressOf(database.endpoints[0]!)).pause();
    sockets.push(socket);
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    if (first.length > 0) socket.write(first);
    return socket;
  };

  it('answers in time, in bounded memory, with ten thousand half-open connections', async () => {
    const before = database.residentBytes(0);
    const beginnings = ['', '*3\r\n$3\r\nSET\r\n$5\r\nhal', '*1000000\r\n$1\r\na\r\n', 'GET without an e', '$'];
    for (let i = 0; i < SILENT_CLIENTS; i += CONNECTING_AT_ONCE) {
      const some = Array.from({ length: CONNECTING_AT_ONCE }, (_, j) =>
        connectSilent(beginnings[(i + j) % beginnings.length]!),
      );
      await Promise.all(some);
    }
    const connected = async (): Promise<number> =>
      Number(/connected_clients:(\d+)/.exec(String(await good.ask('INFO', 'clients')))![1]);
    await eventually('they are connected', async () => (await connected()) > SILENT_CLIENTS);
    expect(database.residentBytes(0) - before).toBeLessThan(SILENT_CLIENTS * BYTES_PER_SILENT_CLIENT);
    const startMs = performance.now();
    for (let i = 0; i < 1_000; i++) expect(await good.ask('SET', `key:${i}`, i)).toBe('OK');
    // On average; a loaded machine needs room.
    expect((performance.now() - startMs) / 1_000).toBeLessThan(20);
    for (const socket of sockets.splice(0)) socket.destroy();
    await eventually('they are forgotten', async () => (await connected()) < 100);
  });

  it('keeps no more than a little of what is not read: replies', async () => {
    const before = database.residentBytes(0);
    const requests = encode(['GET', 'large']).toString().repeat(2_000);
    // Ten clients ask for 2 GB each.
    for (let i = 0; i < 10; i++) await connectSilent(requests);
    for (let i = 0; i < 100; i++) expect(await good.ask('PING')).toBe('PONG');
    const waitingBytes = async (): Promise<number[]> => {
      const lines = String(await good.ask('CLIENT', 'LIST')).split('\n');
      return lines.filter((line) => line.includes(' cmd=get ')).map((line) => Number(/ omem=(\d+)/.exec(line)![1]));
    };
    await eventually('their replies wait', async () => {
      const bytes = await waitingBytes();
      return bytes.length === 10 && bytes.every((count) => count > 0);
    });
    for (const bytes of await waitingBytes()) expect(bytes).toBeLessThan(4 * MIB);
    expect(database.residentBytes(0) - before).toBeLessThan(10 * 8 * MIB);
  });

  it.each([
    ['messages', encode(['SUBSCRIBE', 'news']), (): Buffer => encode(['PUBLISH', 'news', Buffer.alloc(MIB / 4, 'm')])],
    ['what is monitored', encode(['MONITOR']), (): Buffer => encode(['ECHO', Buffer.alloc(MIB / 4, 'm')])],
  ])('cuts off who does not read: %s', async (_what, listen, speak) => {
    const listener = await connectSilent(listen);
    const before = database.residentBytes(0);
    let peak = 0;
    for (let i = 0; i < 400; i++) {
      good.send(speak());
      await good.next();
      if (i % 20 === 0) peak = Math.max(peak, database.residentBytes(0));
    }
    // 32 MiB may wait for a listener; while they are gathered and handed over there may be as much again.
    expect(peak - before).toBeLessThan(128 * MIB);
    listener.resume();
    await eventually('it is cut off', () => listener.destroyed);
  });
});
