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
import type { SimulatedWorld } from './world/world.ts';

export type NodeState = 'down' | 'starting' | 'ready' | 'stopping';

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
  #watcher: DatabaseWatcher | null = null;
  readonly #options: NodeOptions;
  #starts = 0;
  #cleanStop = false;
  /** Of its first clean stop since the last restore: so it is old as a rule. */
  #backup: { readonly files: DiskBackup; readonly vector: Context } | null = null;

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
        this.#end();
        this.machine.stop();
        this.#backup ??= { files: this.machine.disk.backUp(), vector: this.vector };
      },
      (error: Error) => this.#options.world.fail(error),
    );
  }

  /** It is down, and there is something to go back to. */
  get mayRestore(): boolean {
    return this.state === 'down' && this.#backup !== null;
  }

  /** What an earlier clean stop had left is put in the place of its files. */
  restore(): void {
    if (this.state !== 'down' || this.#backup === null) return;
    const { files, vector } = this.#backup;
    this.#options.world.note(
      103,
      () => `${machineName(this.id)}: a backup is put back, with ${describeVector(vector)}`,
    );
    this.machine.disk.restore(files);
    this.vector = vector;
    this.durable = vector;
    this.#cleanStop = false;
    this.#backup = null;
  }

  crash(how: 'kill' | 'lose-current'): void {
    if (this.state === 'down') return;
    this.watch();
    if (how === 'kill' && this.#systemHasAll()) this.durable = this.vector;
    this.#end();
    if (how === 'kill') this.machine.kill();
    else this.machine.loseCurrent();
  }

  /** There is something in the log that has not been read. */
  get hasNews(): boolean {
    return this.#watcher?.hasNews ?? false;
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
    this.#options.world.note(101, () => `${machineName(this.id)}: ready with ${describeVector(vector)}`);
    this.#options.onReady(this);
  }

  #checkRecovery(vector: Context): void {
    if (this.#options.settings.persistence.kind === 'disabled') return;
    const promised = this.#cleanStop ? this.vector : this.durable;
    this.#cleanStop = false;
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
