/**
 * The largest things there are, written and removed while a snapshot is being written, while a full sync and while a partial sync is under way: carried to the
 * other instance, and still there after kill -9 of both.
 */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { LiveDatabase } from '../e2e/live-database.ts';
import type { Reply, Wire, Word } from '../e2e/wire.ts';
import { eventually } from '../node/nodes.ts';
import { WaitingClients } from './waiting-clients.ts';

jest.setTimeout(600_000);

const VALUE_BYTES = 512 * 1024 * 1024;
const ELEMENTS = 1_000_000;
/** Beside them, so that snapshots and full syncs take seconds. */
const KEYS = 600_000;
const PIPELINE = 1_000;
const CHURN_BYTES = 1024 * 1024;

const lines = (prefix: string, count: number, per: (i: number) => Word[]): Word[][] =>
  Array.from({ length: count / PIPELINE }, (_, batch) => [
    ...prefix.split(' '),
    ...Array.from({ length: PIPELINE }, (_, i) => per(batch * PIPELINE + i)).flat(),
  ]);

async function send(wire: Wire, requests: readonly Word[][]): Promise<void> {
  for (let i = 0; i < requests.length; i += 20)
    await wire.pipeline(requests.slice(i, i + 20), (reply) => {
      if (typeof reply === 'string' && reply.startsWith('-')) throw new Error(reply);
    });
}

interface Thing {
  readonly name: string;
  readonly write: (wire: Wire) => Promise<unknown>;
  /** What it looks like when it is there, and when not. */
  readonly look: readonly Word[];
  readonly there: Reply;
  readonly gone: Reply;
  readonly remove: readonly Word[];
}

const THINGS: readonly Thing[] = [
  {
    name: 'a value of 512 MB',
    write: (wire) => wire.ask('SET', 'value', Buffer.alloc(VALUE_BYTES, 'v')),
    look: ['STRLEN', 'value'],
    there: VALUE_BYTES,
    gone: 0,
    remove: ['DEL', 'value'],
  },
  {
    name: 'a hash of 1 M fields',
    write: (wire) =>
      send(
        wire,
        lines('HSET hash', ELEMENTS, (i) => [`field:${i}`, `value ${i}`]),
      ),
    look: ['HLEN', 'hash'],
    there: ELEMENTS,
    gone: 0,
    remove: ['DEL', 'hash'],
  },
  {
    name: 'a set of 1 M members',
    write: (wire) =>
      send(
        wire,
        lines('SADD set', ELEMENTS, (i) => [`member:${i}`]),
      ),
    look: ['SCARD', 'set'],
    there: ELEMENTS,
    gone: 0,
    remove: ['FLUSHALL'],
  },
];

describe('the largest things', () => {
  let database: LiveDatabase;
  let clients: WaitingClients;
  const results: string[] = [];

  beforeAll(async () => {
    database = await LiveDatabase.create();
    clients = new WaitingClients(database);
  });
  afterAll(async () => {
    await clients.stop();
    process.stdout.write(`${results.join('\n')}\n`);
    await database.cleanUp();
  });

  const fill = async (): Promise<void> => {
    const wire = await database.connect(0);
    await send(
      wire,
      lines('MSET', KEYS, (i) => [`key:${i}`, `value ${i} of thirty-two bytes ......`]),
    );
    wire.close();
    await database.converged();
  };

  /** The first instance is writing a snapshot. */
  const duringSnapshot = async (): Promise<void> => {
    const { dataDirectory } = database.config(0);
    const wire = await database.connect(0);
    const value = Buffer.alloc(CHURN_BYTES, 'c');
    const before = new Set(readdirSync(dataDirectory));
    const isWriting = (): boolean =>
      readdirSync(dataDirectory).some((name) => /^snapshot-/.test(name) && !before.has(name));
    while (!isWriting()) await wire.ask('SET', 'churn', value);
    wire.close();
  };

  /** The second instance pulls everything from the first. */
  const duringFullSync = async (): Promise<void> => {
    void database.home.run(['sync', 'resync', 'orders', '--instance', '2', '--from', '1', '--full', '--yes']);
    await eventually(
      'a full sync is under way',
      async () => (await database.status(1)).links[0]!.state === 'full-sync',
    );
  };

  /** The second instance pulls what it has missed. */
  const duringPartialSync = async (): Promise<void> => {
    await database.changeSync('pause', 1);
    const wire = await database.connect(0);
    await send(
      wire,
      lines('MSET', KEYS / 2, (i) => [`key:${i}`, `a changed value ${i} of some bytes ....`]),
    );
    wire.close();
    void database.changeSync('resume', 1);
    await eventually('the link is up again', async () => (await database.status(1)).links[0]!.state !== 'paused');
  };

  const looks = async (cluster: number, { look }: Thing): Promise<Reply> => {
    const wire = await database.connect(cluster);
    try {
      return await wire.ask(...look);
    } finally {
      wire.close();
    }
  };

  const both = (thing: Thing): Promise<Reply[]> => Promise.all([looks(0, thing), looks(1, thing)]);

  describe.each([
    ['a snapshot', duringSnapshot],
    ['a full sync', duringFullSync],
    ['a partial sync', duringPartialSync],
  ] as const)('during %s', (occasion, arrange) => {
    it.each(THINGS)('$name', async (thing) => {
      await fill();
      const step = async (name: string, act: (wire: Wire) => Promise<unknown>, expected: Reply): Promise<void> => {
        await arrange();
        clients.take();
        const wire = await database.connect(0);
        const start = performance.now();
        await act(wire);
        const tookMs = Math.round(performance.now() - start);
        wire.close();
        await database.converged();
        results.push(
          `${occasion}, ${thing.name}, ${name}: ${tookMs} ms; longest wait ${clients.take().join(' and ')} ms`,
        );
        expect(await both(thing)).toEqual([expected, expected]);
      };
      await step('written', (wire) => thing.write(wire), thing.there);
      await step('removed', (wire) => wire.ask(...thing.remove), thing.gone);
      await step('written again', (wire) => thing.write(wire), thing.there);
      await clients.stop();
      for (const cluster of [0, 1]) await database.killInstance(cluster);
      await database.converged();
      expect(await both(thing)).toEqual([thing.there, thing.there]);
      clients = new WaitingClients(database);
      await database.ask(0, ...(thing.remove as string[]));
      await database.converged();
    });
  });
});
