/**
 * A whole instance: the engine with its Redis endpoint and the control channel.
 *
 *   port bound (it is the lock on the data directory) -> engine opened; clients connect and hear -LOADING -> clients served, replication started
 *
 * Invariant: no command touches the data before recovery is complete, and none after `stop` began.
 */
import type { Host } from '../host/host.ts';
import { listenTcp, type TcpListener } from '../host/tcp-listener.ts';
import { RequestParser } from '../resp/parser.ts';
import { CLIENTS_MAX } from '../server/limits.ts';
import { RedisServer } from '../server/redis-server.ts';
import type { FixedSettings } from '../server/settings.ts';
import type { InstanceConfig } from './config.ts';
import { Engine } from './engine.ts';
import { createInstancePort } from './instance-port.ts';
import { LoadingPort } from './loading-port.ts';
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

export class Instance {
  readonly engine: Engine;
  readonly server: RedisServer;
  readonly #listener: TcpListener;
  #stopping: Promise<void> | null = null;

  /** Rejects with a system error when the port is taken, with a CrdbError when the data cannot be used. */
  static async start(options: InstanceOptions): Promise<Instance> {
    const { host, config, log, onFatal } = options;
    const parser = new RequestParser();
    const loading = new LoadingPort(options);
    const server = new RedisServer({
      database: loading.database,
      clock: host.clock,
      parser,
      instance: loading,
      isLoading: true,
      credentials: config,
      settings: describeSettings(config),
    });
    const listener = await listenTcp({
      host: config.host,
      port: config.port,
      readBuffer: parser.readArea,
      onConnection: (socket) => server.accept(socket),
    });
    try {
      const engine = await Engine.open({
        host,
        config,
        log,
        onFatal,
        ...(options.isStopping === undefined ? {} : { isStopping: options.isStopping }),
        onPeerMessage: ({ channel, message, sharded }) => server.pubsub.deliver(channel, message, sharded),
        onProgress: (progress) => loading.note(progress),
        onWritable: (refusal) => server.refuseWrites(refusal),
      });
      const port = createInstancePort(engine, options, (changed) => server.setCredentials(changed));
      server.serve(engine.database, port);
      engine.start();
      log('info', `instance ready: ${config.name} (${config.instanceId}) on ${config.host}:${config.port}`);
      return new Instance(engine, server, listener);
    } catch (error) {
      await listener.close();
      server.killAll();
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

function describeSettings(config: InstanceConfig): FixedSettings {
  const { persistence } = config;
  const logged = persistence.kind === 'aof';
  return {
    port: config.port,
    bind: config.host,
    dir: config.dataDirectory,
    appendonly: logged ? 'yes' : 'no',
    appendfsync: !logged ? 'no' : persistence.fsync === 'always' ? 'always' : 'everysec',
    save: persistence.kind === 'snapshot' ? `${persistence.afterSeconds} ${persistence.afterWrites}` : '',
    maxclients: CLIENTS_MAX,
  };
}
