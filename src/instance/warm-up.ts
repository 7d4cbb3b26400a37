/**
 * Runs the hot path on a database that is thrown away, before the instance opens its port.
 *
 * V8 compiles what runs often by what it has seen so far. In a fresh process clients would wait for that; and once more, tens of milliseconds, when code
 * that had never met a snapshot first does, or a table that grows: it was compiled for a world without them, and runs slowly until it is
 * compiled anew. So all that busy clients and peers make happen has happened before they come: requests of the common kinds
 * through the endpoint, tables that grow, snapshots meanwhile, and a peer that applies the batches.
 *
 * Invariant: nothing of it is left; no port, file or network is touched.
 */
import { Database } from '../database/database.ts';
import type { Snapshot } from '../database/snapshot.ts';
import type { Clock } from '../host/host.ts';
import type { ServerSocket } from '../host/tcp-listener.ts';
import { RequestParser } from '../resp/parser.ts';
import { CLIENTS_MAX } from '../server/limits.ts';
import type { InstancePort } from '../server/ports.ts';
import { RedisServer } from '../server/redis-server.ts';
import { framesOf } from '../storage/log-frames.ts';
import * as limits from './limits.ts';

/** Takes `WARM_UP_MS`, or less on a machine that is through before. Returns what the rehearsal has left, for whoever wants to look at it. */
export function warmUp(clock: Clock): {
  readonly database: Database;
  readonly peer: Database;
  readonly snapshots: number;
} {
  const until = clock.monotonicMs() + limits.WARM_UP_MS;
  const database = rehearsalDatabase(1);
  const peer = rehearsalDatabase(2);
  const endpoint = new RehearsalEndpoint(database, clock);
  let snapshot: Snapshot | null = null;
  let snapshots = 0;
  let followed = 0;
  for (let turn = 0; turn < limits.WARM_UP_TURNS && clock.monotonicMs() < until; turn++) {
    endpoint.serve(turn);
    followed = follow(peer, database, followed);
    if (turn % 16 === 8 && database.maySnapshot) snapshot ??= database.beginSnapshot();
    database.settleStep(limits.SETTLE_STEP);
    if (snapshot?.next(limits.WARM_UP_SLICE_BYTES) === null) {
      snapshot = null;
      snapshots++;
    }
  }
  return { database, peer, snapshots };
}

function rehearsalDatabase(instance: number): Database {
  let seed = instance;
  const random = (): number => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0);
  return new Database({ instance, generation: 1, random, segmentBytes: limits.WARM_UP_SEGMENT_BYTES });
}

/** Applies what the other has committed since; returns where its log ends. */
function follow(peer: Database, { log, nowMs }: Database, from: number): number {
  peer.setTime(nowMs);
  while (from < log.end) {
    const bytes = log.view(from, log.end - from)!;
    for (const { start, end } of framesOf(bytes, 0, bytes.length)) peer.applyBatch(bytes, start, end);
    from += bytes.length;
  }
  log.trimBefore(from);
  peer.log.trimBefore(peer.log.end);
  return from;
}

/** The endpoint without a network: a few clients whose sockets are buffers. */
class RehearsalEndpoint {
  readonly #parser = new RequestParser();
  readonly #server: RedisServer;
  readonly #sockets: readonly ServerSocket[];

  constructor(database: Database, clock: Clock) {
    this.#server = new RedisServer({
      database,
      clock,
      parser: this.#parser,
      instance: standIn(database, clock),
      credentials: { password: '', replicationSecret: '', controlSecret: '' },
      settings: {
        port: 0,
        bind: '',
        dir: '',
        appendonly: 'no',
        appendfsync: 'no',
        save: '',
        maxclients: CLIENTS_MAX,
      },
    });
    this.#sockets = Array.from({ length: limits.WARM_UP_CLIENTS }, rehearsalSocket);
    for (const socket of this.#sockets) this.#server.accept(socket);
  }

  /** One turn of the event loop: every client sends something, replies leave. */
  serve(turn: number): void {
    this.#sockets.forEach((socket, i) => {
      const pipeline = i % 2 === 0 ? 1 : limits.WARM_UP_PIPELINE;
      let text = '';
      for (let n = 0; n < pipeline; n++) text += request(turn * 7919 + i * 104_729 + n);
      socket.onData(this.#parser.readArea.write(text, 'latin1'));
    });
    this.#server.flush();
  }
}

const VALUE = 'x'.repeat(32);

/** Common commands; keys from a range that grows for a while, and stays small: what is touched here may be kept by V8 for long. */
function request(number: number): string {
  const key = `warm:${number % Math.min(limits.WARM_UP_KEYS, 16 + (number >>> 5))}`;
  switch (number % 12) {
    case 0:
    case 1:
    case 2:
    case 3:
      return encode('SET', key, VALUE);
    case 4:
    case 5:
    case 6:
      return encode('GET', key);
    case 7:
      return encode('INCR', `counter:${key}`);
    case 8:
      return encode('HSET', `hash:${number % 64}`, key, VALUE);
    case 9:
      return encode('SADD', `set:${number % 64}`, key);
    case 10:
      return encode('HGET', `hash:${number % 64}`, key);
    default:
      return encode('DEL', key);
  }
}

const encode = (...words: string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

const nothing = (): void => {};

const rehearsalSocket = (): ServerSocket => ({
  remote: '',
  local: '',
  waitingBytes: 0,
  isClosed: false,
  write: () => 0,
  pause: nothing,
  resume: nothing,
  setKeepAlive: nothing,
  end: nothing,
  destroy: nothing,
  onData: nothing,
  onDrain: nothing,
  onClose: nothing,
});

/** An instance without log, peers and daemon. */
const standIn = (database: Database, clock: Clock): InstancePort => ({
  enterTurn: () => database.setTime(clock.nowMs()),
  wake: nothing,
  handOver: nothing,
  replyAfterSync: false,
  unwrittenBytes: () => 0,
  logEnd: () => database.log.end,
  isDurable: () => true,
  whenDurable: (_position, fn) => fn(),
  acks: { acked: () => 0, whenAcked: () => nothing, isDurable: () => true, whenDurable: (fn) => fn() },
  control: {
    status: () => '',
    pause: nothing,
    resume: nothing,
    acceptClock: () => null,
    resync: () => null,
    configure: () => null,
    shutdown: nothing,
  },
  publishToPeers: nothing,
  acceptFeed: nothing,
  info: () => ({}),
  resetStats: nothing,
  log: nothing,
});
