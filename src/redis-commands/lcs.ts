/**
 * LCS: the longest common subsequence of two strings, by the textbook table of lengths of common subsequences of prefixes
 * (Cormen et al., "Introduction to Algorithms", section 15.4), four bytes for each pair of bytes.
 *
 * Walking back from the end, a tie goes to the shorter second prefix, as in Redis: of several longest ones both return the same.
 */
import type { Database } from '../database/database.ts';
import { TYPE } from '../database/key-ref.ts';
import type { Args } from '../resp/args.ts';
import type { Reply } from '../resp/reply.ts';
import { LCS_TABLE_BYTES_MAX } from './limits.ts';
import { parseInteger } from './parse-number.ts';
import type { Call, CommandSpec } from './spec.ts';
import { VALUE } from './string-access.ts';
import { NOT_AN_INTEGER, SYNTAX_ERROR } from './texts.ts';

interface Options {
  indexes: boolean;
  length: boolean;
  matchLengths: boolean;
  matchLengthMin: number;
}

/** A run of bytes that both strings have: its first byte in each, and how many. */
interface Match {
  readonly a: number;
  readonly b: number;
  readonly length: number;
}

function lcs(call: Call): void {
  const { args, database, reply } = call;
  const a = copyString(database, args, 1);
  const b = copyString(database, args, 2);
  if (a === null || b === null) {
    reply.error('ERR The specified keys must contain string values');
    return;
  }
  const options = readOptionsOrReply(call);
  if (options === null) return;
  if (4 * (a.length + 1) * (b.length + 1) > LCS_TABLE_BYTES_MAX) {
    reply.error('ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len');
    return;
  }
  const table = commonLengths(a, b);
  const length = table[table.length - 1]!;
  if (options.indexes) {
    replyMatches(reply, options, findMatches(table, a, b), length);
  } else if (options.length) {
    reply.integer(length);
  } else {
    const matches = findMatches(table, a, b);
    const result = Buffer.concat(matches.reverse().map((match) => a.subarray(match.a, match.a + match.length)));
    reply.bulk(result, 0, result.length);
  }
}

/** Empty where there is no key; null: it is no string. */
function copyString(database: Database, args: Args, index: number): Buffer | null {
  const key = database.lookup(args, index);
  if (key.type === TYPE.none) return Buffer.alloc(0);
  if (key.type !== TYPE.string) return null;
  const { bytes, start, length } = database.keyspace.readCell(key.record, VALUE);
  return Buffer.from(bytes.subarray(start, start + length));
}

/** Row by row, one row per prefix of a (the empty one first), one column per prefix of b. */
function commonLengths(a: Buffer, b: Buffer): Uint32Array {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    const byte = a[i - 1]!;
    const row = i * width;
    for (let j = 1; j <= b.length; j++) {
      const at = row + j;
      table[at] = byte === b[j - 1] ? table[at - width - 1]! + 1 : Math.max(table[at - width]!, table[at - 1]!);
    }
  }
  return table;
}

/** The runs of one longest common subsequence, the last one first. */
function findMatches(table: Uint32Array, a: Buffer, b: Buffer): Match[] {
  const width = b.length + 1;
  const matches: Match[] = [];
  let i = a.length;
  let j = b.length;
  while (i > 0 && j > 0) {
    let length = 0;
    while (i > 0 && j > 0 && a[i - 1] === b[j - 1]) {
      i--;
      j--;
      length++;
    }
    if (length > 0) matches.push({ a: i, b: j, length });
    else if (table[(i - 1) * width + j]! > table[i * width + j - 1]!) i--;
    else j--;
  }
  return matches;
}

function replyMatches(reply: Reply, options: Options, matches: readonly Match[], total: number): void {
  const shown = matches.filter(({ length }) => length >= options.matchLengthMin);
  reply.map(2);
  reply.text('matches');
  reply.array(shown.length);
  for (const { a, b, length } of shown) {
    reply.array(options.matchLengths ? 3 : 2);
    replyRange(reply, a, length);
    replyRange(reply, b, length);
    if (options.matchLengths) reply.integer(length);
  }
  reply.text('len');
  reply.integer(total);
}

function replyRange(reply: Reply, first: number, length: number): void {
  reply.array(2);
  reply.integer(first);
  reply.integer(first + length - 1);
}

/** null: an error was replied. */
function readOptionsOrReply({ args, reply }: Call): Options | null {
  const options: Options = { indexes: false, length: false, matchLengths: false, matchLengthMin: 0 };
  for (let i = 3; i < args.count; i++) {
    if (args.isWord(i, 'IDX')) options.indexes = true;
    else if (args.isWord(i, 'LEN')) options.length = true;
    else if (args.isWord(i, 'WITHMATCHLEN')) options.matchLengths = true;
    else if (args.isWord(i, 'MINMATCHLEN') && i + 1 < args.count) {
      options.matchLengthMin = parseInteger(args, ++i);
      if (!Number.isNaN(options.matchLengthMin)) continue;
      reply.error(NOT_AN_INTEGER);
      return null;
    } else {
      reply.error(SYNTAX_ERROR);
      return null;
    }
  }
  if (!options.indexes || !options.length) return options;
  reply.error('ERR If you want both the length and indexes, please just use IDX.');
  return null;
}

export const LCS_COMMANDS = [
  {
    name: 'LCS',
    summary: 'Finds the longest common subsequence of two strings.',
    group: 'string',
    since: '7.0.0',
    arity: -3,
    flags: ['readonly'],
    keys: { first: 1, last: 2, step: 1 },
    run: lcs,
  },
] as const satisfies readonly CommandSpec[];
