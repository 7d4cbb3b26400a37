/**
 * What every set command begins with: the set under a key, a member in it, its bytes.
 *
 * Invariant: an address obtained here is good until the next write.
 */
import type { Keyspace } from '../database/keyspace.ts';
import { TYPE, type KeyRef } from '../database/key-ref.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { Args } from '../resp/args.ts';
import type { Reply } from '../resp/reply.ts';
import type { Call } from './spec.ts';
import { WRONG_TYPE } from './texts.ts';

/** The reply has been given: the command is over. */
export const REFUSED = -1;

/** The set under the key at argument `index`, for reading; 0: there is no such key; REFUSED: another type, replied. */
export function readSet(call: Call, index: number): number {
  const { database } = call;
  const key = database.lookup(call.args, index);
  if (key.type === TYPE.set) return database.keyspace.containers.set(key.record);
  if (key.type === TYPE.none) return 0;
  call.reply.error(WRONG_TYPE);
  return REFUSED;
}

/** The key at argument 1 for writing to its set, which may not be there yet; null: another type, replied. */
export function setKeyForWrite(call: Call): KeyRef | null {
  const key = call.database.lookupWrite(call.args, 1);
  if (key.type === TYPE.set || key.type === TYPE.none) return key;
  call.reply.error(WRONG_TYPE);
  return null;
}

/** Whether the argument at `index` is a member. */
export function isMember(keyspace: Keyspace, set: number, args: Args, index: number): boolean {
  return keyspace.containers.findMember(set, args.bytes, args.starts[index]!, args.lengths[index]!) !== 0;
}

/** The segment that a member's bytes lie in, at `elements.keyOffset(member)`. */
export function memberBytes(keyspace: Keyspace, member: number): Buffer {
  return keyspace.arena.bytes[member >>> SEGMENT_SHIFT]!;
}

export function replyMember(keyspace: Keyspace, reply: Reply, member: number): void {
  const bytes = memberBytes(keyspace, member);
  reply.bulk(bytes, keyspace.elements.keyOffset(member), keyspace.containers.nameLength(member));
}
