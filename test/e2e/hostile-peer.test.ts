/**
 * Somebody who knows the replication secret and talks nonsense: as a puller at the endpoint, and as the peer that an instance connects to.
 * Neither process dies, nothing of it is applied, and replication goes on once the real peer is there.
 */
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { FRAME } from '../../src/crdt/frame.ts';
import type { InstanceStatus } from '../../src/instance/config.ts';
import { eventually } from '../node/nodes.ts';
import { LiveDatabase } from './live-database.ts';
import { addressOf, encode, type Reply, type Wire } from './wire.ts';

jest.setTimeout(120_000);

const MIB = 1024 * 1024;

/** A frame with a true length, or with any other. */
function frame(kind: number, payload: string | Uint8Array, length?: number): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(5);
  head.writeUInt32LE(length ?? bytes.length + 1);
  head[4] = kind;
  return Buffer.concat([head, bytes]);
}

describe('a peer that talks nonsense', () => {
  let database: LiveDatabase;
  let pid: number;
  let marks = 0;

  beforeAll(async () => {
    database = await LiveDatabase.create();
    await database.ask(0, 'SET', 'kept', 'yes');
    await database.converged();
    pid = database.instancePid(0);
  });
  afterAll(() => database.cleanUp());

  afterEach(async () => {
    expect(await database.ask(0, 'GET', 'kept')).toBe('yes');
    if (database.instancePid(0) !== pid) throw new Error(`the instance died: ${database.instanceLog(0).slice(-2_000)}`);
  });

  const expectReplication = async (): Promise<void> => {
    const mark = `${++marks}`;
    for (const cluster of [0, 1]) await database.ask(cluster, 'SET', `mark:${cluster}`, mark);
    await database.converged();
    for (const cluster of [0, 1]) expect(await database.ask(cluster, 'GET', `mark:${1 - cluster}`)).toBe(mark);
  };

  const hello = (changes: object = {}): Buffer => {
    const { guid } = database.config(0);
    const said = { protocol: 1, guid, instance: 2, generation: 1, vector: {}, floor: null, want: [], compression: 0 };
    return frame(FRAME.hello, JSON.stringify({ ...said, ...changes }));
  };

  describe('as a puller', () => {
    /** Logged in as instance 2, which displaces the real one's link until that connects again. */
    const connectAsPeer = async (): Promise<Wire> => {
      const wire = await database.connect(0);
      expect(await wire.ask('AUTH', '__replication', database.config(0).replicationSecret)).toBe('OK');
      return wire;
    };

    it.each<[string, string | Uint8Array, Reply | RegExp]>([
      ['no JSON', 'no JSON', /^-ERR CRDT.SYNC expects a JSON object/],
      ['an array', '[]', /^-WRONGPROTOCOL/],
      ['null', 'null', /^-ERR CRDT.SYNC expects a JSON object/],
      ['binary garbage', randomBytes(1000), /^-/],
      ['another protocol', '{"protocol":99}', /^-WRONGPROTOCOL/],
      ['another database', '{"protocol":1,"guid":"x","instance":2}', /^-WRONGGUID/],
      ['deep nesting', '['.repeat(100_000), /^-ERR/],
    ])('is refused with a CRDT.SYNC of %s', async (_what, request, expected) => {
      const wire = await connectAsPeer();
      wire.send(encode(['CRDT.SYNC', request]));
      expect(await wire.next()).toEqual(expect.stringMatching(expected as RegExp));
      await wire.closed;
    });

    it('is refused as an instance that does not exist, or as the instance itself', async () => {
      const { guid } = database.config(0);
      for (const instance of [1, 7, 0, -1, 1e9, '2', null, 2.5]) {
        const wire = await connectAsPeer();
        const reply = await wire.ask('CRDT.SYNC', JSON.stringify({ protocol: 1, guid, instance }));
        expect([instance, reply]).toEqual([instance, expect.stringMatching(/^-(WRONG|UNKNOWN)INSTANCE/)]);
        await wire.closed;
      }
    });

    it.each<[string, () => Buffer]>([
      ['garbage', () => randomBytes(100_000)],
      ['zeros', () => Buffer.alloc(1000)],
      ['a frame of 4 GB', () => frame(FRAME.hello, 'x', 0xffff_ffff)],
      ['a frame of 2 MB where 1 MB is allowed', () => frame(FRAME.hello, 'x', 2 * MIB)],
      ['a batch, which a puller never sends', () => frame(FRAME.batch, randomBytes(100))],
      ['HELLO without JSON', () => frame(FRAME.hello, randomBytes(100))],
      ['HELLO with wrong fields', () => hello({ instance: 'two', vector: 7 })],
      ['HELLO with wrong origins', () => hello({ vector: { 'x:y': -1, '2:1': 'many' } })],
      ['HELLO with a million origins', () => hello({ want: Array.from({ length: 60_000 }, (_, i) => `9:${i}`) })],
      ['an ACK before HELLO', () => frame(FRAME.ack, Buffer.from([0, 0]))],
      ['a cut ACK', () => Buffer.concat([hello(), frame(FRAME.ack, Buffer.from([200, 1, 2]))])],
      ['a WANT of nonsense', () => Buffer.concat([hello(), frame(FRAME.want, '{"generation":"x","origins":{}}')])],
    ])('that sends %s is cut off', async (_what, bytes) => {
      const wire = await connectAsPeer();
      const { guid } = database.config(0);
      expect(await wire.ask('CRDT.SYNC', JSON.stringify({ protocol: 1, guid, instance: 2 }))).toBe('OK');
      // What comes from here on are frames, no replies.
      wire.socket.removeAllListeners('data').resume();
      wire.send(bytes());
      await wire.closed;
    });

    it('that sends half a frame and nothing more costs no memory and nobody else', async () => {
      const before = database.residentBytes(0);
      const { guid } = database.config(0);
      for (let i = 0; i < 20; i++) {
        const wire = await connectAsPeer();
        expect(await wire.ask('CRDT.SYNC', JSON.stringify({ protocol: 1, guid, instance: 2 }))).toBe('OK');
        wire.send(frame(FRAME.hello, 'half', MIB - 4));
        wire.close();
      }
      expect(database.residentBytes(0) - before).toBeLessThan(16 * MIB);
      await expectReplication();
    });
  });

  describe('as the one that an instance connects to', () => {
    const sockets = new Set<net.Socket>();
    let listener: net.Server | null = null;

    /** Stops the second cluster and answers in its place. */
    const impersonate = async (answer: (socket: net.Socket, bytes: Buffer) => void): Promise<void> => {
      await database.stopNode(1);
      const { host, port } = addressOf(database.endpoints[1]!);
      listener = net.createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('data', (bytes) => answer(socket, bytes));
      });
      await new Promise<void>((resolve) => listener!.listen(port, host, resolve));
    };

    const leave = async (): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener!.close(resolve));
      await database.startNode(1);
    };

    it('is given up again and again, whatever it says, and named in the status', async () => {
      const keys = Number(await database.ask(0, 'DBSIZE'));
      const ok = '+OK\r\n+OK\r\n';
      const peerHello = (): Buffer => hello({ instance: 2, floor: {} });
      const batch = Buffer.concat([
        Buffer.from([0, 2, 1, 0, 0, 0]),
        Buffer.from([1, 0, 0, 0, 0, 0]),
        Buffer.alloc(8, 64),
      ]);
      const streaming = (...more: readonly Buffer[]): readonly (string | Buffer)[] => [
        ok,
        peerHello(),
        frame(FRAME.continue, '{"reason":"because"}'),
        ...more,
      ];
      const answers: readonly (readonly (string | Buffer)[])[] = [
        [randomBytes(5000)],
        ['HTTP/1.1 400 Bad Request\r\n\r\n'],
        ['-ERR no\r\n'],
        ['+'.repeat(10_000)],
        [ok, randomBytes(5000)],
        [ok, frame(FRAME.hello, 'x', 0xffff_ffff)],
        [ok, frame(FRAME.hello, '{}')],
        [ok, hello({ guid: 'other' })],
        [ok, peerHello(), frame(FRAME.snapshot, randomBytes(1000))],
        [ok, peerHello(), frame(FRAME.fullResync, '{"reason":"x","vector":{}}'), frame(FRAME.snapshotEnd, '')],
        [
          ok,
          peerHello(),
          frame(FRAME.fullResync, '{"reason":"x","vector":{}}'),
          frame(FRAME.snapshot, randomBytes(1000)),
          frame(FRAME.snapshotEnd, ''),
        ],
        streaming(frame(FRAME.batch, randomBytes(200))),
        streaming(frame(FRAME.batch, Buffer.concat([batch, randomBytes(50)]))),
        streaming(frame(FRAME.batch, Buffer.concat([batch, Buffer.alloc(50, 255)]))),
        streaming(frame(FRAME.heartbeat, randomBytes(3))),
        streaming(frame(FRAME.publish, Buffer.from([1, 255, 255, 255, 255, 0]))),
        streaming(frame(FRAME.error, '{"code":"BROKEN","message":"it is"}')),
      ];
      const { controlSecret } = database.config(0);
      const control = await database.connect(0);
      await control.ask('AUTH', '__control', controlSecret);
      const link = async () => (JSON.parse(String(await control.ask('CRDT.STATUS'))) as InstanceStatus).links[0]!;
      let answer: readonly (string | Buffer)[] = [];
      await impersonate((socket) => {
        for (const bytes of answer) socket.write(bytes);
        answer = [];
      });
      for (const [index, next] of answers.entries()) {
        await control.ask('CRDT.PAUSE');
        answer = next;
        // Connects at once, whatever the back-off has grown to.
        await control.ask('CRDT.RESUME');
        await eventually(`answer ${index} is given up`, async () => {
          const { state, lastError } = await link();
          return answer.length === 0 && state === 'waiting' && lastError !== null;
        });
      }
      control.close();
      expect(await database.ask(0, 'KEYS', '*')).toHaveLength(keys);
      await leave();
      await expectReplication();
    });
  });
});
