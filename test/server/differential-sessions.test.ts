import { afterEach, afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { describeWithRedis, RedisServer as RealRedis } from '../redis-commands/redis-server.ts';
import { converse, recite } from './conversation.ts';
import { Endpoint } from './endpoint.ts';
import { SCRIPTS } from './session-scripts.ts';

const RUNS = Number(process.env['RUNS'] ?? 15);
const SEED = Number(process.env['SEED'] ?? 20261125);

const linesOf = (script: string): string[] => script.split('\n').filter((line) => line !== '');

/** Lines for random talks: nothing that blocks, and no several channels at once, which inside MULTI would be several replies to one command. */
const POOL = Object.entries(SCRIPTS)
  .flatMap(([, script]) => linesOf(script))
  .filter(
    (line) =>
      !/^(b> )?(multi|exec|[ps]?(un)?subscribe( .* .*)?|client (reply|pause).*|wait 1 0|scan .*|keys .*|config (set|get latency).*|command list .*|slowlog (len|get.*)|object refcount .*)$/i.test(
        line,
      ),
  )
  .map((line) => line.replace(/^b> /, ''));
const STATES = ['multi', 'exec', 'exec', 'watch a', 'watch b', 'unwatch', 'discard', 'set a 1', 'set b 2', 'get a'];
const CHANNELS = ['subscribe a', 'psubscribe "a*"', 'unsubscribe a', 'punsubscribe "a*"', 'publish a hello', 'reset'];

const said = fc
  .tuple(
    fc.constantFrom('', 'b> '),
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...STATES) },
      { weight: 2, arbitrary: fc.constantFrom(...CHANNELS) },
      { weight: 3, arbitrary: fc.constantFrom(...POOL) },
    ),
  )
  .map(([who, line]) => who + line);

const WITHOUT_REPLIES = `
client reply skip
get a
get a
client reply off
get a
set a 1
client reply on
get a
client reply skip
client reply skip
get a
get a
client reply off
subscribe x y
psubscribe "x*"
unsubscribe x
get a
punsubscribe
unsubscribe
unsubscribe
client reply on
client reply skip
ssubscribe z
sunsubscribe z
multi
get a
client reply off
set a 2
exec
get a
client reply on
multi
client reply skip
get a
exec
get a
get a
`;

describeWithRedis('a session, beside one with redis-server', () => {
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
    const [ours, theirs] = await Promise.all([
      converse({ host: '127.0.0.1', port: endpoint.port }, protocol, lines),
      converse({ path: redis.path }, protocol, lines),
    ]);
    expect(ours).toEqual(theirs);
  }

  it('that does not want replies gets none', async () => {
    const lines = linesOf(WITHOUT_REPLIES);
    const ours = await recite({ host: '127.0.0.1', port: endpoint.port }, lines);
    expect(ours).toBe(await recite({ path: redis.path }, lines));
  });

  for (const protocol of [2, 3] as const) {
    it.each(Object.entries(SCRIPTS))(`about %s goes the same way in RESP${protocol}`, async (_name, script) =>
      compare(protocol, linesOf(script)),
    );

    it(`of whatever is said goes the same way in RESP${protocol}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(said, { minLength: 20, maxLength: 60 }), (lines) => compare(protocol, lines)),
        { seed: SEED, numRuns: RUNS },
      );
    });
  }
});
