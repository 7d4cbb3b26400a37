/** Numbers at the edges of what 64 bits, doubles and long doubles hold: accepted, refused and told again as redis-server does. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Client } from './harness.ts';
import { HASH_AND_SET_COMMANDS } from './hash-and-set-commands.ts';
import { splitReplies } from './raw-reply.ts';
import { describeWithRedis, RedisServer } from './redis-server.ts';
import { STRING_AND_KEY_COMMANDS } from './string-and-key-commands.ts';

const COMMANDS = [...STRING_AND_KEY_COMMANDS, ...HASH_AND_SET_COMMANDS];

const LATEST_MS = BigInt(Number.MAX_SAFE_INTEGER);
const CLOCKS_APART_MS = 10_000;

const EDGES = [
  0n,
  2n ** 31n,
  2n ** 32n,
  2n ** 42n,
  2n ** 53n,
  (2n ** 63n - 1n) / 1000n,
  LATEST_MS / 1000n,

  2n ** 63n,
  2n ** 64n,
];
const INTEGERS = EDGES.flatMap((edge) => [edge - 1n, edge, edge + 1n])
  .flatMap((value) => [value, -value])
  .map(String);
const TIMED = [
  (time: string) => ['EXPIRE', 'k', time],
  (time: string) => ['PEXPIRE', 'k', time],
  (time: string) => ['EXPIREAT', 'k', time],
  (time: string) => ['PEXPIREAT', 'k', time],
  (time: string) => ['EXPIREAT', 'k', time, 'GT'],
  (time: string) => ['SET', 'k', 'v', 'EX', time],
  (time: string) => ['SET', 'k', 'v', 'PX', time],
  (time: string) => ['SET', 'k', 'v', 'EXAT', time],
  (time: string) => ['SET', 'k', 'v', 'PXAT', time],
  (time: string) => ['SETEX', 'k', time, 'v'],
  (time: string) => ['PSETEX', 'k', time, 'v'],
  (time: string) => ['GETEX', 'k', 'EX', time],
  (time: string) => ['GETEX', 'k', 'PX', time],
  (time: string) => ['GETEX', 'k', 'EXAT', time],
  (time: string) => ['GETEX', 'k', 'PXAT', time],
];

const DECIMALS =
  `0x10 0X1F -0x10 +0x.8 0x1.8p3 0x1p-3 0x1p10 0x8.P+2 0x 0x. 0xg 0x1p 0x1p+ 0x1.2.3 0x1e2 0x0p99999 1e5 1E-5 1e-5000 1e5000 -1e5000
  0e99999 0.000e-99999 1e4932 2e4932 1e-4950 1e-4953 0x1p16383 0x1p16384 0x1p-16445 0x1p-16447 nan -nan nan(1) inf -inf +inf infinity -Infinity infin INFINITYx
  .5 5. . +.5 -5. 1e 1e+ e5 1_0 ١ 1,5 ++1 --1 00012 -0 0x-1`.split(/\s+/);
/** Without those that would repeat elements more often than this server does. */
const COUNTS = [
  ...INTEGERS.filter((text) => !/^-\d{8,}/.test(text) || BigInt(text) <= -(2n ** 63n)),
  '4611686018427387904',
  'x',
  '',
  '1.0',
];

describeWithRedis('A number at an edge, beside redis-server', () => {
  let redis: RedisServer;
  let client: Client;

  beforeAll(async () => {
    redis = await RedisServer.start();
    client = new Client(COMMANDS, { protocol: 2 });
    client.database.setTime(Date.now());
  });
  afterAll(() => redis.stop());

  const ours = (commands: readonly (readonly string[])[]): string[] => commands.map((words) => client.run(...words));
  const theirs = async (commands: readonly (readonly string[])[]): Promise<string[]> =>
    splitReplies(await redis.run(commands));
  /** -1 and -2 as Redis means them. */
  const timeOf = (reply: string): bigint => BigInt(reply.slice(1).trim());

  it('of a time to live is kept to the millisecond, or refused as Redis refuses what it cannot keep', async () => {
    for (const make of TIMED) {
      for (const time of [...INTEGERS, '-9223372036854775809', ' 1', '1.5']) {
        const words = make(time);
        const commands = [['SET', 'k', 'v', 'PXAT', '9000000000000'], words, ['PEXPIRETIME', 'k'], ['EXISTS', 'k']];
        const said = words.join(' ');
        const [[, ourReply, ourTime, ourKey], [, reply, at, key]] = [ours(commands), await theirs(commands)];
        if (!at!.startsWith(':') || timeOf(at!) > LATEST_MS) {
          const command = words[0]!.toLowerCase();
          expect({ said, reply: ourReply }).toEqual({
            said,
            reply: `-ERR invalid expire time in '${command}' command\r\n`,
          });
          continue;
        }
        expect({ said, reply: ourReply, key: ourKey }).toEqual({ said, reply, key });
        const apart = Number(timeOf(ourTime!) - timeOf(at!));
        expect({ said, isClose: Math.abs(apart) <= CLOCKS_APART_MS }).toEqual({ said, isClose: true });
        if (/AT$/.test(words.at(-2)!) || words[0]!.endsWith('AT')) expect({ said, apart }).toEqual({ said, apart: 0 });
      }
    }
  });

  it.each(['0', '1.5', '0x10'])('is added to %s if strtold takes it for a number', async (base) => {
    for (const change of DECIMALS) {
      const commands = [
        ['SET', 'k', base],
        ['INCRBYFLOAT', 'k', change],
        ['DEL', 'h'],
        ['HSET', 'h', 'f', base],
        ['HINCRBYFLOAT', 'h', 'f', change],
        ['SET', 'k', change],
        ['INCRBYFLOAT', 'k', '1'],
      ];
      const simplify = (replies: string[]): string[] => replies.map((reply) => (reply.length > 60 ? '(long)' : reply));
      expect({ change, replies: simplify(ours(commands)) }).toEqual({
        change,
        replies: simplify(await theirs(commands)),
      });
    }
  });

  it('counts what is chosen', async () => {
    for (const count of COUNTS) {
      const commands = [
        ['HRANDFIELD', 'none', count],
        ['HRANDFIELD', 'none', count, 'WITHVALUES'],
        ['SRANDMEMBER', 'none', count],
        ['SPOP', 'none', count],
        ['SETRANGE', 'none', count, ''],
        ['GETRANGE', 'none', count, count],
      ];
      const flush = [['FLUSHALL']];
      ours(flush);
      await theirs(flush);
      expect({ count, replies: ours(commands) }).toEqual({ count, replies: await theirs(commands) });
    }
  });
});
