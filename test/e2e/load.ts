/**
 * Writers that know what was promised to them: every acknowledged write is remembered, every unacknowledged one may or may not have
 * happened. They connect anew after a lost connection and never send the same write twice.
 */
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
  /** Numbers of the writes that were acknowledged: members, keys and fields of that number exist then. */
  readonly numbers: number[];
}

export function newLedger(cluster: number): Ledger {
  return { cluster, sent: 0, acknowledged: 0, increments: { acknowledged: 0, sent: 0 }, numbers: [] };
}

/** Writes `count` more times to the ledger's side. `onReply` is called in the middle of a pipeline, so it may kill something there. */
export async function writeLoad(
  database: LiveDatabase,
  ledger: Ledger,
  count: number,
  onReply: () => void = () => {},
): Promise<void> {
  const until = ledger.sent + count;
  let wire: Wire | null = null;
  while (ledger.sent < until) {
    const first = ledger.sent;
    const requests = Array.from({ length: Math.min(PIPELINE_REQUESTS, until - first) }, (_, i) =>
      request(ledger.cluster, first + i),
    );
    wire ??= await database.connect(ledger.cluster);
    ledger.sent += requests.length;
    ledger.increments.sent += requests.filter(isIncrement).length;
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

const isIncrement = (words: readonly Word[]): boolean => words[0] === 'INCR';

/** Every write is of one kind by its number, and unique. */
function request(cluster: number, number: number): Word[] {
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
  if (isIncrement(words)) ledger.increments.acknowledged++;
  else ledger.numbers.push(number);
}

/** What is on the instance of these ledgers' writes. */
export interface Found {
  /** Acknowledged writes that are not there, as they were sent. */
  readonly missing: string[];
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
    const missing: string[] = [];
    const counters: number[] = [];
    for (const ledger of ledgers) {
      counters.push(Number(await wire.ask('GET', `count:${ledger.cluster}`)));
      const numbers = ledger.numbers.filter((number) => {
        const id = `${ledger.cluster}:${number}`;
        if (number % 4 === 1 && !members.has(id)) missing.push(`SADD ${id}`);
        if (number % 4 === 2 && !fields.has(id)) missing.push(`HSET ${id}`);
        return number % 4 === 3;
      });
      const gets = numbers.map((number) => ['GET', `key:${ledger.cluster}:${number}`]);
      await wire.pipeline(gets, (reply, i) => {
        if (reply !== `${numbers[i]}`) missing.push(`SET ${ledger.cluster}:${numbers[i]}`);
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
      const some = [...missing.slice(0, 3), '...', ...missing.slice(-3)].join(', ');
      throw new Error(`cluster ${cluster} lacks ${missing.length} acknowledged writes: ${some}`);
    }
    for (const [i, { increments }] of ledgers.entries()) {
      const counter = counters[i]!;
      if (counter < increments.acknowledged || counter > increments.sent)
        throw new Error(`counter ${i} on cluster ${cluster} is ${counter}, not ${JSON.stringify(increments)}`);
    }
  }
}
