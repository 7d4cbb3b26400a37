/**
 * Whether an instance that is being stopped gets on: it answers nobody any more, but what it writes can be seen from outside, in its
 * log and in its data folder. Never a clock alone: the last snapshot of a large data set takes minutes, and is not to be cut off.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabasePaths } from './home.ts';

export class StopProgress {
  readonly #paths: DatabasePaths;
  /** By inode: a file that is renamed when it is complete is not written twice. */
  #sizes: ReadonlyMap<number, number> | null = null;
  #signature = '';
  #writtenBytes = 0;

  constructor(paths: DatabasePaths) {
    this.#paths = paths;
  }

  /** Since the first look. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Whether anything has changed since the last look; the first one counts as a change. */
  async look(): Promise<boolean> {
    const { log, data } = this.#paths;
    const names = await readdir(data).catch(() => []);
    const sizes = new Map<number, number>();
    const parts: string[] = [];
    for (const path of [log, ...names.map((name) => join(data, name))]) {
      const found = await stat(path).catch(() => null);
      if (found === null) continue;
      sizes.set(found.ino, found.size);
      parts.push(`${path}:${found.size}:${found.mtimeMs}`);
    }
    const before = this.#sizes;
    if (before !== null) {
      for (const [inode, size] of sizes) this.#writtenBytes += Math.max(0, size - (before.get(inode) ?? 0));
    }
    this.#sizes = sizes;
    const signature = parts.join();
    const moved = signature !== this.#signature;
    this.#signature = signature;
    return moved;
  }
}
