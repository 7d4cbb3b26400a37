/**
 * All commands, by name. COMMAND, the reference page and dispatch are derived from it.
 *
 * Lookup is by bytes: a hash of the name with case folded, no string is made.
 */
import type { Args } from '../resp/args.ts';
import { ACL_COMMANDS } from './acl.ts';
import { BITFIELD_COMMANDS } from './bitfield.ts';
import { BITMAP_COMMANDS } from './bitmaps.ts';
import { CLIENT_COMMANDS } from './client.ts';
import { COMMAND_COMMANDS } from './command-info.ts';
import { CONFIG_COMMANDS } from './config.ts';
import { CONNECTION_COMMANDS } from './connection.ts';
import { CONTROL_COMMANDS } from './control.ts';
import { COUNTER_COMMANDS } from './counters.ts';
import { EXPIRY_COMMANDS } from './expiry.ts';
import { GENERIC_COMMANDS } from './generic.ts';
import { HASH_COUNTER_COMMANDS } from './hash-counters.ts';
import { HASH_EXPIRING_VALUE_COMMANDS } from './hash-expiring-values.ts';
import { HASH_EXPIRY_COMMANDS } from './hash-expiry.ts';
import { HASH_SCAN_COMMANDS } from './hash-scan.ts';
import { HASH_COMMANDS } from './hashes.ts';
import { withHelp } from './help.ts';
import { LCS_COMMANDS } from './lcs.ts';
import { OBJECT_COMMANDS } from './object.ts';
import { PUBSUB_COMMANDS } from './pubsub.ts';
import { REFUSED_COMMANDS } from './refused.ts';
import { RENAME_COMMANDS } from './rename.ts';
import { SCAN_COMMANDS } from './scan.ts';
import { SERVER_COMMANDS } from './server.ts';
import { SET_ALGEBRA_COMMANDS } from './set-algebra.ts';
import { SET_SCAN_COMMANDS } from './set-scan.ts';
import { SET_COMMANDS } from './sets.ts';
import type { CommandFlag, CommandSpec } from './spec.ts';
import { STRING_COMMANDS } from './strings.ts';
import { TRANSACTION_COMMANDS } from './transactions.ts';
import { WAIT_COMMANDS } from './wait.ts';

const COMMANDS: readonly CommandSpec[] = [
  ...STRING_COMMANDS,
  ...LCS_COMMANDS,
  ...COUNTER_COMMANDS,
  ...BITMAP_COMMANDS,
  ...BITFIELD_COMMANDS,
  ...GENERIC_COMMANDS,
  ...OBJECT_COMMANDS,
  ...RENAME_COMMANDS,
  ...EXPIRY_COMMANDS,
  ...SCAN_COMMANDS,
  ...HASH_COMMANDS,
  ...HASH_COUNTER_COMMANDS,
  ...HASH_SCAN_COMMANDS,
  ...HASH_EXPIRY_COMMANDS,
  ...HASH_EXPIRING_VALUE_COMMANDS,
  ...SET_COMMANDS,
  ...SET_SCAN_COMMANDS,
  ...SET_ALGEBRA_COMMANDS,
  ...TRANSACTION_COMMANDS,
  ...PUBSUB_COMMANDS,
  ...CONNECTION_COMMANDS,
  ...CLIENT_COMMANDS,
  ...SERVER_COMMANDS,
  ...ACL_COMMANDS,
  ...CONFIG_COMMANDS,
  ...COMMAND_COMMANDS,
  ...WAIT_COMMANDS,
  ...REFUSED_COMMANDS,
  ...CONTROL_COMMANDS,
];

export const ALL_COMMANDS = COMMANDS.map(withHelp);

/** A command as dispatch sees it: its flags as booleans, found by bytes. */
export interface TableEntry {
  readonly spec: CommandSpec;
  readonly name: Buffer;
  /** Lower case, for error texts and statistics. */
  readonly lowerName: string;
  readonly isWrite: boolean;
  /** Whether it may take long: the slow log watches it. */
  readonly isTimed: boolean;
  /** Its arguments may come to several effects: whether there is room for all of them is asked before it runs. */
  readonly writesSeveral: boolean;
  readonly deniedWhenFull: boolean;
  readonly needsNoAuth: boolean;
  readonly runsInMulti: boolean;
  readonly refusedInMulti: boolean;
  readonly runsWhileSubscribed: boolean;
  readonly runsWhileLoading: boolean;
  readonly subcommands: readonly TableEntry[];
  /** So far, for INFO commandstats: executed, of these ended with an error, refused before. */
  calls: number;
  failed: number;
  rejected: number;
  /** Microseconds of the calls that were timed. */
  micros: number;
}

const SLOTS = 2048;
const WHILE_SUBSCRIBED = new Set(
  'SUBSCRIBE SSUBSCRIBE UNSUBSCRIBE SUNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PING QUIT RESET'.split(' '),
);

export class CommandTable {
  readonly specs: readonly CommandSpec[];
  readonly #slots: (TableEntry[] | undefined)[] = new Array<TableEntry[] | undefined>(SLOTS);
  readonly entries: readonly TableEntry[];
  #last: TableEntry;

  constructor(specs: readonly CommandSpec[] = ALL_COMMANDS) {
    this.specs = specs;
    this.entries = specs.map(makeEntry);
    for (const entry of this.entries) {
      const slot = hashName(entry.name, 0, entry.name.length);
      (this.#slots[slot] ??= []).push(entry);
    }
    this.#last = this.entries[0]!;
  }

  /** The command that the arguments name; null: unknown. */
  lookup(args: Args): TableEntry | null {
    const start = args.starts[0]!;
    const length = args.lengths[0]!;
    const { bytes } = args;
    if (equalsName(this.#last.name, bytes, start, length)) return this.#last;
    const candidates = this.#slots[hashName(bytes, start, length)];
    if (candidates === undefined) return null;
    for (const entry of candidates) {
      if (equalsName(entry.name, bytes, start, length)) {
        this.#last = entry;
        return entry;
      }
    }
    return null;
  }

  /** By name in any case; `CONFIG GET` and `config|get` name subcommands. */
  find(name: string): CommandSpec | undefined {
    const wanted = name.toUpperCase().replace('|', ' ');
    const parent = this.specs.find((spec) => spec.name === wanted.split(' ')[0]);
    return wanted.includes(' ') ? parent?.subcommands?.find((spec) => spec.name === wanted) : parent;
  }
}

function makeEntry(spec: CommandSpec): TableEntry {
  const has = (flag: CommandFlag): boolean => spec.flags.includes(flag);
  return {
    spec,
    name: Buffer.from(spec.name.split(' ').at(-1)!, 'latin1'),
    lowerName: spec.name.toLowerCase().replace(' ', '|'),
    isWrite: has('write'),
    // A plain SET costs what GET costs, and the clock is read for neither.
    isTimed: !has('fast') && spec.name !== 'SET',
    // SET is one effect, whatever its options are.
    writesSeveral: has('write') && spec.arity < 0 && spec.name !== 'SET',
    deniedWhenFull: has('denyoom'),
    needsNoAuth: has('no_auth'),
    runsInMulti: has('not_queued'),
    refusedInMulti: has('no_multi'),
    runsWhileLoading: has('loading'),
    runsWhileSubscribed: WHILE_SUBSCRIBED.has(spec.name),
    subcommands: (spec.subcommands ?? []).map(makeEntry),
    calls: 0,
    failed: 0,
    rejected: 0,
    micros: 0,
  };
}

function hashName(bytes: Uint8Array, start: number, length: number): number {
  let hash = length;
  for (let i = 0; i < length; i++) hash = (Math.imul(hash, 31) + (bytes[start + i]! & 0xdf)) | 0;
  return hash & (SLOTS - 1);
}

/** `name` is upper case. */
function equalsName(name: Buffer, bytes: Uint8Array, start: number, length: number): boolean {
  if (length !== name.length) return false;
  for (let i = 0; i < length; i++) {
    let byte = bytes[start + i]!;
    if (byte >= 97 && byte <= 122) byte -= 32;
    if (byte !== name[i]) return false;
  }
  return true;
}

/** The subcommand that the second argument names; null: unknown. */
export function lookupSubcommand(entry: TableEntry, args: Args): TableEntry | null {
  for (const sub of entry.subcommands) {
    if (equalsName(sub.name, args.bytes, args.starts[1]!, args.lengths[1]!)) return sub;
  }
  return null;
}
