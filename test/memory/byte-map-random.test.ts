/** The choice from a byte map is uniform: at every size, in sparse tables, and while two tables are there. */
import { describe, expect, it } from '@jest/globals';
import { Arena } from '../../src/memory/arena.ts';
import { chiSquare } from '../chi-square.ts';
import { seededRandom } from '../database/cluster.ts';
import { Fixture } from './byte-map-fixture.ts';

/** Per degree of freedom. */
const UNEVEN_MIN = 2;

function draw(f: Fixture, entries: readonly number[], draws: number, seed = 0): number[] {
  const counts = new Map(entries.map((entry) => [entry, 0]));
  const random = seededRandom(entries.length + seed);
  for (let i = 0; i < draws; i++) {
    const entry = f.maps.random(f.map, random);
    counts.set(entry, counts.get(entry)! + 1);
  }
  return [...counts.values()];
}

const fill = (count: number): { readonly f: Fixture; readonly entries: number[] } => {
  const f = new Fixture(new Arena());
  return { f, entries: Array.from({ length: count }, (_, i) => f.add(`k${i}`)) };
};

/** Runs `act` while the tables stay as they are: in a visit of a scan. */
function frozen(f: Fixture, act: () => void): void {
  let isDone = false;
  for (let cursor = 0; !isDone;) {
    cursor = f.maps.scan(f.map, cursor, () => {
      if (!isDone) act();
      isDone = true;
    });
  }
}

describe('a random entry of a ByteMap', () => {
  for (const size of [1, 2, 7, 100, 5000]) {
    it(`is each of ${size} as likely`, () => {
      const { f, entries } = fill(size);
      // Few bins scatter much by nature: many samples are averaged.
      const samples = Math.ceil(200 / size);
      let sum = 0;
      for (let i = 0; i < samples; i++) sum += chiSquare(draw(f, entries, 20 * size, i));
      expect(sum / samples).toBeLessThan(UNEVEN_MIN);
    });
  }

  it('is each of 100,000 as likely', () => {
    const { f, entries } = fill(100_000);
    expect(chiSquare(draw(f, entries, 200_000))).toBeLessThan(UNEVEN_MIN);
  });

  it('is as likely wherever it stands in a chain, of a million', () => {
    const { f } = fill(1_000_000);
    while (f.maps.continueResize(f.map, 10_000));
    const [table] = f.block.tables;
    const position = (entry: number): number => {
      let at = 0;
      for (let e = f.word(table!.table, f.word(entry, 1) & (2 ** table!.log - 1)); e !== entry; e = f.word(e, 0)) at++;
      return Math.min(at, 4);
    };
    const weights = [0, 0, 0, 0, 0];
    let cursor = 0;
    do cursor = f.maps.scan(f.map, cursor, (entry) => weights[position(entry)]!++);
    while (cursor !== 0);
    const random = seededRandom(5);
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 50_000; i++) counts[position(f.maps.random(f.map, random))]!++;
    expect(chiSquare(counts, weights)).toBeLessThan(UNEVEN_MIN);
  });

  it('is each as likely while the table grows', () => {
    const { f, entries } = fill(4096 + 1500);
    expect(f.block.tables).toHaveLength(2);
    frozen(f, () => expect(chiSquare(draw(f, entries, 60_000))).toBeLessThan(UNEVEN_MIN));
  });

  it('is each as likely while the table shrinks', () => {
    const { f, entries } = fill(1 << 14);
    while (f.block.tables.length === 1) f.remove(entries.pop()!);
    for (let i = 0; i < 50; i++) f.remove(entries.pop()!);
    expect(f.block.tables).toHaveLength(2);
    frozen(f, () => expect(chiSquare(draw(f, entries, 50_000))).toBeLessThan(UNEVEN_MIN));
  });

  it('is found soon, and each as likely, when nearly all others were taken away at once', () => {
    const { f, entries } = fill(1 << 17);
    while (entries.length > 7) {
      const entry = entries.pop()!;
      f.maps.take(f.map, entry);
      f.arena.free(entry);
    }
    expect(chiSquare(draw(f, entries, 3000))).toBeLessThan(UNEVEN_MIN);
    expect(f.buckets).toBeLessThanOrEqual(12 * 7);
  });
});
