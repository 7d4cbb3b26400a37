/**
 * Every command of the table with whatever arguments: too few, too many, of the wrong type, in odd orders and cases. Which words are tried is not
 * fitted to a command, so this finds what the tests of a group, whose words are, did not think of.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import net from 'node:net';
import { ALL_COMMANDS } from '../../src/redis-commands/table.ts';
import { splitReplies } from '../redis-commands/raw-reply.ts';
import { describeWithRedis, encodeCommand, RedisServer as RealRedis } from '../redis-commands/redis-server.ts';
import { splitWords } from './conversation.ts';
import { Endpoint } from './endpoint.ts';

const RUNS = Number(process.env['RUNS'] ?? 60);
const SEED = Number(process.env['SEED'] ?? 20261125);
const DEADLINE_MS = 60_000;

/** Random, about time, about the connection, or different on purpose: compared by tests of their own. */
const LEFT_OUT =
  /^(SPOP|SRANDMEMBER|HRANDFIELD|RANDOMKEY|(P?EXPIRE|P?TTL|EXPIRETIME|PEXPIRETIME|SETEX|PSETEX|INCRBYFLOAT|HINCRBYFLOAT)|WAIT|(P|S)?(UN)?SUBSCRIBE|MULTI|EXEC|DISCARD|WATCH|UNWATCH|MONITOR|QUIT|RESET|AUTH|HELLO|SELECT|MOVE|SWAPDB|CLIENT|CONFIG|COMMAND|INFO|TIME|SLOWLOG|LATENCY|DEBUG|LOLWUT|ACL|MODULE|MEMORY|OBJECT|ROLE|PUBSUB|COPY|[A-Z]*SCAN|KEYS)$/;
const UNORDERED = /^(hgetall|hkeys|hvals|smembers|sinter|sunion|sdiff)$/;

const NAMES = ALL_COMMANDS.filter(
  ({ name, flags, deviation = '', since }) =>
    !flags.includes('hidden') &&
    !deviation.startsWith('Refused') &&
    !LEFT_OUT.test(name) &&
    Number(since.slice(0, 3)) <= 7.0,
).map(({ name }) => name.toLowerCase());

const KEYS = 'str num bin hash set ints none ""'.split(' ');
const WORDS = [
  ...'0 1 -1 2 3 10 -10 7 8 64 4294967295 4294967296 9223372036854775807 -9223372036854775808 9223372036854775808 1e3 1.5 nan inf 0x10 01'.split(
    ' ',
  ),
  ...['""', '" "', '" 1"', '"1 "', '+1', '-0', '"\\xff\\x00"', '"\\r\\n"', 'x', 'field', 'member', '#0', '#1', '*'],
  ...'nx XX gt LT get KEEPTTL persist match COUNT type replace DB limit WITHVALUES byte BIT idx LEN minmatchlen WITHMATCHLEN'.split(
    ' ',
  ),
  ...'incrby SET overflow wrap SAT fail u8 i5 U8 i64 u63 u64 and OR xor not ex px async SYNC'.split(' '),
];
const PAIRS = [
  'ex 100',
  'PX 100000',
  'exat 33177117420',
  'PXAT 33177117420000',
  'limit 1',
  'count 100',
  'minmatchlen 1',
  'get u8 0',
  'incrby i8 #1 100',
];

const SETUP = [
  'flushall',
  'set str "some text"',
  'set num 41',
  'set bin "\\xff\\x00\\x10"',
  'hset hash field value other 7',
  'sadd set member x y',
  'sadd ints 1 2 3',
];

const argument = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 5, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 1, arbitrary: fc.constantFrom(...PAIRS) },
);
const odd = (name: string): string => [...name].map((char, i) => (i % 2 === 0 ? char.toUpperCase() : char)).join('');
/** Mostly a key first, which is what gets a command somewhere. */
const call = fc
  .tuple(
    fc.constantFrom(...NAMES, ...NAMES.map(odd)),
    fc.option(fc.constantFrom(...KEYS), { nil: '' }),
    fc.array(argument, { maxLength: 5 }),
  )
  .map((words) =>
    words
      .flat()
      .filter((word) => word !== '')
      .join(' '),
  );

/** All replies to the lines, as the bytes they came in. */
async function ask(target: net.NetConnectOpts, protocol: 2 | 3, lines: readonly string[]): Promise<string[]> {
  const commands = [`hello ${protocol}`, ...lines].map(splitWords);
  const socket = net.connect({ ...target, noDelay: true });
  try {
    let received: Buffer = Buffer.alloc(0);
    const isUnordered = (i: number): boolean => UNORDERED.test(String(commands[i]![0]).toLowerCase());
    return await new Promise<string[]>((resolve, reject) => {
      socket.setTimeout(DEADLINE_MS, () =>
        reject(new Error(`${splitReplies(received).length} of ${commands.length} replies`)),
      );
      socket.once('error', reject);
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]);
        const replies = splitReplies(received, isUnordered);
        if (replies.length >= commands.length) resolve(replies.slice(1));
      });
      socket.write(Buffer.concat(commands.map(encodeCommand)));
    });
  } finally {
    socket.destroy();
  }
}

describeWithRedis('every command, beside redis-server', () => {
  let redis: RealRedis;
  let endpoint: Endpoint;

  beforeAll(async () => {
    redis = await RealRedis.start();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    endpoint = await Endpoint.start();
  });
  afterEach(() => endpoint.stop());

  async function compare(protocol: 2 | 3, lines: readonly string[]): Promise<void> {
    const all = [...SETUP, ...lines];
    const [ours, theirs] = await Promise.all([
      ask({ host: '127.0.0.1', port: endpoint.port }, protocol, all),
      ask({ path: redis.path }, protocol, all),
    ]);
    const show = (replies: readonly string[]): string[] => all.map((line, i) => `${line} -> ${replies[i]}`);
    expect(show(ours)).toEqual(show(theirs));
  }

  for (const protocol of [2, 3] as const) {
    it(`minds the number of its arguments in RESP${protocol}`, async () => {
      const counts = [0, 1, 2, 3, 4, 5];
      const lines = NAMES.flatMap((name) =>
        ['""', 'str', '1', '"\\xff\\x00"'].flatMap((word) =>
          counts.map((count) => `${name} ${`${word} `.repeat(count)}`.trim()),
        ),
      );
      await compare(protocol, lines);
    });

    it(`replies the same bytes in RESP${protocol}, whatever it is given`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(call, { minLength: 50, maxLength: 150 }), (lines) => compare(protocol, lines)),
        { seed: SEED, numRuns: RUNS },
      );
    });
  }
});
