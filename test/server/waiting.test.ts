import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Endpoint, eventually, type TestClient } from './endpoint.ts';

let endpoint: Endpoint;
let client: TestClient;
let other: TestClient;

beforeEach(async () => {
  endpoint = await Endpoint.start();
  client = await endpoint.connect();
  other = await endpoint.connect();
});

afterEach(() => endpoint.stop());

const isBlocked = (): boolean => [...endpoint.server.sessions()].some((session) => session.isBlocked);

describe('A client that waits', () => {
  it('gets its reply when enough instances have its writes, and then what it asked next', async () => {
    client.send('set a 1\r\nwait 2 0\r\nget a');
    expect(await client.next()).toBe('OK');
    await eventually(isBlocked, 'the client waits');
    expect(await other.ask('get a')).toBe('1');
    expect(client.unread.length).toBe(0);
    endpoint.acked = 2;
    endpoint.ackWaiters[0]!.fn();
    expect(await client.next()).toBe(2);
    expect(await client.next()).toBe('1');
    expect(endpoint.ackWaiters).toHaveLength(0);
  });

  it('gives up after its time, with what there is', async () => {
    endpoint.acked = 1;
    expect(await client.ask('wait 1 0')).toBe(1);
    expect(await client.ask('wait 2 10')).toBe(1);
    expect(await client.ask('waitaof 1 5 10')).toEqual([1, 1]);
    expect(await client.ask('ping')).toBe('PONG');
  });

  it('can be let go by another client, in the middle of its requests', async () => {
    const id = (await client.ask('client id')) as number;
    client.send('wait 1 0\r\nping after');
    await eventually(isBlocked, 'the client waits');
    other.send(`ping 1\r\nclient unblock ${id}\r\nping 2`);
    expect([await other.next(), await other.next(), await other.next()]).toEqual(['1', 1, '2']);
    expect([await client.next(), await client.next()]).toEqual([0, 'after']);
    client.send('wait 1 0');
    await eventually(isBlocked, 'the client waits');
    expect(await other.ask(`client unblock ${id} error`)).toBe(1);
    expect(await client.next()).toBe('-UNBLOCKED client unblocked via CLIENT UNBLOCK');
    expect(await other.ask(`client unblock ${id}`)).toBe(0);
  });

  it('is noticed when it goes away', async () => {
    client.send('wait 1 0\r\nping');
    await eventually(isBlocked, 'the client waits');
    client.socket.destroy();
    await eventually(() => [...endpoint.server.sessions()].length === 1, 'it is forgotten');
    expect(endpoint.ackWaiters).toHaveLength(0);
  });

  it('because clients are paused goes on after the pause, in order', async () => {
    expect(await other.ask('client pause 60000 write')).toBe('OK');
    client.send('get a\r\nset a 1\r\nget a');
    expect(await client.next()).toBeNull();
    expect(await other.ask('get a')).toBeNull();
    expect(await other.ask('client unpause')).toBe('OK');
    expect([await client.next(), await client.next()]).toEqual(['OK', '1']);
    expect(await other.ask('client pause 20 all')).toBe('OK');
    expect(await client.ask('get a')).toBe('1');
  });

  it('can be killed by others and by itself', async () => {
    const id = (await client.ask('client id')) as number;
    client.send('wait 1 0');
    await eventually(isBlocked, 'the client waits');
    expect(await other.ask(`client kill id ${id}`)).toBe(1);
    await client.closed();
    expect(await other.ask('client kill type normal skipme no')).toBe(1);
    await other.closed();
  });
});
