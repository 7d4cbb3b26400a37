/**
 * Keys that hold more than one type at once: instances gave one name to different things before they had heard of each other. All of it is
 * kept and one type is shown, so nobody would notice; hence such keys are counted, and told of.
 *
 * A conflict *arises* where a batch of another instance, or a full sync, leaves a key with several types that did not have them before. It is judged
 * at the end of the batch, since nobody looks in between: REMOVE and ADD-MEMBERs of a SUNIONSTORE part and join a set and a
 * hidden string each time, and nothing new has happened. Local writes count nothing: a command fits the type that it sees, replaces all, or is
 * refused, so it can only end a conflict.
 *
 * Invariant: `keyCount` is the number of records that carry FLAG.several.
 */
import { KeyRef } from './key-ref.ts';
import type { Keyspace } from './keyspace.ts';

export class TypeConflicts {
  /** Keys that hold several types now; as it was before a full sync that is being merged. */
  keyCount = 0;
  /** Conflicts that have arisen here. */
  arisen = 0;
  /** Called for each; read the key, do not keep it. */
  onArisen: (ref: KeyRef) => void = () => {};
  /** Between `begin` and `end`. */
  isJudging = false;
  /** Keys that changed since `begin`: whether they held several types before. Nearly always empty. */
  readonly #before = new Map<string, boolean>();
  readonly #ref = new KeyRef();

  /** A batch of another instance begins, or the last look of a merge at a key. */
  begin(): void {
    this.isJudging = true;
    if (this.#before.size > 0) this.#before.clear();
  }

  /** A key came to hold several types, or does so no more. */
  note(ref: KeyRef, isSeveral: boolean): void {
    this.keyCount += isSeveral ? 1 : -1;
    if (!this.isJudging) return;
    const name = ref.toString();
    if (!this.#before.has(name)) this.#before.set(name, !isSeveral);
  }

  /** What began is applied. */
  end(keyspace: Keyspace): void {
    this.isJudging = false;
    if (this.#before.size === 0) return;
    for (const [name, wasSeveral] of this.#before) {
      const ref = keyspace.locate(this.#ref, Buffer.from(name, 'latin1'), 0, name.length);
      if (wasSeveral || !keyspace.holdsSeveralTypes(ref)) continue;
      this.arisen++;
      this.onArisen(ref);
    }
    this.#before.clear();
  }
}
