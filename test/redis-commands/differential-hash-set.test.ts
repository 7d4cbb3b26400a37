import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { STRING_COMMANDS } from '../../src/redis-commands/strings.ts';
import { GENERIC_COMMANDS } from '../../src/redis-commands/generic.ts';
import { HASH_AND_SET_COMMANDS } from './hash-and-set-commands.ts';
import { Client } from './harness.ts';
import { RedisServer } from './redis-server.ts';
import { splitReplies } from './raw-reply.ts';

const COMMANDS = [...HASH_AND_SET_COMMANDS, ...STRING_COMMANDS, ...GENERIC_COMMANDS];
const UNORDERED = /^(hgetall|hkeys|hvals|hscan|hrandfield|smembers|sinter|sunion|sdiff|sscan|spop|srandmember)$/i;
const RUNS = Number(process.env['RUNS'] ?? 60);
const SEED = Number(process.env['SEED'] ?? 20261124);

type Words = string[];

const pick = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const key = pick('a', 'b', 'c');
const field = pick('f', 'g', 'h', '', 'long-name-of-a-field-'.repeat(20));
const value = pick('1', '-5', '10.50', 'text', '', ' 7', '007', '1.0', '9223372036854775807', '3.0e3', 'v'.repeat(300));
// Ours are exact where a long double rounds, so decimals are binary fractions here and do not meet large integers.
const small = pick('1', '10.50', 'text', '', ' 7', '1.0', '3.0e3');
const integer = pick(
  '1',
  '-1',
  '0',
  '5',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  'x',
  '',
  '+1',
);
// At the edge of 64 bits a long double is exact, as long as only integers are counted.
const edge = pick('9223372036854775806', '9223372036854775807', '-9223372036854775808', '9223372036854775808');
const decimal = pick('0.125', '-0.5', '1', '2.0e2', '1e3', 'x', '', '10.25', '-3', 'nan', 'inf');
const member = pick('m', 'n', 'o', 'p', '', '1', '2', '300', 'long-member-'.repeat(10));
const line = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<Words> =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)));
const listed = (head: fc.Arbitrary<Words>, rest: fc.Arbitrary<string>, min = 1, max = 4): fc.Arbitrary<Words> =>
  fc.tuple(head, fc.array(rest, { minLength: min, maxLength: max })).map(([first, more]) => [...first, ...more]);

const hashCommand = fc.oneof(
  listed(line('hset', key, field, value), fc.oneof(field, value), 0, 4),
  line('hset', key, field, value),
  line('hmset', key, field, value, field, value),
  line('hsetnx', key, field, value),
  line('hget', key, field),
  listed(line('hmget', key), field),
  line('hgetall', key),
  line('hkeys', key),
  line('hvals', key),
  line('hlen', key),
  line('hexists', key, field),
  line('hstrlen', key, field),
  listed(line('hdel', key), field),
  line('hincrby', key, field, integer),
  line('hset', 'd', field, small),
  line('hincrby', 'd', field, pick('1', '-7', 'x')),
  line('hincrbyfloat', 'd', field, decimal),
  line('hgetall', 'd'),
  line('hset', 'e', 'f', edge),
  line('hincrbyfloat', 'e', 'f', pick('1', '-1', '7', '-7')),
  line('hincrby', 'e', 'f', pick('1', '-1', '7', '-7')),
  line('hget', 'e', 'f'),
  line('hrandfield', key, '-0'),
  line('hrandfield', key, '100', pick('withvalues', 'x')),
  line('hrandfield', key, pick('10', '0', 'x', '99999999999999999999')),
  line('hscan', key, '0'),
  line('hscan', key, pick('0', 'x', '-1x'), 'match', pick('*', 'f*', '[fg]', '?', '[^f]*', '\\f')),
  line('hscan', key, '0', 'count', pick('1000', '0', 'x', '-1')),
);

const setCommand = fc.oneof(
  listed(line('sadd', key), member),
  line('sadd', key, member),
  listed(line('srem', key), member),
  line('sismember', key, member),
  listed(line('smismember', key), member),
  line('smembers', key),
  line('scard', key),
  line('smove', key, key, member),
  line('spop', key, pick('100', '0', '-1', 'x')),
  line('srandmember', key, pick('100', '0', 'x')),
  listed(line('sinter'), key, 0, 3),
  listed(line('sunion', key), key, 0, 3),
  listed(line('sdiff', key), key, 0, 3),
  listed(line('sinterstore', key), key, 0, 3),
  listed(line('sunionstore', key), key, 0, 3),
  listed(line('sdiffstore', key), key, 0, 3),
  listed(line('sintercard', pick('1', '2', '3', '0', 'x')), key),
  line('sintercard', '2', key, key, 'limit', pick('0', '1', '2', '-1', 'x')),
  line('sintercard', '1', key, pick('limit', 'x')),
  line('sscan', key, '0', 'match', pick('*', 'm*', '[m-o]', '?', '[^m]*', '3??')),
  line('sscan', key, '0', 'count', pick('1000', '0', 'x')),
);

const otherCommand = fc.oneof(
  line('set', key, value),
  line('del', pick('a', 'b', 'c', 'd')),
  line('type', key),
  line('exists', key),
);

const sequence = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: hashCommand },
    { weight: 10, arbitrary: setCommand },
    { weight: 2, arbitrary: otherCommand },
  ),
  { minLength: 20, maxLength: 80 },
);

describe('hash and set commands against redis-server', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(async () => redis.stop());

  for (const protocol of [2, 3] as const) {
    it(`reply the same bytes in RESP${protocol}, whatever is asked in whatever order`, async () => {
      await redis.run([['HELLO', String(protocol)]]);
      await fc.assert(
        fc.asyncProperty(sequence, async (lines) => {
          await redis.run([['FLUSHALL']]);
          const isUnordered = (i: number): boolean => UNORDERED.test(lines[i]![0]!);
          const theirs = splitReplies(await redis.run(lines), isUnordered);
          const client = new Client(COMMANDS, { protocol });
          const ours = splitReplies(
            Buffer.from(lines.map((words) => client.run(...words)).join(''), 'latin1'),
            isUnordered,
          );
          const show = (replies: readonly string[]): string[] =>
            lines.map((words, i) => `${words.join(' ')} -> ${replies[i]}`);
          expect(show(ours)).toEqual(show(theirs));
        }),
        { seed: SEED, numRuns: RUNS },
      );
    });
  }

  it('describe themselves as COMMAND INFO does', async () => {
    await redis.run([['HELLO', '2']]);
    for (const spec of HASH_AND_SET_COMMANDS) {
      const [text] = splitReplies(await redis.run([['COMMAND', 'INFO', spec.name]]));
      if (text!.endsWith('-1\r\n')) continue;
      const { name, arity, flags, keys } = spec;
      const header = `*1\r\n*10\r\n$${name.length}\r\n${name.toLowerCase()}\r\n:${arity}\r\n*${flags.length}\r\n`;
      const positions = `:${keys.first}\r\n:${keys.last}\r\n:${keys.step}\r\n`;
      expect(text!.slice(0, 300)).toContain(header + flags.map((flag) => `+${flag}\r\n`).join('') + positions);
    }
  });
});
