/** What a million keys take, and how long single reads wait while a million are written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { encode, mark, median, pourKeys, print } from './measure.ts';
import type { Options } from './options.ts';
import { startAlone, startRedis, type Server } from './servers.ts';

const KEYS = 1_000_000;
const MEMORY_BAR = 1.1;
/** Connections that measure latency; thousands of samples a second, so that the worst thousandth is more than one or two of them. */
const READERS = 8;

export async function memory({ runtimes }: Options): Promise<void> {
  print('Resident memory with 1 M keys of 16 bytes, values of 32 bytes, after a fresh start and the load');
  const redis = await startRedis();
  const instance = await startAlone(runtimes[0]!);
  try {
    const sizes: number[] = [];
    for (const server of [instance, redis]) {
      const before = server.residentBytes();
      await pourKeys(server, KEYS);
      const keys = await server.ask('DBSIZE');
      const after = server.residentBytes();
      sizes.push(after);
      const perKey = ((after - before) / KEYS).toFixed(0);
      const total = `${(after / 1e6).toFixed(0)} MB, ${perKey} bytes per key above the start`;
      print(`  ${server.name.padEnd(16)} ${total}, ${keys.trim().slice(1)} keys`);
    }
    const ratio = sizes[0]! / sizes[1]!;
    print(`  ratio ${ratio.toFixed(2)}  (<= ${MEMORY_BAR}: ${mark(ratio <= MEMORY_BAR)})`);
  } finally {
    await Promise.all([redis.stop(), instance.stop()]);
  }
}

const WRITER = ['-t', 'set', '-n', `${KEYS}`, '-c', '50', '-P', '16', '-r', `${KEYS}`, '-d', '32', '-q'];

/** p99.9 of single GETs, one at a time on each of a few connections, while a million keys are being written, in ms. */
async function readLatency(server: Server): Promise<number> {
  const writer = spawn('redis-benchmark', ['-p', `${server.port}`, ...WRITER], { stdio: 'ignore' });
  const done = once(writer, 'exit');
  let running = true;
  void done.then(() => (running = false));
  const times: number[] = [];
  const request = Buffer.from(encode('GET', 'key:000000000001'));
  const read = async (): Promise<void> => {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.setNoDelay(true);
    while (running) {
      const start = process.hrtime.bigint();
      socket.write(request);
      await once(socket, 'data');
      times.push(Number(process.hrtime.bigint() - start) / 1e6);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: READERS }, read));
  await done;
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.999)] ?? NaN;
}

export async function latency({ rounds, runtimes }: Options): Promise<void> {
  print('p99.9 of GET while 1 M keys are being written (50 clients, pipeline 16)');
  const figures: { ours: number; theirs: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const redis = await startRedis();
    const instance = await startAlone(runtimes[0]!);
    try {
      figures.push({ ours: await readLatency(instance), theirs: await readLatency(redis) });
    } finally {
      await Promise.all([redis.stop(), instance.stop()]);
    }
  }
  const ours = median(figures.map((f) => f.ours));
  const theirs = median(figures.map((f) => f.theirs));
  print(
    `  ours ${ours.toFixed(2)} ms, redis-server ${theirs.toFixed(2)} ms  (<= redis-server: ${mark(ours <= theirs)})`,
  );
}
