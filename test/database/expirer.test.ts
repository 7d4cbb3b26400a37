import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Expirer, type ExpiryLimits } from '../../src/database/expirer.ts';
import { KeyRef, TYPE } from '../../src/database/key-ref.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { HASH_AND_SET_COMMANDS } from '../redis-commands/hash-and-set-commands.ts';
import { Client } from '../redis-commands/harness.ts';
import { assertLaw } from '../law.ts';
import { exchangeAll, framesOf, Node, START_MS } from './cluster.ts';
import { auditKeyspace } from './laws/audit.ts';

const everybody = (): boolean => true;
const only = (id: number) => (instance: number) => instance === id;

/** Steps until nothing is left to do, and no more than that many. */
function work(expirer: Expirer, mayExpireFor: (instance: number) => boolean, stepsMax: number): number {
  let steps = 0;
  while (expirer.step(mayExpireFor) > 0) {
    expect(++steps).toBeLessThanOrEqual(stepsMax);
  }
  return steps;
}

function expireField(node: Node, key: string, field: string, atMs: number): void {
  node.database.writer.expireField(node.key(key), Buffer.from(field), 0, Buffer.byteLength(field), atMs);
}

function open(limits: Partial<ExpiryLimits> = {}, instances = 1): { nodes: Node[]; expirer: Expirer } {
  const nodes = Array.from({ length: instances }, (_, i) => new Node(i + 1, i + 1));
  return { nodes, expirer: new Expirer(nodes[0]!.database, limits) };
}

describe('Expirer', () => {
  it('removes all that is due at one moment, in steps whose number follows from the limits', () => {
    const { nodes, expirer } = open({ stepTimersMax: 64, batchRemovalsMax: 16 });
    const { database } = nodes[0]!;
    for (let i = 0; i < 2000; i++) nodes[0]!.set(`k${i}`, 'v', START_MS + 1000);
    nodes[0]!.set('kept', 'v', START_MS + 2000);
    database.commit();
    expect(database.keyspace.volatileCount).toBe(2001);
    database.setTime(START_MS + 999);
    work(expirer, everybody, 2000 / 64 + 10);
    expect(database.keyCount).toBe(2001);
    database.setTime(START_MS + 1000);
    expect(work(expirer, everybody, 2000 / 16 + 10)).toBeGreaterThan(2000 / 16 - 1);
    expect([database.keyCount, database.keyspace.volatileCount]).toEqual([1, 1]);
  });

  it('keeps pace with what is written, at the same number of steps for each second', () => {
    const { nodes, expirer } = open();
    const { database } = nodes[0]!;
    const [perTick, ttlMs, tickMs] = [100, 3000, 100];
    for (let tick = 0; tick < 200; tick++) {
      const nowMs = START_MS + tick * tickMs;
      database.setTime(nowMs);
      for (let i = 0; i < perTick; i++) nodes[0]!.set(`k${tick}:${i}`, 'v', nowMs + ttlMs);
      database.commit();
      work(expirer, everybody, 8);
      expect(database.keyCount).toBeLessThanOrEqual((perTick * ttlMs) / tickMs);
      database.log.trimBefore(database.log.end);
    }
  });

  it('is not held up by expired keys and fields that another instance has to remove', () => {
    const { nodes, expirer } = open({}, 2);
    const [a, b] = nodes as [Node, Node];
    for (let i = 0; i < 3000; i++) b.set(`b${i}`, 'v', START_MS + 100);
    for (let i = 0; i < 3000; i++) b.setField('h', `f${i}`, 'v');
    for (let i = 0; i < 3000; i++) expireField(b, 'h', `f${i}`, START_MS + 100);
    b.database.commit();
    exchangeAll(nodes);
    a.database.setTime(START_MS + 200);
    work(expirer, only(1), 20);
    for (let i = 0; i < 100; i++) a.set(`a${i}`, 'v', START_MS + 300);
    a.database.commit();
    expect(a.database.keyCount).toBe(3101);
    a.database.setTime(START_MS + 400);
    work(expirer, only(1), 2);
    expect(a.database.keyCount).toBe(3001);
    // The owner is gone for good.
    work(expirer, everybody, 6000 / 64 + 4);
    exchangeAll(nodes);
    for (const { database } of nodes) {
      expect([database.keyCount, database.keyspace.volatileCount]).toEqual([0, 0]);
    }
  });

  it.each([
    ['a few fields', 3],
    ['more fields than are looked at first', 3000],
  ])(
    'leaves the removal of a hash whose fields have all expired to their owner, but no instance shows it: %s',
    (_, count) => {
      const { nodes, expirer } = open({ stepTimersMax: 1 }, 2);
      const [a, b] = nodes as [Node, Node];
      for (let i = 0; i < count; i++) b.setField('h', `f${i}`, 'v');
      for (let i = 0; i < count; i++) expireField(b, 'h', `f${i}`, START_MS + (i === 0 ? 200 : 100));
      b.database.commit();
      exchangeAll(nodes);
      const seen = (): number => a.database.lookup(makeArgs(['h']), 0).type;
      a.database.setTime(START_MS + 150);
      expect(seen()).toBe(TYPE.hash);
      a.database.setTime(START_MS + 200);
      expirer.step(only(1));
      expect(seen()).toBe(TYPE.none);
      expect(a.database.digest()).toBe('0'.repeat(40));
      a.setField('h', 'g', 'v');
      a.database.commit();
      exchangeAll(nodes);
      b.database.setTime(START_MS + 200);
      expect(b.database.digest()).toBe(a.database.digest());
      expect([a.database.keyCount, b.database.keyCount]).toEqual([1, 1]);
    },
  );

  it('gives fields and keys their share when both are due in great number', () => {
    const { nodes, expirer } = open({ batchRemovalsMax: 10 });
    const [a] = nodes as [Node];
    for (let i = 0; i < 100; i++) a.set(`k${i}`, 'v', START_MS + 100);
    for (let i = 0; i < 100; i++) a.setField('h', `f${i}`, 'v');
    for (let i = 0; i < 100; i++) expireField(a, 'h', `f${i}`, START_MS + 100);
    a.database.setTime(START_MS + 100);
    for (let i = 0; i < 10; i++) expirer.step(everybody);
    expect(a.database.keyCount).toBe(51);
    const { keyspace } = a.database;
    const { record } = keyspace.locate(new KeyRef(), Buffer.from('h'), 0, 1);
    expect(keyspace.containers.fieldCount(keyspace.containers.hash(record))).toBe(50);
    work(expirer, everybody, 12);
    expect(a.database.keyCount).toBe(0);
  });

  it.each([
    ['short names', 1, 100, 16],
    ['names as long as the batch', 100, 30, 1],
    ['names longer than the batch', 300, 30, 1],
  ])('ends a batch at its limits: %s', (_, nameBytes, count, perBatch) => {
    const { nodes, expirer } = open({ batchRemovalsMax: 16, batchNameBytesMax: 100 });
    const [a] = nodes as [Node];
    for (let i = 0; i < count; i++) a.set(`${String(i).padStart(3, '0')}${'n'.repeat(nameBytes)}`, 'v', START_MS + 1);
    a.database.commit();
    a.database.setTime(START_MS + 1);
    work(expirer, everybody, count + 2);
    expect(a.database.keyCount).toBe(0);
    const batches = framesOf(a.database).slice(1);
    expect(batches.length).toBeGreaterThanOrEqual(count / perBatch);
    for (const batch of batches) expect(batch.length).toBeLessThan(100 + nameBytes + 16 * 8 + 64);
  });

  it('lets the longest of concurrent times to live count, and its owner remove', () => {
    const { nodes, expirer } = open({}, 2);
    const [a, b] = nodes as [Node, Node];
    a.set('k', 'v');
    a.database.commit();
    exchangeAll(nodes);
    a.database.writer.expire(a.key('k'), START_MS + 100);
    b.database.writer.expire(b.key('k'), START_MS + 200);
    for (const { database } of nodes) database.commit();
    exchangeAll(nodes);
    a.database.setTime(START_MS + 150);
    work(expirer, everybody, 4);
    expect(a.database.keyCount).toBe(1);
    a.database.setTime(START_MS + 200);
    work(expirer, only(1), 4);
    expect(a.database.keyCount).toBe(1);
    b.database.setTime(START_MS + 200);
    work(new Expirer(b.database), only(2), 4);
    exchangeAll(nodes);
    expect([a.database.keyCount, b.database.keyCount]).toEqual([0, 0]);
  });

  it('falls back on the time to live that was over when the one above it is taken away', () => {
    const { nodes, expirer } = open({}, 3);
    const [a, b, c] = nodes as [Node, Node, Node];
    a.set('k', 'v');
    a.database.commit();
    exchangeAll(nodes);
    a.database.writer.expire(a.key('k'), START_MS + 100);
    b.database.writer.expire(b.key('k'), START_MS + 1000);
    for (const { database } of nodes) database.commit();
    exchangeAll([b, c]);
    // The third one has seen b's time to live only, and replaces it.
    c.database.writer.expire(c.key('k'), START_MS + 50);
    c.database.commit();
    exchangeAll([a, b]);
    a.database.setTime(START_MS + 500);
    work(expirer, everybody, 4);
    expect(a.database.keyCount).toBe(1);
    exchangeAll(nodes);
    work(expirer, only(1), 4);
    expect(a.database.keyCount).toBe(0);
  });

  it('removes nothing that is not over when the clock goes back after it was over', () => {
    const { nodes, expirer } = open({}, 2);
    const [a, b] = nodes as [Node, Node];
    b.set('k', 'v', START_MS + 1000);
    b.setField('h', 'f', 'v');
    expireField(b, 'h', 'f', START_MS + 1000);
    b.database.commit();
    exchangeAll(nodes);
    a.database.setTime(START_MS + 5000);
    work(expirer, only(1), 4);
    a.database.setTime(START_MS + 500);
    work(expirer, everybody, 4);
    expect(a.database.keyCount).toBe(2);
    expect(auditKeyspace(a.database.keyspace)).toEqual([]);
    a.database.setTime(START_MS + 1000);
    work(expirer, everybody, 4);
    expect(a.database.keyCount).toBe(0);
  });

  it('leaves what never ends, and what ends after all that a wheel knows', () => {
    const { nodes, expirer } = open();
    const [a] = nodes as [Node];
    a.set('k', 'v', 2 ** 63);
    a.set('l', 'v', 2 ** 48);
    a.set('m', 'v', 2 ** 48 - 1);
    a.database.commit();
    a.database.setTime(START_MS + 1e12);
    work(expirer, everybody, 20);
    expect([a.database.keyCount, a.database.keyspace.volatileCount]).toEqual([3, 3]);
    a.database.setTime(2 ** 48 - 1);
    work(expirer, everybody, 20);
    expect(a.database.keyCount).toBe(2);
    a.remove('k');
    a.remove('l');
    expect([a.database.keyCount, a.database.keyspace.volatileCount]).toEqual([0, 0]);
  });

  it('removes what expires while it waits to be settled after a full sync or a removal, as soon as it is', () => {
    const nodes = [new Node(1, 1), new Node(2, 2)] as const;
    const [a, b] = nodes;
    const expirer = new Expirer(a.database);
    for (const node of nodes) {
      for (let i = 0; i < 300; i++) node.set(`${node.instance}:${i}`, 'v', START_MS + 100);
      for (let i = 0; i < 300; i++) node.setField('h', `${node.instance}:${i}`, 'v');
      for (let i = 0; i < 200; i++) expireField(node, 'h', `${node.instance}:${i}`, START_MS + 100);
      node.database.commit();
    }
    const snapshot = b.database.beginSnapshot();
    const incoming = a.database.beginIncoming();
    for (let piece = snapshot.next(333); piece !== null; piece = snapshot.next(333)) incoming.feed(piece);
    incoming.join();
    a.database.setTime(START_MS + 100);
    work(expirer, everybody, 40);
    while (a.database.settleStep(7)) expirer.step(everybody);
    work(expirer, everybody, 40);
    expect(auditKeyspace(a.database.keyspace)).toEqual([]);
    expect([a.database.keyCount, a.database.keyspace.volatileCount]).toEqual([1, 0]);
    const { containers } = a.database.keyspace;
    const hash = containers.hash(a.database.lookup(makeArgs(['h']), 0).record);
    expect([containers.fieldCount(hash), containers.volatileCount(hash)]).toEqual([200, 0]);
  });

  it('gives back all that times to live needed', () => {
    const { nodes, expirer } = open();
    const [a] = nodes as [Node];
    const { arena } = a.database.keyspace;
    a.set('first', 'v', START_MS + 1);
    a.setField('h', 'f', 'v');
    expireField(a, 'h', 'f', START_MS + 1);
    a.database.setTime(START_MS + 1);
    work(expirer, everybody, 4);
    const empty = arena.usedBytes;
    for (let i = 0; i < 1000; i++) a.set(`k${i}`, 'v', START_MS + 2 + i);
    for (let i = 0; i < 1000; i += 2) a.set(`k${i}`, 'longer than before', START_MS + 5000);
    for (let i = 0; i < 1000; i += 3) a.remove(`k${i}`);
    a.database.setTime(START_MS + 5000);
    work(expirer, everybody, 20);
    expect(a.database.keyCount).toBe(0);
    expect(arena.usedBytes).toBeLessThan(empty + 512);
  });
});

type Change =
  | { readonly set: number; readonly ttl: number | null }
  | { readonly expire: number; readonly ttl: number | null }
  | { readonly remove: number }
  | { readonly wait: number }
  | { readonly step: boolean };
const field = fc.integer({ min: 0, max: 11 });
const ttl = fc.option(fc.integer({ min: 1, max: 300 }));
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ set: field, ttl }),
  fc.record({ expire: field, ttl }),
  fc.record({ remove: field }),
  fc.record({ wait: fc.integer({ min: -150, max: 200 }) }),
  fc.record({ step: fc.boolean() }),
);

describe('HLEN', () => {
  it('counts what a client sees, whoever removes, whichever way the clock goes, however much is still to be looked at', () => {
    const check = ([changes, stepTimersMax]: readonly [readonly Change[], number]): void => {
      const client = new Client(HASH_AND_SET_COMMANDS);
      const { database } = client;
      const expirer = new Expirer(database, { stepTimersMax, batchRemovalsMax: 2 });
      let nowMs = START_MS;
      for (const one of changes) {
        if ('set' in one) client.type(`HSET h f${one.set} v`);
        if ('set' in one && one.ttl !== null) client.type(`HPEXPIRE h ${one.ttl} FIELDS 1 f${one.set}`);
        if ('expire' in one) {
          client.type(
            one.ttl === null ? `HPERSIST h FIELDS 1 f${one.expire}` : `HPEXPIRE h ${one.ttl} FIELDS 1 f${one.expire}`,
          );
        }
        if ('remove' in one) client.type(`HDEL h f${one.remove}`);
        if ('wait' in one) database.setTime((nowMs += one.wait));
        // What nobody may remove is only hidden.
        if ('step' in one) expirer.step(() => one.step);
        let seen = 0;
        for (let i = 0; i < 12; i++) if (client.type(`HEXISTS h f${i}`) === ':1\r\n') seen++;
        expect(client.type('HLEN h')).toBe(`:${seen}\r\n`);
        expect(database.lookup(makeArgs(['h']), 0).type).toBe(seen === 0 ? TYPE.none : TYPE.hash);
        expect(client.type('HKEYS h').split('\r\n')[0]).toBe(`*${seen}`);
        expect(client.type('HRANDFIELD h 100').split('\r\n')[0]).toBe(`*${seen}`);
        expect(auditKeyspace(database.keyspace)).toEqual([]);
      }
    };
    assertLaw(fc.tuple(fc.array(change, { maxLength: 60 }), fc.integer({ min: 1, max: 5 })), check, {
      runs: 150,
      print: ([changes, timers]) => `${timers} timers a step\n${changes.map((one) => JSON.stringify(one)).join('\n')}`,
    });
  });

  it('asks no field of a large hash where one of them is volatile, expired or not', () => {
    const client = new Client(HASH_AND_SET_COMMANDS);
    const { database } = client;
    for (let i = 0; i < 5000; i++) client.run('HSET', 'h', `f${i}`, 'v');
    client.type('HPEXPIRE h 100 FIELDS 1 f7');
    const { keyspace } = database;
    let asked = 0;
    const isFieldVisible = keyspace.isFieldVisible.bind(keyspace);
    keyspace.isFieldVisible = (one) => {
      asked++;
      return isFieldVisible(one);
    };
    expect(client.type('HLEN h')).toBe(':5000\r\n');
    database.setTime(START_MS + 100);
    expect(client.type('HLEN h')).toBe(':4999\r\n');
    expect(asked).toBe(0);
  });
});
