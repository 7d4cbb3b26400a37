/** What a byte map promises about its tables: bounded load, whatever comes in whatever order; slices; memory given back. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Arena } from '../../src/memory/arena.ts';
import { MAP_BYTES } from '../../src/memory/byte-map.ts';
import { assertLaw } from '../law.ts';
import { Fixture } from './byte-map-fixture.ts';

/** Buckets per entry at most, once there are some entries: eight when a shrink begins, and the two tables of the shrink. */
const SPARSE_MAX = 12;
/** Of the chains of a few thousand entries at one per bucket; chance makes 7 or 8. */
const CHAIN_MAX = 14;

type Step =
  { readonly kind: 'add' | 'remove' | 'sweep' | 'resize' | 'scan'; readonly n: number } | { readonly kind: 'move' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('add', 'remove', 'sweep', 'resize', 'scan'),
    n: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3000 })),
  }),
  fc.constant<Step>({ kind: 'move' }),
);

const print = (steps: readonly Step[]): string =>
  steps.map((one) => (one.kind === 'move' ? 'move' : `${one.kind} ${one.n}`)).join(', ');

describe('the tables of a ByteMap', () => {
  it('are neither sparse nor crowded and every entry is in its bucket, whatever is added, removed and swept; scans miss nothing', () => {
    const check = (steps: readonly Step[]): void => {
      const f = new Fixture();
      const live: number[] = [];
      const index = new Map<number, number>();
      const forget = (entry: number): void => {
        const at = index.get(entry)!;
        const last = live.pop()!;
        index.delete(entry);
        if (last !== entry) {
          live[at] = last;
          index.set(last, at);
        }
      };
      let serial = 0;
      let scan: { cursor: number; readonly missing: Set<number> } | null = null;
      let sweep = 0;
      for (const one of steps) {
        if (one.kind === 'move') {
          const map = f.arena.allocate(MAP_BYTES);
          f.maps.moveMap(f.map, map);
          f.arena.free(f.map);
          f.map = map;
        } else if (one.kind === 'add') {
          for (let i = 0; i < one.n; i++) {
            const entry = f.add(`k${serial++}`);
            index.set(entry, live.length);
            live.push(entry);
          }
        } else if (one.kind === 'remove') {
          for (let i = 0; i < one.n && live.length > 0; i++) {
            const entry = live[(i * 7919) % live.length]!;
            scan?.missing.delete(entry);
            forget(entry);
            f.remove(entry);
          }
        } else if (one.kind === 'sweep') {
          // As housekeeping does: removes what a walk meets, in the visits themselves.
          for (let i = 0; i < one.n; i++) {
            sweep = f.maps.scan(f.map, sweep, (entry) => {
              scan?.missing.delete(entry);
              forget(entry);
              f.remove(entry);
            });
          }
        } else if (one.kind === 'resize') {
          f.maps.continueResize(f.map, one.n);
        } else {
          scan ??= { cursor: 0, missing: new Set(live) };
          const { missing } = scan;
          for (let i = 0; i < one.n && scan !== null; i++) {
            scan.cursor = f.maps.scan(f.map, scan.cursor, (entry) => missing.delete(entry));
            if (scan.cursor !== 0) continue;
            expect(missing.size).toBe(0);
            scan = null;
          }
        }
        expect(f.maps.count(f.map)).toBe(live.length);
        const chains = f.chains();
        expect(chains.reduce((sum, length) => sum + length, 0)).toBe(live.length);
        expect(Math.max(0, ...chains)).toBeLessThanOrEqual(CHAIN_MAX);
        if (live.length >= 8 && one.kind !== 'sweep') expect(f.buckets).toBeLessThanOrEqual(SPARSE_MAX * live.length);
      }
      for (const entry of live) f.remove(entry);
      f.maps.destroy(f.map);
      expect(f.arena.usedBytes).toBe(MAP_BYTES);
    };
    assertLaw(fc.array(step, { maxLength: 30, size: 'max' }), check, { runs: 60, print });
  });

  it('turn round when keys come while a shrink is under way: the large table is the aim again', () => {
    const f = new Fixture();
    const entries = Array.from({ length: 1 << 14 }, (_, i) => f.add(`k${i}`));
    while (f.block.tables.length === 1) f.remove(entries.pop()!);
    const [old, small] = f.block.tables;
    expect(small!.log).toBeLessThan(old!.log);
    let serial = 0;
    while (f.maps.count(f.map) <= 2 ** small!.log) f.add(`more${serial++}`);
    if (f.block.tables.length === 2) expect(f.block.tables[1]).toEqual(old);
    for (let i = 0; i < 1 << 14; i++) f.add(`many${i}`);
    expect(Math.max(...f.chains())).toBeLessThanOrEqual(CHAIN_MAX);
    for (const entry of entries) expect(f.find(f.key(entry))).toBe(entry);
    for (let i = 0; i < serial; i++) expect(f.find(`more${i}`)).not.toBe(0);
  });

  it('shrink to a sixteenth at a time, so that no step of a scan visits more than that', () => {
    const f = new Fixture();
    const entries = Array.from({ length: 1 << 14 }, (_, i) => f.add(`k${i}`));
    for (const entry of entries) {
      f.maps.take(f.map, entry);
      f.arena.free(entry);
    }
    f.add('one');
    let steps = 0;
    while (f.maps.continueResize(f.map, 1)) {
      const [old, aim] = f.block.tables;
      expect(old!.log - aim!.log).toBeLessThanOrEqual(4);
      steps++;
    }
    expect(f.buckets).toBe(4);
    expect(steps).toBeGreaterThan((1 << 14) / 16);
    expect(f.find('one')).not.toBe(0);
  });

  it('are made at once for as many entries as are foreseen, if there is memory; more and fewer may come', () => {
    for (const foreseen of [0, 1, 999, 1000, 5000]) {
      const f = new Fixture();
      f.maps.prepare(f.map, foreseen);
      expect(f.buckets).toBeGreaterThanOrEqual(foreseen);
      for (let i = 0; i < 1000; i++) f.add(`k${i}`);
      while (f.maps.continueResize(f.map, 100));
      expect(f.buckets).toBe(1024);
      for (let i = 0; i < 1000; i++) expect(f.find(`k${i}`)).not.toBe(0);
    }
    const tight = new Fixture(new Arena({ segmentBytes: 1 << 20, bytesMax: 5 << 20 }));
    tight.maps.prepare(tight.map, 1 << 26);
    tight.maps.prepare(tight.map, 2 ** 40);
    tight.add('one');
    expect(tight.buckets).toBe(4);
  });

  it('stay as they are while memory is short: growing is put off, adding and removing go on', () => {
    const f = new Fixture(new Arena({ segmentBytes: 1 << 20, bytesMax: 5 << 20 }));
    const held: number[] = [];
    while (f.arena.hasRoomFor(1 << 14)) held.push(f.arena.allocate(1 << 14));
    for (let i = 0; i < 2000; i++) f.add(`k${i}`);
    expect(f.buckets).toBeLessThan(2000);
    for (const block of held) f.arena.free(block);
    f.add('another');
    while (f.maps.continueResize(f.map, 100));
    expect(f.buckets).toBe(2048);
    for (let i = 0; i < 2000; i++) expect(f.find(`k${i}`)).not.toBe(0);
  });

  it('are drained in slices: each entry is handed over once, what is taken meanwhile is not, and all memory comes back', () => {
    const check = (input: {
      readonly count: number;
      readonly removed: number;
      readonly slice: number;
      readonly taken: number;
    }): void => {
      const f = new Fixture();
      const entries = Array.from({ length: input.count }, (_, i) => f.add(`k${i}`));
      for (let i = 0; i < input.removed && entries.length > 0; i++) f.remove(entries.pop()!);
      const left = new Set(entries);
      let isDone = false;
      for (let round = 0; !isDone; round++) {
        let freed = 0;
        isDone = f.maps.drain(f.map, input.slice, (entry) => {
          freed++;
          expect(left.delete(entry)).toBe(true);
          f.arena.free(entry);
        });
        expect(freed).toBeLessThanOrEqual(input.slice);
        if (round % 3 !== 0) continue;
        for (const entry of [...left].slice(0, input.taken)) {
          expect(f.find(f.key(entry))).toBe(entry);
          f.maps.take(f.map, entry);
          f.arena.free(entry);
          left.delete(entry);
        }
      }
      expect(left.size).toBe(0);
      expect(f.maps.count(f.map)).toBe(0);
      expect(f.arena.usedBytes).toBe(MAP_BYTES);
      f.add('usable again');
      expect(f.find('usable again')).not.toBe(0);
    };
    const input = fc.record({
      count: fc.integer({ min: 0, max: 3000 }),
      removed: fc.integer({ min: 0, max: 3000 }),
      slice: fc.integer({ min: 1, max: 500 }),
      taken: fc.integer({ min: 0, max: 20 }),
    });
    assertLaw(input, check, { runs: 60, print: (one) => JSON.stringify(one) });
  });

  it('may be scanned while their map moves or is destroyed by a visit', () => {
    const f = new Fixture();
    for (let i = 0; i < 100; i++) f.add(`k${i}`);
    let seen = 0;
    let cursor = 0;
    do {
      cursor = f.maps.scan(f.map, cursor, (entry) => {
        seen++;
        const map = f.arena.allocate(MAP_BYTES);
        f.maps.moveMap(f.map, map);
        f.arena.free(f.map);
        f.map = map;
        f.remove(entry);
        if (f.maps.count(map) === 0) f.maps.destroy(map);
      });
    } while (cursor !== 0);
    expect(seen).toBe(100);
    expect(f.arena.usedBytes).toBe(MAP_BYTES);
  });
});
