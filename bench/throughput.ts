/**
 * Requests per second and processor time of each, alone and with a second server receiving.
 *
 * All servers take turns, round by round, and a figure is the median of the rounds' ratios: a machine that slows down half-way slows all. What a
 * process does in its first minute is shown apart: V8 compiles, and processors and caches warm up.
 */
import { drive, mark, median, medianFigure, micros, print, rate, type Figure } from './measure.ts';
import type { Command, Options } from './options.ts';
import { BenchDatabase, startAlone, startRedis, type Server } from './servers.ts';

/** What the project promises: ratio to redis-server at P1, P16, P100. */
const BARS: Readonly<Record<Command, readonly [number, number, number]>> = {
  set: [0.9, 1.0, 1.1],
  get: [0.9, 1.0, 1.1],
  incr: [0.8, 1.1, 0.8],
  sadd: [0.8, 0.8, 0.8],
  hset: [0.8, 0.8, 0.8],
};
const DEPTHS = [1, 16, 100] as const;
const REPLICATED_BAR = 1;
const KEYS = 100_000;
/** Long enough for V8 to have compiled everything, as measured. */
const WARM_REQUESTS = 300_000;

const requestsAt = (depth: number, quick: boolean): number => {
  const requests = depth === 1 ? 60_000 : depth === 16 ? 400_000 : 600_000;
  return quick ? requests / 4 : requests;
};

interface Row {
  readonly command: Command;
  readonly depth: number;
  readonly requests: number;
  readonly rounds: number;
  readonly bar: number;
}

/** `others` are compared with redis-server, the last of all. */
async function measureRow(others: readonly Server[], redis: Server, row: Row): Promise<void> {
  const figures = new Map<Server, Figure[]>([...others, redis].map((server) => [server, []]));
  for (let round = 0; round < row.rounds; round++) {
    for (const [server, list] of figures) list.push(await drive(server, row.command, { ...row, keys: KEYS }));
  }
  const theirs = figures.get(redis)!;
  others.forEach((server, i) => {
    const ours = figures.get(server)!;
    const ratio = median(ours.map((one, round) => one.perSecond / theirs[round]!.perSecond));
    const [mine, other] = [medianFigure(ours), medianFigure(theirs)];
    const name = i === 0 ? `${row.command.padEnd(5)} P${String(row.depth).padEnd(4)}` : ' '.repeat(10);
    const held = i === 0 ? `(>= ${row.bar.toFixed(1)}: ${mark(ratio >= row.bar)})` : '';
    const cpu = `${micros(mine.cpuMicrosPerOperation)} against ${micros(other.cpuMicrosPerOperation)}`;
    const speed = `${rate(mine.perSecond)} against ${rate(other.perSecond)}`;
    print(`  ${name} ${server.name.padEnd(16)} ${ratio.toFixed(2)}  ${held.padEnd(22)} cpu ${cpu}   ${speed}`);
  });
}

const forEachDepth = async (
  run: (depth: (typeof DEPTHS)[number], index: 0 | 1 | 2) => Promise<void>,
): Promise<void> => {
  for (const index of [0, 1, 2] as const) await run(DEPTHS[index], index);
};

async function warm(servers: readonly Server[], commands: readonly Command[], quick: boolean): Promise<void> {
  const each = Math.ceil((quick ? WARM_REQUESTS / 4 : WARM_REQUESTS) / commands.length);
  for (const server of servers) {
    for (const command of commands) {
      await drive(server, command, { depth: 16, requests: each, keys: KEYS });
      await drive(server, command, { depth: 1, requests: Math.ceil(each / 4), keys: KEYS });
    }
  }
}

export async function throughput({ commands, quick, rounds, runtimes }: Options): Promise<void> {
  print('Throughput, ratio to redis-server (appendonly every second), 50 clients, 32-byte values, 100 k keys');
  const redis = await startRedis();
  const instances: Server[] = [];
  try {
    for (const runtime of runtimes) instances.push(await startAlone(runtime));
    print(' Fresh processes, one round:');
    await forEachDepth(async (depth) => {
      const row = { command: 'set', depth, requests: requestsAt(depth, quick), rounds: 1, bar: 0.8 } as const;
      await measureRow(instances, redis, row);
    });
    await warm([...instances, redis], commands, quick);
    print(` Warm, ${rounds} rounds:`);
    for (const command of commands) {
      await forEachDepth((depth, i) => {
        const row = { command, depth, requests: requestsAt(depth, quick), rounds, bar: BARS[command][i] };
        return measureRow(instances, redis, row);
      });
    }
  } finally {
    await Promise.all([redis, ...instances].map((server) => server.stop()));
  }
}

export async function replicated({ quick, rounds, runtimes }: Options): Promise<void> {
  print('SET with a second instance receiving, ratio to redis-server with one replica');
  const redis = await startRedis();
  const replica = await startRedis({ replicaOf: redis.port });
  const database = await BenchDatabase.plan(runtimes[0]!, 2);
  const [instance, peer] = [await database.startInstance(1), await database.startInstance(2)];
  try {
    await warm([instance, redis], ['set'], quick);
    await forEachDepth((depth) => {
      const row = { command: 'set', depth, requests: requestsAt(depth, quick), rounds, bar: REPLICATED_BAR } as const;
      return measureRow([instance], redis, row);
    });
  } finally {
    await Promise.all([redis, replica, instance, peer].map((server) => server.stop()));
  }
}
