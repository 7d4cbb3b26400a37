/**
 * One instance on a simulated machine: the real composition (src/instance/engine.ts) on a simulated host, with an endpoint that knows just
 * enough RESP for peers.
 *
 * Clients are the simulation itself: `execute` runs commands as one batch, as the server does for one command or for one EXEC.
 *
 * Invariant: after `start` every commit has been reported to the log before the turn ends.
 */
import type { InstanceConfig, PeerConfig, Persistence } from '../../../src/instance/config.ts';
import { Engine } from '../../../src/instance/engine.ts';
import { ArenaFullError } from '../../../src/memory/arena.ts';
import type { Database } from '../../../src/database/database.ts';
import { SCALED_DOWN } from '../limits.ts';
import type { ReplyValue } from '../recording-reply.ts';
import type { SimulatedHost } from '../world/machine.ts';
import { BatchTooLargeError } from '../../../src/database/effects.ts';
import { PutOffError } from '../../../src/database/put-off.ts';
import { CommandRunner } from './command-runner.ts';
import { SECRET, serveConnection } from './endpoint.ts';

export const PORT = 12000;
const LOG_CHUNK_BYTES = 1 << 12;

export interface InstanceSettings {
  readonly id: number;
  /** Ids of all instances, this one included. */
  readonly ids: readonly number[];
  readonly persistence: Persistence;
  readonly backlogBytesMax: number;
  readonly logSegmentBytes: number;
  readonly arenaSegmentBytes: number;
  readonly arenaBytesMax: number;
  readonly onLog: (line: string) => void;
  /** Only a restart helps. */
  readonly onFatal: (reason: string) => void;
}

export interface Executed {
  readonly replies: readonly ReplyValue[];
  /** 0: nothing was changed. */
  readonly seq: number;
  /** Why a command was refused that should have been done in any other case: there was no room for it. */
  readonly refused: string | null;
}

export const machineName = (id: number): string => `instance${id}`;

export class SimulatedInstance {
  readonly id: number;
  readonly engine: Engine;
  readonly #commands: CommandRunner;
  #stopping = false;

  /** Resolves when the instance is ready; rejects with what keeps it from starting. */
  static async start(host: SimulatedHost, settings: InstanceSettings): Promise<SimulatedInstance> {
    const engine = await Engine.open({
      host,
      config: configOf(settings),
      log: (level, line) => settings.onLog(`${level} ${line}`),
      onFatal: settings.onFatal,
      arenaSegmentBytes: settings.arenaSegmentBytes,
      logChunkBytes: LOG_CHUNK_BYTES,
      logSegmentBytes: settings.logSegmentBytes,
      ...SCALED_DOWN,
      databaseLimits: { ...SCALED_DOWN.databaseLimits, arenaBytesMax: settings.arenaBytesMax },
    });
    const instance = new SimulatedInstance(settings.id, engine);
    host.listen(PORT, (connection) =>
      serveConnection(connection, (accepted, request, rest) => engine.replication.accept(accepted, request, rest)),
    );
    engine.start();
    return instance;
  }

  private constructor(id: number, engine: Engine) {
    this.id = id;
    this.engine = engine;
    this.#commands = new CommandRunner(engine.database);
  }

  get database(): Database {
    return this.engine.database;
  }

  get acceptsWrites(): boolean {
    return !this.#stopping;
  }

  /** Runs the commands as one batch. A command that is refused ends a transaction no more than it does on the server; one alone may be put off: its client gives up. */
  execute(commands: readonly (readonly string[])[]): Executed {
    this.engine.enterTurn();
    let refused: string | null = null;
    const replies = commands.map((argv) => {
      try {
        return this.#commands.run(argv, commands.length === 1);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refused = error.message;
        return null;
      }
    });
    const seq = this.database.commit();
    if (seq > 0) this.engine.wake();
    this.engine.log.handOver();
    return { replies, seq, refused };
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.engine.stop();
  }
}

const isRefusal = (error: unknown): error is Error =>
  error instanceof ArenaFullError || error instanceof BatchTooLargeError || error instanceof PutOffError;

function configOf(settings: InstanceSettings): InstanceConfig {
  const { id, ids, persistence, backlogBytesMax } = settings;
  const peerOf = (peer: number): PeerConfig => {
    return { id: peer, cluster: machineName(peer), host: machineName(peer), port: PORT, paused: false };
  };
  return {
    version: 1,
    guid: 'a5a5a5a5-0000-4000-8000-000000000001',
    name: 'simulated',
    instanceId: id,
    cluster: machineName(id),
    host: machineName(id),
    port: PORT,
    dataDirectory: '/data',
    persistence,
    password: '',
    replicationSecret: SECRET,
    controlSecret: 'control',
    memoryBytesMax: 0,
    backlogBytesMax,
    compression: 0,
    peers: ids.filter((peer) => peer !== id).map(peerOf),
  };
}
