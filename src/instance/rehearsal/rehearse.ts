/**
 * A process rehearses before it opens its port: two instances that it throws away serve clients and replicate, as this one will.
 *
 * V8 compiles what runs often by what it has seen so far. In a fresh process clients would wait for that; and once more, tens of milliseconds, when code
 * that had never met a snapshot first does, or a table that grows: it was compiled for a world without them, and runs slowly until it is
 * compiled anew. So all that busy clients and peers make happen has happened before they come. And with the objects that are there later: what
 * was compiled for a stand-in's shape is thrown away at the first request. Only disk and network are not the machine's.
 *
 * Invariant: nothing of it is left, no timer either; no port, file or network is touched.
 */
import type { Database } from '../../database/database.ts';
import type { Host } from '../../host/host.ts';
import { RequestParser } from '../../resp/parser.ts';
import { RedisServer } from '../../server/redis-server.ts';
import type { InstanceConfig, PeerConfig } from '../config.ts';
import { Engine } from '../engine.ts';
import { createInstancePort } from '../instance-port.ts';
import * as limits from '../limits.ts';
import { MemoryDisk } from './memory-disk.ts';
import { MemoryNetwork, silentSocket } from './memory-network.ts';
import { requestsOf } from './requests.ts';

/** What the rehearsal has come to, for whoever wants to look at it. */
export interface Rehearsal {
  readonly database: Database;
  readonly peer: Database;
  readonly snapshots: number;
}

const PORTS = [1, 2] as const;
const nothing = (): void => {};

/**
 * Takes about `REHEARSAL_MS`, or less on a machine that is through before. In several acts, each with instances of its own: code that was compiled in one
 * meets in the next what only fresh instances have, their first segment, their first origin; so will the one that comes after it.
 */
export async function rehearse(real: Host): Promise<Rehearsal> {
  const begin = real.clock.monotonicMs();
  const script = Array.from({ length: limits.REHEARSAL_SCRIPT_TURNS }, (_, turn) => requestsOf(turn));
  let last: Rehearsal | null = null;
  for (let act = 1; act <= limits.REHEARSAL_ACTS; act++) {
    last = await perform(real, script, begin + (limits.REHEARSAL_MS * act) / limits.REHEARSAL_ACTS);
  }
  return last!;
}

async function perform(real: Host, script: readonly (readonly Buffer[])[], until: number): Promise<Rehearsal> {
  const { clock } = real;
  const network = new MemoryNetwork(clock);
  const host: Host = { ...real, disk: new MemoryDisk(), network, collectGarbage: nothing };
  const [first, second] = await Promise.all([Player.open(host, network, 1), Player.open(host, network, 2)]);
  let snapshots = 0;
  for (let turn = 0; turn < limits.REHEARSAL_TURNS && clock.monotonicMs() < until; turn++) {
    first.play(script[turn % script.length]!);
    if (turn % limits.REHEARSAL_TURNS_PER_SNAPSHOT === 0) void first.engine.snapshot().then(() => snapshots++);
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
  await Promise.all([first.stop(), second.stop()]);
  return { database: first.engine.database, peer: second.engine.database, snapshots };
}

/** An instance with clients whose sockets are buffers. */
class Player {
  readonly engine: Engine;
  readonly #server: RedisServer;
  readonly #parser: RequestParser;
  readonly #sockets = Array.from({ length: limits.REHEARSAL_CLIENTS }, () => silentSocket());

  static async open(host: Host, network: MemoryNetwork, port: number): Promise<Player> {
    const config = configOf(port);
    const logChunkBytes = limits.REHEARSAL_LOG_CHUNK_BYTES;
    const engine = await Engine.open({ host, config, log: nothing, onFatal: nothing, logChunkBytes });
    return new Player(engine, host, network, config);
  }

  private constructor(engine: Engine, host: Host, network: MemoryNetwork, config: InstanceConfig) {
    this.engine = engine;
    this.#parser = new RequestParser();
    const options = { config, pid: 0, log: nothing, onShutdown: nothing };
    this.#server = new RedisServer({
      database: engine.database,
      clock: host.clock,
      parser: this.#parser,
      instance: createInstancePort(engine, options, nothing),
      credentials: config,
      settings: { port: 0, bind: '', dir: '', appendonly: 'yes', appendfsync: 'everysec', save: '', maxclients: 1000 },
    });
    const { readArea } = this.#parser;
    network.listen(config.port, { readArea, accept: (socket) => this.#server.accept(socket) });
    engine.start();
    for (const socket of this.#sockets) this.#server.accept(socket);
  }

  /** One turn of the event loop: every client sends something. */
  play(requests: readonly Buffer[]): void {
    requests.forEach((bytes, client) => this.#sockets[client]!.onData(bytes.copy(this.#parser.readArea)));
  }

  async stop(): Promise<void> {
    this.#server.killAll();
    await this.engine.stop();
  }
}

function configOf(port: number): InstanceConfig {
  const peers = PORTS.filter((other) => other !== port).map((other): PeerConfig => ({
    id: other,
    cluster: '',
    host: '',
    port: other,
    paused: false,
  }));
  return {
    version: 1,
    guid: 'rehearsal',
    name: 'rehearsal',
    instanceId: port,
    cluster: '',
    host: '',
    port,
    dataDirectory: `/${port}`,
    persistence: { kind: 'aof', fsync: 'every-sec' },
    password: '',
    replicationSecret: 'rehearsal',
    controlSecret: 'rehearsal',
    memoryBytesMax: 0,
    backlogBytesMax: 0,
    compression: 0,
    peers,
  };
}
