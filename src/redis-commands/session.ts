/**
 * What commands may know and ask of the connection they run for, and of the process around it. src/server implements it.
 *
 * Data commands use none of this: the same commands can be executed where there is no connection at all.
 */
import type { Watcher } from '../database/key-watch.ts';
import type { Args } from '../resp/args.ts';
import type { Reply } from '../resp/reply.ts';
import type { CommandSpec } from './spec.ts';

export interface QueuedCommand {
  readonly spec: CommandSpec;
  readonly args: Args;
}

export interface Transaction {
  readonly queue: QueuedCommand[];
  /** A command could not be queued: EXEC must refuse. */
  failed: boolean;
  /** Of all arguments queued. */
  bytes: number;
}

export interface WatchedKey {
  readonly key: Buffer;
  /** Whether there was something under it when WATCH was called. */
  readonly existed: boolean;
}

export type ChannelKind = 'channel' | 'pattern' | 'shard';

export interface Session extends Watcher {
  readonly id: number;
  readonly remote: string;
  readonly local: string;
  readonly createdAtMs: number;
  /** When the latest command came, ms since 1970. */
  lastCommandMs: number;
  readonly lastCommand: string;
  name: string;
  libraryName: string;
  libraryVersion: string;
  /** Empty: not authenticated. */
  user: string;
  protocol: 2 | 3;
  transaction: Transaction | null;
  /** EXEC is running its commands: none of them may block. */
  isExecuting: boolean;
  watchedKeys: WatchedKey[];
  replyMode: 'on' | 'off' | 'skip' | 'skip-next';
  noEvict: boolean;
  isMonitor: boolean;
  /** seq of this session's latest write under the current origin; 0: none. For WAIT. */
  lastWriteSeq: number;
  readonly subscriptions: Record<ChannelKind, Set<string>>;
  /** Kept by whoever changes `subscriptions`: it is looked at before every command. */
  subscriptionCount: number;
  /** Bytes of replies and messages that it has not read yet. */
  readonly queuedBytes: number;
  /** Bytes of requests that wait to be complete, or to be executed. */
  readonly inputBytes: number;
  /** Sends what was replied, then closes. */
  closeAfterReply(): void;
  /** Closes at once. */
  kill(): void;
  /**
   * Nothing more is executed for the client until `unblock`. `cancel` is called if the client goes away or CLIENT UNBLOCK asks: it frees what waits,
   * and replies through `unblock` unless the client is gone.
   */
  block(cancel: (how: 'gone' | 'timeout' | 'error') => void): void;
  readonly isBlocked: boolean;
  /** Ends `block`: `reply` is written, and reading goes on. */
  unblock(reply: (reply: Reply) => void): void;
  /** Asks a blocked session to give up. */
  cancelBlock(how: 'timeout' | 'error'): void;
  /** Back to the state after connecting (RESET). */
  reset(): void;
  /** A message that is no reply. While a command of this client runs it waits: it follows the command's reply, and stands never inside one. */
  send(write: (reply: Reply) => void): void;
  /** A reply that CLIENT REPLY does not silence: what a subscription is answered with. */
  confirm(write: (reply: Reply) => void): void;
}

export interface SlowEntry {
  readonly id: number;
  readonly atSeconds: number;
  readonly micros: number;
  readonly words: readonly Uint8Array[];
  readonly remote: string;
  readonly name: string;
}

export interface ServerPort {
  nowMs(): number;
  /** Microseconds since 1970. */
  nowMicros(): number;
  readonly table: CommandTablePort;
  /** All connections. */
  sessions(): Iterable<Session>;
  session(id: number): Session | undefined;
  /** Runs one queued command of a transaction; replies into the call's reply. Never throws. */
  runQueued(command: QueuedCommand): void;
  /** Ends all WATCHes of the session. */
  forgetWatches(session: Session): void;
  /** From now on the session is told of every command. */
  addMonitor(session: Session): void;
  /** The user's name if the password fits; null otherwise. */
  authenticate(user: string, password: string): string | null;
  readonly needsPassword: boolean;
  readonly pubsub: PubSubPort;
  readonly settings: SettingsPort;
  readonly slowlog: {
    list(count: number): readonly SlowEntry[];
    readonly length: number;
    clear(): void;
  };
  info(sections: readonly string[]): string;
  resetStats(): void;
  /** Writes of all clients (or every command) wait until then, ms since 1970; 0: go on. */
  pauseClients(untilMs: number, writesOnly: boolean): void;
  /** Blocks the whole process, as DEBUG SLEEP does. */
  sleep(ms: number): void;
  after(delayMs: number, fn: () => void): { cancel(): void };
  readonly acks: AckPort;
  readonly control: ControlPort;
  /** The connection becomes a peer's feed; nothing is parsed from it any more. */
  takeOver(session: Session, request: string): void;
}

export interface CommandTablePort {
  readonly specs: readonly CommandSpec[];
  find(name: string): CommandSpec | undefined;
}

export interface PubSubPort {
  subscribe(session: Session, kind: ChannelKind, channel: string): void;
  unsubscribe(session: Session, kind: ChannelKind, channel: string): void;
  /** Here and on the other instances. Returns how many clients of this instance got it. */
  publish(channel: Uint8Array, message: Uint8Array, sharded: boolean): number;
  channels(kind: 'channel' | 'shard'): Iterable<string>;
  subscribers(kind: 'channel' | 'shard', channel: string): number;
  readonly patternCount: number;
}

export interface SettingsPort {
  /** Names and values that match a glob pattern. */
  matching(pattern: string): readonly (readonly [name: string, value: string])[];
  /** Sets all of them or none. null: done; else the reason. */
  set(entries: readonly (readonly [name: string, value: string])[]): string | null;
}

export interface AckPort {
  /** Other instances that have applied (or have on disk) the own operation `seq`. */
  acked(seq: number, durable: boolean): number;
  /** Calls back once when `count` have; returns how to give up. */
  whenAcked(seq: number, count: number, durable: boolean, fn: () => void): () => void;
  /** Whether the own operation `seq` is on this instance's disk. */
  isDurable(): boolean;
  whenDurable(fn: () => void): void;
}

/** The commands of src/instance/config.ts. */
export interface ControlPort {
  /** JSON */
  status(): string;
  pause(from: number | undefined): void;
  resume(from: number | undefined): void;
  /** Takes in what links bring although a clock is too far ahead. null: done; else the reason. */
  acceptClock(from: number | undefined): string | null;
  /** Links connect anew and ask from what is applied by now, or for a full sync. null: ordered; else the reason. */
  resync(order: { readonly from: number | undefined; readonly full: boolean }): string | null;
  /** null: done; else the reason. */
  configure(json: string): string | null;
  shutdown(): void;
}

export const USER = { default: 'default', control: '__control', replication: '__replication' } as const;
