/**
 * The databases this node holds an instance of: their files, their processes, and this node's part in creating and removing
 * one. The coordinator, here or on another node, calls prepare -> commit, or discard at any time.
 *
 *   (nothing) --prepare--> prepared --commit--> held          discard leads back to nothing from everywhere
 *                             |  reservation over
 *                             +--------------> (nothing)
 *
 * Invariant: a database exists here exactly while its database.json does. It is written before the process is first started
 * and goes, with everything else, only after the process has ended. Changes of one database happen one after the other.
 */
import { readdir, rm } from 'node:fs/promises';
import {
  databaseRecord,
  type DatabaseRecord,
  type NodeStatus,
  type PrepareReply,
  type PrepareRequest,
  type SyncChange,
  type SyncRequest,
  type SyncStatus,
} from '../admin/contract.ts';
import { reasonOf } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import type { InstanceConfig } from '../instance/config.ts';
import { controlInstance } from './control.ts';
import { describeLink, endpointOf, instanceConfigOf, localInstance } from './describe-database.ts';
import type { Entry } from './entries.ts';
import { makeFolder, readJson, removeFolder, replaceJson } from './files.ts';
import { databasePaths, isRemovedFolder, listFolders, type DatabasePaths, type NodePaths } from './home.ts';
import { instanceConfig } from './instance-file.ts';
import { CREATED_READY_MS_MAX, RESERVATION_MS_MAX } from './limits.ts';
import type { Log } from './log.ts';
import { reserveFreePort, reservePort, type PortReservation } from './ports.ts';
import { SerialByKey } from './serial-by-key.ts';
import { InstanceSupervisor } from './supervisor.ts';
import { createSecret } from './system.ts';

export interface LocalDatabasesOptions {
  readonly cluster: string;
  readonly host: string;
  readonly paths: NodePaths;
  readonly entry: Entry;
  readonly log: Log;
}

interface Prepared {
  readonly name: string;
  readonly reservation: PortReservation;
  readonly expiry: NodeJS.Timeout;
}

interface Held {
  readonly record: DatabaseRecord;
  readonly paths: DatabasePaths;
  readonly supervisor: InstanceSupervisor;
  config: InstanceConfig;
  /** The process may have read an older instance.json than the present one. */
  configIsNewer: boolean;
}

export class LocalDatabases {
  readonly #options: LocalDatabasesOptions;
  readonly #held = new Map<string, Held>();
  readonly #prepared = new Map<string, Prepared>();
  readonly #serial = new SerialByKey();

  constructor(options: LocalDatabasesOptions) {
    this.#options = options;
  }

  /** Takes up everything on disk: running processes are adopted, the others started. Damaged folders are logged and left. */
  async load(): Promise<void> {
    const { paths, log } = this.#options;
    await makeFolder(paths.databases);
    for (const name of await listFolders(paths.databases)) {
      try {
        await this.#loadFolder(name);
      } catch (error) {
        log.error('database_not_loaded', { folder: name, reason: reasonOf(error) });
      }
    }
  }

  list(): readonly DatabaseRecord[] {
    return [...this.#held.values()].map((held) => held.record);
  }

  /** Throws database_not_found. */
  get(guid: string): DatabaseRecord {
    return this.#find(guid).record;
  }

  /** Throws database_exists when a database of this name is here or about to be. */
  assertNameFree(name: string): void {
    const taken =
      this.list().some((record) => record.name === name) ||
      [...this.#prepared.values()].some((one) => one.name === name);
    if (taken)
      throw new CrdbError('database_exists', `There is already a database "${name}" on ${this.#options.cluster}`);
  }

  /** Holds the name and a port for the guid. Throws database_exists, port_in_use. */
  prepare(guid: string, request: PrepareRequest): Promise<PrepareReply> {
    return this.#serial.run(guid, async () => {
      const { cluster, host } = this.#options;
      if (request.cluster !== cluster) {
        throw new CrdbError('invalid_request', `This is a node of ${cluster}, not of ${request.cluster}`);
      }
      if (this.#held.has(guid) || this.#prepared.has(guid)) {
        throw new CrdbError('database_exists', `The database ${guid} is already on ${cluster}`);
      }
      this.assertNameFree(request.name);
      const taken = this.#endpointPorts();
      if (request.port !== null && taken.has(request.port)) {
        throw new CrdbError('port_in_use', `Port ${request.port} on ${host} belongs to another database of ${cluster}`);
      }
      const reservation = await (request.port === null
        ? reserveFreePort(host, taken)
        : reservePort(host, request.port));
      // Another guid may have prepared the same name while the port was looked for.
      try {
        this.assertNameFree(request.name);
      } catch (error) {
        await reservation.release();
        throw error;
      }
      const expiry = setTimeout(() => void this.discard(guid), RESERVATION_MS_MAX).unref();
      this.#prepared.set(guid, { name: request.name, reservation, expiry });
      return { port: reservation.port };
    });
  }

  /** Writes the files, starts the instance, and returns when it is ready. On failure the coordinator discards. */
  commit(record: DatabaseRecord): Promise<void> {
    return this.#serial.run(record.guid, async () => {
      const prepared = this.#prepared.get(record.guid);
      const { cluster, host } = this.#options;
      const { port } = localInstance(record, cluster).db_config;
      if (prepared === undefined || prepared.name !== record.name || prepared.reservation.port !== port) {
        throw new CrdbError(
          'failed',
          `${record.name} with port ${port} is not prepared on ${cluster}, or was no longer held`,
        );
      }
      clearTimeout(prepared.expiry);
      const paths = databasePaths(this.#options.paths, record.guid);
      const config = instanceConfigOf(record, {
        cluster,
        host,
        dataDirectory: paths.data,
        controlSecret: createSecret(),
      });
      await makeFolder(paths.data);
      await replaceJson(paths.config, config);
      await replaceJson(paths.record, record);
      const held = this.#hold(record, paths, config);
      this.#prepared.delete(record.guid);
      await prepared.reservation.release();
      await held.supervisor.startAndWait(CREATED_READY_MS_MAX);
    });
  }

  /** Afterwards nothing of the database is here: no reservation, no process, no file. A commit under way is cut short. */
  async discard(guid: string): Promise<void> {
    // A commit that waits for its process ends as soon as that is stopped; only then is it this call's turn.
    await this.#held.get(guid)?.supervisor.stop();
    await this.#serial.run(guid, async () => {
      const prepared = this.#prepared.get(guid);
      if (prepared !== undefined) {
        clearTimeout(prepared.expiry);
        this.#prepared.delete(guid);
        await prepared.reservation.release();
      }
      await this.#held.get(guid)?.supervisor.stop();
      const paths = databasePaths(this.#options.paths, guid);
      await removeFolder(paths.directory, paths.removed);
      if (this.#held.delete(guid)) this.#options.log.info('database_removed', { guid });
    });
  }

  async syncStatus(guid: string): Promise<SyncStatus> {
    const { config, supervisor } = this.#find(guid);
    const { process, lastExit } = supervisor.status();
    const head = { guid, instance: config.instanceId, cluster: config.cluster, process, last_exit: lastExit };
    const silent: SyncStatus = { ...head, replication_id: null, offset: 0, links: [] };
    if (process !== 'running' && process !== 'loading') return silent;
    try {
      const status = await controlInstance(config).status();
      return {
        ...head,
        replication_id: status.replicationId,
        offset: status.offset,
        links: status.links.map(describeLink),
      };
    } catch (error) {
      const now = supervisor.status().process;
      if (now !== 'running') return { ...silent, process: now };
      throw error;
    }
  }

  /** Pauses or resumes pulling, now and after every restart. Throws instance_not_found for an unknown peer. */
  changeSync(guid: string, { action, from }: SyncRequest): Promise<SyncChange> {
    return this.#serial.run(guid, async () => {
      const held = this.#find(guid);
      const paused = action === 'pause';
      const asked = held.config.peers.filter((peer) => from === undefined || peer.id === from);
      if (from !== undefined && asked.length === 0) {
        const ids = held.config.peers.map((peer) => peer.id).join(', ');
        throw new CrdbError(
          'instance_not_found',
          `Instance ${held.config.instanceId} pulls from ${ids}, not from ${from}`,
        );
      }
      const changing = asked.filter((peer) => peer.paused !== paused).map((peer) => peer.id);
      if (changing.length > 0) {
        const peers = held.config.peers.map((peer) => (changing.includes(peer.id) ? { ...peer, paused } : peer));
        const config = { ...held.config, peers };
        await replaceJson(held.paths.config, config);
        held.config = config;
      }
      await this.#tell(held, () => {
        const control = controlInstance(held.config);
        return paused ? control.pause(from) : control.resume(from);
      });
      return { changed: changing.length > 0, links: changing };
    });
  }

  /** Paths of the instances' logs. */
  logs(): readonly string[] {
    return [...this.#held.values()].map((held) => held.paths.log);
  }

  instances(): NodeStatus['instances'] {
    return [...this.#held.values()].map(({ record, config, supervisor }) => {
      const { process, pid, restarts, lastExit } = supervisor.status();
      const endpoint = endpointOf(localInstance(record, this.#options.cluster));
      return {
        guid: record.guid,
        name: record.name,
        id: config.instanceId,
        endpoint,
        process,
        pid,
        restarts,
        last_exit: lastExit,
      };
    });
  }

  /** Ends all processes and reservations. Throws instance_failed when a process cannot be ended. */
  async stop(): Promise<void> {
    await this.#releaseReservations();
    const results = await Promise.allSettled([...this.#held.values()].map((held) => held.supervisor.stop()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** As `stop`, but the processes go on: a later daemon takes them up. */
  async abandon(): Promise<void> {
    await this.#releaseReservations();
    await Promise.all([...this.#held.values()].map((held) => held.supervisor.abandon()));
  }

  async #loadFolder(name: string): Promise<void> {
    const paths = databasePaths(this.#options.paths, name);
    if (isRemovedFolder(name)) {
      await rm(paths.directory, { recursive: true, force: true });
      return;
    }
    const record = await readJson(paths.record, databaseRecord);
    if (record === null) {
      await this.#removeUnfinished(paths);
      return;
    }
    const config = await readJson(paths.config, instanceConfig);
    if (config === null) throw new CrdbError('failed', `${paths.config} is missing`);
    await this.#hold(record, paths, config).supervisor.takeUp();
  }

  /** A create that a crash cut off before its commit has no data. A folder with data and no record is not ours to remove. */
  async #removeUnfinished(paths: DatabasePaths): Promise<void> {
    const data = await readdir(paths.data).catch(() => []);
    if (data.length > 0) throw new CrdbError('failed', `${paths.record} is missing, but ${paths.data} holds data`);
    await removeFolder(paths.directory, paths.removed);
  }

  #hold(record: DatabaseRecord, paths: DatabasePaths, config: InstanceConfig): Held {
    const { entry, log } = this.#options;
    const held: Held = {
      record,
      paths,
      config,
      configIsNewer: false,
      supervisor: new InstanceSupervisor({
        paths,
        config,
        entry,
        log,
        onReady: (adopted) => {
          if (adopted || held.configIsNewer) void this.#configure(held);
        },
      }),
    };
    this.#held.set(record.guid, held);
    return held;
  }

  async #configure(held: Held): Promise<void> {
    try {
      await controlInstance(held.config).configure(held.config);
      held.configIsNewer = false;
    } catch (error) {
      this.#options.log.error('instance_not_configured', { guid: held.record.guid, reason: reasonOf(error) });
    }
  }

  /**
   * Tells the process what instance.json already says. One that does not run reads the file when it starts; one that is just
   * starting may have read it before, so it is told again when it is ready.
   */
  async #tell(held: Held, call: () => Promise<void>): Promise<void> {
    const { process } = held.supervisor.status();
    if (process === 'running') await call();
    else if (process === 'loading') held.configIsNewer = true;
  }

  #find(guid: string): Held {
    const held = this.#held.get(guid);
    if (held === undefined)
      throw new CrdbError('database_not_found', `There is no database ${guid} on ${this.#options.cluster}`);
    return held;
  }

  /** Also those of instances that are down at the moment: their port looks free and is not. */
  #endpointPorts(): Set<number> {
    return new Set([...this.#held.values()].map((held) => held.config.port));
  }

  async #releaseReservations(): Promise<void> {
    for (const { reservation, expiry } of this.#prepared.values()) {
      clearTimeout(expiry);
      await reservation.release();
    }
    this.#prepared.clear();
  }
}
