/**
 * What was taken away whole and is freed in slices: containers, and maps of keys with all that they hold.
 *
 * While a snapshot is being written nothing is freed that it may still owe its readers.
 *
 * Invariant: nothing in here is reachable from the live maps or from stages.
 */
import { mapOf, type ContainerType } from './container-type.ts';
import type { Keyspace } from './keyspace.ts';

export class Graveyard {
  readonly #keyspace: Keyspace;
  readonly #containers: { readonly type: ContainerType; readonly container: number }[] = [];
  readonly #keyMaps: number[] = [];

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  get isEmpty(): boolean {
    return this.#containers.length === 0 && this.#keyMaps.length === 0;
  }

  bury(type: ContainerType, container: number): void {
    this.#containers.push({ type, container });
  }

  /** The map of keys, its 32 bytes included. */
  buryKeys(map: number): void {
    this.#keyMaps.push(map);
  }

  /** Frees about `count` entries. Returns whether there is more to do now. */
  dig(count: number): boolean {
    if (this.#keyspace.preImages !== null) return false;
    const grave = this.#containers[this.#containers.length - 1];
    if (grave !== undefined) {
      const { type, container } = grave;
      if (!type.maps.drain(mapOf(container), count, (entry) => type.destroyEntry(entry))) return true;
      this.#containers.pop();
      type.destroy(container);
      return !this.isEmpty;
    }
    const map = this.#keyMaps[this.#keyMaps.length - 1];
    if (map === undefined) return false;
    const { keyMaps, arena } = this.#keyspace;
    if (!keyMaps.drain(map, count, (record) => this.#freeKey(record))) return true;
    this.#keyMaps.pop();
    arena.free(map);
    return !this.isEmpty;
  }

  #freeKey(record: number): void {
    const { cells, containers } = this.#keyspace;
    containers.each(record, (type, container) => {
      cells.unlinkAttribute(record, container);
      this.bury(type, container);
    });
    cells.destroy(record);
  }
}
