/** Limits are kept where things are made: one below, at, one above, through instances that both keep them. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { FRAME, FRAME_HEADER_BYTES, writeU32 } from '../../src/crdt/frame.ts';
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import { EarlyBatches } from '../../src/replication/early-batches.ts';
import { FrameSplitter, frameSizesFromPeer } from '../../src/replication/frame-splitter.ts';
import { REPLICATION_LIMITS, type ReplicationLimits } from '../../src/replication/limits.ts';
import * as messages from '../../src/replication/messages.ts';
import { ReplyLines } from '../../src/replication/resp-handshake.ts';
import { nameOf, World, type FakeInstance } from './fake-instance.ts';

let world: World | null = null;

afterEach(() => {
  world?.stop();
  world = null;
});

const limitsOf = (changed: Partial<ReplicationLimits>): ReplicationLimits => ({ ...REPLICATION_LIMITS, ...changed });

/** What a reader with these limits makes of the bytes. */
function read(
  bytes: Buffer,
  limits: ReplicationLimits,
): { readonly kinds: number[]; readonly error: string | null; readonly payloads: Buffer[] } {
  const splitter = new FrameSplitter(frameSizesFromPeer(limits), limits);
  const kinds: number[] = [];
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 1000) {
    splitter.push(bytes.subarray(at, at + 1000));
    while (splitter.next()) {
      kinds.push(splitter.kind);
      payloads.push(Buffer.from(splitter.bytes.subarray(splitter.start + FRAME_HEADER_BYTES, splitter.end)));
    }
    splitter.detach();
  }
  return { kinds, error: splitter.error, payloads };
}

function frameOf(kind: number, bytes: number): Buffer {
  const frame = Buffer.alloc(bytes, 1);
  writeU32(frame, 0, bytes - 4);
  frame[4] = kind;
  return frame;
}

const around = (limit: number): number[] => [limit - 1, limit, limit + 1];

describe('a message', () => {
  const limits = limitsOf({ controlFrameBytesMax: 100, controlMessageBytesMax: 1000 });

  it.each([99, 100, 101, 195, 196, 999, 1000])('of %d bytes is read as it was made', (bytes) => {
    const frame = frameOf(FRAME.hello, bytes);
    const frames = messages.splitMessage(frame, limits);
    expect(Math.max(...frames.map(({ length }) => length))).toBeLessThanOrEqual(100);
    expect(frames).toHaveLength(bytes <= 100 ? 1 : Math.ceil((bytes - 5) / 95));
    const more = frameOf(FRAME.ask, 5);
    const { kinds, error, payloads } = read(Buffer.concat([...frames, more]), limits);
    expect(error).toBeNull();
    expect(kinds).toEqual([FRAME.hello, FRAME.ask]);
    expect(payloads[0]!.equals(frame.subarray(5))).toBe(true);
  });

  it('larger than any may be is a bug where it is made, and an error where it is read', () => {
    const frame = frameOf(FRAME.hello, 1001);
    expect(() => messages.splitMessage(frame, limits)).toThrow('a message keeps within its limit');
    const sent = messages.splitMessage(frame, { ...limits, controlMessageBytesMax: 2000 });
    expect(read(Buffer.concat(sent), limits).error).toBe(
      'a message in parts has more than the 1000 bytes that are allowed',
    );
  });

  it('in parts is not cut off by a batch', () => {
    const [part] = messages.splitMessage(frameOf(FRAME.hello, 150), limits);
    expect(read(Buffer.concat([part!, frameOf(FRAME.batch, 60)]), limits).error).toBe(
      'a message in parts lacks its last one',
    );
  });

  it('with as many origins as a message may name fits, and one more is refused', () => {
    const writer = new OriginTable();
    const vector = new VersionVector();
    const count = REPLICATION_LIMITS.originsPerMessageMax;
    for (let i = 0; i < count; i++) vector.set(writer.indexOf(255, 4_294_900_000 + i), 2 ** 48 - 1);
    const hello: messages.Hello = {
      ...{ protocol: 1, guid: 'g', instance: 1, generation: 1, vector, floor: vector, want: [], full: false },
      ...{ capabilities: [], compression: 0 },
    };
    const bytes = Buffer.concat(messages.splitMessage(messages.encodeHello(hello, writer), REPLICATION_LIMITS));
    const { payloads } = read(bytes, REPLICATION_LIMITS);
    const reader = new OriginTable();
    expect(messages.decodeHello(payloads[0]!, reader)).toMatchObject({ instance: 1 });
    // Those that are known already cost nothing the second time.
    expect(messages.decodeHello(payloads[0]!, reader)).toMatchObject({ instance: 1 });
    const ack = messages.encodeAck({ applied: vector, durable: vector, generations: new Map() }, writer);
    expect(messages.decodeAck(ack.subarray(5), reader)).toMatchObject({ generations: new Map() });
    vector.set(writer.indexOf(254, 1), 1);
    const more = messages.encodeHello({ ...hello, vector }, writer);
    expect(messages.decodeHello(more.subarray(5), new OriginTable())).toBe('HELLO: vector: too many origins');
  });

  it('of text is one line of bounded length whatever was in it', () => {
    for (const length of around(REPLICATION_LIMITS.textCharsMax)) {
      const frame = messages.encodeError({ code: 'X', message: 'm'.repeat(length) });
      const decoded = messages.decodeError(frame.subarray(5)) as messages.PeerError;
      expect(decoded.message).toHaveLength(Math.min(length, REPLICATION_LIMITS.textCharsMax));
    }
    expect(messages.shorten('a\r\nb\u001b[31m')).toBe('a  b [31m');
  });
});

describe('a frame', () => {
  it.each(around(20_000))('of a batch with %d bytes', (bytes) => {
    const limits = limitsOf({ batchFrameBytesMax: 20_000 });
    expect(read(frameOf(FRAME.batch, bytes), limits).error).toBe(
      bytes <= 20_000 ? null : 'a frame of kind 1 has 20001 bytes, at most 20000 are allowed',
    );
  });

  it.each(around(500))('of a snapshot with a piece of %d bytes', (bytes) => {
    const limits = limitsOf({ snapshotPieceBytes: 500 });
    const frame = Buffer.concat([messages.encodeSnapshotHeader(bytes), Buffer.alloc(bytes)]);
    expect(read(frame, limits).error).toBe(
      bytes <= 500 ? null : 'a frame of kind 19 has 506 bytes, at most 505 are allowed',
    );
  });
});

describe('a line of the handshake', () => {
  it.each(around(4096))('of %d bytes', (bytes) => {
    const lines = new ReplyLines(4096);
    lines.push(Buffer.from(`${'x'.repeat(bytes)}\n`));
    expect(lines.next()!.error).toBe(bytes > 4096);
    const open = new ReplyLines(4096);
    open.push(Buffer.from('x'.repeat(bytes)));
    expect(open.next()?.error).toBe(bytes > 4096 ? true : undefined);
  });
});

describe('early batches', () => {
  it.each(around(10))('of which there are %d', (count) => {
    const early = new EarlyBatches(limitsOf({ earlyCountMax: 10 }));
    for (let i = 0; i < count; i++) early.add(0, Buffer.alloc(100), 0, 100);
    expect(early.isFull).toBe(count >= 10);
  });

  it.each(around(1000))('that have %d bytes', (bytes) => {
    const early = new EarlyBatches(limitsOf({ earlyBytesMax: 1000 }));
    early.add(0, Buffer.alloc(bytes), 0, bytes);
    expect(early.isFull).toBe(bytes >= 1000);
  });

  it('larger than all that may wait are kept one at a time', async () => {
    world = new World();
    const instances = [1, 2, 3].map((id) => world!.add(id, { limits: { earlyBytesMax: 1000, relayGraceMs: 100_000 } }));
    const [a, b, c] = instances as [FakeInstance, FakeInstance, FakeInstance];
    world.start();
    await world.clock.run(200);
    c.replication.pause(1);
    a.write('cause');
    await world.clock.until(() => b.database.ops.size === 1, 'b has it');
    for (let i = 0; i < 5; i++) b.write('x'.repeat(3000));
    await world.clock.run(500);
    c.replication.resume();
    await world.converge(5000);
  });
});

describe('instances with small limits', () => {
  const small: Partial<ReplicationLimits> = {
    controlFrameBytesMax: 256,
    snapshotPieceBytes: 100,
    feedReadBytes: 64,
    feedPumpBytesMax: 1000,
    publishQueuedBytesMax: 300,
  };

  it('make full and partial syncs, with more origins than one frame holds', async () => {
    world = new World();
    const a = world.add(1, { limits: small, generation: 1000 });
    const b = world.add(2, { limits: small });
    for (let generation = 100; generation < 160; generation++) {
      a.database.self = { instance: 1, generation, index: a.database.origins.indexOf(1, generation) };
      a.write(`in ${generation}`);
    }
    a.database.startGeneration(1000);
    for (let i = 0; i < 300; i++) a.write(`${i}`);
    a.log.trim();
    world.start();
    await world.converge(20_000);
    expect(b.link(1).lastSync!.kind).toBe('full');
    a.write('more');
    b.write('back');
    await world.converge(5000);
    world.network.breakAll(nameOf(1), nameOf(2));
    a.write('again');
    await world.converge(5000);
    expect(b.link(1).lastSync!.kind).toBe('partial');
    expect(b.lines.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('send a client message as large as a frame may be; a larger one is dropped, counted, and said so', async () => {
    world = new World();
    const [a, b] = [world.add(1, { limits: small }), world.add(2, { limits: small })];
    world.start();
    await world.clock.run(200);
    for (const bytes of around(256)) {
      const message = Buffer.alloc(bytes - FRAME_HEADER_BYTES - 5 - 1, 'm');
      a.replication.publish({ sharded: false, channel: Buffer.from('c'), message });
      await world.clock.run(20);
    }
    expect(b.published.map(({ length }) => length)).toEqual([246, 247]);
    expect(a.replication.counters.publishDropped).toBe(1);
    expect(a.lines).toContain('info message not sent to other instances: 257 bytes, at most 256 are sent');
    expect(b.link(1).state).toBe('streaming');
  });

  it('wait for an operator where a peer announces a batch that is too large, and a full sync gets past it', async () => {
    world = new World();
    const a = world.add(1);
    const b = world.add(2, { limits: { batchFrameBytesMax: 1000 } });
    world.start();
    a.write('small');
    await world.converge();
    a.write('x'.repeat(2000));
    await world.clock.run(100);
    expect(b.link(1).state).toBe('waiting');
    expect(b.link(1).lastError).toMatch(/^a frame of kind 1 has \d+ bytes, at most 1000 are allowed$/);
    const attempts = world.network.connections.length;
    await world.clock.run(10_000);
    expect(world.network.connections.length).toBe(attempts);
    expect(b.replication.resync({ full: true })).toBeNull();
    await world.converge(1000);
  });
});
