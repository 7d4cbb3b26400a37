import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Client } from './harness.ts';
import { HASH_AND_SET_COMMANDS } from './hash-and-set-commands.ts';
import { splitReplies } from './raw-reply.ts';
import { describeWithRedis, RedisServer } from './redis-server.ts';
import { STRING_AND_KEY_COMMANDS } from './string-and-key-commands.ts';

const COMMANDS = [...STRING_AND_KEY_COMMANDS, ...HASH_AND_SET_COMMANDS];
const UNORDERED = /^(keys|scan|smembers|hgetall)$/i;
/** Commands that reply a time, and by how much it may differ: the two servers read two clocks. */
const TIMES: Readonly<Record<string, number>> = { ttl: 1, expiretime: 1, pttl: 5000, pexpiretime: 5000 };
const RUNS = Number(process.env['RUNS'] ?? 80);
const SEED = Number(process.env['SEED'] ?? 20261124);

type Words = string[];

const pick = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const line = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<Words> =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)));
const listed = (head: fc.Arbitrary<Words>, rest: fc.Arbitrary<Words>, min = 1, max = 4): fc.Arbitrary<Words> =>
  fc.tuple(head, fc.array(rest, { minLength: min, maxLength: max })).map(([first, more]) => [...first, ...more.flat()]);
const one = (arbitrary: fc.Arbitrary<string>): fc.Arbitrary<Words> => arbitrary.map((word) => [word]);

const key = pick('a', 'b', 'c');
const keyOrNone = pick('a', 'b', 'c', 'none');
const anyKey = pick('a', 'b', 'c', 'd', 'f', 'none');
const value = pick(
  '1',
  '-5',
  '10.50',
  'text',
  '',
  ' 7',
  '007',
  '9223372036854775807',
  '1.0',
  '-0',
  'ÿ\0',
  'v'.repeat(300),
);
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
  '1.0',
);
const index = pick('0', '1', '-1', '3', '-3', '100', '-100', '9223372036854775807', 'x', '');
const small = pick('1', '-7', '3');
// Ours are exact where a long double rounds: decimals stay small, and binary fractions where they may not.
const fraction = pick('0.1', '-0.1', '0.7', '-0.7', '1e0', '2.5', '-2.5', 'x', '', 'nan', 'inf', '-inf', '1e4000x');
// At the edge of 64 bits, where a long double is still exact: integers are counted on both sides.
const edge = pick(
  '9223372036854775806',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '18446744073709500000',
);
const binary = pick('0.5', '-0.25', '2e2', '-3', '+1', '.5', '5.', '0', ' 1');

const seconds = pick('100', '5000', '0', '-1', 'x', '9223372036854775807', '8007199254740', '');
const secondsAt = pick('4102444800', '4202444800', '1', '0', '-1', 'x', '8007199254740');
const msAt = pick('4102444800000', '4102444800001', '1', '9007199254740991', 'x');
const setOption = fc.oneof(
  one(pick('NX', 'XX', 'GET', 'KEEPTTL', 'nx', 'bogus', 'EX')),
  line(pick('EX', 'px', 'EX'), seconds),
  line('EXAT', secondsAt),
  line('PXAT', msAt),
);

const stringCommand = fc.oneof(
  line('set', key, value),
  listed(line('set', key, value), setOption, 0, 3),
  line('get', anyKey),
  line('setnx', key, value),
  line(pick('setex', 'psetex'), key, seconds, value),
  line('getset', key, value),
  line('getdel', key),
  listed(line('getex', key), fc.oneof(setOption, one(pick('PERSIST'))), 0, 2),
  listed(line('mget'), one(anyKey)),
  listed(line('mset', key, value), one(key), 0, 3),
  listed(line('msetnx', key, value), one(key), 0, 3),
  line('append', key, value),
  line('strlen', anyKey),
  line('setrange', key, pick('0', '1', '5', '100', '-1', 'x', '536870912', '9223372036854775807'), value),
  line(pick('getrange', 'substr'), anyKey, index, index),
  listed(line('lcs', anyKey, key), one(pick('IDX', 'LEN', 'WITHMATCHLEN', 'x')), 0, 2),
  line('lcs', key, key, 'idx', 'minmatchlen', index),
);

const counterCommand = fc.oneof(
  line(pick('incr', 'decr'), anyKey),
  line(pick('incrby', 'decrby'), key, integer),
  line(pick('incrby', 'decrby'), pick('d', 'f'), small),
  line('incrbyfloat', 'f', fraction),
  line('incrbyfloat', 'd', binary),
  line('set', 'd', pick('1.5', '3', '-0.25', '1.0', 'x', '', '3e2')),
  line('set', 'e', edge),
  line('incrbyfloat', 'e', pick('1', '-1', '7', '-7')),
  line(pick('incrby', 'decrby'), 'e', small),
  line('get', 'e'),
);

const bitOffset = pick('0', '1', '7', '8', '77', '4294967296', '-1', 'x', '', '#1');
const fieldType = pick('u1', 'i8', 'u8', 'i5', 'u63', 'i64', 'u64', 'i0', 'x', 'u12', 'i65', 'U8');
const fieldOperation = fc.oneof(
  line('get', fieldType, fc.oneof(bitOffset, pick('#0', '#3', '#x'))),
  line('set', fieldType, fc.oneof(bitOffset, pick('#0', '#2')), integer),
  line('incrby', pick('u1', 'i8', 'i64', 'u63', 'i5'), pick('0', '3', '#1'), integer),
  line('overflow', pick('wrap', 'SAT', 'fail', 'FAIL', 'x')),
  one(pick('get', 'x')),
);
const bitCommand = fc.oneof(
  line('setbit', key, bitOffset, pick('0', '1', '1', '2', 'x')),
  line('getbit', anyKey, bitOffset),
  line('bitcount', anyKey),
  listed(line('bitcount', key, index), one(fc.oneof(index, index, pick('BIT', 'byte', 'x'))), 0, 3),
  line('bitcount', key, index, index, pick('bit', 'BYTE')),
  line('bitpos', anyKey, pick('0', '1', '2', 'x')),
  listed(line('bitpos', key, pick('0', '1')), one(index), 1, 2),
  line('bitpos', key, pick('0', '1'), index, index, pick('bit', 'BYTE', 'x')),
  listed(line('bitop', pick('and', 'OR', 'xor', 'not', 'x'), key), one(anyKey), 1, 3),
  listed(line('bitfield', key), fieldOperation, 0, 4),
  listed(line('bitfield_ro', anyKey), fieldOperation, 0, 2),
);

const condition = one(pick('NX', 'XX', 'gt', 'LT', 'x'));
const relative = one(pick('NX', 'xx'));
const keyCommand = fc.oneof(
  listed(line(pick('del', 'unlink')), one(anyKey), 1, 3),
  listed(line(pick('exists', 'touch')), one(anyKey), 1, 3),
  line('type', anyKey),
  line(pick('rename', 'renamenx'), keyOrNone, keyOrNone),
  listed(line('copy', keyOrNone, keyOrNone), fc.oneof(one(pick('replace', 'x')), line('DB', pick('0', 'x'))), 0, 2),
  line('persist', anyKey),
  line(pick('ttl', 'pttl', 'expiretime', 'pexpiretime'), anyKey),
  listed(line(pick('expire', 'pexpire'), anyKey, seconds), relative, 0, 2),
  listed(line('expireat', anyKey, secondsAt), condition, 0, 2),
  listed(line('pexpireat', anyKey, msAt), condition, 0, 2),
  line('keys', pick('*', '[ab]', '?', '[^a]', 'x*')),
  listed(
    line('scan', pick('0', 'x', '')),
    fc.oneof(
      line('count', pick('1000', '0', 'x', '-1')),
      line('match', pick('*', '[a-c]')),
      line('type', pick('string', 'SET', 'zset')),
      one(pick('x', 'count')),
    ),
    0,
    3,
  ).map((words) => [...words, 'count', '100000']),
  line(pick('flushall', 'flushdb'), pick('sync', 'ASYNC', 'x')),
  line('sadd', key, pick('m', 'n', '5')),
  line('hset', key, pick('m', 'n'), value),
  line('hincrby', key, 'm', small),
  line('smembers', key),
  line('hgetall', key),
);

const sequence = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: stringCommand },
    { weight: 6, arbitrary: counterCommand },
    { weight: 6, arbitrary: bitCommand },
    { weight: 10, arbitrary: keyCommand },
  ),
  { minLength: 20, maxLength: 100 },
);
const AFTERWARDS = [['exists', 'a', 'b', 'c', 'd', 'f'], ['mget', 'a', 'b', 'c', 'd', 'f'], ['keys', '*'], ['dbsize']];

/** Ours, or theirs where both are times that differ by no more than two clocks may. */
function forgiveClock(command: string, ours: string, theirs: string): string {
  const tolerance = TIMES[command.toLowerCase()];
  if (tolerance === undefined || ours[0] !== ':' || theirs[0] !== ':') return ours;
  const [mine, other] = [BigInt(ours.slice(1, -2)), BigInt(theirs.slice(1, -2))];
  const difference = Number(mine - other);
  return mine >= 0n && other >= 0n && Math.abs(difference) <= tolerance ? theirs : ours;
}

describeWithRedis('string, bitmap and key commands against redis-server', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(async () => redis.stop());

  for (const protocol of [2, 3] as const) {
    it(`reply the same bytes in RESP${protocol}, whatever is asked in whatever order`, async () => {
      await redis.run([['HELLO', String(protocol)]]);
      await fc.assert(
        fc.asyncProperty(sequence, async (random) => {
          const lines = [...random, ...AFTERWARDS];
          await redis.run([['FLUSHALL']]);
          const isUnordered = (i: number): boolean => UNORDERED.test(lines[i]![0]!);
          const theirs = splitReplies(await redis.run(lines), isUnordered);
          const client = new Client(COMMANDS, { protocol });
          client.database.setTime(Date.now());
          const replies = Buffer.from(lines.map((words) => client.run(...words)).join(''), 'latin1');
          const ours = splitReplies(replies, isUnordered).map((reply, i) =>
            forgiveClock(lines[i]![0]!, reply, theirs[i]!),
          );
          const show = (shown: readonly string[]): string[] =>
            lines.map((words, i) => `${words.join(' ')} -> ${shown[i]}`);
          expect(show(ours)).toEqual(show(theirs));
        }),
        { seed: SEED, numRuns: RUNS },
      );
    });
  }

  it('describe themselves as COMMAND INFO does', async () => {
    await redis.run([['HELLO', '2']]);
    const specs = STRING_AND_KEY_COMMANDS.flatMap((spec) => [spec, ...(spec.subcommands ?? [])]);
    for (const { name, arity, flags, keys } of specs) {
      const theirName = name.toLowerCase().replace(' ', '|');
      const [text] = splitReplies(await redis.run([['COMMAND', 'INFO', theirName]]));
      const header = `*1\r\n*10\r\n$${theirName.length}\r\n${theirName}\r\n:${arity}\r\n`;
      const positions = `:${keys.first}\r\n:${keys.last}\r\n:${keys.step}\r\n`;
      expect(text!.slice(0, 300)).toContain(header);
      expect(text!.slice(header.length, 400)).toContain(positions);
      for (const flag of flags) expect(text).toContain(`+${flag}\r\n`);
    }
  });

  it('choose the encoding that Redis chooses', async () => {
    const members = Array.from({ length: 600 }, (_, i) => String(i));
    const lines: Words[] = [
      ['set', 'a', '12'],
      ['set', 'b', '9223372036854775808'],
      ['set', 'c', 'x'.repeat(44)],
      ['set', 'd', 'x'.repeat(45)],
      ['set', 'e', '-9223372036854775808'],
      ['incr', 'f'],
      ['sadd', 'g', '1', '2'],
      ['sadd', 'h', '1', 'x'],
      ['sadd', 'i', ...members],
      ['sadd', 'j', ...members.slice(0, 512)],
      ['hset', 'k', 'f', 'x'.repeat(64)],
      ['hset', 'l', 'f', 'x'.repeat(65)],
      ['hset', 'm', ...members.slice(0, 512).flatMap((name) => [name, '1'])],
      ['hset', 'n', ...members.flatMap((name) => [name, '1'])],
      ...'abcdefghijklmno'.split('').map((name) => ['object', 'encoding', name]),
      ['object', 'freq', 'a'],
      ['object', 'freq', 'o'],
      ['object', 'bogus', 'a'],
      ['object', 'encoding'],
      ['memory', 'usage', 'o'],
      ['memory', 'usage', 'a', 'samples', '-1'],
      ['memory', 'usage', 'a', 'samples'],
    ];
    await redis.run([['FLUSHALL'], ['HELLO', '2']]);
    const client = new Client(COMMANDS, { protocol: 2 });
    const ours = lines.map((words) => client.run(...words));
    expect(ours).toEqual(splitReplies(await redis.run(lines)));
  });
});
