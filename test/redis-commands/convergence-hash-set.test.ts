import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GENERIC_COMMANDS } from '../../src/redis-commands/generic.ts';
import { STRING_COMMANDS } from '../../src/redis-commands/strings.ts';
import { exchangeAll, Node, START_MS } from '../database/cluster.ts';
import { HASH_AND_SET_COMMANDS } from './hash-and-set-commands.ts';
import { Client } from './harness.ts';
import { splitReplies } from './raw-reply.ts';

const COMMANDS = [...HASH_AND_SET_COMMANDS, ...GENERIC_COMMANDS, ...STRING_COMMANDS];
const RUNS = Number(process.env['RUNS'] ?? 150);
const SEED = Number(process.env['SEED'] ?? 7);

class Instance extends Node {
  readonly client: Client;

  constructor(instance: number) {
    super(instance, instance);
    this.client = new Client(COMMANDS, { database: this.database, protocol: 2 });
  }

  /** The reply to a line, as redis-cli prints the items of it: in no particular order. */
  ask(line: string): string {
    const bytes = Buffer.from(this.client.type(line), 'latin1');
    const [reply] = splitReplies(bytes, () => true);
    return reply!
      .split('\r\n')
      .filter((part) => part !== '' && !/^[*$]\d/.test(part))
      .join(' ');
  }
}

interface Conflict {
  readonly title: string;
  /** At the first instance, then everybody has it. */
  readonly before?: readonly string[];
  /** Concurrently. The second instance's clock is a millisecond ahead. */
  readonly first: readonly string[];
  readonly second: readonly string[];
  /** Query and reply at both, once they have met. */
  readonly after: Readonly<Record<string, string>>;
  /** ms after the start at which is asked. */
  readonly atMs?: number;
}

const CONFLICTS: readonly Conflict[] = [
  {
    title: 'HSET wins over HDEL',
    before: ['HSET h f 1'],
    first: ['HSET h f 2'],
    second: ['HDEL h f'],
    after: { 'HGET h f': '2', 'HLEN h': ':1' },
  },
  {
    title: 'HSET wins over DEL, which takes the fields it saw',
    before: ['HSET h f 1 g 1'],
    first: ['HSET h f 2'],
    second: ['DEL h'],
    after: { 'HGETALL h': '2 f', 'EXISTS h': ':1' },
  },
  {
    title: 'of HSET and HSET the later one is seen',
    before: ['HSET h f 0'],
    first: ['HSET h f a'],
    second: ['HSET h f b'],
    after: { 'HGET h f': 'b', 'HLEN h': ':1' },
  },
  {
    title: 'HSETs of different fields are both kept',
    first: ['HSET h f 1'],
    second: ['HSET h g 2'],
    after: { 'HLEN h': ':2' },
  },
  {
    title: 'HINCRBYs add up',
    before: ['HSET h f 10'],
    first: ['HINCRBY h f 5', 'HINCRBY h f 1'],
    second: ['HINCRBY h f -2'],
    after: { 'HGET h f': '14' },
  },
  {
    title: 'HINCRBYs of a field that nobody had add up',
    first: ['HINCRBY h f 5'],
    second: ['HINCRBY h f 7'],
    after: { 'HGET h f': '12', 'HLEN h': ':1' },
  },
  {
    title: 'HINCRBYFLOAT is exact',
    first: ['HINCRBYFLOAT h f 0.1', 'HINCRBYFLOAT h f 0.1'],
    second: ['HINCRBYFLOAT h f 0.1'],
    after: { 'HGET h f': '0.3' },
  },
  {
    title: 'HDEL cancels the increments it saw, not others',
    before: ['HINCRBY h f 100'],
    first: ['HINCRBY h f 7'],
    second: ['HDEL h f'],
    after: { 'HGET h f': '7', 'HLEN h': ':1' },
  },
  {
    title: 'HSET cancels the increments it saw, not others',
    before: ['HSET h f 1', 'HINCRBY h f 100'],
    first: ['HINCRBY h f 7'],
    second: ['HSET h f 50'],
    after: { 'HGET h f': '57' },
  },
  {
    title: 'two HDELs cancel increments once',
    before: ['HINCRBY h f 100'],
    first: ['HINCRBY h f 5', 'HDEL h f'],
    second: ['HINCRBY h f 7', 'HDEL h f', 'HINCRBY h f 1'],
    after: { 'HGET h f': '1' },
  },
  {
    title: 'a sum beyond 64 bits shows the bound, and no more can be added',
    before: ['HSET h f 9223372036854775800'],
    first: ['HINCRBY h f 7'],
    second: ['HINCRBY h f 7'],
    after: {
      'HGET h f': '9223372036854775807',
      'HINCRBY h f 1': '-ERR increment or decrement would overflow',
    },
  },
  {
    title: 'a field may be a text here and counted there',
    before: ['HSET h f 1'],
    first: ['HINCRBY h f 7'],
    second: ['HSET h f text'],
    after: { 'HGET h f': 'text', 'HINCRBY h f 1': '-ERR hash value is not an integer' },
  },
  {
    title: 'SADD wins over SREM',
    before: ['SADD s m n'],
    first: ['SADD s m'],
    second: ['SREM s m'],
    after: { 'SMEMBERS s': 'm n' },
  },
  {
    title: 'SADD wins over DEL, which takes the members it saw',
    before: ['SADD s m n'],
    first: ['SADD s m'],
    second: ['DEL s'],
    after: { 'SMEMBERS s': 'm' },
  },
  {
    title: 'SADD wins over SPOP',
    before: ['SADD s m'],
    first: ['SADD s m'],
    second: ['SPOP s'],
    after: { 'SMEMBERS s': 'm' },
  },
  {
    title: 'an SADD that a remove saw is gone',
    before: ['SADD s m'],
    first: [],
    second: ['SREM s m'],
    after: { 'SISMEMBER s m': ':0', 'EXISTS s': ':0' },
  },
  {
    title: 'SPOPs of one member both have it, and it is gone once',
    before: ['SADD s m'],
    first: ['SPOP s'],
    second: ['SPOP s'],
    after: { 'SCARD s': ':0' },
  },
  {
    title: 'SMOVE of one member to two sets leaves it in both',
    before: ['SADD s m'],
    first: ['SMOVE s x m'],
    second: ['SMOVE s y m'],
    after: { 'SCARD s': ':0', 'SMEMBERS x': 'm', 'SMEMBERS y': 'm' },
  },
  {
    title: '*STORE replaces what it saw in the destination',
    before: ['SADD s old', 'SADD a p', 'SADD b q'],
    first: ['SUNIONSTORE s a'],
    second: ['SADD s new'],
    after: { 'SMEMBERS s': 'p new' },
  },
  {
    title: 'concurrent *STOREs unite',
    before: ['SADD s old', 'SADD a p', 'SADD b q'],
    first: ['SUNIONSTORE s a'],
    second: ['SINTERSTORE s b'],
    after: { 'SMEMBERS s': 'p q' },
  },
  {
    title: 'of times to live the longer one counts, field by field',
    before: ['HSET h f 1 g 1'],
    first: ['HPEXPIRE h 100 FIELDS 1 f', 'HPEXPIRE h 900 FIELDS 1 g'],
    second: ['HPEXPIRE h 500 FIELDS 1 f', 'HPEXPIRE h 100 FIELDS 1 g'],
    after: { 'HMGET h f g': '1 1', 'HPTTL h FIELDS 2 f g': ':101 :500' },
    atMs: 400,
  },
  {
    title: 'HPERSIST wins over HEXPIRE',
    before: ['HSET h f 1', 'HEXPIRE h 10 FIELDS 1 f'],
    first: ['HPERSIST h FIELDS 1 f'],
    second: ['HEXPIRE h 100 FIELDS 1 f'],
    after: { 'HTTL h FIELDS 1 f': ':-1' },
  },
  {
    title: 'an HSET that HEXPIRE did not see does not expire',
    before: ['HSET h f 1'],
    first: ['HSET h f 2'],
    second: ['HPEXPIRE h 100 FIELDS 1 f'],
    after: { 'HGET h f': '2', 'HTTL h FIELDS 1 f': ':-1' },
    atMs: 1000,
  },
  {
    title: 'HEXPIRE of a field that HDEL removes brings nothing back',
    before: ['HSET h f 1'],
    first: ['HDEL h f'],
    second: ['HEXPIRE h 100 FIELDS 1 f'],
    after: { 'EXISTS h': ':0', 'HINCRBY h f 1': ':1', 'HTTL h FIELDS 1 f': ':-1' },
  },
  {
    title: 'a hash is seen before a set and a set before a string; DEL takes all',
    first: ['HSET k f 1'],
    second: ['SADD k m'],
    after: { 'TYPE k': '+hash', 'HGET k f': '1', 'DEL k': ':1', 'EXISTS k': ':0' },
  },
  {
    title: 'a set hidden by a hash comes out when the last field goes',
    first: ['HSET k f 1'],
    second: ['SADD k m'],
    after: { 'HDEL k f': ':1', 'TYPE k': '+set', 'SMEMBERS k': 'm', 'SREM k m': ':1', 'EXISTS k': ':0' },
  },
];

function meet(a: Instance, b: Instance): void {
  exchangeAll([a, b]);
  expect(a.database.digest()).toBe(b.database.digest());
}

describe('Concurrent hash and set commands', () => {
  for (const { title, before = [], first, second, after, atMs = 1 } of CONFLICTS) {
    it(title, () => {
      const [a, b] = [new Instance(1), new Instance(2)];
      for (const line of before) a.ask(line);
      meet(a, b);
      b.database.setTime(START_MS + 1);
      for (const line of first) a.ask(line);
      for (const line of second) b.ask(line);
      meet(a, b);
      for (const instance of [a, b]) {
        instance.database.setTime(START_MS + atMs);
        const replies = Object.keys(after).map((line) => [line, instance.ask(line)]);
        expect(Object.fromEntries(replies)).toEqual(after);
      }
      meet(a, b);
    });
  }

  it('leave no visible key behind where only the counters of removed fields are left', () => {
    const [a, b] = [new Instance(1), new Instance(2)];
    a.ask('HINCRBY h f 1');
    meet(a, b);
    b.ask('HDEL h f');
    meet(a, b);
    for (const { database, client } of [a, b]) {
      expect([client.type('TYPE h'), client.type('EXISTS h'), database.keyCount]).toEqual(['+none\r\n', ':0\r\n', 0]);
    }
    a.ask('SADD h m');
    expect(a.ask('TYPE h')).toBe('+set');
  });

  it('converge whatever is done where, and what one instance sees the other sees', () => {
    const key = fc.constantFrom('k', 'l');
    const name = fc.constantFrom('x', 'y', 'z');
    const number = fc.constantFrom('1', '-3', '9223372036854775807');
    const part = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
      fc.tuple(...parts.map((p) => (typeof p === 'string' ? fc.constant(p) : p))).map((words) => words.join(' '));
    const line = fc.oneof(
      part('HSET', key, name, fc.constantFrom('5', 'text', '1.5')),
      part('HDEL', key, name),
      part('HINCRBY', key, name, number),
      part('HINCRBYFLOAT', key, name, fc.constantFrom('0.1', '-2')),
      part('HPEXPIRE', key, fc.constantFrom('0', '3', '30', '3000'), 'FIELDS 1', name),
      part('HPERSIST', key, 'FIELDS 1', name),
      part('HSETEX', key, 'PX', fc.constantFrom('3', '300'), 'FIELDS 1', name, '7'),
      part('HGETDEL', key, 'FIELDS 1', name),
      part('SADD', key, name, name),
      part('SREM', key, name),
      part('SPOP', key, fc.constantFrom('1', '2')),
      part('SMOVE', key, key, name),
      part('SUNIONSTORE', key, key, key),
      part('SDIFFSTORE', key, key, key),
      part('DEL', key),
      part('SET', key, fc.constantFrom('1', 'text')),
    );
    const step = fc.record({ instance: fc.integer({ min: 0, max: 2 }), line, meets: fc.boolean(), ms: fc.nat(4) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
        const instances = [new Instance(1), new Instance(2), new Instance(3)];
        let now = START_MS;
        for (const { instance, line: text, meets, ms } of steps) {
          now += ms;
          for (const { database } of instances) database.setTime(now);
          instances[instance]!.ask(text);
          const others = instances.filter((_, i) => i !== instance);
          if (meets) others[0]!.receive(instances[instance]!.batches());
        }
        exchangeAll(instances);
        const views = instances.map((instance) => [
          instance.database.digest(),
          ...['k', 'l'].flatMap((k) =>
            [`TYPE ${k}`, `HGETALL ${k}`, `HLEN ${k}`, `SMEMBERS ${k}`].map((q) => instance.ask(q)),
          ),
        ]);
        expect(views[1]).toEqual(views[0]);
        expect(views[2]).toEqual(views[0]);
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});
