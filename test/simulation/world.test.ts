import { describe, expect, it } from '@jest/globals';
import type { Connection } from '../../src/host/host.ts';
import { SimulatedWorld } from './world/world.ts';

const PORT = 12000;

/** Two machines that write files and send each other bytes, with everything that is left to chance. */
async function runNoisyWorld(seed: number): Promise<{ readonly hash: string; readonly log: string }> {
  const log: string[] = [];
  const world = new SimulatedWorld({ seed, trace: (line) => log.push(line) });
  const a = world.addMachine('a', { offsetMs: 1500, drift: 0.0001 });
  const b = world.addMachine('b', { offsetMs: -700 });
  const hostA = a.start();
  const hostB = b.start();
  hostB.listen(PORT, (connection) => {
    connection.onData = (bytes) => connection.write(Buffer.from(bytes));
  });
  hostA.network.connect({ host: 'b', port: PORT, timeoutMs: 1000 }, (_error, connection) => {
    hostA.clock.every(7, () => connection!.write(hostA.random.bytes(hostA.random.between(1, 100))));
  });
  const writeForever = async (): Promise<void> => {
    const file = await hostB.disk.open('/data/log', 'create');
    for (let at = 0; ; at += 10) {
      await file.write(hostB.random.bytes(10), at);
      if (at % 50 === 0) await file.sync();
    }
  };
  void writeForever();
  await world.run(2000);
  b.loseCurrent();
  await world.run(2500);
  log.push(...b.disk.describe());
  return { hash: world.traceHash, log: log.join('\n') };
}

describe('the simulated world', () => {
  it('does the same again for the same seed, to the last byte', async () => {
    const first = await runNoisyWorld(42);
    const second = await runNoisyWorld(42);
    expect(second).toEqual(first);
    expect(first.log.length).toBeGreaterThan(1000);
  });

  it('does something else for another seed', async () => {
    expect((await runNoisyWorld(1)).hash).not.toBe((await runNoisyWorld(2)).hash);
  });

  it('runs timers of one instant in the order of their scheduling, and spends promises in between', async () => {
    const world = new SimulatedWorld({ seed: 1 });
    const { clock } = world.addMachine('a').start();
    const order: string[] = [];
    const deep = async (name: string, depth: number): Promise<void> => {
      for (let i = 0; i < depth; i++) await null;
      order.push(name);
    };
    clock.after(5, () => void deep('first', 50));
    clock.after(5, () => void deep('second', 1));
    clock.after(1, () => void deep('early', 10));
    await world.run(10);
    expect(order).toEqual(['early', 'first', 'second']);
  });

  it('gives every machine its own wrong clock, whose monotonic side never jumps', async () => {
    const world = new SimulatedWorld({ seed: 1 });
    const machine = world.addMachine('a', { offsetMs: 3000, drift: 0.01 });
    const { clock } = machine.start();
    await world.run(10_000);
    expect(clock.nowMs() - world.epochMs).toBe(13_100);
    machine.clock.jump(-5000);
    expect(clock.nowMs() - world.epochMs).toBe(8100);
    expect(clock.monotonicMs()).toBe(10_100);
    machine.clock.correct();
    expect(clock.nowMs() - world.epochMs).toBe(10_000);
  });

  it('fires no timer of a process that was killed, and lets the next one start', async () => {
    const world = new SimulatedWorld({ seed: 1 });
    const machine = world.addMachine('a');
    let fired = 0;
    machine.start().clock.every(10, () => fired++);
    await world.run(35);
    machine.kill();
    await world.run(100);
    expect(fired).toBe(3);
    const host = machine.start();
    host.clock.soon(() => fired++);
    await world.run(200);
    expect(fired).toBe(4);
  });
});

describe('the simulated network', () => {
  interface Pair {
    readonly world: SimulatedWorld;
    readonly client: Connection;
    readonly server: Connection;
  }

  async function connectPair(seed: number): Promise<Pair> {
    const world = new SimulatedWorld({ seed });
    const a = world.addMachine('a').start();
    const b = world.addMachine('b').start();
    let server: Connection | null = null;
    let client: Connection | null = null;
    b.listen(PORT, (connection) => (server = connection));
    a.network.connect({ host: 'b', port: PORT, timeoutMs: 1000 }, (_error, connection) => (client = connection));
    await world.run(1000);
    return { world, client: client!, server: server! };
  }

  it('delivers every byte in order, in pieces of any size', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, client, server } = await connectPair(seed);
      const received: Buffer[] = [];
      server.onData = (bytes) => received.push(Buffer.from(bytes));
      const sent = Array.from({ length: 200 }, (_, i) => Buffer.from(`message ${i};`));
      for (const bytes of sent) client.write(bytes);
      await world.run(10_000);
      expect(Buffer.concat(received).toString()).toBe(Buffer.concat(sent).toString());
      expect(received.length).not.toBe(sent.length);
    }
  });

  it('tells a sender to wait when the receiver does not read, and to go on when it does', async () => {
    const { world, client, server } = await connectPair(3);
    let received = 0;
    let drained = 0;
    server.onData = (bytes) => (received += bytes.length);
    client.onDrain = () => drained++;
    server.pause();
    expect(client.write(Buffer.alloc(100_000))).toBe(true);
    expect(client.write(Buffer.alloc(200_000))).toBe(false);
    await world.run(5000);
    expect([received, drained]).toEqual([0, 0]);
    server.resume();
    await world.run(10_000);
    expect([received, drained]).toEqual([300_000, 1]);
  });

  it('holds bytes back while the path is cut, in one direction only', async () => {
    const { world, client, server } = await connectPair(4);
    const heard: string[] = [];
    server.onData = (bytes) => heard.push(`server ${Buffer.from(bytes).toString()}`);
    client.onData = (bytes) => heard.push(`client ${Buffer.from(bytes).toString()}`);
    world.network.cut('a', 'b');
    client.write(Buffer.from('x'));
    server.write(Buffer.from('y'));
    await world.run(5000);
    expect(heard).toEqual(['client y']);
    world.network.heal('a', 'b');
    await world.run(10_000);
    expect(heard).toEqual(['client y', 'server x']);
  });

  it('refuses where nobody listens, and times out where nothing gets through', async () => {
    const world = new SimulatedWorld({ seed: 5 });
    const a = world.addMachine('a').start();
    world.addMachine('b').start();
    const errors: string[] = [];
    a.network.connect({ host: 'b', port: PORT, timeoutMs: 1000 }, (error) => errors.push(error!.message));
    world.network.cut('b', 'a');
    a.network.connect({ host: 'b', port: PORT, timeoutMs: 1000 }, (error) => errors.push(error!.message));
    await world.run(2000);
    expect(errors).toEqual(['ECONNREFUSED: b:12000', 'ETIMEDOUT: b:12000']);
  });

  it('tells both sides once of a broken connection, and the other side of a close', async () => {
    const broken = await connectPair(6);
    const closes: string[] = [];
    broken.client.onClose = (error) => closes.push(`client ${error?.message ?? 'in order'}`);
    broken.server.onClose = (error) => closes.push(`server ${error?.message ?? 'in order'}`);
    broken.world.network.drop('a', 'b');
    await broken.world.run(3000);
    expect(closes).toEqual(['client ECONNRESET: simulated drop', 'server ECONNRESET: simulated drop']);
    const closed = await connectPair(7);
    closed.server.onClose = (error) => closes.push(`server ${error?.message ?? 'in order'}`);
    closed.client.close();
    await closed.world.run(3000);
    expect(closes.slice(2)).toEqual(['server in order']);
    expect(closed.world.network.connectionCount).toBe(0);
  });

  it('stops the run when a sender reuses bytes that have not left', async () => {
    const { world, client } = await connectPair(8);
    const bytes = Buffer.alloc(300 * 1024, 'a');
    client.write(bytes);
    expect(client.waitingBytes).toBe(bytes.length);
    bytes[0] = 0;
    await expect(world.run(2000)).rejects.toThrow('bytes changed after write');
  });
});
