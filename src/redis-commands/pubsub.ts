/**
 * Publish and subscribe. A message reaches the subscribers of every instance, best effort, and is never stored.
 */
import { matchGlob } from '../base/glob.ts';
import type { ChannelKind } from './session.ts';
import { ALL_KEYS, NO_KEYS, ONE_KEY, type Call, type CommandSpec } from './spec.ts';
import { tooManyArguments } from './texts.ts';

const VERBS: Record<ChannelKind, string> = { channel: 'subscribe', pattern: 'psubscribe', shard: 'ssubscribe' };

function subscribe(call: Call, kind: ChannelKind): void {
  const { args, server, session } = call;
  for (let i = 1; i < args.count; i++) {
    server.pubsub.subscribe(session, kind, args.latin1(i));
    confirm(call, kind, VERBS[kind], args.view(i));
  }
}

function unsubscribe(call: Call, kind: ChannelKind): void {
  const { args, server, session } = call;
  const verb = VERBS[kind].replace('subscribe', 'unsubscribe');
  const channels =
    args.count > 1
      ? Array.from({ length: args.count - 1 }, (_, i) => args.latin1(i + 1))
      : [...session.subscriptions[kind]];
  for (const channel of channels) {
    server.pubsub.unsubscribe(session, kind, channel);
    confirm(call, kind, verb, Buffer.from(channel, 'latin1'));
  }
  if (channels.length === 0) confirm(call, kind, verb, null);
}

/** Clients count these, and the next message may come at any time: they are told also with CLIENT REPLY OFF. */
function confirm(call: Call, kind: ChannelKind, verb: string, channel: Buffer | null): void {
  call.session.confirm((reply) => {
    reply.push(3);
    reply.text(verb);
    if (channel === null) reply.nil();
    else reply.bulk(channel, 0, channel.length);
    reply.integer(countFor(call, kind));
  });
}

/** Shard channels are counted on their own. */
function countFor({ session }: Call, kind: ChannelKind): number {
  const { channel, pattern, shard } = session.subscriptions;
  return kind === 'shard' ? shard.size : channel.size + pattern.size;
}

function listChannels(call: Call, kind: 'channel' | 'shard'): void {
  const { args, reply, server } = call;
  if (args.count > 3) return reply.error(tooManyArguments(args.echo(1), 'PUBSUB'));
  const pattern = args.count > 2 ? args.view(2) : null;
  const channels = [...server.pubsub.channels(kind)].map((channel) => Buffer.from(channel, 'latin1'));
  const matching = pattern === null ? channels : channels.filter((channel) => matchGlob(pattern, channel));
  reply.array(matching.length);
  for (const channel of matching) reply.bulk(channel, 0, channel.length);
}

function countSubscribers(call: Call, kind: 'channel' | 'shard'): void {
  const { args, reply, server } = call;
  reply.array((args.count - 2) * 2);
  for (let i = 2; i < args.count; i++) {
    reply.bulk(args.bytes, args.starts[i]!, args.lengths[i]!);
    reply.integer(server.pubsub.subscribers(kind, args.latin1(i)));
  }
}

const spec = (name: string, summary: string, since: string, arity: number, run: (call: Call) => void): CommandSpec => ({
  name,
  summary,
  group: 'pubsub',
  since,
  arity,
  flags: ['pubsub', 'noscript', 'loading', 'stale'],
  keys: NO_KEYS,
  run,
});

const inspect = (...usage: Parameters<typeof spec>): CommandSpec => ({
  ...spec(...usage),
  flags: ['pubsub', 'loading', 'stale'],
});

const LOCAL_COUNT = 'The reply counts subscribers of this instance; the message reaches those of all instances.';

export const PUBSUB_COMMANDS: readonly CommandSpec[] = [
  spec('SUBSCRIBE', 'Listens for messages published to channels.', '2.0.0', -2, (call) => subscribe(call, 'channel')),
  spec('PSUBSCRIBE', 'Listens for messages published to channels that match patterns.', '2.0.0', -2, (call) =>
    subscribe(call, 'pattern'),
  ),
  {
    ...spec('SSUBSCRIBE', 'Listens for messages published to shard channels.', '7.0.0', -2, (call) => {
      if (call.session.isExecuting) call.reply.error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
      else subscribe(call, 'shard');
    }),
    keys: ALL_KEYS,
  },
  spec('UNSUBSCRIBE', 'Stops listening to messages posted to channels.', '2.0.0', -1, (call) =>
    unsubscribe(call, 'channel'),
  ),
  spec('PUNSUBSCRIBE', 'Stops listening to messages published to channels that match patterns.', '2.0.0', -1, (call) =>
    unsubscribe(call, 'pattern'),
  ),
  {
    ...spec('SUNSUBSCRIBE', 'Stops listening to messages posted to shard channels.', '7.0.0', -1, (call) =>
      unsubscribe(call, 'shard'),
    ),
    keys: ALL_KEYS,
  },
  {
    ...spec('PUBLISH', 'Posts a message to a channel.', '2.0.0', 3, ({ args, reply, server }) =>
      reply.integer(server.pubsub.publish(args.view(1), args.view(2), false)),
    ),
    flags: ['pubsub', 'loading', 'stale', 'fast'],
    deviation: LOCAL_COUNT,
  },
  {
    ...spec('SPUBLISH', 'Posts a message to a shard channel.', '7.0.0', 3, ({ args, reply, server }) =>
      reply.integer(server.pubsub.publish(args.view(1), args.view(2), true)),
    ),
    flags: ['pubsub', 'loading', 'stale', 'fast'],
    keys: ONE_KEY,
    deviation: LOCAL_COUNT,
  },
  {
    ...spec('PUBSUB', 'A container for commands that inspect subscriptions.', '2.8.0', -2, () => {}),
    flags: [],
    subcommands: [
      inspect('PUBSUB CHANNELS', 'Returns the active channels.', '2.8.0', -2, (call) => listChannels(call, 'channel')),
      inspect('PUBSUB NUMSUB', 'Returns a count of subscribers to channels.', '2.8.0', -2, (call) =>
        countSubscribers(call, 'channel'),
      ),
      inspect('PUBSUB NUMPAT', 'Returns a count of unique pattern subscriptions.', '2.8.0', 2, ({ reply, server }) =>
        reply.integer(server.pubsub.patternCount),
      ),
      inspect('PUBSUB SHARDCHANNELS', 'Returns the active shard channels.', '7.0.0', -2, (call) =>
        listChannels(call, 'shard'),
      ),
      inspect('PUBSUB SHARDNUMSUB', 'Returns a count of subscribers to shard channels.', '7.0.0', -2, (call) =>
        countSubscribers(call, 'shard'),
      ),
    ],
  },
];
