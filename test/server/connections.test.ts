import { afterEach, describe, expect, it } from '@jest/globals';
import { READ_AHEAD_BYTES_MAX, REPLY_WAITING_BYTES_MAX } from '../../src/server/limits.ts';
import { Endpoint, eventually, type EndpointOptions } from './endpoint.ts';
import { LOG_UNWRITTEN_BYTES_MAX } from '../../src/server/limits.ts';

let endpoint: Endpoint;
const start = async (options: EndpointOptions = {}): Promise<Endpoint> => (endpoint = await Endpoint.start(options));

afterEach(() => endpoint.stop());

describe('A connection', () => {
  it('answers pipelined requests in order with few writes', async () => {
    const client = await (await start()).connect();
    client.send(Array.from({ length: 500 }, (_, i) => `set k${i} v${i}\r\nget k${i}`).join('\r\n'));
    for (let i = 0; i < 500; i++) {
      expect(await client.next()).toBe('OK');
      expect(await client.next()).toBe(`v${i}`);
    }
    expect(endpoint.wakes).toBeLessThan(50);
  });

  it('is refused beyond the limit, and only then', async () => {
    await start({ clientsMax: 2 });
    const [first, second] = [await endpoint.connect(), await endpoint.connect()];
    expect(await first.ask('ping')).toBe('PONG');
    expect(await second.ask('ping')).toBe('PONG');
    const third = await endpoint.connect();
    expect(await third.ask('ping')).toBe('-ERR max number of clients reached');
    await third.closed();
    first.socket.destroy();
    await eventually(() => [...endpoint.server.sessions()].length === 1, 'the first is forgotten');
    expect(await (await endpoint.connect()).ask('ping')).toBe('PONG');
  });

  it('of another instance, or of the daemon, is taken beyond the limit, and no other', async () => {
    await start({ clientsMax: 1 });
    expect(await (await endpoint.connect()).ask('ping')).toBe('PONG');
    const [peer, control, client] = [await endpoint.connect(), await endpoint.connect(), await endpoint.connect()];
    expect(await peer.ask('auth __replication peer')).toBe('OK');
    expect(await control.ask('auth __control daemon')).toBe('OK');
    await client.ask('auth default x');
    expect(await client.ask('ping')).toBe('-ERR max number of clients reached');
    await client.closed();
    expect(await control.ask('crdt.status')).toBe('{"state":"ready"}');
    expect(await peer.ask('ping')).toBe('PONG');
  });

  it('is closed after a protocol error, with what came before it answered', async () => {
    const client = await (await start()).connect();
    client.send('ping\r\n*1\r\nPING\r\nping');
    expect(await client.next()).toBe('PONG');
    expect(await client.next()).toBe("-ERR Protocol error: expected '$', got 'P'");
    expect(await client.next()).toBe('(closed)');
  });

  it('that speaks HTTP is closed without an answer', async () => {
    const client = await (await start()).connect();
    client.send('POST / HTTP/1.1\r\nHost: localhost\r\n\r\nset a b');
    await client.closed();
    expect(client.unread.length).toBe(0);
    expect(endpoint.database.keyCount).toBe(0);
  });

  it('gets an error when a command has a bug, and everybody lives', async () => {
    const client = await (await start()).connect();
    const original = endpoint.database.lookup.bind(endpoint.database);
    endpoint.database.lookup = () => {
      throw new TypeError('a bug');
    };
    expect(await client.ask('get a')).toBe("-ERR internal error in 'get'; the instance's log has the details");
    endpoint.database.lookup = original;
    expect(await client.ask('get a')).toBeNull();
    expect(endpoint.logLines[0]).toContain('error command failed: get: TypeError: a bug');
  });

  it('that does not read is not executed for, and goes on when it reads', async () => {
    const client = await (await start()).connect();
    await client.ask(`set big ${'x'.repeat(60_000)}`);
    client.socket.pause();
    const count = 2000;
    client.send('get big\r\n'.repeat(count).trimEnd());
    const [session] = [...endpoint.server.sessions()];
    await eventually(() => session!.queuedBytes > REPLY_WAITING_BYTES_MAX, 'replies pile up');
    expect(session!.queuedBytes).toBeLessThan(3 * REPLY_WAITING_BYTES_MAX);
    expect(session!.inputBytes).toBeLessThan(3 * READ_AHEAD_BYTES_MAX);
    expect(await (await endpoint.connect()).ask('ping')).toBe('PONG');
    client.socket.resume();
    for (let i = 0; i < count; i++) expect(String(await client.next())).toHaveLength(60_000);
  });

  it('needs the password for everything but logging in', async () => {
    const client = await (await start({ password: 'secret' })).connect();
    expect(await client.ask('get a')).toBe('-NOAUTH Authentication required.');
    expect(await client.ask('client list')).toBe('-NOAUTH Authentication required.');
    expect(await client.ask('auth wrong')).toMatch(/^-WRONGPASS/);
    expect(await client.ask('auth __control')).toMatch(/^-WRONGPASS/);
    expect(await client.ask('hello 3')).toMatch(/^-NOAUTH HELLO must be called/);
    expect(await client.ask('auth secret')).toBe('OK');
    expect(await client.ask('get a')).toBeNull();
    expect(await client.ask('reset')).toBe('RESET');
    expect(await client.ask('get a')).toBe('-NOAUTH Authentication required.');
    expect(await client.ask('hello 3 auth default secret setname me')).toMatchObject({ proto: 3 });
    expect(await client.ask('client getname')).toBe('me');
  });

  it('of the daemon and of a peer may do what is theirs, others may not', async () => {
    const client = await (await start()).connect();
    expect(await client.ask('crdt.status')).toBe(
      "-NOPERM this user has no permissions to run the 'crdt.status' command",
    );
    expect(await client.ask('crdt.sync {}')).toMatch(/^-NOPERM/);
    expect(await client.ask('auth __control peer')).toMatch(/^-WRONGPASS/);
    expect(await client.ask('auth __control daemon')).toBe('OK');
    expect(await client.ask('crdt.status')).toBe('{"state":"ready"}');
    expect(await client.ask('crdt.configure []')).toBe('-ERR no such thing');
    expect(await client.ask('get a')).toBeNull();
    expect(await client.ask('auth __replication peer')).toBe('OK');
    expect(await client.ask('get a')).toBe("-NOPERM this user has no permissions to run the 'get' command");
    expect(JSON.stringify(await client.ask('auth default x'))).toContain('OK');
    expect(JSON.stringify(await client.ask('command list'))).not.toContain('crdt.');
  });

  it('is handed over to replication with what came behind the command', async () => {
    const client = await (await start()).connect();
    const sync = '*2\r\n$9\r\nCRDT.SYNC\r\n$14\r\n{"protocol":1}\r\n';
    client.send(Buffer.from(`AUTH __replication peer\r\n${sync}\x01\x02\x03`, 'latin1'));
    await eventually(() => endpoint.feed !== null, 'the feed has the connection');
    expect(await client.next()).toBe('OK');
    const { connection, request, rest } = endpoint.feed!;
    expect(request).toBe('{"protocol":1}');
    expect([...rest]).toEqual([1, 2, 3]);
    const received: number[] = [];
    let closed = false;
    connection.onData = (bytes) => void received.push(...bytes);
    connection.onClose = () => (closed = true);
    connection.write(Buffer.from('+OK\r\n'));
    expect(await client.next()).toBe('OK');
    client.send(Buffer.from([4, 5]));
    await eventually(() => received.length === 2, 'frames arrive');
    expect(received).toEqual([4, 5]);
    expect([...endpoint.server.sessions()]).toHaveLength(0);
    client.socket.destroy();
    await eventually(() => closed, 'the feed hears of the end');
  });

  it('waits with its writes while the disk is behind, and nobody waits with reads', async () => {
    const client = await (await start()).connect();
    const other = await endpoint.connect();
    let unwritten = 2 * LOG_UNWRITTEN_BYTES_MAX;
    endpoint.instance.unwrittenBytes = () => unwritten;
    await client.ask('set a 1');
    client.send('get a\r\nset a 2\r\nget a\r\nmulti\r\nset a 3\r\nexec\r\nget a');
    expect(await client.next()).toBe('1');
    expect(await other.ask('get a')).toBe('1');
    expect(client.unread.length).toBe(0);
    unwritten = 0;
    expect(await client.next()).toBe('OK');
    expect(await client.next()).toBe('2');
    for (const expected of ['OK', 'QUEUED', ['OK'], '3']) expect(await client.next()).toEqual(expected);
  });

  it('gets no reply to a write before it is on disk, nor what comes after it; nor does anybody else', async () => {
    const client = await (await start({ replyAfterSync: true })).connect();
    expect(await client.ask('get a')).toBeNull();
    client.send('set a 1\r\nget a');
    const other = await endpoint.connect();
    await eventually(() => endpoint.durableWaiters.length > 0, 'the reply waits');
    client.send('get a');
    other.send('get a');
    const control = await endpoint.connect();
    expect(await control.ask('auth __control daemon')).toBe('OK');
    expect(await control.ask('crdt.status')).toBe('{"state":"ready"}');
    expect([client.unread.length, other.unread.length]).toEqual([0, 0]);
    endpoint.sync();
    expect([await client.next(), await client.next(), await client.next()]).toEqual(['OK', '1', '1']);
    expect(await other.next()).toBe('1');
    expect(endpoint.durableWaiters).toHaveLength(0);
  });

  it('gets no reply to a write before the system has it', async () => {
    const client = await (await start()).connect();
    const areRepliesWaiting: boolean[] = [];
    endpoint.instance.handOver = () => void areRepliesWaiting.push(!endpoint.server.replies.isEmpty);
    expect(await client.ask('set a 1')).toBe('OK');
    expect(areRepliesWaiting).toEqual([true]);
  });

  it('that says QUIT after a write is closed when its reply has left', async () => {
    const client = await (await start({ replyAfterSync: true })).connect();
    client.send('set a 1\r\nquit');
    await eventually(() => endpoint.durableWaiters.length > 0, 'the reply waits');
    expect(client.isClosed).toBe(false);
    endpoint.sync();
    expect([await client.next(), await client.next(), await client.next()]).toEqual(['OK', 'OK', '(closed)']);
  });

  it('is closed when the server stops, after its replies', async () => {
    const client = await (await start()).connect();
    const control = await endpoint.connect();
    await control.ask('auth __control daemon');
    expect(await client.ask('ping')).toBe('PONG');
    await endpoint.server.closeAll();
    await client.closed();
    expect(await control.ask('crdt.status')).toBe('{"state":"ready"}');
  });

  it('of ten thousand that sent half a command costs little', async () => {
    const client = await (await start()).connect();
    for (let i = 0; i < 3; i++) {
      client.send(Buffer.from('*3\r\n$3\r\nSET\r\n$5\r\nab'));
      await eventually(() => [...endpoint.server.sessions()][0]!.inputBytes > 0, 'half a command is kept');
      expect([...endpoint.server.sessions()][0]!.inputBytes).toBeLessThan(40);
      client.send(Buffer.from('cde\r\n$1\r\nv\r\n'));
      expect(await client.next()).toBe('OK');
    }
    expect([...endpoint.server.sessions()][0]!.inputBytes).toBe(0);
  });
});
