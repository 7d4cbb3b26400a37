import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  describeVersionVector,
  encodeVersionVector,
  OriginTable,
  parseVersionVector,
  readVersionVector,
  VersionVector,
  versionVectorBytesMax,
} from '../../src/crdt/version-vector.ts';
import { assertLaw } from '../law.ts';

type Entries = readonly (readonly [index: number, seq: number])[];

const entries: fc.Arbitrary<Entries> = fc.uniqueArray(
  fc.tuple(fc.nat({ max: 20 }), fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 2 ** 48 - 1 }))),
  { selector: ([index]) => index, maxLength: 12 },
);

function make(list: Entries): VersionVector {
  const vector = new VersionVector(1);
  for (const [index, seq] of list) vector.set(index, seq);
  return vector;
}

const join = (a: VersionVector, b: VersionVector): VersionVector => {
  const joined = a.clone();
  joined.raiseAll(b);
  return joined;
};
const meet = (a: VersionVector, b: VersionVector): VersionVector => {
  const met = a.clone();
  met.lowerAll(b);
  return met;
};
const list = (vector: VersionVector): Entries => [...vector.entries()];

/** Origins by which an index means the same on both sides, or other things. */
function makeOrigins(shift = 0): OriginTable {
  const origins = new OriginTable();
  for (let i = 0; i < 21; i++) origins.indexOf(1 + ((i + shift) % 21), 0xffff_ff00 + ((i + shift) % 21));
  return origins;
}

const law = (name: string, check: (a: VersionVector, b: VersionVector, c: VersionVector) => void): void => {
  it(name, () => {
    assertLaw(fc.tuple(entries, entries, entries), ([a, b, c]) => check(make(a), make(b), make(c)), {
      runs: 100,
      print: (vectors) => JSON.stringify(vectors),
    });
  });
};

describe('VersionVector', () => {
  law('is a lattice: join and meet are commutative, associative, idempotent and absorb each other', (a, b, c) => {
    for (const operation of [join, meet]) {
      expect(list(operation(a, b))).toEqual(list(operation(b, a)));
      expect(list(operation(operation(a, b), c))).toEqual(list(operation(a, operation(b, c))));
      expect(list(operation(a, a))).toEqual(list(a));
    }
    expect(list(join(a, meet(a, b)))).toEqual(list(a));
    expect(list(meet(a, join(a, b)))).toEqual(list(a));
  });

  law('covers exactly what joining it does not change', (a, b) => {
    expect(a.covers(b)).toBe(list(join(a, b)).toString() === list(a).toString());
    expect(join(a, b).covers(a)).toBe(true);
    expect(a.covers(meet(a, b))).toBe(true);
    for (const [index, seq] of b.entries()) {
      expect(a.coversDot(index, seq)).toBe(a.get(index) >= seq);
      expect(join(a, b).coversDot(index, seq)).toBe(true);
    }
    expect(a.countBeyond(b)).toBe(list(a).reduce((sum, [index, seq]) => sum + Math.max(0, seq - b.get(index)), 0));
  });

  law('is copied apart from the original', (a, b) => {
    const before = list(a);
    const copy = a.clone();
    copy.set(30, 1);
    const other = make(list(b));
    other.copyFrom(a);
    expect(list(other)).toEqual(before);
    other.set(0, 77);
    expect(list(a)).toEqual(before);
  });

  it('is read as it was written, by whoever numbers the origins otherwise, and only when all of it is there', () => {
    assertLaw(
      entries,
      (given) => {
        const vector = make(given);
        const origins = makeOrigins();
        const bytes = encodeVersionVector(vector, origins);
        expect(bytes.length).toBeLessThanOrEqual(versionVectorBytesMax(vector));
        const others = makeOrigins(5);
        const read = readVersionVector(Buffer.concat([bytes, Buffer.from([9])]), 0, others)!;
        expect(read.end).toBe(bytes.length);
        expect(describeVersionVector(read.vector, others)).toEqual(describeVersionVector(vector, origins));
        for (let cut = 0; cut < bytes.length; cut++) {
          expect(readVersionVector(bytes.subarray(0, cut), 0, makeOrigins())).toBeNull();
        }
        const parsed = parseVersionVector(describeVersionVector(vector, origins), origins)!;
        expect(list(parsed)).toEqual(list(vector));
      },
      { runs: 60, print: (given) => JSON.stringify(given) },
    );
  });

  it.each([
    null,
    7,
    'x',
    { '0:1': 1 },
    { '256:1': 1 },
    { '1:4294967296': 1 },
    { '1': 1 },
    { '1:1': -1 },
    { '1:1': '1' },
  ])('is not parsed from %j', (value) => {
    expect(parseVersionVector(value, new OriginTable())).toBeNull();
  });
});

describe('OriginTable', () => {
  it('gives every origin one index for ever', () => {
    const origins = new OriginTable();
    expect(origins.find(1, 7)).toBe(-1);
    const indexes = [origins.indexOf(1, 7), origins.indexOf(2, 7), origins.indexOf(1, 0xffff_ffff)];
    expect(new Set(indexes).size).toBe(3);
    expect([origins.indexOf(1, 7), origins.find(2, 7), origins.find(1, 0xffff_ffff)]).toEqual(indexes);
    expect(origins.at(indexes[2]!)).toEqual({ instance: 1, generation: 0xffff_ffff });
    expect(origins.count).toBe(3);
  });
});
