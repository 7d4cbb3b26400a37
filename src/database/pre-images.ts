/** Who wants to see records before they change: a snapshot that is being written. Called before every change; cheap where the record was seen already. */
import type { ContainerType } from './container-type.ts';
import type { KeyRef } from './key-ref.ts';

export interface PreImages {
  /** The record of a key, without what its containers hold. */
  key(record: number): void;
  /** An entry of one of the key's containers. Only the reference's name counts. */
  entry(type: ContainerType, ref: KeyRef, entry: number): void;
  /** The container leaves the place where a walk over the keys would find it; it stays whole until the walk is over, or `entry` is called for what goes. */
  release(type: ContainerType, ref: KeyRef, container: number): void;
  /** The container is about to be freed; what was in it went one by one. */
  gone(container: number): void;
}
