import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SEGMENT_MASK } from '../../src/memory/arena.ts';
import { MAP_BYTES } from '../../src/memory/byte-map.ts';
import { Fixture, KEY_OFFSET } from './byte-map-fixture.ts';

describe('ByteMap', () => {
  it('finds exactly what was added and not removed, through growing and shrinking', () => {
    const operation = fc.tuple(fc.constantFrom('add', 'remove', 'burst'), fc.integer({ min: 0, max: 400 }));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
        const f = new Fixture();
        const model = new Set<string>();
        const put = (key: string): void => {
          if (f.find(key) === 0) f.add(key);
          model.add(key);
        };
        for (const [kind, n] of operations) {
          if (kind === 'add') put(`k${n}`);
          else if (kind === 'burst') for (let i = 0; i < n; i++) put(`b${i}`);
          else {
            for (const key of [`k${n}`, ...Array.from({ length: n }, (_, i) => `b${i}`)]) {
              const entry = f.find(key);
              expect(entry !== 0).toBe(model.delete(key));
              if (entry !== 0) f.remove(entry);
            }
          }
          expect(f.maps.count(f.map)).toBe(model.size);
        }
        for (const key of model) expect(f.key(f.find(key))).toBe(key);
        const seen = new Set<string>();
        let cursor = 0;
        do cursor = f.maps.scan(f.map, cursor, (entry) => seen.add(f.key(entry)));
        while (cursor !== 0);
        expect(seen).toEqual(model);
        for (const key of model) f.remove(f.find(key));
        f.maps.destroy(f.map);
        expect(f.arena.usedBytes).toBe(MAP_BYTES);
      }),
      { numRuns: 40 },
    );
  });

  it('scans every entry that is there from start to end, whatever is added and removed meanwhile', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.integer({ min: -200, max: 200 }), { maxLength: 60 }),
        (stable, changes) => {
          const f = new Fixture();
          for (let i = 0; i < stable; i++) f.add(`stable${i}`);
          const seen = new Set<string>();
          const extra: number[] = [];
          let cursor = 0;
          let step = 0;
          do {
            cursor = f.maps.scan(f.map, cursor, (entry) => seen.add(f.key(entry)));
            const change = changes[step++] ?? 0;
            for (let i = 0; i < change; i++) extra.push(f.add(`extra${step}-${i}`));
            for (let i = 0; i > change && extra.length > 0; i--) f.remove(extra.pop()!);
          } while (cursor !== 0);
          for (let i = 0; i < stable; i++) expect(seen.has(`stable${i}`)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('visits every entry once while each is removed, also when a visit scans another map of the same kind', () => {
    const f = new Fixture();
    for (let i = 0; i < 1000; i++) f.add(`k${i}`);
    const inner = f.arena.allocate(MAP_BYTES);
    f.maps.create(inner);
    const seen: string[] = [];
    let cursor = 0;
    do {
      cursor = f.maps.scan(f.map, cursor, (entry) => {
        expect(f.maps.scan(inner, 0, () => undefined)).toBe(0);
        seen.push(f.key(entry));
        f.remove(entry);
      });
    } while (cursor !== 0);
    expect(new Set(seen).size).toBe(1000);
    expect(seen).toHaveLength(1000);
    expect(f.maps.count(f.map)).toBe(0);
  });

  it('keeps an entry findable after it was replaced by a copy elsewhere', () => {
    const f = new Fixture();
    for (let i = 0; i < 100; i++) f.add(`k${i}`);
    for (let i = 0; i < 100; i++) {
      const old = f.find(`k${i}`);
      const copy = f.arena.allocate(64);
      const from = (old & SEGMENT_MASK) << 3;
      const bytes = f.arena.bytes[0]!;
      bytes.copy(bytes, (copy & SEGMENT_MASK) << 3, from, from + KEY_OFFSET + 4);
      f.maps.replace(f.map, old, copy);
      f.arena.free(old);
      expect(f.find(`k${i}`)).toBe(copy);
    }
  });

  it('picks every entry at random sooner or later', () => {
    const f = new Fixture();
    for (let i = 0; i < 20; i++) f.add(`k${i}`);
    let state = 1;
    const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
    const seen = new Set<string>();
    for (let i = 0; i < 2000; i++) seen.add(f.key(f.maps.random(f.map, next)));
    expect(seen.size).toBe(20);
  });
});
