/**
 * The disk of this machine, over node:fs.
 *
 * Callbacks rather than FileHandle: a write costs one thread hand-off and one promise, nothing else. A short write is continued; what is
 * reported as written has been taken by the kernel, and only `sync` says that it is on the medium. Names become durable by an
 * fsync of their directory, which `rename` and `replaceFile` include.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Disk, DiskFile } from './host.ts';

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

class RealFile implements DiskFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let done = 0;
      const writeRest = (): void =>
        fs.write(this.#descriptor, bytes, done, bytes.length - done, offset + done, (error, count) => {
          done += count;
          if (error) reject(error);
          else if (done === bytes.length) resolve();
          else writeRest();
        });
      writeRest();
    });
  }

  writeNow(bytes: Uint8Array, offset: number): void {
    for (let done = 0; done < bytes.length;)
      done += fs.writeSync(this.#descriptor, bytes, done, bytes.length - done, offset + done);
  }

  read(bytes: Uint8Array, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let done = 0;
      const readRest = (): void =>
        fs.read(this.#descriptor, bytes, done, bytes.length - done, offset + done, (error, count) => {
          if (error) return reject(error);
          done += count;
          if (count === 0 || done === bytes.length) resolve(done);
          else readRest();
        });
      readRest();
    });
  }

  sync(): Promise<void> {
    return settle((done) => fs.fdatasync(this.#descriptor, done));
  }

  truncate(length: number): Promise<void> {
    return settle((done) => fs.ftruncate(this.#descriptor, length, done));
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) =>
      fs.fstat(this.#descriptor, (error, stats) => (error ? reject(error) : resolve(stats.size))),
    );
  }

  close(): Promise<void> {
    return settle((done) => fs.close(this.#descriptor, done));
  }
}

export class RealDisk implements Disk {
  async makeDirectory(directory: string): Promise<void> {
    await fs.promises.mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  }

  async list(directory: string): Promise<readonly string[]> {
    const names = await ifPresent(fs.promises.readdir(directory));
    return names?.sort() ?? [];
  }

  open(file: string, mode: 'create' | 'read'): Promise<DiskFile> {
    const flags = mode === 'create' ? fs.constants.O_RDWR | fs.constants.O_CREAT : fs.constants.O_RDONLY;
    return new Promise((resolve, reject) =>
      fs.open(file, flags, FILE_MODE, (error, descriptor) =>
        error ? reject(error) : resolve(new RealFile(descriptor)),
      ),
    );
  }

  readFile(file: string): Promise<Uint8Array | null> {
    return ifPresent(fs.promises.readFile(file));
  }

  async replaceFile(file: string, content: Uint8Array | ((identity: string) => Uint8Array)): Promise<void> {
    const temporary = `${file}.tmp`;
    const handle = await fs.promises.open(temporary, 'w', FILE_MODE);
    try {
      const bytes = typeof content === 'function' ? content(identityOf(await handle.stat({ bigint: true }))) : content;
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await this.rename(temporary, file);
  }

  async identify(file: string): Promise<string | null> {
    const stats = await ifPresent(fs.promises.stat(file, { bigint: true }));
    return stats && identityOf(stats);
  }

  async rename(from: string, to: string): Promise<void> {
    await fs.promises.rename(from, to);
    await syncDirectory(path.dirname(to));
    if (path.dirname(from) !== path.dirname(to)) await syncDirectory(path.dirname(from));
  }

  async remove(file: string): Promise<void> {
    await ifPresent(fs.promises.unlink(file));
  }
}

/** A number alone may be given again to the next file; no two files are born with one number at one time. */
const identityOf = ({ ino, birthtimeNs }: fs.BigIntStats): string => `${ino}:${birthtimeNs}`;

async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.promises.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const settle = (start: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));

/** null when the file or directory does not exist. */
async function ifPresent<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
