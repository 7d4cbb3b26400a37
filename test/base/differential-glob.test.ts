import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { matchGlob } from '../../src/base/glob.ts';
import { splitReplies } from '../redis-commands/raw-reply.ts';
import { describeWithRedis, RedisServer } from '../redis-commands/redis-server.ts';

const SEED = Number(process.env['SEED'] ?? 20261126);
const RUNS = Number(process.env['RUNS'] ?? 4000);
const TEXTS = 400;

/** Few different bytes, so that patterns often fit; those that mean something in a pattern are among the texts' as well. */
const textByte = fc.constantFrom(...'aabbc]-[\\^*?\xe4\x80');
const patternPart = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...'abc*?[]^-\\\\\xe4\x80') },
  { weight: 2, arbitrary: fc.constantFrom('[a', '[^', '\\]', '\\\\', 'a-', '-c', '[a\\]]', '[^\\^-b]', '**') },
);
const textOf = (parts: readonly string[]): Buffer => Buffer.from(parts.join(''), 'latin1');

describeWithRedis('A pattern, beside redis-server', () => {
  let redis: RedisServer;
  let texts: readonly Buffer[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start();
    const parts = fc.sample(fc.array(textByte, { minLength: 1, maxLength: 6 }), { seed: SEED, numRuns: TEXTS });
    texts = [...new Set(parts.map((each) => each.join('')))].map((each) => Buffer.from(each, 'latin1'));
    await redis.run(texts.map((text) => ['SET', text, '1']));
  });
  afterAll(() => redis.stop());

  it('fits the same texts', async () => {
    const patterns = fc.sample(fc.array(patternPart, { minLength: 1, maxLength: 9 }).map(textOf), {
      seed: SEED,
      numRuns: RUNS,
    });
    const replies = splitReplies(await redis.run(patterns.map((pattern) => ['KEYS', pattern])));
    for (const [i, pattern] of patterns.entries()) {
      const ours = texts.filter((text) => matchGlob(pattern, text)).map((text) => text.toString('latin1'));
      const theirs = replies[i]!.split('\r\n').filter((_, at) => at > 0 && at % 2 === 0);
      const said = pattern.toString('latin1');
      expect({ said, fits: ours.sort() }).toEqual({ said, fits: theirs.sort() });
    }
  });
});
