/** Commands that choose at random choose uniformly, alone and with a count, whatever the size. */
import { describe, expect, it } from '@jest/globals';
import { chiSquare } from '../chi-square.ts';
import { START_MS } from '../database/cluster.ts';
import { SCAN_COMMANDS } from '../../src/redis-commands/scan.ts';
import { HASH_AND_SET_COMMANDS } from './hash-and-set-commands.ts';
import { Client } from './harness.ts';

const BINS_MAX = 100;
const DRAWS_PER_BIN = 20;
/** Few bins scatter much by nature: as many samples as make up for it are averaged. */
const FREEDOM_MIN = 60;
const UNEVEN_MIN = 2;
const CHUNK = 500;

const COMMANDS = [...HASH_AND_SET_COMMANDS, ...SCAN_COMMANDS];

const names = (size: number): string[] => Array.from({ length: size }, (_, i) => `m${i}`);

function inChunks(list: readonly string[], act: (chunk: string[]) => void): void {
  for (let at = 0; at < list.length; at += CHUNK) act(list.slice(at, at + CHUNK));
}

const chosen = (reply: string): number[] => [...reply.matchAll(/m(\d+)\r/g)].map((match) => Number(match[1]));

/** Chi-square per degree of freedom of what `draw` chooses; members are counted in up to BINS_MAX bins. */
function unevenness(size: number, draw: () => string): number {
  const bins = Math.min(size, BINS_MAX);
  const weights = Array.from({ length: bins }, (_, bin) => Math.ceil((size - bin) / bins));
  const samples = bins === 1 ? 1 : Math.ceil(FREEDOM_MIN / (bins - 1));
  let sum = 0;
  for (let i = 0; i < samples; i++) sum += chiSquare(sample(bins, draw), weights);
  return sum / samples;
}

function sample(bins: number, draw: () => string): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (let drawn = 0; drawn < bins * DRAWS_PER_BIN;) {
    const indices = chosen(draw());
    expect(indices.length).toBeGreaterThan(0);
    for (const index of indices) counts[index % bins]!++;
    drawn += indices.length;
  }
  return counts;
}

for (const size of [1, 2, 7, 100, 5000, 100_000]) {
  describe(`of ${size}`, () => {
    const part = Math.max(1, Math.floor(size / 5));
    const most = Math.max(1, Math.floor(size / 2));

    it('SRANDMEMBER and SPOP choose each member as often', () => {
      const client = new Client(COMMANDS, { protocol: 2 });
      inChunks(names(size), (chunk) => client.run('SADD', 's', ...chunk));
      const lines = [
        'SRANDMEMBER s',
        `SRANDMEMBER s ${Math.min(part, 50)}`,
        'SRANDMEMBER s -50',
        `SRANDMEMBER s ${most}`,
      ];
      for (const line of lines)
        expect([line, unevenness(size, () => client.type(line)) < UNEVEN_MIN]).toEqual([line, true]);
      for (const line of ['SPOP s', `SPOP s ${Math.min(part, 50)}`]) {
        const pop = (): string => {
          const reply = client.type(line);
          client.run('SADD', 's', ...chosen(reply).map((index) => `m${index}`));
          return reply;
        };
        expect([line, unevenness(size, pop) < UNEVEN_MIN]).toEqual([line, true]);
      }
    });

    it('HRANDFIELD chooses each field as often, also where fields have expired', () => {
      const client = new Client(COMMANDS, { protocol: 2 });
      inChunks(names(size), (chunk) => client.run('HSET', 'h', ...chunk.flatMap((name) => [name, 'v'])));
      const lines = [
        'HRANDFIELD h',
        `HRANDFIELD h ${Math.min(part, 50)}`,
        'HRANDFIELD h -50 WITHVALUES',
        `HRANDFIELD h ${most}`,
      ];
      const check = (): void => {
        for (const line of lines)
          expect([line, unevenness(size, () => client.type(line)) < UNEVEN_MIN]).toEqual([line, true]);
      };
      check();
      if (size > 5000) return;
      client.run('HSET', 'h', 'gone', 'v');
      client.type('HPEXPIRE h 10 FIELDS 1 gone');
      client.database.setTime(START_MS + 20);
      check();
    });

    it('RANDOMKEY chooses each key as often', () => {
      const client = new Client(COMMANDS, { protocol: 2 });
      for (const name of names(size)) client.run('SADD', name, 'x');
      expect(unevenness(size, () => client.type('RANDOMKEY'))).toBeLessThan(UNEVEN_MIN);
    });
  });
}
