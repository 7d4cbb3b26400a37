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
  crdbGuid,
  databaseRecord,
  type DamagedDatabase,
  type DatabaseRecord,
  type NodeStatus,
  type PrepareReply,
  type PrepareRequest,
  type ResyncReply,
  type ResyncRequest,
  type SyncChange,
  type SyncRequest,
  type SyncStatus,
} from '../admin/contract.ts';
import { reasonOf } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import type { InstanceConfig, PeerConfig } from '../instance/config.ts';
import { controlInstance, type InstanceControl } from './control.ts';
import { describeDamage, sharesPorts, withWayBack, type PortOwner } from './damaged-database.ts';
import { describeLink, endpointOf, instanceConfigOf, localInstance } from './describe-database.ts';
import type { Entry } from './entries.ts';
import { makeFolder, readJson, removeFolder, replaceJson } from './files.ts';
import { databasePaths, isRemovedFolder, listFolders, type DatabasePaths, type NodePaths } from './home.ts';
import { instanceConfig } from './instance-file.ts';
import { findRecordedProcess, stopInstance } from './instance-process.ts';
import { CREATED_STALL_MS_MAX, RESERVATION_MS_MAX } from './limits.ts';
import type { Log } from './log.ts';
import { reserveFreePort, reservePort, type PortReservation } from './ports.ts';
import { SerialByKey } from './serial-by-key.ts';
import { InstanceSupervisor, type SupervisorLimits } from './supervisor.ts';
import { createSecret } from './system.ts';

export interface LocalDatabasesOptions {
  readonly cluster: string;
  readonly host: string;
  readonly paths: NodePaths;
  readonly entry: Entry;
  readonly log: Log;
  /** Ports that belong to instances of other nodes of this machine. */
  readonly portsOfOthers: () => Promise<ReadonlyMap<number, PortOwner>>;
  readonly supervisorLimits?: SupervisorLimits;
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
  /** By folder, which is the guid: what cannot be used, and keeps its name and port all the same. */
  readonly #damaged = new Map<string, DamagedDatabase>();
  readonly #serial = new SerialByKey();

  constructor(options: LocalDatabasesOptions) {
    this.#options = options;
  }

  /** Takes up everything on disk: running processes are adopted, the others started. What is damaged is left as it is, and told. */
  async load(): Promise<void> {
    const { paths, log, cluster } = this.#options;
    await makeFolder(paths.databases);
    for (const name of await listFolders(paths.databases)) {
      try {
        await this.#loadFolder(name);
      } catch (error) {
        if (!crdbGuid.safeParse(name).success) {
          log.error('folder_not_removed', { folder: name, reason: reasonOf(error) });
          continue;
        }
        const damage = await describeDamage({ paths: databasePaths(paths, name), guid: name, cluster }, error);
        this.#damaged.set(name, damage);
        log.error('database_not_loaded', {
          folder: name,
          database: damage.name,
          reason: damage.reason,
          hint: damage.hint,
        });
      }
    }
  }

  damaged(): readonly DamagedDatabase[] {
    return [...this.#damaged.values()];
  }

  list(): readonly DatabaseRecord[] {
    return [...this.#held.values()].map((held) => held.record);
  }

  /** Throws database_not_found, or instance_failed when it is damaged. */
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
    const damaged = this.damaged().find((one) => one.name === name);
    if (damaged === undefined) return;
    const text = `There is already a database "${name}" on ${this.#options.cluster}, though it cannot be used: ${damaged.reason}`;
    throw new CrdbError('database_exists', text, { hint: damaged.hint });
  }

  /** Holds the name and a port for the guid. Throws database_exists, port_in_use. */
  prepare(guid: string, request: PrepareRequest): Promise<PrepareReply> {
    return this.#serial.run(guid, async () => {
      const { cluster, host } = this.#options;
      if (request.cluster !== cluster) {
        throw new CrdbError('invalid_request', `This is a node of ${cluster}, not of ${request.cluster}`);
      }
      if (this.#held.has(guid) || this.#prepared.has(guid) || this.#damaged.has(guid)) {
        throw new CrdbError('database_exists', `The database ${guid} is already on ${cluster}`);
      }
      this.assertNameFree(request.name);
      const taken = await this.#takenPorts();
      const owner = request.port === null ? undefined : taken.get(request.port);
      if (owner !== undefined && sharesPorts(owner.host, host)) {
        const text = `Port ${request.port} on ${host} belongs to the database ${owner.database} of ${owner.cluster}, whether it runs or not`;
        throw new CrdbError('port_in_use', text);
      }
      const reservation = await (request.port === null
        ? reserveFreePort(host, new Set(taken.keys()))
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
      await held.supervisor.startAndWait(CREATED_STALL_MS_MAX);
    });
  }

  /**
   * Afterwards nothing of the database is here: no reservation, no process, no file. A commit under way is cut short. The process is
   * killed: what it would still write is removed next.
   */
  async discard(guid: string): Promise<void> {
    // A commit that waits for its process ends as soon as that is stopped; only then is it this call's turn.
    await this.#held.get(guid)?.supervisor.stop({ force: true });
    await this.#serial.run(guid, async () => {
      const prepared = this.#prepared.get(guid);
      if (prepared !== undefined) {
        clearTimeout(prepared.expiry);
        this.#prepared.delete(guid);
        await prepared.reservation.release();
      }
      await this.#held.get(guid)?.supervisor.stop({ force: true });
      const paths = databasePaths(this.#options.paths, guid);
      if (this.#damaged.has(guid)) await this.#endStray(paths, true);
      await removeFolder(paths.directory, paths.removed);
      if (this.#damaged.delete(guid) || this.#held.delete(guid)) this.#options.log.info('database_removed', { guid });
    });
  }

  async syncStatus(guid: string): Promise<SyncStatus> {
    const { config, supervisor } = this.#find(guid);
    const describe = () => {
      const { process, lastExit, loading, unresponsive, stopping } = supervisor.status();
      const details = { process, last_exit: lastExit, loading, unresponsive, stopping };
      return { guid, instance: config.instanceId, cluster: config.cluster, ...details };
    };
    const silent = (): SyncStatus => ({ ...describe(), keys: null, replication_id: null, offset: 0, links: [] });
    const { process } = describe();
    if (process !== 'running' && process !== 'loading') return silent();
    try {
      const { keys, replicationId, offset, links } = await controlInstance(config).status();
      return { ...describe(), keys, replication_id: replicationId, offset, links: links.map(describeLink) };
    } catch (error) {
      if (describe().process !== 'running') return silent();
      throw error;
    }
  }

  /** Pauses or resumes pulling, now and after every restart. Throws instance_not_found for an unknown peer. */
  changeSync(guid: string, { action, from, accept_clock: accepts = false }: SyncRequest): Promise<SyncChange> {
    return this.#serial.run(guid, async () => {
      const held = this.#find(guid);
      const paused = action === 'pause';
      const asked = peersOf(held.config, from);
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
      if (!accepts) return { changed: changing.length > 0, links: changing };
      const control = this.#running(held);
      for (const { id } of asked) await control.acceptClock(id);
      return { changed: true, links: asked.map(({ id }) => id) };
    });
  }

  /**
   * Orders a sync of one link or of all. Throws instance_not_found for an unknown peer, link_paused when one of them is paused, and
   * instance_failed when the instance does not run or refuses; what was ordered before goes on then.
   */
  async resync(guid: string, { from, full }: ResyncRequest): Promise<ResyncReply> {
    const held = this.#find(guid);
    const asked = peersOf(held.config, from);
    const { instanceId, name } = held.config;
    const paused = asked.find((peer) => peer.paused);
    if (paused !== undefined) {
      throw new CrdbError(
        'link_paused',
        `Instance ${instanceId} does not pull from ${paused.id}: that link is paused`,
        {
          hint: `crdb-cli sync resume ${name} --instance ${instanceId} --from ${paused.id}`,
        },
      );
    }
    const control = this.#running(held);
    for (const { id } of asked) await control.resync(id, full);
    const links = asked.map(({ id }) => id);
    this.#options.log.info('resync_ordered', { database: name, guid, instance: instanceId, from: links.join(), full });
    return { links };
  }

  /** Paths of the instances' logs. */
  logs(): readonly string[] {
    return [...this.#held.values()].map((held) => held.paths.log);
  }

  instances(): NodeStatus['instances'] {
    return [...this.#held.values()].map(({ record, config, supervisor }) => {
      const { process, pid, restarts, lastExit, loading, unresponsive, stopping } = supervisor.status();
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
        ...{ loading, unresponsive, stopping },
      };
    });
  }

  /** Ends all processes and reservations. Throws instance_failed when a process cannot be ended. */
  async stop({ force = false } = {}): Promise<void> {
    await this.#releaseReservations();
    const strays = [...this.#damaged.keys()].map((guid) =>
      this.#endStray(databasePaths(this.#options.paths, guid), force),
    );
    const held = [...this.#held.values()].map(({ supervisor }) => supervisor.stop({ force }));
    const results = await Promise.allSettled([...held, ...strays]);
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
    if (!crdbGuid.safeParse(name).success) return; // somebody's copy: not ours
    const { cluster } = this.#options;
    try {
      const record = await readJson(paths.record, databaseRecord);
      if (record === null) return await this.#removeUnfinished(paths);
      if (record.guid !== name) throw new CrdbError('failed', `${paths.record} is of another database, ${record.guid}`);
      localInstance(record, cluster);
      const config = (await readJson(paths.config, instanceConfig)) ?? (await this.#makeConfigAnew(record, paths));
      await this.#hold(record, paths, config).supervisor.takeUp();
    } catch (error) {
      throw withWayBack(error, paths, cluster);
    }
  }

  /**
   * Everything in instance.json but the pauses and the secret of the control channel is in the record as well. A process that still runs
   * knows the old secret and cannot be spoken to any more.
   */
  async #makeConfigAnew(record: DatabaseRecord, paths: DatabasePaths): Promise<InstanceConfig> {
    const { cluster, host, log } = this.#options;
    await this.#endStray(paths, false);
    const config = instanceConfigOf(record, {
      ...{ cluster, host, dataDirectory: paths.data, controlSecret: createSecret() },
    });
    await replaceJson(paths.config, config);
    log.info('instance_config_made_anew', { database: record.name, guid: record.guid });
    return config;
  }

  /** A process that nobody supervises, because the files beside it are damaged. */
  async #endStray(paths: DatabasePaths, force: boolean): Promise<void> {
    const identity = await findRecordedProcess(paths);
    if (identity !== null) await stopInstance({ paths, config: null, identity, isForced: () => force });
  }

  /** A create that a crash cut off before its commit has no data. A folder with data and no record is not ours to remove. */
  async #removeUnfinished(paths: DatabasePaths): Promise<void> {
    const data = await readdir(paths.data).catch(() => []);
    if (data.length > 0) throw new CrdbError('failed', `${paths.record} is missing, but ${paths.data} holds data`);
    await removeFolder(paths.directory, paths.removed);
  }

  #hold(record: DatabaseRecord, paths: DatabasePaths, config: InstanceConfig): Held {
    const { entry, log, supervisorLimits } = this.#options;
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
        ...(supervisorLimits === undefined ? {} : { limits: supervisorLimits }),
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
    if (held !== undefined) return held;
    const { cluster } = this.#options;
    const damaged = this.#damaged.get(guid);
    if (damaged === undefined) throw new CrdbError('database_not_found', `There is no database ${guid} on ${cluster}`);
    const text = `The database ${damaged.name ?? guid} cannot be used on ${cluster}: ${damaged.reason}`;
    throw new CrdbError('instance_failed', text, { hint: damaged.hint });
  }

  /** Throws instance_failed unless the process can be spoken to. */
  #running({ config, supervisor }: Held): InstanceControl {
    const { process, unresponsive } = supervisor.status();
    if (process === 'running') return controlInstance(config);
    const why = unresponsive === null ? `is ${process}` : `has not answered since ${unresponsive.since}`;
    throw new CrdbError('instance_failed', `Instance ${config.instanceId} of ${config.name} ${why}`);
  }

  /** Also those of instances that are down at the moment, or damaged, or of a node that is stopped: they look free and are not. */
  async #takenPorts(): Promise<Map<number, PortOwner>> {
    const { cluster, host, portsOfOthers } = this.#options;
    const taken = new Map(await portsOfOthers());
    for (const { port, name, guid } of this.#damaged.values())
      if (port !== null) taken.set(port, { cluster, host, database: name ?? guid });
    for (const { config } of this.#held.values())
      taken.set(config.port, { cluster, host: config.host, database: config.name });
    return taken;
  }

  async #releaseReservations(): Promise<void> {
    for (const { reservation, expiry } of this.#prepared.values()) {
      clearTimeout(expiry);
      await reservation.release();
    }
    this.#prepared.clear();
  }
}

/** Throws instance_not_found when the instance does not pull from there. */
function peersOf({ peers, instanceId }: InstanceConfig, from: number | undefined): readonly PeerConfig[] {
  const asked = peers.filter((peer) => from === undefined || peer.id === from);
  if (from === undefined || asked.length > 0) return asked;
  const ids = peers.map((peer) => peer.id).join(', ');
  throw new CrdbError('instance_not_found', `Instance ${instanceId} pulls from ${ids}, not from ${from}`);
}
