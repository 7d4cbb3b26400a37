import { afterEach, describe, expect, it } from '@jest/globals';
import net from 'node:net';
import type { Connection } from '../../src/host/host.ts';
import { TcpNetwork } from '../../src/host/tcp-connection.ts';

const network = new TcpNetwork();
const servers: net.Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer(onSocket);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as net.AddressInfo).port;
}

const connect = (port: number, timeoutMs = 5_000): Promise<Connection> =>
  new Promise((resolve, reject) =>
    network.connect({ host: '127.0.0.1', port, timeoutMs }, (error, connection) =>
      error ? reject(error) : resolve(connection!),
    ),
  );

const closed = (connection: Connection): Promise<(Error | null)[]> => {
  const calls: (Error | null)[] = [];
  return new Promise((resolve) => {
    connection.onClose = (error) => {
      calls.push(error);
      setImmediate(() => resolve(calls));
    };
  });
};

describe('a TCP connection', () => {
  it('carries bytes both ways, and tells once when it has closed', async () => {
    const port = await listen((socket) => socket.pipe(socket));
    const connection = await connect(port);
    expect(connection.remote).toBe(`127.0.0.1:${port}`);
    const received: Buffer[] = [];
    const sent = Buffer.alloc(3_000_000, 'abcdefg');
    const end = closed(connection);
    connection.onData = (bytes) => {
      received.push(Buffer.from(bytes));
      if (received.reduce((sum, piece) => sum + piece.length, 0) === sent.length) connection.close();
    };
    connection.write(sent);
    expect(await end).toEqual([null]);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    connection.close();
    expect(connection.write(Buffer.from('ignored'))).toBe(true);
  });

  it('keeps two streams apart although they share a read buffer', async () => {
    const port = await listen((socket) => socket.pipe(socket));
    const exchange = async (byte: number): Promise<void> => {
      const connection = await connect(port);
      let count = 0;
      await new Promise<void>((resolve) => {
        connection.onData = (bytes) => {
          expect(bytes.every((value) => value === byte)).toBe(true);
          count += bytes.length;
          if (count === 500_000) resolve();
        };
        connection.write(Buffer.alloc(500_000, byte));
      });
      connection.close();
    };
    await Promise.all([exchange(1), exchange(2)]);
  });

  it('asks to wait when the other side does not read, and sends what was queued before closing', async () => {
    let received = 0;
    const sockets: net.Socket[] = [];
    const port = await listen((socket) => {
      socket.pause();
      socket.on('data', (bytes) => (received += bytes.length));
      sockets.push(socket);
    });
    const connection = await connect(port);
    let sent = 0;
    while (connection.write(Buffer.alloc(1 << 20))) sent++;
    sent++;
    const end = closed(connection);
    connection.close();
    await new Promise((resolve) => setImmediate(resolve));
    sockets[0]!.resume();
    expect(await end).toEqual([null]);
    const deadlineMs = Date.now() + 5_000;
    while (received < sent << 20 && Date.now() < deadlineMs) await new Promise((resolve) => setImmediate(resolve));
    expect(received).toBe(sent << 20);
  });

  it('stops and goes on reading', async () => {
    const port = await listen((socket) => socket.end(Buffer.alloc(1 << 20)));
    const connection = await connect(port);
    let received = 0;
    let resumed = false;
    const end = closed(connection);
    connection.onData = (bytes) => {
      expect(connection).toBeDefined();
      received += bytes.length;
      if (resumed) return;
      connection.pause();
      const before = received;
      setImmediate(() =>
        setImmediate(() => {
          expect(received).toBe(before);
          resumed = true;
          connection.resume();
        }),
      );
    };
    await end;
    expect(received).toBe(1 << 20);
  });

  it('says why there is none: refused, or no answer in time', async () => {
    const port = await listen(() => {});
    servers.pop()!.close();
    await expect(connect(port)).rejects.toThrow('ECONNREFUSED');
  });

  it('reports a failure of the other side once', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const connection = await connect(port);
    const end = closed(connection);
    connection.write(Buffer.from('x'));
    expect((await end).map((error) => error?.message)).toEqual(['read ECONNRESET']);
  });
});
