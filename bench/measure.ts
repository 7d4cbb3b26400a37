/** Load on a server, what it costs, and how the figures are shown. */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Server } from './servers.ts';

const CLIENTS = '50';
const BLOCK_COMMANDS = 2_000;
const LOADERS_BYTES_AHEAD = 4 * 1024 * 1024;

export interface Figure {
  readonly perSecond: number;
  /** Processor time of the server, microseconds. */
  readonly cpuMicrosPerOperation: number;
}

export const print = (line: string): void => void process.stdout.write(`${line}\n`);
export const rate = (perSecond: number): string => `${Math.round(perSecond / 1000)}k/s`;
export const mark = (holds: boolean): string => (holds ? 'holds' : 'FALLS SHORT');
export const micros = (value: number): string => `${value.toFixed(2)} us`;
export const short = (n: number): string =>
  n >= 1_000_000 ? `${n / 1_000_000} M` : n >= 1000 ? `${Math.round(n / 1000)} k` : `${n}`;

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

export const medianFigure = (figures: readonly Figure[]): Figure => ({
  perSecond: median(figures.map((f) => f.perSecond)),
  cpuMicrosPerOperation: median(figures.map((f) => f.cpuMicrosPerOperation)),
});

/** redis-benchmark with 50 clients. `command`: one of its own tests, or the words of a command with `__rand_int__` in them. */
export async function drive(
  server: Server,
  command: string | readonly string[],
  options: { readonly depth: number; readonly requests: number; readonly keys: number },
): Promise<Figure> {
  const { depth, requests, keys } = options;
  const args = ['-p', `${server.port}`, '-n', `${requests}`, '-c', CLIENTS, '-P', `${depth}`];
  args.push('-r', `${keys}`, '-d', '32', '-q', ...(typeof command === 'string' ? ['-t', command] : command));
  const before = server.cpuMicros();
  const { stdout } = await promisify(execFile)('redis-benchmark', args, { encoding: 'latin1' });
  const cpu = server.cpuMicros() - before;
  const rates = [...stdout.replaceAll('\r', '\n').matchAll(/([\d.]+) requests per second/g)];
  return { perSecond: Number(rates.at(-1)![1]), cpuMicrosPerOperation: cpu / requests };
}

export const encode = (...words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

/** Sends `count` commands over one connection, as fast as the server takes them. Resolves when all are answered; every reply is one line. */
export async function pour(server: Server, count: number, command: (index: number) => string): Promise<void> {
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  let answered = 0;
  const done = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`the connection was closed after ${answered} of ${count} replies`)));
    socket.on('data', (data) => {
      for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) answered++;
      if (answered === count) resolve();
    });
  });
  for (let i = 0; i < count;) {
    let block = '';
    for (const end = Math.min(count, i + BLOCK_COMMANDS); i < end; i++) block += command(i);
    socket.write(block, 'latin1');
    if (socket.writableLength > LOADERS_BYTES_AHEAD) await once(socket, 'drain');
  }
  await done;
  socket.removeAllListeners('close');
  socket.destroy();
}

const VALUE = 'x'.repeat(32);
/** As redis-benchmark writes them. */
export const numbered = (prefix: string, index: number): string => `${prefix}:${String(index).padStart(12, '0')}`;

/** Keys `key:000000000000` and on, values of 32 bytes. */
export const pourKeys = (server: Server, count: number): Promise<void> =>
  pour(server, count, (i) => encode('SET', numbered('key', i), VALUE));

export const pourFields = (server: Server, key: string, count: number): Promise<void> =>
  pour(server, count, (i) => encode('HSET', key, numbered('element', i), VALUE));

export const pourMembers = (server: Server, key: string, count: number): Promise<void> =>
  pour(server, count, (i) => encode('SADD', key, numbered('element', i)));
