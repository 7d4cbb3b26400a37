import { describe, expect, it } from '@jest/globals';
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import { decideRelay, type RelayLink } from '../../src/replication/relay.ts';

/** Seen from instance 1; seq per instance, generation 1 each. */
const origins = new OriginTable();
const origin = [0, 1, 2, 3, 4].map((instance) => origins.indexOf(instance || 9, 1));
const vectorOf = (...seqs: readonly number[]): VersionVector => {
  const vector = new VersionVector();
  seqs.forEach((seq, i) => vector.set(origin[i + 1]!, seq));
  return vector;
};

const up = (peer: number, vector: VersionVector): RelayLink => {
  return { peer, isDelivering: true, isStreaming: true, isPaused: false, downMs: 0, vector };
};
const down = (peer: number, downMs: number): RelayLink => {
  return { peer, isDelivering: false, isStreaming: false, isPaused: false, downMs, vector: null };
};

function decide(
  links: readonly RelayLink[],
  options: { readonly needed?: ReadonlyMap<number, ReadonlySet<number>>; readonly retired?: readonly number[] } = {},
): Record<number, number[]> {
  const wants = decideRelay({
    self: 1,
    origins,
    isRetired: (index) => (options.retired ?? []).includes(index),
    local: vectorOf(5, 5, 5, 5),
    links,
    needed: options.needed ?? new Map(),
    graceMs: 500,
  });
  return Object.fromEntries([...wants].map(([peer, list]) => [peer, list.map((index) => origins.at(index).instance)]));
}

const ahead = vectorOf(5, 5, 9, 5);
const level = vectorOf(5, 5, 5, 5);

describe('relay', () => {
  it('asks for nothing while every link delivers', () => {
    expect(decide([up(2, ahead), up(3, ahead), up(4, ahead)])).toEqual({});
  });

  it('asks a connected peer that is ahead for an origin whose link is down for longer than the grace', () => {
    expect(decide([up(2, ahead), down(3, 501), up(4, level)])).toEqual({ 2: [3] });
    expect(decide([up(2, ahead), down(3, 500), up(4, level)])).toEqual({});
  });

  it('asks the smallest id among those that are ahead, whatever the order of the links', () => {
    expect(decide([up(4, ahead), down(3, 900), up(2, ahead)])).toEqual({ 2: [3] });
    expect(decide([up(4, ahead), down(3, 900), up(2, level)])).toEqual({ 4: [3] });
  });

  it('does not wait for the grace when a batch that is here needs the origin', () => {
    const needed = new Map([[origin[3]!, new Set([4])]]);
    expect(decide([up(2, level), down(3, 10), up(4, level)], { needed })).toEqual({ 4: [3] });
  });

  it('leaves an origin alone whose link the operator paused, needed or not', () => {
    const paused: RelayLink = { ...down(3, 10_000), isPaused: true };
    const needed = new Map([[origin[3]!, new Set([2])]]);
    expect(decide([up(2, ahead), paused, up(4, ahead)], { needed })).toEqual({});
  });

  it('asks for an origin of an instance that is no peer any more', () => {
    expect(decide([up(2, ahead), up(4, level)])).toEqual({ 2: [3] });
  });

  it('never asks for retired generations or the own origin', () => {
    expect(decide([up(2, vectorOf(9, 5, 9, 5)), down(3, 900)], { retired: [origin[3]!] })).toEqual({});
  });

  it('asks nobody when nobody connected has more', () => {
    expect(decide([up(2, level), down(3, 900), down(4, 900)])).toEqual({});
  });
});
