import { describe, expect, it } from '@jest/globals';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { Acks } from '../../src/replication/acks.ts';
import { FakeDatabase } from './fake-database.ts';

function make(): { readonly acks: Acks; readonly database: FakeDatabase; readonly other: number } {
  const database = new FakeDatabase(1, 100);
  const acks = new Acks(database);
  acks.configure([2]);
  return { acks, database, other: database.origins.indexOf(2, 100) };
}

const vectorOf = (...entries: readonly (readonly [number, number])[]): VersionVector => {
  const vector = new VersionVector();
  for (const [index, seq] of entries) vector.set(index, seq);
  return vector;
};

describe('acknowledgements', () => {
  it('count for stability only when the local vector covers them', () => {
    const { acks, database, other } = make();
    database.write('a');
    const own = database.self.index;
    acks.note(2, { applied: vectorOf([own, 1], [other, 5]), durable: null, generations: null });
    expect(acks.acked(1)).toBe(1);
    expect(acks.stability(new Map()).least.get(own)).toBe(0);
    database.vector.set(other, 5);
    acks.noteLocalMoved();
    expect(acks.stability(new Map()).least.get(own)).toBe(1);
    expect(acks.stability(new Map()).least.get(other)).toBe(5);
  });

  it('come to count although newer ones keep arriving that are never covered at the time', () => {
    const { acks, database, other } = make();
    for (let seq = 1; seq <= 20; seq++) {
      acks.note(2, { applied: vectorOf([other, seq + 3]), durable: null, generations: null });
      database.vector.set(other, seq);
      acks.noteLocalMoved();
    }
    expect(acks.stability(new Map()).least.get(other)).toBeGreaterThanOrEqual(16);
  });

  it('from a peer that lost data count for less again', () => {
    const { acks, database } = make();
    database.write('a');
    const own = database.self.index;
    acks.note(2, { applied: vectorOf([own, 1]), durable: vectorOf([own, 1]), generations: null });
    expect(acks.acked(1, { durable: true })).toBe(1);
    acks.note(2, { applied: vectorOf(), durable: null, generations: null });
    expect(acks.acked(1)).toBe(0);
    expect(acks.stability(new Map()).least.get(own)).toBe(0);
  });

  it('are asked for when somebody waits, and never again for who gave up', () => {
    const { acks, database } = make();
    const origin = database.self.index;
    const seq = database.write('a');
    let asked = 0;
    let done = 0;
    acks.onWaiting = () => asked++;
    const giveUp = acks.whenAcked({ origin, seq, count: 1, durable: false }, () => done++);
    acks.whenAcked({ origin, seq, count: 1, durable: false }, () => done++);
    acks.whenAcked({ origin, seq, count: 0, durable: false }, () => done++);
    expect([asked, done]).toEqual([2, 1]);
    giveUp();
    acks.note(2, { applied: vectorOf([origin, seq]), durable: null, generations: null });
    acks.note(2, { applied: vectorOf([origin, seq]), durable: null, generations: null });
    expect(done).toBe(2);
  });

  it('of instances that are not configured are not counted', () => {
    const { acks, database } = make();
    const seq = database.write('a');
    acks.note(7, { applied: vectorOf([database.self.index, seq]), durable: null, generations: null });
    expect(acks.acked(seq)).toBe(0);
  });

  it('do not wait for what a peer had said before it crashed and nobody has any more', () => {
    const { acks, database, other } = make();
    database.write('a');
    const own = database.self.index;
    acks.note(2, { applied: vectorOf([own, 1], [other, 5]), durable: null, generations: null });
    const next = database.origins.indexOf(2, 101);
    acks.note(2, { applied: vectorOf([own, 1], [other, 3], [next, 1]), durable: null, generations: null });
    database.vector.set(other, 3);
    database.vector.set(next, 1);
    expect(acks.stability(new Map()).least.get(own)).toBe(1);
    expect(acks.stability(new Map()).least.get(other)).toBe(3);
  });
});
