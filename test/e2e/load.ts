/**
 * Writers that know what was promised to them: every acknowledged write is remembered, every unacknowledged one may or may not have
 * happened. They connect anew after a lost connection and never send the same write twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveDatabase } from './live-database.ts';
import type { Reply, Wire, Word } from './wire.ts';

const PIPELINE_REQUESTS = 1000;
const SETS = 7;

/** What one side was promised. */
export interface Ledger {
  readonly cluster: number;
  sent: number;
  acknowledged: number;
  /** Increments that were acknowledged, and those that were sent. */
  increments: { acknowledged: number; sent: number };
  /** The writes that were acknowledged, by number, and when: members, keys and fields of that number exist then. */
  readonly acks: Ack[];
}

interface Ack {
  readonly number: number;
  /** Wall clock. */
  readonly atMs: number;
}

export function newLedger(cluster: number): Ledger {
  return { cluster, sent: 0, acknowledged: 0, increments: { acknowledged: 0, sent: 0 }, acks: [] };
}

/**
 * Writes `count` more times to the ledger's side, with a pause between pipelines. `onReply` is called in the middle of a pipeline, so it may kill
 * something there.
 */
export async function writeLoad(
  database: LiveDatabase,
  ledger: Ledger,
  count: number,
  { onReply = () => {}, pauseMs = 0 }: { onReply?: () => void; pauseMs?: number } = {},
): Promise<void> {
  const until = ledger.sent + count;
  let wire: Wire | null = null;
  while (ledger.sent < until) {
    const first = ledger.sent;
    const requests = Array.from({ length: Math.min(PIPELINE_REQUESTS, until - first) }, (_, i) =>
      writeOf(ledger.cluster, first + i),
    );
    if (pauseMs > 0) await sleep(pauseMs);
    wire ??= await database.connect(ledger.cluster);
    ledger.sent += requests.length;
    ledger.increments.sent += requests.filter((_, i) => isIncrement(first + i)).length;
    try {
      await wire.pipeline(requests, (reply, i) => {
        note(ledger, requests[i]!, first + i, reply);
        onReply();
      });
    } catch (error) {
      if (!wire.isClosed) throw error;
      wire.close();
      wire = null;
    }
  }
  wire?.close();
}

/** What a write does follows from its number. */
const isIncrement = (number: number): boolean => number % 4 === 0;

/** Every write is of one kind by its number, and unique. */
export function writeOf(cluster: number, number: number): Word[] {
  const id = `${cluster}:${number}`;
  switch (number % 4) {
    case 0:
      return ['INCR', `count:${cluster}`];
    case 1:
      return ['SADD', `set:${number % SETS}`, id];
    case 2:
      return ['HSET', `hash:${number % SETS}`, id, number];
    default:
      return ['SET', `key:${id}`, number];
  }
}

function note(ledger: Ledger, words: readonly Word[], number: number, reply: Reply): void {
  if (typeof reply === 'string' && reply.startsWith('-')) throw new Error(`${words.join(' ')}: ${reply}`);
  ledger.acknowledged++;
  ledger.acks.push({ number, atMs: Date.now() });
  if (isIncrement(number)) ledger.increments.acknowledged++;
}

export interface MissingWrite {
  readonly cluster: number;
  /** As it was sent. */
  readonly write: string;
  readonly acknowledgedAtMs: number;
}

/** What is on the instance of these ledgers' writes. */
export interface Found {
  /** Acknowledged writes that are not there, increments left aside. */
  readonly missing: MissingWrite[];
  readonly counters: readonly number[];
}

export async function findWrites(database: LiveDatabase, cluster: number, ledgers: readonly Ledger[]): Promise<Found> {
  const wire = await database.connect(cluster);
  try {
    const names = Array.from({ length: SETS }, (_, i) => i);
    const members = new Set<Reply>();
    for (const i of names)
      for (const member of (await wire.ask('SMEMBERS', `set:${i}`)) as Reply[]) members.add(member);
    const fields = new Set<Reply>();
    for (const i of names) for (const field of (await wire.ask('HKEYS', `hash:${i}`)) as Reply[]) fields.add(field);
    const missing: MissingWrite[] = [];
    const counters: number[] = [];
    for (const ledger of ledgers) {
      counters.push(Number(await wire.ask('GET', `count:${ledger.cluster}`)));
      const { cluster } = ledger;
      const miss = (command: string, { number, atMs }: Ack): void =>
        void missing.push({ cluster, write: `${command} ${cluster}:${number}`, acknowledgedAtMs: atMs });
      const sets = ledger.acks.filter((ack) => {
        const id = `${cluster}:${ack.number}`;
        if (ack.number % 4 === 1 && !members.has(id)) miss('SADD', ack);
        if (ack.number % 4 === 2 && !fields.has(id)) miss('HSET', ack);
        return ack.number % 4 === 3;
      });
      const gets = sets.map(({ number }) => ['GET', `key:${cluster}:${number}`]);
      await wire.pipeline(gets, (reply, i) => {
        if (reply !== `${sets[i]!.number}`) miss('SET', sets[i]!);
      });
    }
    return { missing, counters };
  } finally {
    wire.close();
  }
}

/** Throws when anything acknowledged is missing anywhere, or a counter counts what was never sent. */
export async function checkEverythingAcknowledged(database: LiveDatabase, ledgers: readonly Ledger[]): Promise<void> {
  for (const cluster of database.endpoints.keys()) {
    const { missing, counters } = await findWrites(database, cluster, ledgers);
    if (missing.length > 0) {
      const writes = missing.map(({ write }) => write);
      const some = [...writes.slice(0, 3), '...', ...writes.slice(-3)].join(', ');
      throw new Error(`cluster ${cluster} lacks ${missing.length} acknowledged writes: ${some}`);
    }
    for (const [i, { increments }] of ledgers.entries()) {
      const counter = counters[i]!;
      if (counter < increments.acknowledged || counter > increments.sent)
        throw new Error(`counter ${i} on cluster ${cluster} is ${counter}, not ${JSON.stringify(increments)}`);
    }
  }
}
