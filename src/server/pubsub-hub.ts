/**
 * Who listens to which channel on this instance. Channel names are latin1 strings: one character per byte.
 *
 * Invariant: a channel is listed exactly while somebody listens to it.
 */
import { matchGlob } from '../base/glob.ts';
import type { ChannelKind, PubSubPort, Session } from '../redis-commands/session.ts';
import type { Reply } from '../resp/reply.ts';

export class PubSubHub implements PubSubPort {
  readonly #listeners: Record<ChannelKind, Map<string, Set<Session>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };
  readonly #patternBytes = new Map<string, Buffer>();
  readonly #toPeers: (channel: Uint8Array, message: Uint8Array, sharded: boolean) => void;

  constructor(toPeers: (channel: Uint8Array, message: Uint8Array, sharded: boolean) => void) {
    this.#toPeers = toPeers;
  }

  get patternCount(): number {
    return this.#listeners.pattern.size;
  }

  subscribe(session: Session, kind: ChannelKind, channel: string): void {
    session.subscriptions[kind].add(channel);
    countSubscriptions(session);
    const listeners = this.#listeners[kind];
    const set = listeners.get(channel);
    if (set) set.add(session);
    else listeners.set(channel, new Set([session]));
    if (kind === 'pattern') this.#patternBytes.set(channel, Buffer.from(channel, 'latin1'));
  }

  unsubscribe(session: Session, kind: ChannelKind, channel: string): void {
    session.subscriptions[kind].delete(channel);
    countSubscriptions(session);
    const set = this.#listeners[kind].get(channel);
    if (!set) return;
    set.delete(session);
    if (set.size > 0) return;
    this.#listeners[kind].delete(channel);
    if (kind === 'pattern') this.#patternBytes.delete(channel);
  }

  unsubscribeAll(session: Session): void {
    for (const kind of ['channel', 'pattern', 'shard'] as const) {
      for (const channel of [...session.subscriptions[kind]]) this.unsubscribe(session, kind, channel);
    }
  }

  channels(kind: 'channel' | 'shard'): Iterable<string> {
    return this.#listeners[kind].keys();
  }

  subscribers(kind: 'channel' | 'shard', channel: string): number {
    return this.#listeners[kind].get(channel)?.size ?? 0;
  }

  publish(channel: Uint8Array, message: Uint8Array, sharded: boolean): number {
    this.#toPeers(channel, message, sharded);
    return this.deliver(channel, message, sharded);
  }

  /** To the subscribers of this instance only. Returns how many. */
  deliver(channel: Uint8Array, message: Uint8Array, sharded: boolean): number {
    let count = 0;
    const name = Buffer.from(channel).toString('latin1');
    const direct = this.#listeners[sharded ? 'shard' : 'channel'].get(name);
    if (direct) {
      const verb = sharded ? 'smessage' : 'message';
      for (const session of direct) {
        session.send((reply) => writeMessage(reply, verb, [channel, message]));
        count++;
      }
    }
    if (sharded || this.#patternBytes.size === 0) return count;
    for (const [pattern, bytes] of this.#patternBytes) {
      if (!matchGlob(bytes, channel)) continue;
      for (const session of this.#listeners.pattern.get(pattern)!) {
        session.send((reply) => writeMessage(reply, 'pmessage', [bytes, channel, message]));
        count++;
      }
    }
    return count;
  }
}

function countSubscriptions(session: Session): void {
  const { channel, pattern, shard } = session.subscriptions;
  session.subscriptionCount = channel.size + pattern.size + shard.size;
}

function writeMessage(reply: Reply, verb: string, parts: readonly Uint8Array[]): void {
  reply.push(1 + parts.length);
  reply.text(verb);
  for (const part of parts) reply.bulk(part, 0, part.length);
}
