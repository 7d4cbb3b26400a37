import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Endpoint, eventually, type TestClient } from './endpoint.ts';

let endpoint: Endpoint;
let client: TestClient;
let other: TestClient;

beforeEach(async () => {
  endpoint = await Endpoint.start();
  client = await endpoint.connect();
  other = await endpoint.connect();
});

afterEach(() => endpoint.stop());

/** Sends the lines and compares the replies. */
async function talk(...pairs: readonly (readonly [line: string, reply: unknown])[]): Promise<void> {
  for (const [line, reply] of pairs) expect({ line, reply: await client.ask(line) }).toEqual({ line, reply });
}

const seq = (): number => endpoint.database.vector.get(endpoint.database.self.index);

describe('A transaction', () => {
  it('runs its commands in one batch', async () => {
    const before = seq();
    await talk(['multi', 'OK'], ['set a 1', 'QUEUED'], ['incr a', 'QUEUED'], ['get a', 'QUEUED']);
    expect(await other.ask('get a')).toBeNull();
    await talk(['exec', ['OK', 2, '2']]);
    expect(seq()).toBe(before + 1);
  });

  it('that could not be queued is refused as a whole', async () => {
    await talk(
      ['multi', 'OK'],
      ['set a 1', 'QUEUED'],
      ['get', "-ERR wrong number of arguments for 'get' command"],
      ['exec', '-EXECABORT Transaction discarded because of previous errors.'],
      ['get a', null],
      ['exec', '-ERR EXEC without MULTI'],
    );
  });

  it('goes on after a command that fails', async () => {
    await talk(
      ['set a x', 'OK'],
      ['multi', 'OK'],
      ['incr a', 'QUEUED'],
      ['set b 1', 'QUEUED'],
      ['exec', ['-ERR value is not an integer or out of range', 'OK']],
    );
  });

  it('goes on after a command that has a bug, still as one batch', async () => {
    await talk(['multi', 'OK'], ['set a 1', 'QUEUED'], ['strlen a', 'QUEUED'], ['set b 2', 'QUEUED']);
    const { database } = endpoint;
    const original = database.lookup.bind(database);
    database.lookup = () => {
      throw new TypeError('a bug');
    };
    const before = seq();
    expect(await client.ask('exec')).toEqual([
      'OK',
      "-ERR internal error in 'strlen'; the instance's log has the details",
      'OK',
    ]);
    database.lookup = original;
    expect(seq()).toBe(before + 1);
  });

  it('can be discarded, and not nested', async () => {
    await talk(
      ['multi', 'OK'],
      ['multi', '-ERR MULTI calls can not be nested'],
      ['watch a', '-ERR WATCH inside MULTI is not allowed'],
      ['set a 1', 'QUEUED'],
      ['discard', 'OK'],
      ['get a', null],
      ['discard', '-ERR DISCARD without MULTI'],
    );
  });

  it('does nothing when a watched key changed', async () => {
    await talk(['watch a b', 'OK']);
    await other.ask('set b 1');
    await talk(['multi', 'OK'], ['set c 1', 'QUEUED'], ['exec', null], ['get c', null]);
    await talk(['multi', 'OK'], ['set c 1', 'QUEUED'], ['exec', ['OK']]);
  });

  it('does not mind writes that change nothing', async () => {
    await talk(['sadd s m', 1], ['watch s', 'OK']);
    expect(await other.ask('sadd s m')).toBe(0);
    await talk(['multi', 'OK'], ['ping', 'QUEUED'], ['exec', ['PONG']], ['watch s', 'OK']);
    expect(await other.ask('sadd s n')).toBe(1);
    await talk(['multi', 'OK'], ['ping', 'QUEUED'], ['exec', null]);
  });

  it('does not mind keys that are no longer watched', async () => {
    await talk(['watch a', 'OK'], ['unwatch', 'OK']);
    await other.ask('set a 1');
    await talk(['multi', 'OK'], ['ping', 'QUEUED'], ['exec', ['PONG']]);
    expect(endpoint.database.watches.size).toBe(0);
  });

  it('does nothing when a watched key has run out of time', async () => {
    await talk(['set a 1 px 500', 'OK'], ['watch a', 'OK'], ['multi', 'OK'], ['ping', 'QUEUED']);
    const until = Date.now() + 505;
    await eventually(() => Date.now() > until, 'the time to live is over');
    await talk(['exec', null]);
  });

  it('does not mind that a key is removed whose time was over when it was watched', async () => {
    await talk(['set a 1 px 30', 'OK']);
    const until = Date.now() + 35;
    await eventually(() => Date.now() > until, 'the time to live is over');
    await talk(['watch a', 'OK']);
    expect(await other.ask('persist a')).toBe(0);
    expect(endpoint.database.keyCount).toBe(0);
    await talk(['multi', 'OK'], ['ping', 'QUEUED'], ['exec', ['PONG']]);
  });

  it('does nothing when a key that had run out of time before it was watched is there again', async () => {
    await talk(['set a 1 px 30', 'OK']);
    const until = Date.now() + 35;
    await eventually(() => Date.now() > until, 'the time to live is over');
    await talk(['watch a', 'OK']);
    await other.ask('set a 2');
    await talk(['multi', 'OK'], ['ping', 'QUEUED'], ['exec', null]);
  });

  it('never blocks', async () => {
    await talk(['multi', 'OK'], ['wait 1 0', 'QUEUED'], ['ping', 'QUEUED'], ['exec', [0, 'PONG']]);
  });

  it('is refused when memory is full and it would need some', async () => {
    await talk(['multi', 'OK'], ['set a 1', 'QUEUED'], ['get a', 'QUEUED']);
    endpoint.database.memoryBytesMax = 1;
    await talk([
      'exec',
      "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
    ]);
    await talk(['multi', 'OK'], ['get a', 'QUEUED'], ['exec', [null]]);
    await talk(['set a 1', "-OOM command not allowed when used memory > 'maxmemory'."]);
  });

  it('ends with its connection', async () => {
    await talk(['watch a', 'OK'], ['multi', 'OK'], ['set a 1', 'QUEUED']);
    client.socket.destroy();
    await eventually(() => endpoint.database.watches.size === 0, 'the watch is gone');
    expect(await other.ask('get a')).toBeNull();
  });
});
