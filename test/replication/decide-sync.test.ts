import { describe, expect, it } from '@jest/globals';
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import { decideSync } from '../../src/replication/decide-sync.ts';
import { replicationIdOf } from '../../src/replication/origins.ts';
import type { LogLocation } from '../../src/replication/ports.ts';

const GUID = 'g';
const origins = new OriginTable();
const own = origins.indexOf(1, 200);
const earlier = origins.indexOf(1, 100);
const third = origins.indexOf(3, 100);
const idOf = (instance: number, generation: number): string =>
  replicationIdOf(GUID, { instance, generation }).slice(0, 6);

function vectorOf(entries: readonly (readonly [number, number])[]): VersionVector {
  const vector = new VersionVector();
  for (const [index, seq] of entries) vector.set(index, seq);
  return vector;
}

function decide(
  has: readonly (readonly [number, number])[],
  location: LogLocation,
  ordered = false,
): { readonly kind: string; readonly reason: string } {
  return decideSync({
    guid: GUID,
    origins,
    self: own,
    vector: vectorOf([[own, 900]]),
    floor: vectorOf([[own, 400]]),
    peer: 2,
    peerVector: vectorOf(has),
    ordered,
    location,
  });
}

describe('the decision between partial and full sync', () => {
  it.each([
    {
      name: 'the log reaches back far enough',
      has: [[own, 812]] as const,
      location: { position: 77 },
      expected: {
        kind: 'partial',
        position: 77,
        reason: `partial: asked from offset 812 of ${idOf(1, 200)}, the log holds 400 to 900`,
      },
    },
    {
      name: 'the peer has more than the serving instance itself',
      has: [[own, 950]] as const,
      location: { position: 5 },
      expected: {
        kind: 'partial',
        position: 5,
        reason: `partial: asked from offset 950 of ${idOf(1, 200)}, the log ends at 900: the serving instance has lost operations of its own`,
      },
    },
    {
      name: 'the backlog begins later',
      has: [[own, 812]] as const,
      location: { missing: { origin: own, have: 812, floor: 4096 } },
      expected: { kind: 'full', reason: 'full: asked from offset 812, the backlog starts at 4096' },
    },
    {
      name: 'the instance is new',
      has: [] as const,
      location: { missing: { origin: own, have: 0, floor: 4096 } },
      expected: { kind: 'full', reason: 'full: instance 2 is new and has nothing, the backlog starts at 4096' },
    },
    {
      name: 'an earlier generation of the serving instance is missing from its log',
      has: [
        [own, 900],
        [earlier, 10],
      ] as const,
      location: { missing: { origin: earlier, have: 10, floor: 30 } },
      expected: {
        kind: 'full',
        reason: `full: asked from offset 10 of the earlier ${idOf(1, 100)}, the backlog starts at 30`,
      },
    },
    {
      name: 'a retired generation of a third instance is missing from the log',
      has: [
        [own, 900],
        [third, 10],
      ] as const,
      location: { missing: { origin: third, have: 10, floor: 30 } },
      expected: {
        kind: 'full',
        reason: `full: asked from offset 10 of instance 3's ${idOf(3, 100)}, the backlog starts at 30`,
      },
    },
  ])('$name', ({ has, location, expected }) => {
    expect(decide(has, location)).toMatchObject(expected);
  });

  it('says whether a partial sync was denied: not to who has nothing, nor to who ordered a full one', () => {
    const missing = { missing: { origin: own, have: 812, floor: 4096 } };
    expect(decide([[own, 812]], missing)).toMatchObject({ kind: 'full', wasPartialAsked: true });
    expect(decide([], missing)).toMatchObject({ kind: 'full', wasPartialAsked: false });
    expect(decide([[own, 812]], { position: 5 }, true)).toEqual({
      kind: 'full',
      reason: 'full: ordered by the operator',
      wasPartialAsked: false,
    });
  });
});
