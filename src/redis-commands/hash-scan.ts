/** Commands that choose or walk through fields of a hash: HRANDFIELD, HSCAN. */
import { matchGlob } from '../base/glob.ts';
import { uniformBelow } from '../base/uniform.ts';
import type { Keyspace } from '../database/keyspace.ts';
import { countVisibleFields } from '../database/visible-fields.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { Reply } from '../resp/reply.ts';
import { chooseDistinct, scanEntries, shuffleFirst } from './choose.ts';
import { readHash, REFUSED, replyName, replyValue, visibleFields } from './hash-access.ts';
import { RANDOM_REPETITIONS_MAX } from './limits.ts';
import { parseScanOptionsOrReply, readCursorOrReply } from './parse-scan.ts';
import { readCountOrReply } from './set-scan.ts';
import { ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { OUT_OF_RANGE, SYNTAX_ERROR } from './texts.ts';

/** So many fields with their values can no longer be counted in a signed 64-bit integer. */
const PAIRS_MAX = 2 ** 62;

function hrandfield(call: Call): void {
  const { args, reply } = call;
  const count = args.count > 2 ? readCountOrReply(call, 2) : 1;
  if (Number.isNaN(count)) return;
  const withValues = args.count === 4 && args.isWord(3, 'WITHVALUES');
  if (args.count > 4 || (args.count === 4 && !withValues)) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  if (withValues && count >= PAIRS_MAX) {
    reply.error(OUT_OF_RANGE);
    return;
  }
  const hash = readHash(call);
  if (hash === REFUSED) return;
  const { keyspace } = call.database;
  const chosen = hash === 0 ? [] : chooseFields(call, hash, count);
  if (args.count > 2) {
    reply.array(withValues && reply.protocol === 2 ? 2 * chosen.length : chosen.length);
    for (const field of chosen) replyField(keyspace, reply, field, withValues);
  } else if (chosen.length === 0) {
    reply.nil();
  } else {
    replyName(keyspace, reply, chosen[0]!);
  }
}

/** Fields of a hash at random, none twice; as many as that, with repetitions, when the count is negative. */
function chooseFields(call: Call, hash: number, count: number): readonly number[] {
  const { keyspace, random } = call.database;
  const { containers } = keyspace;
  const { fields } = containers;
  const map = containers.map(hash);
  // Where records hide, they are left out first: drawing until a visible one comes up might take long.
  const hides = fields.count(map) !== countVisibleFields(keyspace, hash);
  const listed = hides ? visibleFields(keyspace, hash) : null;
  if (listed?.length === 0) return listed;
  if (count >= 0) {
    return listed === null ? chooseDistinct(fields, map, count, random) : shuffleFirst(listed, count, random);
  }
  const chosen: number[] = [];
  while (chosen.length < -count) {
    chosen.push(listed === null ? fields.random(map, random) : listed[uniformBelow(listed.length, random)]!);
  }
  return chosen;
}

function replyField(keyspace: Keyspace, reply: Reply, field: number, withValue: boolean): void {
  if (withValue && reply.protocol !== 2) reply.array(2);
  replyName(keyspace, reply, field);
  if (withValue) replyValue(keyspace, reply, field);
}

function hscan(call: Call): void {
  const { database, reply } = call;
  const start = readCursorOrReply(call, 2);
  if (start === null) return;
  const hash = readHash(call);
  if (hash === REFUSED) return;
  const options = hash === 0 ? null : parseScanOptionsOrReply(call, 3, false, true);
  if (hash !== 0 && options === null) return;
  const { keyspace } = database;
  const { containers } = keyspace;
  const found: number[] = [];
  let cursor = 0;
  if (options !== null) {
    const { count, pattern } = options;
    const visit = (field: number): void => {
      if (!keyspace.isFieldVisible(field)) return;
      const bytes = keyspace.arena.bytes[field >>> SEGMENT_SHIFT]!;
      const at = containers.nameOffset(field);
      if (pattern === null || matchGlob(pattern, bytes, at, containers.nameLength(field))) found.push(field);
    };
    cursor = scanEntries(containers.fields, containers.map(hash), start, count, visit);
  }
  const withValues = options === null || !options.noValues;
  reply.array(2);
  reply.text(String(cursor >>> 0));
  reply.array(withValues ? 2 * found.length : found.length);
  for (const field of found) {
    replyName(keyspace, reply, field);
    if (withValues) replyValue(keyspace, reply, field);
  }
}

export const HASH_SCAN_COMMANDS = [
  {
    name: 'HRANDFIELD',
    summary: 'Fields chosen at random; with a negative count the same one may come again.',
    group: 'hash',
    since: '6.2.0',
    arity: -2,
    flags: ['readonly'],
    keys: ONE_KEY,
    deviation: `A negative count repeats fields up to ${RANDOM_REPETITIONS_MAX} times.`,
    run: hrandfield,
  },
  {
    name: 'HSCAN',
    summary: 'Some fields of a hash, and where to go on.',
    group: 'hash',
    since: '2.8.0',
    arity: -3,
    flags: ['readonly'],
    keys: ONE_KEY,
    run: hscan,
  },
] as const satisfies readonly CommandSpec[];
