import { describe, expect, it } from '@jest/globals';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { locateStart } from '../../src/storage/locate.ts';

const vectorOf = (...seqs: number[]): VersionVector => {
  const vector = new VersionVector();
  seqs.forEach((seq, origin) => vector.set(origin, seq));
  return vector;
};

const LOG = {
  checkpoints: [
    { position: 100, vector: vectorOf(10, 20) },
    { position: 200, vector: vectorOf(15, 20) },
    { position: 300, vector: vectorOf(15, 30) },
  ],
  floor: vectorOf(10, 20, 5),
  vector: vectorOf(18, 31, 5),
  endPosition: 400,
};

describe('the start of a feed', () => {
  it.each([
    ['the latest checkpoint the reader has reached', vectorOf(16, 30), [0, 1], { position: 300 }],
    ['an earlier one if one origin lags', vectorOf(16, 25), [0, 1], { position: 200 }],
    ['not held back by origins that are not asked for', vectorOf(16, 0), [0], { position: 300 }],
    ['the first one at the floor exactly', vectorOf(10, 20), [0, 1], { position: 100 }],
    ['the end for a level reader', vectorOf(18, 31), [0, 1], { position: 400 }],
    ['the end for a reader that is ahead', vectorOf(99, 99), [0, 1], { position: 400 }],
    ['the end when nothing is asked for', vectorOf(), [], { position: 400 }],
    ['not in the log below the floor', vectorOf(9, 30), [0, 1], { missing: { origin: 0, have: 9, floor: 10 } }],
    [
      'not in the log for an origin that came with a full sync',
      vectorOf(18, 31),
      [2],
      { missing: { origin: 2, have: 0, floor: 5 } },
    ],
  ])('is %s', (_, have, origins, expected) => {
    expect(locateStart(LOG, have, origins)).toEqual(expected);
  });
});
