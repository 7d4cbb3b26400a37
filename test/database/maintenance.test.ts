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

  it('frees a counter that a SET has cut, under its value', () => {
    const nodes = [new Node(1, 1), new Node(2, 2)] as const;
    const [a, b] = nodes;
    a.set('k', '0');
    a.database.commit();
    exchangeAll(nodes);
    a.add('k', 1);
    a.database.commit();
    exchangeAll(nodes);
    b.set('k', '5');
    b.database.commit();
    exchangeAll(nodes);
    const attributes = (): number => a.database.keyspace.attributes(a.key('k').record);
    expect(attributes()).not.toBe(0);
    a.database.collectStep(stableAt(stableOf(nodes)), 1000);
    expect(attributes()).toBe(0);
    expect(a.database.digest()).toBe(b.database.digest());
  });

  it('keeps a PERSIST that everybody has: an instance that forgot it may still write a time to live beside it', () => {
    const [a, b] = [new Node(1, 1), new Node(2, 2)];
    a.set('k', 'v', START_MS + 5000);
    a.database.commit();
    exchangeAll([a, b]);
    expire(a, Infinity);
    a.database.commit();
    exchangeAll([a, b]);
    a.database.collectStep(stableAt(stableOf([a, b])), 1000);
    // It has lost the PERSIST and all that came after, and writes before it hears of it again.
    const forgetful = new Node(2, 3);
    forgetful.receive(a.batches().slice(0, 1));
    expire(forgetful, 9000);
    forgetful.database.commit();
    const all = [a, b, forgetful];
    exchangeAll(all);
    for (const node of all) expect(node.database.keyspace.isExpired(node.key('k').record)).toBe(false);
    for (const node of all) node.database.setTime(START_MS + 10_000);
    expect(all.map((node) => node.database.lookup(makeArgs(['k']), 0).type)).toEqual([1, 1, 1]);
  });

  it('removes a name with nothing left under it but a PERSIST, as one instance for all', () => {
    const nodes = [new Node(1, 1), new Node(2, 2)] as const;
    const [a, b] = nodes;
    a.set('k', 'v', START_MS + 5000);
    a.setField('h', 'f', 'v');
    a.database.commit();
    exchangeAll(nodes);
    expire(a, Infinity);
    a.database.writer.expireField(a.key('h'), Buffer.from('f'), 0, 1, Infinity);
    a.database.commit();
    b.remove('k');
    b.removeField('h', 'f');
    b.database.commit();
    exchangeAll(nodes);
    expect([a.database.keyCount, b.database.keyCount]).toEqual([0, 0]);
    for (const { database } of nodes) database.collectStep(stableAt(stableOf([a])), 1000);
    exchangeAll(nodes);
    for (const { database } of nodes) expect(database.keyspace.keyMaps.count(database.keyspace.keys)).toBe(0);
  });

  it('passes once more for what comes up behind a pass under way', () => {
    const nodes = [new Node(1, 1), new Node(2, 2)] as const;
    const [a] = nodes;
    for (let i = 0; i < 200; i++) a.add(`c${i}`, 1);
    for (let i = 0; i < 100; i++) a.remove(`c${i}`);
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
