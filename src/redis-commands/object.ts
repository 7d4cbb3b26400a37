/**
 * OBJECT and MEMORY: how a key is held. Encodings are those that Redis 7.0 would have chosen for the same contents, since clients ask
 * for them; sizes and times are ours.
 */
import { CELL_HLC } from '../crdt/cell-record.ts';
import { readInteger } from '../crdt/exact-number.ts';
import { hlcToMs } from '../crdt/hybrid-clock.ts';
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import type { Keyspace } from '../database/keyspace.ts';
import { SEGMENT_MASK, SEGMENT_SHIFT } from '../memory/arena.ts';
import { MEMORY_SAMPLES } from './limits.ts';
import { memoryUsage } from './memory-usage.ts';
import { parseInteger } from './parse-number.ts';
import { NO_KEYS, type Call, type CommandSpec, type KeySpec } from './spec.ts';
import { VALUE } from './string-access.ts';
import { NOT_AN_INTEGER, SYNTAX_ERROR } from './texts.ts';

const SECOND_ARGUMENT: KeySpec = { first: 2, last: 2, step: 1 };

/** Redis 7.0's defaults for where it changes encodings. */
const EMBEDDED_STRING_BYTES_MAX = 44;
const LISTPACK_ENTRIES_MAX = 512;
const LISTPACK_VALUE_BYTES_MAX = 64;
const INTSET_ENTRIES_MAX = 512;

const NO_LFU =
  'ERR An LFU maxmemory policy is not selected, access frequency not tracked. ' +
  'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.';

function encodingOf(keyspace: Keyspace, key: KeyRef): string {
  if (key.type === TYPE.hash) return hashEncoding(keyspace, key.record);
  if (key.type === TYPE.set) return setEncoding(keyspace, key.record);
  const { bytes, start, length } = keyspace.readCell(key.record, VALUE);
  if (readInteger(bytes, start, length) !== null) return 'int';
  return length <= EMBEDDED_STRING_BYTES_MAX ? 'embstr' : 'raw';
}

function hashEncoding(keyspace: Keyspace, record: number): string {
  const { containers } = keyspace;
  const hash = containers.hash(record);
  if (containers.fieldCount(hash) > LISTPACK_ENTRIES_MAX) return 'hashtable';
  let isSmall = true;
  containers.eachField(hash, (field) => {
    if (!keyspace.isFieldVisible(field)) return;
    const valueLength = keyspace.readCell(field, VALUE).length;
    isSmall &&= Math.max(valueLength, containers.nameLength(field)) <= LISTPACK_VALUE_BYTES_MAX;
  });
  return isSmall ? 'listpack' : 'hashtable';
}

function setEncoding({ arena, containers, elements }: Keyspace, record: number): string {
  const set = containers.set(record);
  if (containers.memberCount(set) > INTSET_ENTRIES_MAX) return 'hashtable';
  let areIntegers = true;
  containers.eachMember(set, (member) => {
    const bytes = arena.bytes[member >>> SEGMENT_SHIFT]!;
    areIntegers &&= readInteger(bytes, elements.keyOffset(member), containers.nameLength(member)) !== null;
  });
  return areIntegers ? 'intset' : 'hashtable';
}

/** Seconds since a string was last set; 0 where only increments or elements were written, whose time is not kept. */
function idleSeconds({ arena, cells, nowMs }: Keyspace, record: number): number {
  if (!cells.hasRegister(record)) return 0;
  const hlc = arena.floats[record >>> SEGMENT_SHIFT]![(record & SEGMENT_MASK) + CELL_HLC]!;
  return Math.max(0, Math.floor((nowMs - hlcToMs(hlc)) / 1000));
}

/** Replies what `answer` says about the key at argument 2, nil where there is none. */
function inspect(call: Call, answer: (keyspace: Keyspace, key: KeyRef) => void): void {
  const key = call.database.lookup(call.args, 2);
  if (key.type === TYPE.none) call.reply.nil();
  else answer(call.database.keyspace, key);
}

function usage(call: Call): void {
  const { args, reply } = call;
  let samples = MEMORY_SAMPLES;
  for (let i = 3; i < args.count; i += 2) {
    if (!args.isWord(i, 'SAMPLES') || i + 1 === args.count) {
      reply.error(SYNTAX_ERROR);
      return;
    }
    samples = parseInteger(args, i + 1);
    if (!(samples >= 0)) {
      reply.error(Number.isNaN(samples) ? NOT_AN_INTEGER : SYNTAX_ERROR);
      return;
    }
  }
  inspect(call, (keyspace, key) => reply.integer(memoryUsage(keyspace, key.record, samples)));
}

export const OBJECT_COMMANDS = [
  {
    name: 'OBJECT',
    summary: 'How a key is held.',
    group: 'generic',
    since: '2.2.3',
    arity: -2,
    flags: [],
    keys: NO_KEYS,
    run: () => {},
    subcommands: [
      {
        name: 'OBJECT ENCODING',
        summary: 'Returns the encoding that Redis would choose for what a key holds.',
        group: 'generic',
        since: '2.2.3',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        deviation: 'Told from the contents, not from how they came about: a short string is embstr even after APPEND.',
        run: (call) => inspect(call, (keyspace, key) => call.reply.text(encodingOf(keyspace, key))),
      },
      {
        name: 'OBJECT FREQ',
        summary: 'Refused: access frequencies are not kept.',
        group: 'generic',
        since: '4.0.0',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        deviation: 'Always the error that Redis gives without an LFU policy.',
        run: (call) => inspect(call, () => call.reply.error(NO_LFU)),
      },
      {
        name: 'OBJECT IDLETIME',
        summary: 'Returns the seconds since a string was last set.',
        group: 'generic',
        since: '2.2.3',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        deviation: 'Access times are not kept: seconds since the last SET of a string, 0 for everything else.',
        run: (call) => inspect(call, (keyspace, key) => call.reply.integer(idleSeconds(keyspace, key.record))),
      },
      {
        name: 'OBJECT REFCOUNT',
        summary: 'Returns 1 for every key.',
        group: 'generic',
        since: '2.2.3',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        deviation: 'Always 1: no values are shared.',
        run: (call) => inspect(call, () => call.reply.integer(1)),
      },
    ],
  },
  {
    name: 'MEMORY',
    summary: 'How much memory data takes.',
    group: 'server',
    since: '4.0.0',
    arity: -2,
    flags: [],
    keys: NO_KEYS,
    run: () => {},
    subcommands: [
      {
        name: 'MEMORY USAGE',
        summary: 'Returns the bytes that a key takes.',
        group: 'server',
        since: '4.0.0',
        arity: -3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        deviation: 'Counts the memory blocks of this engine, metadata included.',
        run: usage,
      },
    ],
  },
] as const satisfies readonly CommandSpec[];
