/** A disk in memory, for what lives no longer than the rehearsal: as quick as the system's cache, never full, gone with the process. */
import type { Disk, DiskFile } from '../../host/host.ts';

const FILE_BYTES_MIN = 4096;

class MemoryFile implements DiskFile {
  #bytes = Buffer.alloc(0);
  #size = 0;

  writeNow(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length;
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(FILE_BYTES_MIN, end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, offset);
    this.#size = Math.max(this.#size, end);
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    this.writeNow(bytes, offset);
    return Promise.resolve();
  }

  read(bytes: Uint8Array, offset: number): Promise<number> {
    const part = this.#bytes.subarray(Math.min(offset, this.#size), Math.min(offset + bytes.length, this.#size));
    bytes.set(part);
    return Promise.resolve(part.length);
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  truncate(length: number): Promise<void> {
    this.#size = Math.min(this.#size, length);
    return Promise.resolve();
  }

  size(): Promise<number> {
    return Promise.resolve(this.#size);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get content(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }
}

export class MemoryDisk implements Disk {
  readonly #files = new Map<string, MemoryFile>();

  makeDirectory(): Promise<void> {
    return Promise.resolve();
  }

  list(path: string): Promise<readonly string[]> {
    const prefix = `${path}/`;
    const names = [...this.#files.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
    return Promise.resolve(names.sort());
  }

  open(path: string, mode: 'create' | 'read'): Promise<DiskFile> {
    const file = this.#files.get(path);
    if (file !== undefined) return Promise.resolve(file);
    return mode === 'read' ? Promise.reject(new Error(`no such file: ${path}`)) : Promise.resolve(this.#create(path));
  }

  readFile(path: string): Promise<Uint8Array | null> {
    return Promise.resolve(this.#files.get(path)?.content ?? null);
  }

  replaceFile(path: string, content: Uint8Array | ((identity: string) => Uint8Array)): Promise<void> {
    this.#create(path).writeNow(typeof content === 'function' ? content(path) : content, 0);
    return Promise.resolve();
  }

  identify(path: string): Promise<string | null> {
    return Promise.resolve(this.#files.has(path) ? path : null);
  }

  rename(from: string, to: string): Promise<void> {
    const file = this.#files.get(from);
    if (file === undefined) return Promise.reject(new Error(`no such file: ${from}`));
    this.#files.delete(from);
    this.#files.set(to, file);
    return Promise.resolve();
  }

  remove(path: string): Promise<void> {
    this.#files.delete(path);
    return Promise.resolve();
  }

  #create(path: string): MemoryFile {
    const file = new MemoryFile();
    this.#files.set(path, file);
    return file;
  }
}
