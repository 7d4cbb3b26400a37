import { describe, expect, it } from '@jest/globals';
import { VersionVector } from '../../src/crdt/version-vector.ts';
import { Expirer } from '../../src/database/expirer.ts';
import type { Stability } from '../../src/database/stability.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { exchangeAll, Node, START_MS } from './cluster.ts';

/** What all have applied, once they are level; by the first node's origin indexes, which is what its maintenance reads. */
const stableOf = (nodes: readonly Node[]): VersionVector => nodes[0]!.database.vector.clone();

const stableAt = (vector: VersionVector): Stability => ({
  covers: (origin, seq) => vector.coversDot(origin, seq),
  isFinal: (_origin, reset) => vector.coversDot(reset.origin, reset.seq),
});

const expire = (node: Node, inMs: number): void => node.database.writer.expire(node.key('k'), START_MS + inMs);

describe('Expiry and collection', () => {
  it('removes an expired key only where the winning time to live was written', () => {
    const [a, b] = [new Node(1, 1), new Node(2, 2)];
    a.set('k', 'v', START_MS + 100);
    a.database.commit();
    exchangeAll([a, b]);
    for (const node of [a, b]) node.database.setTime(START_MS + 200);
    expect(b.database.lookup(makeArgs(['k']), 0).type).toBe(0);
    const own = (node: Node) => (instance: number) => instance === node.instance;
    expect(new Expirer(a.database).step(own(a))).toBeGreaterThan(0);
    exchangeAll([a, b]);
    expect([a.database.keyCount, b.database.keyCount]).toEqual([0, 0]);
  });

  it('frees counters that a stable reset has cut, and nothing sooner', () => {
    const [a, b] = [new Node(1, 1), new Node(2, 2)];
    const empty = a.database.keyspace.arena.usedBytes;
    for (let i = 0; i < 100; i++) a.add(`c${i}`, i);
    a.database.commit();
    exchangeAll([a, b]);
    for (let i = 0; i < 100; i++) b.remove(`c${i}`);
    b.database.commit();
    exchangeAll([a, b]);
    expect(a.database.keyCount).toBe(0);
    const used = a.database.keyspace.arena.usedBytes;
    const expirer = new Expirer(a.database);
    a.database.collectStep(stableAt(new VersionVector()), 1000);
    expect(a.database.keyspace.arena.usedBytes).toBe(used);
    a.database.collectStep(stableAt(stableOf([a, b])), 1000);
    expect(a.database.keyspace.arena.usedBytes).toBeLessThan(empty + 2048);
    expect(a.database.keyspace.hasResidue).toBe(false);
  });

  it('keeps a time to live that lost its value until it is due: freeing it locally would make instances differ', () => {
    const [a, b] = [new Node(1, 1), new Node(2, 2)];
    a.set('k', 'v');
    a.database.commit();
    exchangeAll([a, b]);
    a.database.writer.expire(a.key('k'), START_MS + 1_000_000);
    a.database.commit();
    b.remove('k');
    b.database.commit();
    exchangeAll([a, b]);
    expect(a.database.keyCount).toBe(0);
    expect(a.database.keyspace.keyMaps.count(a.database.keyspace.keys)).toBe(1);
    const expirer = new Expirer(a.database);
    a.database.collectStep(stableAt(stableOf([a, b])), 1000);
    expect(a.database.keyspace.keyMaps.count(a.database.keyspace.keys)).toBe(1);
    a.database.setTime(START_MS + 1_000_001);
    expirer.step((instance) => instance === 1);
    expect(a.database.keyspace.keyMaps.count(a.database.keyspace.keys)).toBe(0);
  });

  it('removes the time to live of a field that lost its value once it is over, and with it the last of the hash', () => {
    const [a, b] = [new Node(1, 1), new Node(2, 2)];
    a.setField('h', 'f', 'v');
    a.database.commit();
    exchangeAll([a, b]);
    a.database.writer.expireField(a.key('h'), Buffer.from('f'), 0, 1, START_MS + 100);
    a.database.commit();
    b.removeField('h', 'f');
    b.database.commit();
    exchangeAll([a, b]);
    expect(a.database.keyCount).toBe(0);
    a.database.setTime(START_MS + 101);
    new Expirer(a.database).step((instance) => instance === 1);
    exchangeAll([a, b]);
    for (const { database } of [a, b]) expect(database.keyspace.keyMaps.count(database.keyspace.keys)).toBe(0);
  });

  it.each([
    ['a counter that a SET has cut', (a: Node) => a.add('k', 1), () => undefined, (b: Node) => b.set('k', '5')],
    ['a time to live that a SET overruled', (a: Node) => expire(a, 1_000_000), (b: Node) => b.set('k', '1'), null],
    ['two PERSISTs', (a: Node) => expire(a, Infinity), (b: Node) => expire(b, Infinity), null],
  ])('frees what lies under a visible value: %s', (_, first, second, then) => {
    const nodes = [new Node(1, 1), new Node(2, 2)] as const;
    const [a, b] = nodes;
    a.set('k', '0');
    a.database.commit();
    exchangeAll(nodes);
    first(a);
    second(b);
    a.database.commit();
    b.database.commit();
    exchangeAll(nodes);
    then?.(b);
    b.database.commit();
    exchangeAll(nodes);
    const attributes = (): number => a.database.keyspace.attributes(a.key('k').record);
    expect(attributes()).not.toBe(0);
    a.database.collectStep(stableAt(stableOf(nodes)), 1000);
    expect(attributes()).toBe(0);
    expect(a.database.digest()).toBe(b.database.digest());
  });

  it('passes once more for what comes up behind a pass under way', () => {
    const nodes = [new Node(1, 1), new Node(2, 2)] as const;
    const [a] = nodes;
    for (let i = 0; i < 200; i++) a.add(`c${i}`, 1);
    for (let i = 0; i < 100; i++) a.remove(`c${i}`);
    const expirer = new Expirer(a.database);
    a.database.collectStep(stableAt(new VersionVector()), 150);
    for (let i = 100; i < 200; i++) a.remove(`c${i}`);
    a.database.commit();
    exchangeAll(nodes);
    for (let pass = 0; pass < 4; pass++) a.database.collectStep(stableAt(stableOf(nodes)), 150);
    expect(a.database.keyspace.keyMaps.count(a.database.keyspace.keys)).toBe(0);
    expect(a.database.keyspace.hasResidue).toBe(false);
  });

  it('does not bring a freed counter back by a full sync with an instance that forgot the reset, nor leave it there', () => {
    const [a, b, forgetful] = [new Node(1, 1), new Node(2, 2), new Node(3, 3)];
    a.add('c', 5);
    a.database.commit();
    exchangeAll([a, b, forgetful]);
    b.remove('c');
    b.database.commit();
    exchangeAll([a, b]);
    // The third one had the reset too, said so, and then lost it.
    a.database.collectStep(stableAt(stableOf([a])), 1000);
    forgetful.set('other', 'v');
    forgetful.database.commit();
    a.fullSyncFrom(forgetful);
    expect(a.database.keyCount).toBe(1);
    forgetful.fullSyncFrom(a);
    expect(forgetful.database.keyCount).toBe(1);
    expect(forgetful.database.digest()).toBe(a.database.digest());
  });
});
