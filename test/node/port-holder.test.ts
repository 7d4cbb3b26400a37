import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { reservePort } from '../../src/node/ports.ts';
import { describePortHolder } from '../../src/node/port-holder.ts';
import { freePort } from './nodes.ts';

let server: Server | null = null;
afterEach(() => void server?.close());

async function hold(host: string): Promise<number> {
  const listening = (server = createServer());
  await new Promise<void>((resolve) => listening.listen(0, host, resolve));
  return (listening.address() as AddressInfo).port;
}

const me = new RegExp(`^.+, process ${process.pid}$`);

describe('the holder of a port', () => {
  it.each(['127.0.0.1', '0.0.0.0', '::1', '::'])('is named where it listens on %s', async (host) => {
    const port = await hold(host);
    expect(await describePortHolder(host, port)).toMatch(me);
  });

  it('is in the way of another address only when it listens on all', async () => {
    expect(await describePortHolder('127.0.0.2', await hold('0.0.0.0'))).toMatch(me);
    server!.close();
    expect(await describePortHolder('127.0.0.2', await hold('127.0.0.1'))).toBe('another program');
  });

  it('is unknown when nobody listens', async () => {
    expect(await describePortHolder('127.0.0.1', await freePort())).toBe('another program');
  });

  it('is told by whoever is refused the port', async () => {
    const port = await hold('127.0.0.1');
    await expect(reservePort('127.0.0.1', port)).rejects.toThrow(
      new RegExp(`^Port ${port} on 127.0.0.1 is in use by .+, process ${process.pid}$`),
    );
  });
});
