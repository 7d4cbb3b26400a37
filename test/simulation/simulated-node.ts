/**
 * One place where an instance runs: starts it, crashes it, stops it, starts it again, and checks what each restart brings back.
 *
 *   down -> starting -> ready -> stopping -> down          a crash leads from everywhere to down
 *
 * Invariant: what the log claimed to be durable before a crash is there after it; and all that the system had, if only the process died.
 */
import { vectorOf, DatabaseWatcher, InvariantError, type Chronicle } from './chronicle.ts';
import { originName, type Context, type OriginName } from './batch-decoder.ts';
import { machineName, SimulatedInstance, type InstanceSettings } from './instance/simulated-instance.ts';
import type { DiskBackup } from './world/disk.ts';
import type { Machine } from './world/machine.ts';
import type { SeededRandom } from './world/random.ts';
import type { SimulatedWorld } from './world/world.ts';

export type NodeState = 'down' | 'starting' | 'ready' | 'stopping';

interface Backup {
  readonly files: DiskBackup;
  readonly vector: Context;
  /** The own origin at that time, and how much of it there was. */
  readonly origin: OriginName;
  readonly seq: number;
}

/** The first one, which is old as a rule, and the latest ones. */
const BACKUPS_MAX = 4;

export interface NodeOptions {
  readonly world: SimulatedWorld;
  readonly machine: Machine;
  readonly chronicle: Chronicle;
  readonly settings: Omit<InstanceSettings, 'onLog' | 'onFatal'>;
  /** The instance is ready, and its vector is known. */
  readonly onReady: (node: SimulatedNode) => void;
}

export class SimulatedNode {
  readonly id: number;
  readonly machine: Machine;
  state: NodeState = 'down';
  instance: SimulatedInstance | null = null;
  /** All that it has, or may come back with. */
  vector: ReadonlyMap<OriginName, number> = new Map();
  /** What a restart must bring back. */
  durable: Context = new Map();
  /** The same as long as the machine keeps its power: the process was killed when the system had all of it. null: no more than `durable`. */
  #systemHas: Context | null = null;
  #watcher: DatabaseWatcher | null = null;
  readonly #options: NodeOptions;
  #starts = 0;
  #effects = 0;
  #cleanStop = false;
  /** Of clean stops. */
  readonly #backups: Backup[] = [];

  constructor(options: NodeOptions) {
    this.#options = options;
    this.id = options.settings.id;
    this.machine = options.machine;
  }

  /** The simulation fails when the instance cannot start. */
  start(): void {
    if (this.state !== 'down') return;
    this.state = 'starting';
    const { world, settings } = this.#options;
    const start = ++this.#starts;
    const current = (): boolean => start === this.#starts;
    const host = this.machine.start();
    SimulatedInstance.start(host, {
      ...settings,
      onLog: (line) => world.note(100, () => `${machineName(this.id)}: ${line}`),
      onFatal: (reason) => {
        if (current()) this.#onFatal(reason);
      },
    }).then(
      (instance) => {
        if (current()) this.#onStarted(instance);
      },
      (error: Error) => {
        if (current()) world.fail(new InvariantError(`${machineName(this.id)} cannot start: ${error.message}`));
      },
    );
  }

  /** Ends in order; `down` follows later. */
  stop(): void {
    if (this.state !== 'ready') return;
    this.watch();
    this.state = 'stopping';
    const start = this.#starts;
    void this.instance!.stop().then(
      () => {
        if (start !== this.#starts || this.state !== 'stopping') return;
        this.watch();
        this.#cleanStop = this.#options.settings.persistence.kind !== 'disabled';
        const { instance, generation } = this.instance!.database.self;
        this.#end();
        this.machine.stop();
        this.#backUp(originName(instance, generation));
      },
      (error: Error) => this.#options.world.fail(error),
    );
  }

  /** A stop in order loses nothing: it has a log or takes a snapshot. */
  get keepsAllWhenStopped(): boolean {
    return this.#options.settings.persistence.kind !== 'disabled';
  }

  /** A snapshot or a full sync is under way. */
  get isCopying(): boolean {
    if (this.state !== 'ready') return false;
    const { database, engine } = this.instance!;
    return database.isSnapshotting || engine.links().some(({ state }) => state === 'full-sync');
  }

  /** It is down, and there is something to go back to. */
  get mayRestore(): boolean {
    return this.state === 'down' && this.#backups.length > 0;
  }

  /**
   * What an earlier clean stop had left is put in the place of its files. They are the very same files again only where its origin has not gone on since
   * (`known`: how far anybody has seen it): nothing on such a disk tells that it is old, so its dots would be used twice.
   */
  restore(random: SeededRandom, known: (origin: OriginName) => number): void {
    if (!this.mayRestore) return;
    const { files, vector, origin, seq } = random.pick(this.#backups);
    const how = known(origin) === seq && random.chance(0.5) ? 'rolled back' : 'copied';
    this.#options.world.note(
      103,
      () => `${machineName(this.id)}: a backup is put back (${how}), with ${describeVector(vector)}`,
    );
    this.machine.disk.restore(files, how);
    this.vector = vector;
    this.durable = vector;
    this.#systemHas = null;
    this.#cleanStop = false;
  }

  #backUp(origin: OriginName): void {
    if (this.#backups.length === BACKUPS_MAX) this.#backups.splice(1, 1);
    const { vector } = this;
    this.#backups.push({ files: this.machine.disk.backUp(), vector, origin, seq: vector.get(origin) ?? 0 });
  }

  crash(how: 'kill' | 'lose-current' | 'lose-current-and-all-unsynced'): void {
    if (this.state === 'down') return;
    this.watch();
    if (how !== 'kill') this.#systemHas = null;
    else if (this.#systemHasAll()) this.#systemHas = this.vector;
    this.#end();
    if (how === 'kill') this.machine.kill();
    else this.machine.loseCurrent(how === 'lose-current' ? 'by chance' : 'none');
  }

  /** There is something in the log that has not been read. */
  get hasNews(): boolean {
    return this.#watcher?.hasNews ?? false;
  }

  /** Effects that were applied since the last call. */
  takeEffects(): number {
    const effects = this.#effects;
    this.#effects = 0;
    return effects;
  }

  /** Reads the log and notes what is durable: often, and before anything drastic. */
  watch(): void {
    if (this.instance === null) return;
    this.#watcher!.watch();
    const { database, engine } = this.instance;
    this.vector = vectorOf(database);
    const durable = new Map<OriginName, number>();
    for (const [index, seq] of engine.log.durableVector.entries()) {
      const { instance, generation } = database.origins.at(index);
      durable.set(originName(instance, generation), seq);
    }
    this.durable = durable;
  }

  #onStarted(instance: SimulatedInstance): void {
    this.instance = instance;
    this.state = 'ready';
    const vector = vectorOf(instance.database);
    this.#checkRecovery(vector);
    this.vector = vector;
    this.#watcher = new DatabaseWatcher(this.#options.chronicle, instance.database, machineName(this.id));
    this.#watcher.onBatch = (batch) => (this.#effects += batch.effects.length);
    this.#options.world.note(101, () => `${machineName(this.id)}: ready with ${describeVector(vector)}`);
    this.#options.onReady(this);
  }

  #checkRecovery(vector: Context): void {
    if (this.#options.settings.persistence.kind === 'disabled') return;
    const promised = this.#cleanStop ? this.vector : (this.#systemHas ?? this.durable);
    this.#cleanStop = false;
    this.#systemHas = null;
    for (const [origin, seq] of promised) {
      const found = vector.get(origin) ?? 0;
      if (found >= seq) continue;
      const error = new InvariantError(
        `${machineName(this.id)} came back with ${origin}@${found}, though its log had promised @${seq}`,
      );
      this.#options.world.fail(error);
    }
  }

  /** The process may die, the machine may not. */
  #systemHasAll(): boolean {
    return this.#options.settings.persistence.kind === 'aof' && this.instance?.engine.log.unwrittenBytes === 0;
  }

  #onFatal(reason: string): void {
    this.#options.world.note(102, () => `${machineName(this.id)}: fatal: ${reason}`);
    this.#options.world.fail(new InvariantError(`${machineName(this.id)} gave up: ${reason}`));
  }

  #end(): void {
    this.#starts++;
    this.instance = null;
    this.#watcher = null;
    this.state = 'down';
  }
}

export const describeVector = (vector: Context): string =>
  [...vector]
    .map(([origin, seq]) => `${origin}@${seq}`)
    .sort()
    .join(' ');
