/** Set elements against a list of dots. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ELEMENT_KEY_OFFSET, Elements } from '../../src/crdt/element.ts';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { Arena } from '../../src/memory/arena.ts';
import { ByteMap, MAP_BYTES } from '../../src/memory/byte-map.ts';
import { assertLaw } from '../law.ts';

interface Change {
  readonly do: 'add' | 'remove';
  readonly origin: number;
  /** What it has observed, per origin, counted back from the latest; null: all there is. */
  readonly unseen: readonly number[] | null;
}

const ORIGINS = 3;
const change: fc.Arbitrary<Change> = fc.record({
  do: fc.constantFrom('add', 'add', 'remove'),
  origin: fc.nat({ max: ORIGINS - 1 }),
  unseen: fc.option(fc.array(fc.nat({ max: 4 }), { minLength: ORIGINS, maxLength: ORIGINS }), { freq: 3 }),
});

describe('an element', () => {
  it('holds the dots that nobody observed and took away, and gives all memory back', () => {
    assertLaw(
      fc.array(change, { maxLength: 30 }),
      (changes) => {
        const arena = new Arena({ segmentBytes: 1 << 16 });
        const elements = new Elements(arena);
        const maps = new ByteMap(arena, { keyOffset: ELEMENT_KEY_OFFSET, seed: [1, 2] });
        const map = arena.allocate(MAP_BYTES);
        maps.create(map);
        const name = Buffer.from('name');
        const hash = maps.hash(name, 0, 4);
        const latest = Array.from({ length: ORIGINS }, () => 0);
        let model: { origin: number; seq: number }[] = [];
        let element = 0;
        for (const { do: what, origin, unseen } of changes) {
          const context = unseen === null ? null : new VersionVector();
          unseen?.forEach((count, index) => context!.set(index, Math.max(0, latest[index]! - count)));
          model = model.filter((dot) => context !== null && !context.coversDot(dot.origin, dot.seq));
          if (what === 'add') {
            const dot = { origin, seq: ++latest[origin]! };
            model.push(dot);
            if (element === 0) element = elements.create(maps, map, hash, name, 0, 4, dot, 4);
            else elements.addDot(element, dot, context);
          } else if (element !== 0 && !elements.removeDots(element, context)) {
            maps.remove(map, element);
            elements.destroy(element);
            element = 0;
          }
          const held: typeof model = [];
          if (element !== 0) elements.eachDot(element, (o, seq) => held.push({ origin: o, seq }));
          const order = (list: typeof model): string[] => list.map((dot) => `${dot.origin}@${dot.seq}`).sort();
          expect(order(held)).toEqual(order(model));
          if (element === 0) continue;
          expect(elements.flags(element)).toBe(4);
          expect(maps.find(map, hash, name, 0, 4)).toBe(element);
          for (const dot of model) expect(elements.hasDot(element, dot.origin, dot.seq)).toBe(true);
          expect(elements.hasDot(element, origin, latest[origin]! + 1)).toBe(false);
        }
        if (element !== 0) {
          maps.remove(map, element);
          elements.destroy(element);
        }
        maps.destroy(map);
        expect(arena.usedBytes).toBe(MAP_BYTES);
      },
      { runs: 100, print: (changes) => changes.map((one) => JSON.stringify(one)).join('\n') },
    );
  });
});
