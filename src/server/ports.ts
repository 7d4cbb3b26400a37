/** What the server needs of the instance around it. src/instance implements it over the engine. */
import type { Connection } from '../host/host.ts';
import type { AckPort, ControlPort } from '../redis-commands/session.ts';

export interface InstancePort {
  /** Reads the clock; called once per event-loop turn, before commands run. */
  enterTurn(): void;
  /** Something was committed; called once per turn. */
  wake(): void;
  /** Replies are about to leave: what they answer goes to the system first. */
  handOver(): void;
  /** Replies wait until what they answer is on disk. */
  readonly replyAfterSync: boolean;
  /** Bytes of the log that only memory holds: the disk is behind. */
  unwrittenBytes(): number;
  /** Where the log ends now. */
  logEnd(): number;
  isDurable(position: number): boolean;
  whenDurable(position: number, fn: () => void): void;
  readonly acks: AckPort;
  readonly control: ControlPort;
  /** A client here published: to the other instances. */
  publishToPeers(channel: Uint8Array, message: Uint8Array, sharded: boolean): void;
  /** A peer's connection, after `CRDT.SYNC request`; it answers `+OK` itself. `rest`: bytes read after the command. */
  acceptFeed(connection: Connection, request: string, rest: Uint8Array): void;
  /** Sections of INFO that only the instance knows: name -> field -> value. */
  info(): Readonly<Record<string, Readonly<Record<string, string | number>>>>;
  /** CONFIG RESETSTAT: what `info` has counted starts over. */
  resetStats(): void;
  log(level: 'error' | 'info' | 'debug', line: string): void;
}

/** Passwords by user; an empty password of the default user means that none is needed. */
export interface Credentials {
  readonly password: string;
  readonly replicationSecret: string;
  readonly controlSecret: string;
}
