/** Client libraries that connect while the data is loaded go on by themselves when it is there. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { Endpoint, eventually } from '../server/endpoint.ts';

const LOADING_MS = 1500;

let endpoint: Endpoint;

beforeEach(async () => {
  endpoint = await Endpoint.start({ isLoading: true, password: 'secret' });
  endpoint.loading.note({ phase: 'log', loadedBytes: 1, totalBytes: 2, keys: 1, startedAtMs: Date.now() });
});

afterEach(() => endpoint.stop());

const load = (): void => void setTimeout(() => endpoint.loaded(), LOADING_MS);
const connections = (): number => [...endpoint.server.sessions()].length;

describe('A client that connects while the data is loaded', () => {
  it('goes on by itself: ioredis, whose commands wait', async () => {
    const client = new Redis({ port: endpoint.port, password: 'secret' });
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    try {
      const set = client.set('a', '1');
      load();
      expect(await set).toBe('OK');
      expect(await client.get('a')).toBe('1');
      expect(errors).toEqual([]);
    } finally {
      client.disconnect();
    }
  });

  it('goes on by itself: node-redis, on the connection that it had', async () => {
    const client = createClient({ socket: { port: endpoint.port }, password: 'secret' });
    client.on('error', () => {});
    try {
      await client.connect();
      await expect(client.get('a')).rejects.toThrow('LOADING');
      const [session] = [...endpoint.server.sessions()];
      load();
      let isServed = false;
      await eventually(() => {
        void client.set('a', '1').then(
          () => (isServed = true),
          () => {},
        );
        return isServed;
      }, 'commands are executed');
      expect(await client.get('a')).toBe('1');
      expect(connections()).toBe(1);
      expect([...endpoint.server.sessions()][0]).toBe(session);
    } finally {
      client.destroy();
    }
  });
});
