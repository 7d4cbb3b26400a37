/**
 * WATCH: who must know when a key changes, by a client, a peer or an expiry.
 *
 * Invariant: costs one comparison per change while nobody watches.
 */
import type { KeyRef } from './key-ref.ts';

export interface Watcher {
  /** Set when a watched key changed. */
  dirty: boolean;
}

export class KeyWatch {
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #keys = new Map<Watcher, Set<string>>();

  /** Number of watched keys. */
  get size(): number {
    return this.#watchers.size;
  }

  watch(key: Uint8Array, watcher: Watcher): void {
    const name = Buffer.from(key).toString('latin1');
    getOrMake(this.#watchers, name).add(watcher);
    getOrMake(this.#keys, watcher).add(name);
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
      if (test(Buffer.from(name, 'latin1'))) for (const watcher of watchers) watcher.dirty = true;
    }
  }

  touch(ref: KeyRef): void {
    const watchers = this.#watchers.get(ref.toString());
    if (watchers !== undefined) for (const watcher of watchers) watcher.dirty = true;
  }
}

function getOrMake<K, V>(map: Map<K, Set<V>>, key: K): Set<V> {
  let set = map.get(key);
  if (set === undefined) {
    set = new Set();
    map.set(key, set);
  }
  return set;
}
