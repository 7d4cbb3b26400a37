/** Whole instances on a virtual network and clock: cuts, slow receivers, crashes, garbage. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { FRAME, writeU32 } from '../../src/crdt/frame.ts';
import { GUID, nameOf, peerOf, SECRET, World, type FakeInstance } from './fake-instance.ts';

let world: World;

function start(
  count: number,
  options: Parameters<World['add']>[1] = {},
  wire: ConstructorParameters<typeof World>[0] = {},
): FakeInstance[] {
  world = new World(wire);
  const instances = Array.from({ length: count }, (_, i) => world.add(i + 1, options));
  world.start();
  return instances;
}

afterEach(() => {
  for (const instance of world.instances.values()) {
    expect(instance.fatal).toEqual([]);
  }
  world.stop();
  for (const instance of world.instances.values()) {
    expect(instance.database.incomingOpen).toBe(0);
    expect(instance.snapshots.open).toBe(0);
    expect([...instance.log.retained.keys()]).toEqual([]);
  }
});

const writeMany = (instance: FakeInstance, count: number, text = 'x'): void => {
  for (let i = 0; i < count; i++) instance.write(`${text}${i}`);
};

describe('three instances', () => {
  it('apply in causal order whatever the links do', async () => {
    const [a, b, c] = start(3) as [FakeInstance, FakeInstance, FakeInstance];
    await world.clock.until(
      () => [a, b, c].every((i) => i.replication.status().every((link) => link.state === 'streaming')),
      'all links stream',
    );
    world.network.cut(nameOf(1), nameOf(3));
    a.write('question');
    await world.clock.until(() => b.database.ops.size === 1, 'b has the question');
    b.write('answer');
    await world.converge(3000);
    expect([...c.database.ops.values()].map((op) => op.text)).toEqual(['question', 'answer']);
  });

  it('relay what a cut link does not bring, and stop relaying when it is mended', async () => {
    const [a, b, c] = start(3) as [FakeInstance, FakeInstance, FakeInstance];
    await world.clock.run(200);
    world.network.cut(nameOf(1), nameOf(3));
    writeMany(a, 300);
    writeMany(c, 300);
    await world.converge(5000);
    expect(c.lines).toContain('info relay by instance 2: instance 1');
    expect(a.lines).toContain('info relay by instance 2: instance 3');
    world.network.mend(nameOf(1), nameOf(3));
    await world.clock.until(() => c.link(1).state === 'streaming', 'the link is back', 20_000);
    await world.clock.run(500);
    expect(c.lines.at(-1)).toBe('info relay by instance 2: nothing any more');
    writeMany(a, 10, 'direct');
    await world.converge(1000);
    expect(b.database.ops.size).toBe(610);
  });

  it('relay along a chain of four', async () => {
    world = new World();
    for (let id = 1; id <= 4; id++) world.add(id);
    for (const [x, y] of [
      [1, 3],
      [1, 4],
      [2, 4],
    ] as const)
      world.network.cut(nameOf(x), nameOf(y));
    world.start();
    for (const instance of world.instances.values()) writeMany(instance, 50);
    await world.converge(20_000);
  });

  it('do not relay what the operator has paused', async () => {
    const [a, b, c] = start(3) as [FakeInstance, FakeInstance, FakeInstance];
    await world.clock.run(200);
    c.replication.pause(1);
    await world.clock.run(50);
    expect(c.link(1)).toMatchObject({ state: 'paused', lastError: null });
    a.write('not for c');
    await world.clock.until(() => b.database.ops.size === 1, 'b has it');
    await world.clock.run(3000);
    expect(c.database.ops.size).toBe(0);
    c.replication.resume(1);
    await world.converge(2000);
    expect(c.link(1).lastSync).toMatchObject({ kind: 'partial' });
  });

  it('stand still, bounded, when what is early depends on a paused instance, and catch up after it', async () => {
    const [a, b, c] = start(3, { limits: { earlyCountMax: 20 } }) as [FakeInstance, FakeInstance, FakeInstance];
    await world.clock.run(200);
    c.replication.pause(1);
    a.write('cause');
    await world.clock.until(() => b.database.ops.size === 1, 'b has it');
    writeMany(b, 500, 'effect');
    await world.clock.run(5000);
    expect(c.database.ops.size).toBe(0);
    expect(c.lines.filter((line) => line.includes('starts over'))).toEqual([]);
    c.replication.resume();
    await world.clock.run(3000);
    await world.converge(3000);
  });

  it('start over a link that is full of early batches which its own peer could have explained', async () => {
    const [a, b, c] = start(3, { limits: { earlyCountMax: 5, relayGraceMs: 100_000 } }) as [
      FakeInstance,
      FakeInstance,
      FakeInstance,
    ];
    await world.clock.run(200);
    world.network.cut(nameOf(1), nameOf(3));
    for (let i = 0; i < 30; i++) {
      a.write(`a${i}`);
      await world.clock.run(5);
      b.write(`b${i}`);
    }
    await world.converge(10_000);
    expect(c.database.ops.size).toBe(60);
  });

  it('start over a link that is full of early batches which wait for a generation that has retired meanwhile', async () => {
    const options = { limits: { earlyCountMax: 5 } };
    const [a, b, c] = start(3, options) as [FakeInstance, FakeInstance, FakeInstance];
    await world.clock.run(200);
    world.network.cut(nameOf(1), nameOf(3));
    a.write('cause');
    await world.clock.until(() => b.database.ops.size === 1, 'b has the cause');
    // It has lost that, and begins anew: nobody but b can bring it.
    a.replication.stop();
    writeMany(b, 50, 'effect');
    const reborn = world.add(1, { generation: 101, ...options });
    world.network.mend(nameOf(1), nameOf(3));
    reborn.replication.start(world.peersOf(1));
    reborn.replication.pause(2);
    await world.clock.until(() => c.database.ops.size === 51, 'c has all', 10_000);
    expect(c.lines.filter((line) => line.includes('from instance 2 starts over'))).toHaveLength(1);
  });

  it('bring a new instance in by one full sync at a time, from several peers', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    world.start();
    writeMany(a, 1000);
    writeMany(b, 1000);
    await world.converge();
    a.log.trim();
    b.log.trim();
    const c = world.add(3);
    a.replication.configure(world.peersOf(1));
    b.replication.configure(world.peersOf(2));
    c.replication.start(world.peersOf(3));
    await world.converge(10_000);
    expect(c.log.merges).toHaveLength(1);
    await world.clock.until(
      () => c.replication.status().every((link) => link.state === 'streaming'),
      'both links stream',
    );
    expect(
      c.replication
        .status()
        .map((link) => link.lastSync!.kind)
        .sort(),
    ).toEqual(['full', 'partial']);
  });
});

describe('a full sync', () => {
  it('that breaks off leaves nothing behind and starts over', async () => {
    world = new World({ latencyMs: 5, pieceBytes: 4096, windowBytes: 8192, highWaterBytes: 8192 });
    const [a, b] = [world.add(1), world.add(2)];
    writeMany(a, 5000);
    a.log.trim();
    world.start();
    for (let round = 0; round < 3; round++) {
      await world.clock.until(() => b.link(1).state === 'full-sync', 'a full sync runs');
      await world.clock.run(20);
      world.network.breakAll(nameOf(1), nameOf(2));
      await world.clock.run(20);
      expect(b.database.ops.size).toBe(0);
      expect([...b.spool.files.keys()]).toEqual([]);
      expect(b.database.incomingOpen).toBe(0);
      expect(a.snapshots.open).toBe(0);
    }
    await world.converge(20_000);
  });

  it('holds nobody up: writes and other links go on while it is loaded, and nothing of it shows before its end', async () => {
    world = new World();
    const [a, b, c] = [world.add(1), world.add(2), world.add(3)];
    writeMany(a, 5000);
    a.log.trim();
    b.database.feedMs = 5;
    world.network.cut(nameOf(1), nameOf(3));
    b.replication.start(world.peersOf(2));
    c.replication.start([peerOf(2)]);
    a.replication.start([peerOf(2)]);
    const ownOps = (): number => [...b.database.ops.values()].filter((op) => op.instance === 1).length;
    let during = 0;
    await world.clock.until(() => {
      if (b.link(1).state !== 'full-sync') return ownOps() > 0;
      during++;
      a.write('more');
      b.write(`own ${during}`);
      c.write(`third ${during}`);
      expect(ownOps()).toBe(0);
      return false;
    }, 'the full sync was joined');
    expect(during).toBeGreaterThan(5);
    expect([...b.database.ops.values()].filter((op) => op.instance === 3).length).toBeGreaterThan(5);
    await world.clock.until(() => a.database.digest() === b.database.digest(), 'a and b are level', 5000);
    expect(b.log.merges).toHaveLength(1);
  });

  it('shows how far it is at both sides', async () => {
    world = new World({ latencyMs: 5, pieceBytes: 4096, windowBytes: 8192, highWaterBytes: 8192 });
    const [a, b] = [world.add(1), world.add(2)];
    writeMany(a, 5000);
    a.log.trim();
    world.start();
    const shares: number[] = [];
    const served: number[] = [];
    await world.clock.until(() => {
      const { fullSync } = b.link(1);
      if (fullSync) {
        shares.push(fullSync.percent);
        expect(fullSync.bytes).toBeLessThanOrEqual(fullSync.totalBytes);
        expect(fullSync.totalBytes).toBe(a.database.snapshot().length);
        expect(fullSync.keys > 0).toBe(fullSync.bytes > 1000);
      }
      const feed = a.replication.feeds()[0]?.fullSync;
      if (feed) served.push(feed.percent);
      return world.isConverged();
    }, 'it is done');
    expect(shares.length).toBeGreaterThan(10);
    expect([...shares].sort((x, y) => x - y)).toEqual(shares);
    expect(Math.max(...served)).toBeGreaterThan(50);
    expect(b.link(1).fullSync).toBeNull();
    expect(a.replication.feeds()[0]!.fullSync).toBeNull();
  });

  it('sends again what was on its way when the log was lost, although the snapshot is older', async () => {
    const [a, b] = start(2, {}, { windowBytes: 8192, highWaterBytes: 8192 }) as [FakeInstance, FakeInstance];
    await world.clock.run(200);
    b.replication.pause();
    writeMany(a, 2000);
    await world.clock.run(100);
    const handle = await a.snapshots.acquire();
    a.snapshots.acquire = () => Promise.resolve(handle);
    b.replication.resume();
    writeMany(a, 2000);
    expect(b.replication.resync({ full: true })).toBeNull();
    await world.converge(5000);
    expect(b.link(1).lastSync!.reason).toBe('full: ordered by the operator');
  });

  it('that has no snapshot to offer is an error of the link, and is tried again', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    writeMany(a, 10);
    a.log.trim();
    a.snapshots.fails = 'no space left on device';
    world.start();
    await world.clock.until(() => b.link(1).lastError !== null, 'the link says why');
    expect(b.link(1).lastError).toBe('no snapshot can be sent: no space left on device');
    a.snapshots.fails = null;
    await world.converge(10_000);
  });

  it('waits for a snapshot that takes longer than a silent handshake may', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    writeMany(a, 10);
    a.log.trim();
    a.snapshots.acquireMs = 40_000;
    world.start();
    await world.converge(50_000);
    expect(a.snapshots.taken).toBe(1);
    expect(b.link(1).syncs).toEqual({ full: 1, partialOk: 0, partialErr: 0 });
  });

  it('waits for a slow disk instead of buffering', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    b.spool.unwrittenBytesMax = 1000;
    writeMany(a, 3000);
    a.log.trim();
    world.start();
    await world.converge(10_000);
  });

  it('whose bytes cannot be kept is an error of the link and nothing else', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    b.spool.fails = true;
    writeMany(a, 10);
    a.log.trim();
    world.start();
    await world.clock.until(() => b.link(1).lastError !== null, 'the link says why');
    expect(b.link(1).lastError).toBe('the snapshot cannot be kept: no space left on device');
    expect([...b.spool.files.keys()]).toEqual([]);
    b.spool.fails = false;
    await world.converge(10_000);
  });

  it('follows on the same connection when the log moves on past a slow peer', async () => {
    const [a, b] = start(2, {}, { windowBytes: 8192, highWaterBytes: 8192 }) as [FakeInstance, FakeInstance];
    await world.clock.run(200);
    world.network.between(nameOf(2), nameOf(1)).pause();
    writeMany(a, 20_000);
    await world.clock.run(50);
    a.log.trim();
    world.network.between(nameOf(2), nameOf(1)).resume();
    await world.converge(10_000);
    expect(b.link(1).lastSync!.kind).toBe('full');
    expect(b.link(1).lastSync!.reason).toMatch(/^full: asked from offset \d+, the backlog starts at 20000$/);
  });

  it('is what a peer gets whose peer received something by full sync of an instance that writes no more', async () => {
    const [a, b, c] = start(3, { limits: { relayGraceMs: 200 } }) as [FakeInstance, FakeInstance, FakeInstance];
    await world.clock.run(200);
    world.network.cut(nameOf(1), nameOf(3));
    a.write('relayed');
    await world.clock.until(() => c.database.ops.size === 1, 'c has what b relays', 5000);
    b.replication.pause(1);
    writeMany(a, 50);
    a.log.trim();
    b.replication.resume(1);
    await world.clock.until(() => b.database.ops.size === 51, 'b has it by full sync', 10_000);
    expect(b.link(1).lastSync!.kind).toBe('full');
    await world.clock.until(() => c.database.ops.size === 51, 'c has it too', 10_000);
    expect(c.database.digest()).toBe(b.database.digest());
    world.network.mend(nameOf(1), nameOf(3));
    await world.converge(10_000);
  });

  it('is what a peer gets that lacks what its peer itself received by full sync', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    writeMany(a, 100);
    a.log.trim();
    world.start();
    await world.converge(5000);
    const c = world.add(3);
    world.network.cut(nameOf(1), nameOf(3));
    b.replication.configure(world.peersOf(2));
    c.replication.start(world.peersOf(3));
    b.write('from b');
    await world.clock.until(() => c.database.ops.size === 102 || c.database.ops.size === 101, 'c has all of a', 20_000);
    expect(c.database.digest()).toBe(b.database.digest());
  });
});

describe('back-pressure', () => {
  it('keeps memory bounded at both ends while a receiver is slow', async () => {
    const [a, b] = start(2) as [FakeInstance, FakeInstance];
    await world.clock.run(200);
    b.database.applyMs = 0.5;
    const text = 'y'.repeat(1000);
    for (let i = 0; i < 40; i++) {
      writeMany(a, 200, text);
      await world.clock.run(5);
    }
    const feed = world.network.between(nameOf(2), nameOf(1)).other;
    expect(feed.queuedBytesMax).toBeLessThan(700 * 1024);
    expect(a.database.ops.size - b.database.ops.size).toBeGreaterThan(1000);
    expect(b.link(1).lagOperations).toBeGreaterThan(0);
    await world.converge(20_000);
    await world.clock.run(1100);
    expect(b.link(1)).toMatchObject({ lagOperations: 0, lagMs: 0 });
  });

  it('applies no faster than the disk takes what is applied', async () => {
    const [a, b] = start(2, { limits: { applyUnwrittenBytesMax: 10_000 } }) as [FakeInstance, FakeInstance];
    await world.clock.run(200);
    let longest = 0;
    // The disk takes nothing; all that is applied waits.
    const begin = b.log.endPosition;
    Object.defineProperty(b.log, 'unwrittenBytes', {
      configurable: true,
      get: () => {
        longest = Math.max(longest, b.log.endPosition - begin);
        return b.log.endPosition - begin;
      },
    });
    writeMany(a, 1000, 'z'.repeat(200));
    await world.clock.run(5000);
    expect(b.link(1).state).toBe('streaming');
    expect(longest).toBeGreaterThan(10_000);
    expect(longest).toBeLessThan(11_000);
    Object.defineProperty(b.log, 'unwrittenBytes', { configurable: true, value: 0 });
    await world.converge(5000);
  });

  it('reads a lagging peer its log as from a file', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    a.log.readsAreSlow = true;
    writeMany(a, 5000);
    world.start();
    await world.converge(5000);
    expect(b.database.ops.size).toBe(5000);
  });

  it('lets no batch out before the log says so', async () => {
    const [a, b] = start(2) as [FakeInstance, FakeInstance];
    await world.clock.run(100);
    a.log.publishDelayed = true;
    a.log.publishPositionHeld = a.log.endPosition;
    writeMany(a, 10);
    await world.clock.run(3000);
    expect(b.database.ops.size).toBe(0);
    a.log.publishPositionHeld = a.log.endPosition;
    a.log.wake();
    await world.converge(100);
  });

  it('drops client messages for a peer that does not keep up, and counts them', async () => {
    const [a, b] = start(2, { limits: { publishQueuedBytesMax: 10_000 } }) as [FakeInstance, FakeInstance];
    await world.clock.run(200);
    const send = (text: string): void =>
      a.replication.publish({ sharded: false, channel: Buffer.from('news'), message: Buffer.from(text) });
    send('first');
    await world.clock.run(10);
    expect(b.published).toEqual(['news:first']);
    for (let i = 0; i < 500; i++) send('z'.repeat(100));
    expect(a.replication.feeds()[0]!.publishDropped).toBeGreaterThan(300);
    send('x'.repeat(2 * 1024 * 1024));
    await world.clock.run(100);
    expect(b.link(1).state).toBe('streaming');
  });
});

describe('acknowledgements', () => {
  it('let a writer wait until enough instances have its operation, applied or durable', async () => {
    const [a, b] = start(3) as [FakeInstance, FakeInstance, FakeInstance];
    await world.clock.run(200);
    const done: string[] = [];
    const origin = a.database.self.index;
    const seq = a.write('precious');
    a.replication.acks.whenAcked({ origin, seq, count: 2, durable: false }, () => done.push('applied'));
    a.replication.acks.whenAcked({ origin, seq, count: 1, durable: true }, () => done.push('durable'));
    expect(done).toEqual([]);
    await world.clock.run(20);
    expect(done).toEqual(['applied']);
    expect(a.replication.acks.acked(seq)).toBe(2);
    b.log.durableVector.copyFrom(b.database.vector);
    b.log.wake();
    await world.clock.run(30);
    expect(done).toEqual(['applied', 'durable']);
  });

  it('make stable what all have, and nothing while one was never heard of', async () => {
    const [a] = start(2) as [FakeInstance, FakeInstance];
    writeMany(a, 10);
    await world.converge();
    await world.clock.run(1100);
    const own = a.database.self.index;
    expect(a.replication.stability().covers(own, 10)).toBe(true);
    expect(a.replication.stability().isFinal(own, { origin: own, seq: 10 })).toBe(true);
    a.replication.configure([...world.peersOf(1), peerOf(3)]);
    expect(a.replication.stability().covers(own, 1)).toBe(false);
  });
});

describe('generations', () => {
  it('bring back what an instance lost in a crash, while it writes on', async () => {
    const [a, b] = start(2) as [FakeInstance, FakeInstance];
    writeMany(a, 50);
    await world.converge();
    a.replication.stop();
    const reborn = world.add(1, { generation: 101 });
    reborn.replication.start(world.peersOf(1));
    reborn.write('new life');
    await world.converge(10_000);
    expect(b.database.ops.size).toBe(51);
  });

  it('begin anew when a peer has more of the own one, and fetch what is missing', async () => {
    const [a, b] = start(2) as [FakeInstance, FakeInstance];
    writeMany(a, 50);
    await world.converge();
    a.replication.stop();
    const restored = world.add(1, { generation: 100 });
    restored.replication.start(world.peersOf(1));
    await world.clock.until(() => restored.ownLosses.length > 0, 'the loss is seen');
    expect(restored.ownLosses).toEqual([50]);
    restored.write('after the loss');
    await world.converge(10_000);
    expect(b.database.ops.size).toBe(51);
  });

  it('that are newer than the current one of an instance show it that an older state was put back; nothing is lost', async () => {
    const [a, b] = start(2) as [FakeInstance, FakeInstance];
    writeMany(a, 50);
    await world.converge();
    a.replication.stop();
    const newer = world.add(1, { generation: 105 });
    newer.replication.start(world.peersOf(1));
    await world.converge(10_000);
    writeMany(newer, 20, 'newer');
    await world.converge();
    newer.replication.stop();
    const returned = world.add(1, { generation: 100 });
    returned.replication.start(world.peersOf(1));
    await world.clock.until(() => returned.newerGenerations.length > 0, 'it is seen');
    expect(returned.newerGenerations).toEqual([105]);
    expect(returned.ownLosses).toEqual([]);
    returned.write('after it');
    await world.converge(10_000);
    expect(b.database.ops.size).toBe(71);
    await world.clock.run(1100);
    expect(returned.link(2)).toMatchObject({ state: 'streaming', lagOperations: 0, lagMs: 0 });
  });

  it('are sent to an instance that has forgotten them even if it does not begin another', async () => {
    const [a, b] = start(2) as [FakeInstance, FakeInstance];
    a.replication.stop();
    const newer = world.add(1, { generation: 105 });
    newer.replication.start(world.peersOf(1));
    writeMany(newer, 20, 'newer');
    await world.clock.until(() => b.database.ops.size === 20, 'b has it', 10_000);
    newer.replication.stop();
    const returned = world.add(1, { generation: 100 });
    returned.database.startGeneration = () => undefined;
    returned.replication.start(world.peersOf(1));
    await world.converge(10_000);
  });
});

describe('a link', () => {
  it('reports the drift of clocks once, and in its status', async () => {
    world = new World();
    const a = world.add(1);
    world.add(2, { skewMs: 3000 });
    world.start();
    await world.clock.run(10_000);
    expect(a.link(2).driftMs).toBeGreaterThan(2900);
    expect(a.lines.filter((line) => line.includes('clock drift'))).toHaveLength(1);
  });

  it('that an operator must mend says why and is retried slowly', async () => {
    world = new World();
    world.add(1);
    const b = world.add(2, { guid: 'another database' });
    world.start();
    await world.clock.run(10_000);
    expect(b.link(1)).toMatchObject({ state: 'waiting', lagMs: null });
    expect(b.link(1).lastError).toMatch(/^WRONGGUID database another database was asked for/);
    expect(world.network.connections.filter(({ from }) => from === nameOf(2))).toHaveLength(1);
  });

  it('that finds a stranger on the port of its peer says so, and finds the peer within seconds after that has come back', async () => {
    world = new World();
    const a = world.add(1);
    a.replication.start([peerOf(2)]);
    let visits = 0;
    world.network.listen(nameOf(2), (connection) => {
      visits++;
      connection.write(Buffer.from('-WRONGPASS invalid username-password pair or user is disabled.\r\n'));
    });
    await world.clock.run(60_000);
    expect(a.link(2).lastError).toMatch(/^something else than instance 2 of this database answers: WRONGPASS/);
    expect(visits).toBeLessThan(30);
    world.add(2).replication.start([peerOf(1)]);
    await world.clock.run(6_000);
    expect(a.link(2)).toMatchObject({ state: 'streaming', lastError: null });
  });

  it('survives a peer that answers with garbage, and one that falls silent', async () => {
    world = new World();
    const a = world.add(1);
    a.replication.start([peerOf(2), peerOf(3)]);
    world.network.listen(nameOf(2), (connection) => {
      connection.write(Buffer.from('+OK\r\n+OK\r\n'));
      connection.write(Buffer.alloc(1000, 0xab));
    });
    world.network.listen(nameOf(3), () => undefined);
    await world.clock.run(1000);
    expect(a.link(2).lastError).toMatch(/^not a frame that belongs here: kind 171/);
    await world.clock.run(11_000);
    expect(a.link(3).lastError).toMatch(/^the peer was silent for \d+ ms$/);
    expect(world.network.connections.length).toBeLessThan(20);
  });

  it('is added, moved and removed at run time', async () => {
    world = new World();
    const [a, b] = [world.add(1), world.add(2)];
    writeMany(b, 5);
    a.replication.start([{ ...peerOf(2), host: 'nowhere' }]);
    b.replication.start([peerOf(1)]);
    await world.clock.run(300);
    expect(a.link(2).lastError).toBe('connect nowhere:12000: refused');
    a.replication.configure([peerOf(2)]);
    await world.converge(500);
    a.replication.configure([]);
    expect(a.replication.status()).toEqual([]);
    await world.clock.run(100);
    expect(a.replication.feeds()).toEqual([]);
    expect(b.link(1).lastError).toMatch(/no longer part|not part of the database/);
  });
});

describe('a feed', () => {
  const greet = (guid: string): Buffer => {
    const json = Buffer.from(
      JSON.stringify({ protocol: 1, guid, instance: 2, generation: 1, vector: {}, floor: null, want: [] }),
    );
    const header = Buffer.alloc(5);
    writeU32(header, 0, json.length + 1);
    header[4] = FRAME.hello;
    return Buffer.concat([header, json]);
  };

  async function talk(bytes: Buffer): Promise<string> {
    world = new World();
    const a = world.add(1);
    a.replication.start([peerOf(2)]);
    let heard = '';
    const request = JSON.stringify({ protocol: 1, guid: GUID, instance: 2 });
    const words = [
      ['AUTH', '__replication', SECRET],
      ['CRDT.SYNC', request],
    ];
    const commands = words.map(
      (list) => `*${list.length}\r\n${list.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`,
    );
    world.network.at(nameOf(2)).connect({ host: nameOf(1), port: 1, timeoutMs: 1 }, (_error, connection) => {
      connection!.onData = (data) => (heard += Buffer.from(data).toString('latin1'));
      connection!.onClose = () => (heard += '<closed>');
      connection!.write(Buffer.concat([Buffer.from(commands.join('')), bytes]));
    });
    await world.clock.run(100);
    return heard;
  }

  it('answers a HELLO that came right behind the request', async () => {
    const heard = await talk(greet(GUID));
    expect(heard).toMatch(/^\+OK\r\n\+OK\r\n/);
    expect(heard).toContain('"reason":"partial: asked from offset 0');
  });

  it('answers garbage with an error and closes', async () => {
    const heard = await talk(Buffer.alloc(100, 0xcd));
    expect(heard).toMatch(/"code":"PROTOCOL","message":"not a frame that belongs here: kind 205.*<closed>$/s);
  });

  it('refuses another database', async () => {
    expect(await talk(greet('other'))).toMatch(/"code":"WRONGGUID".*<closed>$/s);
  });
});
