/** One open file of a simulated process. */
import { assert } from '../../../src/base/assert.ts';
import type { DiskFile } from '../../../src/host/host.ts';
import type { ProcessDisk } from './disk.ts';
import type { FileContent } from './file-content.ts';

export class ProcessFile implements DiskFile {
  readonly #disk: ProcessDisk;
  readonly #content: FileContent;
  #open = true;

  constructor(disk: ProcessDisk, content: FileContent) {
    this.#disk = disk;
    this.#content = content;
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    assert(this.#open, 'a closed file is written');
    const copy = Buffer.from(bytes);
    return this.#disk.delay(
      'writeMs',
      () => {
        if (!copy.equals(bytes)) this.#disk.fail('the bytes of a write changed before it was complete');
        this.#content.write(copy, offset);
      },
      (random) => this.#content.write(copy.subarray(0, random.below(copy.length + 1)), offset),
      copy.length,
    );
  }

  writeNow(bytes: Uint8Array, offset: number): void {
    assert(this.#open, 'a closed file is written');
    this.#content.write(Buffer.from(bytes), offset);
  }

  read(bytes: Uint8Array, offset: number): Promise<number> {
    assert(this.#open, 'a closed file is read');
    const read = (): number => {
      const found = this.#content.read(offset, bytes.length);
      bytes.set(found);
      return found.length;
    };
    return this.#disk.delay('readMs', read, undefined, bytes.length);
  }

  sync(): Promise<void> {
    assert(this.#open, 'a closed file is synced');
    const before = this.#content.totalChanges;
    return this.#disk.delay('syncMs', () => this.#content.syncUpTo(before));
  }

  truncate(length: number): Promise<void> {
    assert(this.#open, 'a closed file is truncated');
    return this.#disk.delay('writeMs', () => this.#content.truncate(length));
  }

  size(): Promise<number> {
    return this.#disk.delay('readMs', () => this.#content.length);
  }

  close(): Promise<void> {
    assert(this.#open, 'a file is closed twice');
    this.#open = false;
    return this.#disk.delay('readMs', () => undefined);
  }
}
