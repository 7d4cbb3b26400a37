/**
 * Walking the keyspace: SCAN, KEYS, RANDOMKEY. Keys that have expired but are not removed yet are skipped.
 *
 * SCAN gives Redis's guarantee, through the byte map's cursor: a key that is there from the first call to the last is returned at least once.
 */
import { matchGlob } from '../base/glob.ts';
import { uniformBelow } from '../base/uniform.ts';
import type { Database } from '../database/database.ts';
import type { Keyspace } from '../database/keyspace.ts';
import { TYPE_NAMES } from '../database/key-ref.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { Reply } from '../resp/reply.ts';
import { isVisible } from './key-access.ts';
import { RANDOM_TRIES_MAX, SCAN_BUCKETS_PER_KEY } from './limits.ts';
import { parseScanOptionsOrReply, readCursorOrReply } from './parse-scan.ts';
import { NO_KEYS, type Call, type CommandSpec } from './spec.ts';

function scan(call: Call): void {
  const { database, reply } = call;
  let cursor = readCursorOrReply(call, 1);
  if (cursor === null) return;
  const options = parseScanOptionsOrReply(call, 2, true);
  if (options === null) return;
  const { keyspace } = database;
  const { count, pattern, type } = options;
  let steps = count * SCAN_BUCKETS_PER_KEY;
  let seen = 0;
  const found: number[] = [];
  const visit = (record: number): void => {
    seen++;
    if (!isVisible(keyspace, record) || (pattern !== null && !nameMatches(keyspace, record, pattern))) return;
    if (type === null || TYPE_NAMES[keyspace.typeOf(record)] === type) found.push(record);
  };
  do cursor = keyspace.scan(cursor, visit);
  while (cursor !== 0 && --steps > 0 && seen < count);
  reply.array(2);
  reply.text(String(cursor));
  reply.array(found.length);
  for (const record of found) replyName(keyspace, reply, record);
}

function keys({ args, database, reply }: Call): void {
  const { keyspace } = database;
  const pattern = args.view(1);
  const found: number[] = [];
  eachVisible(keyspace, (record) => {
    if (nameMatches(keyspace, record, pattern)) found.push(record);
  });
  reply.array(found.length);
  for (const record of found) replyName(keyspace, reply, record);
}

function randomkey({ database, reply }: Call): void {
  const record = randomVisible(database);
  if (record === 0) reply.nil();
  else replyName(database.keyspace, reply, record);
}

/** 0: there is none. */
function randomVisible(database: Database): number {
  const { keyspace, random } = database;
  if (database.keyCount === 0) return 0;
  for (let i = 0; i < RANDOM_TRIES_MAX; i++) {
    const record = keyspace.stages.keys.random(random);
    if (record !== 0 && isVisible(keyspace, record)) return record;
  }
  // Nearly all that was met is hidden: whoever looks at all keys chooses among the visible ones (a reservoir of one).
  let chosen = 0;
  let seen = 0;
  eachVisible(keyspace, (record) => {
    if (uniformBelow(++seen, random) === 0) chosen = record;
  });
  return chosen;
}

function eachVisible(keyspace: Keyspace, visit: (record: number) => void): void {
  let cursor = 0;
  do {
    cursor = keyspace.scan(cursor, (record) => {
      if (isVisible(keyspace, record)) visit(record);
    });
  } while (cursor !== 0);
}

function nameMatches({ arena, containers }: Keyspace, record: number, pattern: Uint8Array): boolean {
  const bytes = arena.bytes[record >>> SEGMENT_SHIFT]!;
  return matchGlob(pattern, bytes, containers.nameOffset(record), containers.nameLength(record));
}

function replyName({ arena, containers }: Keyspace, reply: Reply, record: number): void {
  reply.bulk(arena.bytes[record >>> SEGMENT_SHIFT]!, containers.nameOffset(record), containers.nameLength(record));
}

export const SCAN_COMMANDS = [
  {
    name: 'SCAN',
    summary: 'Walks the keys in steps.',
    group: 'generic',
    since: '2.8.0',
    arity: -2,
    flags: ['readonly'],
    keys: NO_KEYS,
    run: scan,
  },
  {
    name: 'KEYS',
    summary: 'Returns all keys that match a pattern.',
    group: 'generic',
    since: '1.0.0',
    arity: 2,
    flags: ['readonly'],
    keys: NO_KEYS,
    run: keys,
  },
  {
    name: 'RANDOMKEY',
    summary: 'Returns a key chosen at random.',
    group: 'generic',
    since: '1.0.0',
    arity: 1,
    flags: ['readonly'],
    keys: NO_KEYS,
    run: randomkey,
  },
] as const satisfies readonly CommandSpec[];
