/**
 * WATCH: who must know when a key changes, by a client, a peer or an expiry.
 *
 * A key that has expired is not there, whether it was removed or not. So its removal is no change for whoever began to watch it after its time was
 * over, and is one for everybody else.
 *
 * Invariant: costs one comparison per change while nobody watches.
 */
import type { KeyRef } from './key-ref.ts';

export interface Watcher {
  /** Set when a watched key changed. */
  dirty: boolean;
}

export class KeyWatch {
  /** By key: watchers, and whether the key was absent when they began. */
  readonly #watchers = new Map<string, Map<Watcher, boolean>>();
  readonly #keys = new Map<Watcher, Set<string>>();

  /** Number of watched keys. */
  get size(): number {
    return this.#watchers.size;
  }

  /** `isAbsent`: there is no such key now, or it has expired. */
  watch(key: Uint8Array, watcher: Watcher, isAbsent: boolean): void {
    const name = Buffer.from(key).toString('latin1');
    const watchers = getOrMake(this.#watchers, name, () => new Map<Watcher, boolean>());
    if (!watchers.has(watcher)) watchers.set(watcher, isAbsent);
    getOrMake(this.#keys, watcher, () => new Set<string>()).add(name);
  }

  unwatch(watcher: Watcher): void {
    for (const name of this.#keys.get(watcher) ?? []) {
      const watchers = this.#watchers.get(name)!;
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(name);
    }
    this.#keys.delete(watcher);
  }

  /** Any key may have changed. */
  touchAll(): void {
    for (const watcher of this.#keys.keys()) watcher.dirty = true;
  }

  /** Those keys have changed for which the test says so. */
  touchWhere(test: (key: Buffer) => boolean): void {
    for (const [name, watchers] of this.#watchers) {
      if (test(Buffer.from(name, 'latin1'))) for (const watcher of watchers.keys()) watcher.dirty = true;
    }
  }

  /** `isExpired`: it is, whatever this change leaves of it. */
  touch(ref: KeyRef, isExpired: boolean): void {
    const watchers = this.#watchers.get(ref.toString());
    if (watchers === undefined) return;
    for (const [watcher, wasAbsent] of watchers) watcher.dirty ||= !(isExpired && wasAbsent);
  }
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
