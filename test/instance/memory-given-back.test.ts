/** Whatever commands and maintenance have looked at: once it is flushed, nothing keeps its memory. */
import { describe, expect, it } from '@jest/globals';
import { collectGarbage } from '../../src/host/collect-garbage.ts';
import { Housekeeping } from '../../src/instance/housekeeping.ts';
import * as limits from '../../src/instance/limits.ts';
import type { CommandSpec } from '../../src/redis-commands/spec.ts';
import { takeSnapshot } from '../database/laws/state.ts';
import { Client } from '../redis-commands/harness.ts';
import { HASH_AND_SET_COMMANDS } from '../redis-commands/hash-and-set-commands.ts';
import { STRING_AND_KEY_COMMANDS } from '../redis-commands/string-and-key-commands.ts';
import { eventually } from '../server/endpoint.ts';
import { ManualClock } from '../storage/fixture.ts';

const COMMANDS = [...STRING_AND_KEY_COMMANDS, ...HASH_AND_SET_COMMANDS];
/** Key, then what a command may want; three of each type, far from each other, so that every place that looks at data may be left in a segment of its own. */
const PLACES = 12;
const KEYS = ['string', 'number', 'hash', 'set'];
const FILLING_BYTES = 400_000;

function fill(client: Client): void {
  for (let i = 0; i < PLACES; i++) {
    client.run('SET', `string${i}`, 'some words');
    client.run('SET', `number${i}`, '17');
    client.run('HSET', `hash${i}`, 'field', 'value', '1', '2');
    client.run('SADD', `set${i}`, 'field', '1', 'member');
    client.run('SET', `filling${i}`, Buffer.alloc(FILLING_BYTES, 'x'));
    client.run('HSET', `filled-hash${i}`, 'field', Buffer.alloc(FILLING_BYTES, 'x'));
  }
}

/** Every command, with 1 to 4 words after its key: most are understood, and all look at the key. */
function touchAll(client: Client, { name }: CommandSpec): void {
  if (name === 'FLUSHALL' || name === 'FLUSHDB') return;
  const i = COMMANDS.findIndex((spec) => spec.name === name) % PLACES;
  for (const key of [...KEYS, 'filling', 'filled-hash'])
    for (const rest of [
      [],
      ['field'],
      ['1'],
      ['field', '1'],
      ['0', '1'],
      ['1', '2', 'field'],
      ['field', '1', '1', '2'],
    ])
      client.run(name, `${key}${i}`, ...rest);
}

describe('The memory of a flushed instance', () => {
  it('is held by nothing that looked at it', async () => {
    const client = new Client(COMMANDS);
    const { database } = client;
    const { arena } = database.keyspace;
    const clock = new ManualClock();
    const housekeeping = new Housekeeping({
      clock,
      database,
      log: { writtenPosition: 0, wake: () => undefined },
      mayExpireFor: () => true,
      stability: () => ({ covers: () => true, isFinal: () => true }),
      collectGarbage,
    });
    for (const spec of COMMANDS) {
      fill(client);
      touchAll(client, spec);
    }
    fill(client);
    takeSnapshot(database);
    database.digest();
    const fullBytes = arena.usedBytes;
    expect(fullBytes).toBeGreaterThan(PLACES * FILLING_BYTES);
    client.run('FLUSHALL');
    database.settle();
    housekeeping.start();
    await eventually(
      () => {
        void clock.pass(limits.HOUSEKEEPING_PERIOD_MS);
        return arena.droppedBytes === 0 && arena.usedBytes < fullBytes / 10;
      },
      () => `the segments are collected: ${arena.droppedBytes} dropped, ${arena.usedBytes} of ${fullBytes} used`,
    );
    housekeeping.stop();
  });
});
