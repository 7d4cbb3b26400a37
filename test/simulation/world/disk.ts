/**
 * A disk that keeps only what it promised to keep.
 *
 * A file has what is durable, and a list of *changes* (writes and truncations) made since. `sync` makes the changes durable that were complete
 * when it was called. After a power failure each file keeps, as the seed decides, none of its changes, all of them, or a first part
 * of them with the last one torn at any byte. What a directory keeps is what Host.Disk says, and not more:
 *
 *   - `replaceFile` and `rename` are atomic and durable once their promise settles; before that either side may be found;
 *   - a new file's name is durable once the file has been synced; before that the file may be gone;
 *   - a removed file may be back, unless a `replaceFile` or `rename` in the same directory came after it.
 *
 * When only the process dies, completed writes stay, the last one in flight may be half there.
 *
 * Invariant: bytes that a settled `sync` covered are never lost.
 */
import type { Disk, DiskFile } from '../../../src/host/host.ts';
import { ProcessFile } from './disk-file.ts';
import { FileContent } from './file-content.ts';
import { SeededRandom } from './random.ts';
import type { SimulatedWorld } from './world.ts';

const directoryOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** Milliseconds; means of exponential distributions over a least value. */
export interface DiskSpeed {
  writeMs: number;
  syncMs: number;
  readMs: number;
  /** Throughput of writes and reads. */
  bytesPerMs: number;
}

const FAST: DiskSpeed = { writeMs: 0.05, syncMs: 2, readMs: 0.05, bytesPerMs: Infinity };

export class SimulatedDisk {
  readonly speed: DiskSpeed = { ...FAST };
  readonly #world: SimulatedWorld;
  readonly #name: string;
  readonly #random: SeededRandom;
  /** What processes see. */
  readonly #files = new Map<string, FileContent>();
  /** Removed, and not yet durably so. */
  readonly #removed = new Map<string, FileContent>();
  readonly #inFlight = new Set<InFlight>();
  #filesMade = 0;

  constructor(world: SimulatedWorld, name: string) {
    this.#world = world;
    this.#name = name;
    this.#random = new SeededRandom(world.seed, `disk ${name}`);
  }

  get random(): SeededRandom {
    return this.#random;
  }

  attach(): ProcessDisk {
    return new ProcessDisk(this);
  }

  slow(speed: Partial<DiskSpeed>): void {
    Object.assign(this.speed, speed);
  }

  /** As fast as a disk should be. */
  mend(): void {
    this.slow(FAST);
  }

  /** The machine loses its power. */
  crash(unsynced: 'by chance' | 'none' = 'by chance'): void {
    this.#settleInFlight();
    for (const [path, file] of this.#removed) {
      if (!this.#files.has(path) && this.#random.chance(0.5)) this.#files.set(path, file);
    }
    this.#removed.clear();
    for (const [path, file] of this.#files) {
      if (!file.nameDurable && this.#random.chance(0.5)) {
        this.#files.delete(path);
        this.#world.note(10, () => `${this.#name}: lost the new file ${path}`);
        continue;
      }
      const lost = file.crash(this.#random, unsynced);
      if (lost > 0)
        this.#world.note(11 + lost, () => `${this.#name}: lost the last ${lost} bytes of changes to ${path}`);
    }
  }

  /** What a backup of the stopped machine has. */
  backUp(): DiskBackup {
    const save = (file: FileContent): SavedFile => ({ identity: file.identity, bytes: file.read(0, Infinity) });
    return new Map([...this.#files].map(([path, file]) => [path, save(file)]));
  }

  /**
   * The backup is put in the place of what is there. `copied`: other files, of the same content. `rolled back`: the very same files, as when a
   * virtual machine returns to a snapshot.
   */
  restore(backup: DiskBackup, how: 'copied' | 'rolled back' = 'copied'): void {
    this.#files.clear();
    this.#removed.clear();
    for (const [path, { identity, bytes }] of backup) {
      const file = how === 'copied' ? this.newFile() : new FileContent(identity);
      this.#files.set(path, file);
      file.write(bytes, 0);
      file.sync();
    }
  }

  /** The process died: operations that were under way happened or not. */
  dropInFlight(): void {
    this.#settleInFlight();
  }

  /** A damaged byte, for tests of the recovery. */
  corrupt(path: string, offset: number): void {
    this.#files.get(path)?.corrupt(offset);
  }

  /** Every file with its length, sorted: for tests. */
  describe(): readonly string[] {
    return [...this.#files].map(([path, file]) => `${path} ${file.length}`).sort();
  }

  // What follows is called by the process's side only.

  fail(message: string): void {
    this.#world.fail(new Error(`${this.#name}: ${message}`));
  }

  get(path: string): FileContent | null {
    return this.#files.get(path) ?? null;
  }

  newFile(): FileContent {
    return new FileContent(`file ${++this.#filesMade}`);
  }

  create(path: string): FileContent {
    const file = this.newFile();
    this.#files.set(path, file);
    return file;
  }

  list(path: string): readonly string[] {
    const prefix = path.endsWith('/') ? path : `${path}/`;
    const names = new Set<string>();
    for (const name of this.#files.keys()) {
      if (name.startsWith(prefix)) names.add(name.slice(prefix.length).split('/')[0]!);
    }
    return [...names].sort();
  }

  replace(path: string, file: FileContent): void {
    this.#files.set(path, file);
    this.#directorySynced(path);
  }

  rename(from: string, to: string): void {
    const file = this.#files.get(from);
    if (file === undefined) throw new Error(`ENOENT: no such file, rename '${from}' -> '${to}'`);
    this.#files.delete(from);
    this.#removed.delete(from);
    this.#files.set(to, file);
    file.nameDurable = true;
    this.#directorySynced(from);
    this.#directorySynced(to);
  }

  remove(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#files.delete(path);
    if (file.nameDurable) this.#removed.set(path, file);
  }

  /** Lets an operation take its time: `apply` happens at the end, or by chance when the process dies before. */
  delay<T>(waits: Waits, process: ProcessDisk, apply: () => T, torn?: (random: SeededRandom) => void): Promise<T> {
    const hiccupMs = this.#random.chance(0.002) ? this.#random.real(20, 400) : 0;
    const transferMs = waits.bytes / this.speed.bytesPerMs;
    const waitMs = 0.02 + this.#random.exponential(waits.meanMs) + transferMs + hiccupMs;
    return new Promise<T>((resolve, reject) => {
      const operation: InFlight = { half: torn ?? null, whole: apply };
      this.#inFlight.add(operation);
      this.#world.schedule(waitMs, this.#name, () => {
        if (!process.alive || !this.#inFlight.delete(operation)) return;
        try {
          resolve(apply());
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  #settleInFlight(): void {
    for (const operation of this.#inFlight) {
      const fate = this.#random.below(3);
      if (fate === 0) continue;
      try {
        if (fate === 2 && operation.half !== null) operation.half(this.#random);
        else operation.whole();
      } catch {
        // The operation would have failed: nobody is left to be told.
      }
    }
    this.#inFlight.clear();
  }

  #directorySynced(path: string): void {
    const directory = directoryOf(path);
    for (const name of this.#removed.keys()) if (directoryOf(name) === directory) this.#removed.delete(name);
    for (const [name, file] of this.#files) if (directoryOf(name) === directory) file.nameDurable = true;
  }
}

interface SavedFile {
  readonly identity: string;
  readonly bytes: Buffer;
}

export type DiskBackup = ReadonlyMap<string, SavedFile>;

interface Waits {
  readonly meanMs: number;
  readonly bytes: number;
}

interface InFlight {
  readonly half: ((random: SeededRandom) => void) | null;
  readonly whole: () => unknown;
}

/** The disk as one process sees it. After `kill` its promises never settle. */
export class ProcessDisk implements Disk {
  readonly #disk: SimulatedDisk;
  alive = true;

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
  }

  kill(): void {
    this.alive = false;
  }

  fail(message: string): void {
    this.#disk.fail(message);
  }

  makeDirectory(_path: string): Promise<void> {
    return this.delay('writeMs', () => undefined);
  }

  list(path: string): Promise<readonly string[]> {
    return this.delay('readMs', () => this.#disk.list(path));
  }

  open(path: string, mode: 'create' | 'read'): Promise<DiskFile> {
    return this.delay('readMs', () => {
      const file = this.#disk.get(path);
      if (file === null && mode === 'read') throw new Error(`ENOENT: no such file or directory, open '${path}'`);
      return new ProcessFile(this, file ?? this.#disk.create(path));
    });
  }

  readFile(path: string): Promise<Uint8Array | null> {
    return this.delay('readMs', () => this.#disk.get(path)?.read(0, Infinity) ?? null);
  }

  replaceFile(path: string, content: Uint8Array | ((identity: string) => Uint8Array)): Promise<void> {
    const file = this.#disk.newFile();
    file.write(typeof content === 'function' ? content(file.identity) : content, 0);
    file.sync();
    return this.delay('syncMs', () => this.#disk.replace(path, file));
  }

  identify(path: string): Promise<string | null> {
    return this.delay('readMs', () => this.#disk.get(path)?.identity ?? null);
  }

  rename(from: string, to: string): Promise<void> {
    return this.delay('syncMs', () => this.#disk.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.delay('writeMs', () => this.#disk.remove(path));
  }

  /** `bytes`: how many are written or read. */
  delay<T>(
    speed: 'writeMs' | 'readMs' | 'syncMs',
    apply: () => T,
    torn?: (random: SeededRandom) => void,
    bytes = 0,
  ): Promise<T> {
    if (!this.alive) return new Promise<T>(() => undefined);
    return this.#disk.delay({ meanMs: this.#disk.speed[speed], bytes }, this, apply, torn);
  }
}
