/**
 * A whole instance: the engine with its Redis endpoint and the control channel.
 *
 *   port bound (it is the lock on the data directory) -> engine opened; clients hear -LOADING -> clients served, replication started
 *
 * Invariant: no command runs before recovery is complete, and none after `stop` began.
 */
import type { Host } from '../host/host.ts';
import { listenTcp, type ServerSocket, type TcpListener } from '../host/tcp-listener.ts';
import { RequestParser } from '../resp/parser.ts';
import { CLIENTS_MAX } from '../server/limits.ts';
import { RedisServer } from '../server/redis-server.ts';
import type { InstanceConfig } from './config.ts';
import { Engine } from './engine.ts';
import { createInstancePort } from './instance-port.ts';
import type { Logger } from './logger.ts';

export interface InstanceOptions {
  readonly host: Host;
  readonly config: InstanceConfig;
  readonly pid: number;
  readonly log: Logger;
  /** Something failed that only a restart can mend. */
  readonly onFatal: (reason: string) => void;
  /** The control channel asked for the end. */
  readonly onShutdown: () => void;
  /** Looked at while the data is loaded: once true, `start` rejects with LoadingStopped. */
  readonly isStopping?: () => boolean;
}

const LOADING = Buffer.from('-LOADING Redis is loading the dataset in memory\r\n');

export class Instance {
  readonly engine: Engine;
  readonly server: RedisServer;
  readonly #listener: TcpListener;
  #stopping: Promise<void> | null = null;

  /** Rejects with a system error when the port is taken, with a CrdbError when the data cannot be used. */
  static async start(options: InstanceOptions): Promise<Instance> {
    const { host, config, log, onFatal } = options;
    const parser = new RequestParser();
    let server: RedisServer | null = null;
    const listener = await listenTcp({
      host: config.host,
      port: config.port,
      readBuffer: parser.readArea,
      onConnection: (socket) => {
        if (server === null) refuse(socket);
        else server.accept(socket);
      },
    });
    try {
      const engine = await Engine.open({
        host,
        config,
        log,
        onFatal,
        ...(options.isStopping === undefined ? {} : { isStopping: options.isStopping }),
        onPeerMessage: ({ channel, message, sharded }) => server?.pubsub.deliver(channel, message, sharded),
        onWritable: (refusal) => server?.refuseWrites(refusal),
        onWritesReleased: () => server?.resumeHeld(),
      });
      server = new RedisServer({
        database: engine.database,
        clock: host.clock,
        parser,
        instance: createInstancePort(engine, options, (changed) => server?.setCredentials(changed)),
        credentials: config,
        settings: describeSettings(engine, config),
      });
      engine.start();
      log('info', `instance ready: ${config.name} (${config.instanceId}) on ${config.host}:${config.port}`);
      return new Instance(engine, server, listener);
    } catch (error) {
      await listener.close();
      throw error;
    }
  }

  private constructor(engine: Engine, server: RedisServer, listener: TcpListener) {
    this.engine = engine;
    this.server = server;
    this.#listener = listener;
  }

  /** Closes all connections, flushes the log, writes the clean marker. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    await this.#listener.close();
    // Under appendfsync-always, replies leave when the log is flushed.
    const drained = this.server.closeAll();
    await this.engine.stop();
    await drained;
    this.server.killAll();
  }
}

/** Until the log is read. */
function refuse(socket: ServerSocket): void {
  socket.onData = () => {
    socket.write(LOADING);
    socket.end();
  };
}

function describeSettings(
  engine: Engine,
  config: InstanceConfig,
): ConstructorParameters<typeof RedisServer>[0]['settings'] {
  const { persistence } = config;
  const logged = persistence.kind === 'aof';
  return {
    port: config.port,
    bind: config.host,
    dir: config.dataDirectory,
    appendonly: logged ? 'yes' : 'no',
    appendfsync: !logged ? 'no' : persistence.fsync === 'always' ? 'always' : 'everysec',
    save: persistence.kind === 'snapshot' ? `${persistence.afterSeconds} ${persistence.afterWrites}` : '',
    maxmemory: () => engine.database.memoryBytesMax,
    maxclients: CLIENTS_MAX,
  };
}
