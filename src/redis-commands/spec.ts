/**
 * What a command is: one typed record that is its documentation, its arity check, its row in COMMAND and its code.
 *
 * A command looks its keys up, replies when the type is wrong, applies its change through the database's API (which encodes the
 * effects and keeps every rule of conflict) and replies. It never meets the log, a peer or a socket: persistence and
 * replication observe the batch that the caller commits after `run`.
 *
 * Invariant: `run` is synchronous, replies exactly once (or asks its session to block, subscribe ...), and either changes nothing or
 * leaves a batch that is complete.
 */
import type { Database } from '../database/database.ts';
import type { Args } from '../resp/args.ts';
import type { Reply } from '../resp/reply.ts';
import type { ServerPort, Session } from './session.ts';

export type { ServerPort, Session } from './session.ts';

/** Redis's own command flags, as COMMAND INFO prints them. */
export type CommandFlag =
  | 'write'
  | 'readonly'
  | 'denyoom'
  | 'admin'
  | 'pubsub'
  | 'noscript'
  | 'blocking'
  | 'loading'
  | 'stale'
  | 'fast'
  | 'no_auth'
  | 'no_multi'
  | 'movablekeys'
  | 'allow_busy'
  | 'skip_slowlog'
  /** Runs at once inside MULTI, too. */
  | 'not_queued'
  /** Not for applications: left out of COMMAND. */
  | 'hidden';

export type CommandGroup =
  | 'string'
  | 'bitmap'
  | 'hash'
  | 'set'
  | 'generic'
  | 'transactions'
  | 'pubsub'
  | 'scripting'
  | 'connection'
  | 'server'
  | 'cluster';

/** Where the keys are among the arguments: first index (0: none), last index (negative: from the end), step. */
export interface KeySpec {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

export const NO_KEYS: KeySpec = { first: 0, last: 0, step: 0 };
export const ONE_KEY: KeySpec = { first: 1, last: 1, step: 1 };
export const ALL_KEYS: KeySpec = { first: 1, last: -1, step: 1 };

export interface CommandSpec {
  /** Upper case; a subcommand is `CONFIG GET`. */
  readonly name: string;
  readonly summary: string;
  readonly group: CommandGroup;
  /** Redis version that introduced it. */
  readonly since: string;
  /** Redis's arity: the name counts; negative means "at least". */
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  readonly keys: KeySpec;
  /** How we differ from Redis, one sentence; absent: not at all. */
  readonly deviation?: string;
  readonly run: (call: Call) => void;
  /** Container commands (CONFIG, CLIENT ...): `run` of the parent is used when no subcommand fits. */
  readonly subcommands?: readonly CommandSpec[];
}

/** One command being executed. The server reuses a single object: nothing may keep it. */
export interface Call {
  readonly database: Database;
  readonly args: Args;
  readonly reply: Reply;
  readonly session: Session;
  readonly server: ServerPort;
}
