import { describe, expect, it } from '@jest/globals';
import { Expirer } from '../../src/database/expirer.ts';
import { START_MS } from '../database/cluster.ts';
import { HASH_AND_SET_COMMANDS } from './hash-and-set-commands.ts';
import { Client } from './harness.ts';

const SIZE = 3000;

/** A client of a set `s` of SIZE members m0, m1 ... and a hash `h` of as many fields. */
function open(protocol: 2 | 3 = 2): Client {
  const client = new Client(HASH_AND_SET_COMMANDS, { protocol });
  for (let i = 0; i < SIZE; i++) {
    client.run('SADD', 's', `m${i}`);
    client.run('HSET', 'h', `m${i}`, `v${i}`);
  }
  return client;
}

/** The bulk strings of a reply that holds nothing longer than 9 bytes, in order. */
const items = (reply: string): string[] =>
  reply.split('\r\n').filter((part) => part !== '' && !/^[*$~%]\d+$/.test(part));

/** Walks through a whole collection; `between` runs after each step. */
function walk(client: Client, line: string, between: (step: number) => void = () => {}): string[] {
  const found: string[] = [];
  let cursor = '0';
  let step = 0;
  do {
    const [next, ...rest] = items(client.type(line.replace('CURSOR', cursor)));
    found.push(...rest);
    cursor = next!;
    expect(Number(cursor)).toBeLessThan(2 ** 32);
    between(step++);
  } while (cursor !== '0');
  return found;
}

describe('SRANDMEMBER, HRANDFIELD and SPOP on large collections', () => {
  for (const count of [1, 10, 900, 2500, SIZE, 2 * SIZE]) {
    it(`choose ${count} different ones, or all`, () => {
      const client = open();
      const many = Math.min(count, SIZE);
      for (const line of [`SRANDMEMBER s ${count}`, `HRANDFIELD h ${count}`]) {
        const chosen = items(client.type(line));
        expect([chosen.length, new Set(chosen).size]).toEqual([many, many]);
        for (const name of chosen) expect(client.run('SISMEMBER', 's', name)).toBe(':1\r\n');
      }
      const popped = items(client.type(`SPOP s ${count}`));
      expect(new Set(popped).size).toBe(many);
      expect(client.type('SCARD s')).toBe(`:${SIZE - many}\r\n`);
      expect(popped.every((name) => client.run('SISMEMBER', 's', name) === ':0\r\n')).toBe(true);
    });
  }

  it('repeat themselves for a negative count, within a limit', () => {
    const client = new Client(HASH_AND_SET_COMMANDS, { protocol: 2 });
    client.type('SADD s a b');
    client.type('HSET h a 1 b 2');
    const drawn = items(client.type('SRANDMEMBER s -500'));
    expect([drawn.length, new Set(drawn).size]).toEqual([500, 2]);
    expect(items(client.type('HRANDFIELD h -7')).length).toBe(7);
    expect(items(client.type('HRANDFIELD h -7 WITHVALUES')).length).toBe(14);
    expect(client.type('SRANDMEMBER s -9223372036854775807')).toBe('-ERR value is out of range\r\n');
    expect(client.type('HRANDFIELD h -9223372036854775807')).toBe('-ERR value is out of range\r\n');
  });

  it('reach every member about as often', () => {
    const client = new Client(HASH_AND_SET_COMMANDS, { protocol: 2 });
    for (let i = 0; i < 50; i++) client.run('SADD', 's', `m${i}`);
    const counts = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      const [name] = items(client.type('SRANDMEMBER s'));
      counts.set(name!, (counts.get(name!) ?? 0) + 1);
    }
    expect(counts.size).toBe(50);
    for (const count of counts.values()) expect(count).toBeGreaterThan(50);
  });

  it('reply pairs in RESP3 where values are asked for', () => {
    const client = new Client(HASH_AND_SET_COMMANDS, { protocol: 3 });
    client.type('HSET h a 1');
    expect(client.type('HRANDFIELD h 2 WITHVALUES')).toBe('*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n');
  });
});

describe('SSCAN and HSCAN', () => {
  it('return everything once when nothing changes', () => {
    const client = open();
    for (const line of ['SSCAN s CURSOR COUNT 100', 'HSCAN h CURSOR NOVALUES']) {
      const found = walk(client, line);
      expect([found.length, new Set(found).size]).toEqual([SIZE, SIZE]);
    }
    expect(walk(client, 'HSCAN h CURSOR').length).toBe(2 * SIZE);
  });

  it('return what stays from beginning to end, while the collection grows and shrinks', () => {
    const client = open();
    const found = walk(client, 'SSCAN s CURSOR COUNT 50', (step) => {
      for (let i = 0; i < 100; i++) client.run('SADD', 's', `n${step * 100 + i}`);
      for (let i = 0; i < 60; i++) client.run('SREM', 's', `m${1000 + step * 60 + i}`);
    });
    const seen = new Set(found);
    for (let i = 0; i < 1000; i++) expect(seen.has(`m${i}`)).toBe(true);
  });

  it('return only what matches', () => {
    const client = open();
    expect(walk(client, 'SSCAN s CURSOR MATCH m1?').sort()).toEqual(Array.from({ length: 10 }, (_, i) => `m1${i}`));
    expect(walk(client, 'HSCAN h CURSOR MATCH m2999').sort()).toEqual(['m2999', 'v2999']);
  });
});

describe('Hashes and sets', () => {
  it('give all their memory back', () => {
    const client = new Client(HASH_AND_SET_COMMANDS);
    const { arena } = client.database.keyspace;
    // What times to live need in all is there once and for all.
    client.run('HSETEX', 'h', 'EX', '10', 'FIELDS', '1', 'f', 'v');
    client.run('HDEL', 'h', 'f');
    const empty = arena.usedBytes;
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 500; i++) {
        client.run('SADD', 's', `m${i}`);
        client.run('HSETEX', 'h', 'EX', '10', 'FIELDS', '1', `m${i}`, 'v'.repeat(i));
      }
      client.type('SUNIONSTORE t s');
      client.type('SPOP s 1000');
      client.type('SDIFFSTORE t s');
      for (let i = 0; i < 500; i++) client.run('HDEL', 'h', `m${i}`);
    }
    expect(client.database.keyCount).toBe(0);
    client.database.setTime(START_MS + 60_000);
    const expirer = new Expirer(client.database);
    while (expirer.step(() => true) > 0);
    while (client.database.settleStep(1000));
    expect(arena.usedBytes - empty).toBeLessThan(256);
  });

  it('find out that an intersection is smaller than the limit without going on', () => {
    const client = open();
    client.type('SADD few m1 m2 x');
    expect(client.type('SINTERCARD 2 s few')).toBe(':2\r\n');
    expect(client.type('SINTERCARD 2 s few LIMIT 1')).toBe(':1\r\n');
    expect(client.type('SINTERCARD 1 s LIMIT 100')).toBe(':100\r\n');
  });

  it('take names and values of any bytes', () => {
    const client = new Client(HASH_AND_SET_COMMANDS, { protocol: 2 });
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    client.run('HSET', 'h', bytes, bytes);
    client.run('SADD', 's', bytes, '');
    expect(Buffer.from(client.run('HGET', 'h', bytes), 'latin1')).toEqual(
      Buffer.concat([Buffer.from('$256\r\n'), bytes, Buffer.from('\r\n')]),
    );
    expect(client.run('SMISMEMBER', 's', bytes, '', 'x')).toBe('*3\r\n:1\r\n:1\r\n:0\r\n');
  });
});
