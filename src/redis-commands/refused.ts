/**
 * Commands of Redis that an Active-Active instance cannot or does not execute, and that clients and tools send: they get told why, where "unknown
 * command" would make an operator wonder about the client.
 */
import { NO_KEYS, type CommandFlag, type CommandGroup, type CommandSpec } from './spec.ts';

const STOP = 'instances are stopped with: crdb-cli node stop';
const PEERS_ONLY = 'an Active-Active instance replicates with the other instances of its database only';
const OWN_SNAPSHOTS = 'an instance writes its log and its snapshots by itself; see crdb-cli get';
const NO_SCRIPTS = 'scripts and functions are not supported by this version; use MULTI and WATCH';
/** Redis's own text, which clients know. */
const NO_CLUSTER = 'This instance has cluster support disabled';

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'stale'];

/** `usage`: name, arity and since, as in `EVAL -3 2.6.0`. */
const refuse =
  (group: CommandGroup, flags: readonly CommandFlag[], reason: string) =>
  (usage: string, summary: string): CommandSpec => {
    const [name, arity, since] = usage.split(' ') as [string, string, string];
    return {
      name,
      summary,
      group,
      since,
      arity: Number(arity),
      flags,
      keys: NO_KEYS,
      deviation: `Refused: ${reason}.`,
      run: ({ reply }) => reply.error(`ERR ${reason}`),
    };
  };

const replication = refuse('server', ADMIN, PEERS_ONLY);
const persistence = refuse('server', ADMIN, OWN_SNAPSHOTS);
const scripting = refuse('scripting', ['noscript', 'stale'], NO_SCRIPTS);
const cluster = refuse('cluster', ['fast'], NO_CLUSTER);

export const REFUSED_COMMANDS: readonly CommandSpec[] = [
  refuse(
    'server',
    ['admin', 'noscript', 'loading', 'stale', 'no_multi', 'allow_busy'],
    STOP,
  )('SHUTDOWN -1 1.0.0', 'Would stop the server.'),
  replication('REPLICAOF 3 5.0.0', 'Would make the server a replica of another.'),
  replication('SLAVEOF 3 1.0.0', 'Would make the server a replica of another.'),
  replication('FAILOVER -1 6.2.0', 'Would hand over to a replica.'),
  replication('SYNC 1 1.0.0', 'Would begin the replication of Redis.'),
  replication('PSYNC -3 2.8.0', 'Would begin the replication of Redis.'),
  replication('REPLCONF -1 3.0.0', 'Would configure the replication of Redis.'),
  persistence('SAVE 1 1.0.0', 'Would write an RDB file.'),
  persistence('BGSAVE -1 1.0.0', 'Would write an RDB file in the background.'),
  persistence('BGREWRITEAOF 1 1.0.0', 'Would rewrite the append-only file in the background.'),
  scripting('EVAL -3 2.6.0', 'Would run a script.'),
  scripting('EVAL_RO -3 7.0.0', 'Would run a script that only reads.'),
  scripting('EVALSHA -3 2.6.0', 'Would run a script that was loaded before.'),
  scripting('EVALSHA_RO -3 7.0.0', 'Would run a script that was loaded before and only reads.'),
  scripting('FCALL -3 7.0.0', 'Would call a function.'),
  scripting('FCALL_RO -3 7.0.0', 'Would call a function that only reads.'),
  scripting('SCRIPT -2 2.6.0', 'Would load, list or forget scripts.'),
  scripting('FUNCTION -2 7.0.0', 'Would load, list or forget functions.'),
  cluster('CLUSTER -2 3.0.0', 'Would tell about a Redis Cluster.'),
  cluster('READONLY 1 3.0.0', 'Would allow reads from a replica of a Redis Cluster.'),
  cluster('READWRITE 1 3.0.0', 'Would end READONLY.'),
  cluster('ASKING 1 3.0.0', 'Would follow a redirection within a Redis Cluster.'),
];
