/**
 * A disk in memory that forgets what was not synced when it "crashes", and fails on demand. Stricter than a real one: a name that was
 * never made durable by `rename` or `replaceFile` is gone after a crash, whatever was synced under it.
 */
import type { Disk, DiskFile } from '../../src/host/host.ts';

class Node {
  readonly identity: string;
  bytes: Buffer = Buffer.alloc(0);
  synced: Buffer = Buffer.alloc(0);
  nameIsDurable = false;

  constructor(identity: string) {
    this.identity = identity;
  }
}

export class MemoryDisk implements Disk {
  #files = new Map<string, Node>();
  /** Of the machine that it is in. */
  bootId = 'boot 1';
  /** Every write fails with it. */
  writeError: Error | null = null;
  syncError: Error | null = null;
  /** Syncs wait until `releaseSyncs`. */
  holdSyncs = false;
  writes = 0;
  syncs = 0;
  #held: (() => void)[] = [];
  #filesMade = 0;

  get heldSyncs(): number {
    return this.#held.length;
  }

  releaseSyncs(): void {
    for (const release of this.#held.splice(0)) release();
  }

  /**
   * What a power failure leaves: per file what was synced, plus as much of the rest as `keep` says (it is told the number of unsynced
   * bytes). The process that used this disk may live on as a ghost; it cannot touch the survivor.
   */
  afterCrash(keep: (unsyncedBytes: number) => number = () => 0): MemoryDisk {
    const survivor = new MemoryDisk();
    survivor.bootId = `${this.bootId}, again`;
    for (const [path, file] of this.#files) {
      if (!file.nameIsDurable) continue;
      const unsynced = Math.max(0, file.bytes.length - file.synced.length);
      const kept = file.synced.length + Math.min(unsynced, keep(unsynced));
      const content = Buffer.concat([file.synced, file.bytes.subarray(file.synced.length, kept)]);
      survivor.#put(path, content, file.identity);
    }
    survivor.#filesMade = this.#filesMade;
    return survivor;
  }

  /** A copy of everything as it is now, for trying several ends of one story. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk();
    copy.bootId = this.bootId;
    for (const [path, file] of this.#files) copy.#put(path, file.bytes, file.identity);
    copy.#filesMade = this.#filesMade;
    return copy;
  }

  /** What a copy of the directory elsewhere has: other files of the same content. */
  backup(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const [path, file] of this.#files) copy.#put(path, file.bytes, `copy of ${file.identity}`);
    return copy;
  }

  bytesOf(path: string): Buffer {
    const file = this.#files.get(path);
    if (!file) throw new Error(`no such file: ${path}`);
    return file.bytes;
  }

  put(path: string, bytes: Uint8Array): void {
    this.#put(path, bytes, this.#newIdentity());
  }

  #newIdentity(): string {
    return `file ${++this.#filesMade}`;
  }

  #put(path: string, bytes: Uint8Array, identity: string): void {
    const file = new Node(identity);
    file.bytes = Buffer.from(bytes);
    file.synced = Buffer.from(bytes);
    file.nameIsDurable = true;
    this.#files.set(path, file);
  }

  names(directory: string): string[] {
    const prefix = `${directory}/`;
    return [...this.#files.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length))
      .sort();
  }

  makeDirectory(): Promise<void> {
    return Promise.resolve();
  }

  list(directory: string): Promise<readonly string[]> {
    return Promise.resolve(this.names(directory));
  }

  open(path: string, mode: 'create' | 'read'): Promise<DiskFile> {
    let file = this.#files.get(path);
    if (!file && mode === 'read') return Promise.reject(new Error(`ENOENT: no such file, ${path}`));
    if (!file) this.#files.set(path, (file = new Node(this.#newIdentity())));
    return Promise.resolve(this.#handle(file));
  }

  readFile(path: string): Promise<Uint8Array | null> {
    const file = this.#files.get(path);
    return Promise.resolve(file ? Buffer.from(file.bytes) : null);
  }

  async replaceFile(path: string, content: Uint8Array | ((identity: string) => Uint8Array)): Promise<void> {
    if (this.writeError) throw this.writeError;
    const identity = this.#newIdentity();
    this.#put(path, typeof content === 'function' ? content(identity) : content, identity);
    await Promise.resolve();
  }

  identify(path: string): Promise<string | null> {
    return Promise.resolve(this.#files.get(path)?.identity ?? null);
  }

  rename(from: string, to: string): Promise<void> {
    const file = this.#files.get(from);
    if (!file) return Promise.reject(new Error(`ENOENT: no such file, ${from}`));
    this.#files.delete(from);
    this.#files.set(to, file);
    file.nameIsDurable = true;
    return Promise.resolve();
  }

  remove(path: string): Promise<void> {
    this.#files.delete(path);
    return Promise.resolve();
  }

  #handle(file: Node): DiskFile {
    const writeNow = (bytes: Uint8Array, offset: number): void => {
      if (this.writeError) throw this.writeError;
      this.writes++;
      if (offset + bytes.length > file.bytes.length) {
        const longer = Buffer.alloc(offset + bytes.length);
        file.bytes.copy(longer);
        file.bytes = longer;
      }
      file.bytes.set(bytes, offset);
    };
    return {
      write: async (bytes, offset) => {
        await Promise.resolve();
        writeNow(bytes, offset);
      },
      writeNow,
      read: (bytes, offset) => {
        const part = file.bytes.subarray(offset, offset + bytes.length);
        bytes.set(part);
        return Promise.resolve(part.length);
      },
      sync: async () => {
        const content = Buffer.from(file.bytes);
        if (this.holdSyncs) await new Promise<void>((resolve) => this.#held.push(resolve));
        await Promise.resolve();
        if (this.syncError) throw this.syncError;
        this.syncs++;
        file.synced = content;
      },
      truncate: (length) => {
        file.bytes = Buffer.from(file.bytes.subarray(0, length));
        return Promise.resolve();
      },
      size: () => Promise.resolve(file.bytes.length),
      close: () => Promise.resolve(),
    };
  }
}
