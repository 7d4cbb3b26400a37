import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Database } from '../../src/database/database.ts';
import { START_MS, seededRandom } from '../database/cluster.ts';
import { Endpoint, eventually, type TestClient } from './endpoint.ts';

/** What a batch says before its first effect is kept free: see the writer. */
const BATCH_BYTES_MAX = 4096 + 4000;
const REPLY_BYTES_MAX = 2_000_000;
const LONG = 'x'.repeat(1500);

let endpoint: Endpoint;
let client: TestClient;

beforeEach(async () => {
  const database = new Database({
    instance: 1,
    generation: 1_764_000_000,
    random: seededRandom(1),
    segmentBytes: 1 << 20,
    limits: { batchBytesMax: BATCH_BYTES_MAX },
  });
  database.setTime(START_MS);
  endpoint = await Endpoint.start({ database, replyBytesMax: REPLY_BYTES_MAX });
  client = await endpoint.connect();
  await client.ask('set target old');
  for (const i of [1, 2, 3, 4]) {
    await client.ask(`sadd set${i % 2} ${i}${LONG}`);
    await client.ask(`sadd all ${i}${LONG}`);
    await client.ask(`hset hash f${i} ${LONG}`);
    await client.ask(`set string${i} ${LONG}`);
    if (i <= 2) await client.ask(`append long ${LONG}`);
  }
  await client.ask(`sadd one ${'y'.repeat(2000)}`);
});

afterEach(() => endpoint.stop());

const state = (): string =>
  `${endpoint.database.vector.get(endpoint.database.self.index)} ${endpoint.database.digest()}`;
const REFUSED = /^-ERR '[a-z]+' is refused: \d+ more bytes would make the batch larger than the 8096 bytes/;

const TOO_LARGE = [
  `mset target ${LONG} b ${LONG} c ${LONG}`,
  `msetnx new1 ${LONG} new2 ${LONG} new3 ${LONG}`,
  `hset hash f1 ${LONG} f2 ${LONG} f3 ${LONG}`,
  `hmset new f1 ${LONG} f2 ${LONG} f3 ${LONG}`,
  `hsetex hash fields 3 f1 ${LONG} f2 ${LONG} f3 ${LONG}`,
  `sadd one ${LONG}1 ${LONG}2 ${LONG}3`,
  `srem all 1${LONG} 2${LONG} 3${LONG}`,
  `del target b${LONG} c${LONG} d${LONG}`,
  'sunionstore target set0 set1',
  'sinterstore target all all',
  'spop all 4',
  'smove one set0 ' + 'y'.repeat(2000),
  'copy hash target replace',
  'copy all new',
  'rename hash target',
];

/** Of one effect each: of its size nothing can be written in the first place. */
const TOO_LARGE_AFTERWARDS = [
  'rename long target',
  'append long x',
  'setrange long 1 x',
  'setbit long 0 1',
  'bitop not target long',
  'copy long target replace',
];

describe('A command that would make its batch too large', () => {
  it.each(TOO_LARGE)('is refused before anything changes: %.40s', async (line) => {
    const before = state();
    expect(await client.ask(line)).toMatch(REFUSED);
    expect(state()).toBe(before);
    expect(await client.ask('set target new')).toBe('OK');
  });

  it.each(TOO_LARGE)('is refused within a transaction, whose other commands are one batch: %.40s', async (line) => {
    for (const each of ['multi', 'set a 1', line, 'set b 2']) await client.ask(each);
    const seq = endpoint.database.vector.get(endpoint.database.self.index);
    expect(await client.ask('exec')).toEqual(['OK', expect.stringMatching(REFUSED), 'OK']);
    expect(endpoint.database.vector.get(endpoint.database.self.index)).toBe(seq + 1);
    expect(await client.ask('get target')).toBe('old');
    expect(await client.ask('scard all')).toBe(4);
  });

  it.each(TOO_LARGE_AFTERWARDS)(
    'is refused where the rest of the transaction has left too little room: %.40s',
    async (line) => {
      for (const each of ['multi', `set a ${LONG}`, line, 'set b 2']) await client.ask(each);
      expect(await client.ask('exec')).toEqual(['OK', expect.stringMatching(REFUSED), 'OK']);
      expect(await client.ask('get target')).toBe('old');
      expect(await client.ask('strlen long')).toBe(3000);
    },
  );

  it('is refused where the transaction before it has left no room', async () => {
    for (const each of ['multi', `set a ${LONG}`, `set b ${LONG}`, `mset c ${LONG} d ${LONG}`, 'set e 1'])
      await client.ask(each);
    expect(await client.ask('exec')).toEqual(['OK', 'OK', expect.stringMatching(REFUSED), 'OK']);
    expect(await client.ask('exists a b c d e')).toBe(3);
  });
});

describe('Replies that come to more than may be put together for one client', () => {
  it('cost that client its connection and nobody else, and what was asked is done', async () => {
    const other = await endpoint.connect();
    const gets = 'get long\r\n'.repeat(800);
    client.send(`multi\r\n${gets}set done 1\r\nexec\r\nset never 1`);
    other.send('get target');
    await client.closed();
    expect(await other.next()).toBe('old');
    await eventually(() => endpoint.logLines.length > 0, 'the log says it');
    expect(endpoint.logLines[0]).toMatch(/client \d+ closed: its replies came to more than/);
    expect(await other.ask('mget done never')).toEqual(['1', null]);
  });

  it('may follow each other, if each of them is small enough', async () => {
    client.send('get long\r\n'.repeat(1000));
    for (let i = 0; i < 1000; i++) expect(String(await client.next())).toHaveLength(3000);
  });
});
