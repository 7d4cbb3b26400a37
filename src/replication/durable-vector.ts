/**
 * Which version vector is on disk. The log knows a durable position only; so now and then the end of the log and the version vector
 * there are noted, and when the disk has caught up with a note, its vector is durable.
 *
 * Invariant: `vector` never claims more than what lies before the log's durable position.
 */
import { VersionVector } from '../crdt/version-vector.ts';
import type { DatabasePort, LogPort } from './ports.ts';

/** Notes in waiting; more would mean that the disk stands still, and the newest then waits for an older one. */
const NOTES_MAX = 64;

export class DurableVector {
  readonly #database: DatabasePort;
  readonly #log: LogPort;
  readonly #notes: { readonly position: number; readonly vector: VersionVector }[] = [];
  #notedPosition = -1;
  #vector = new VersionVector();

  constructor(database: DatabasePort, log: LogPort) {
    this.#database = database;
    this.#log = log;
  }

  /** What is on disk by now. Not to be changed by the caller. */
  get vector(): VersionVector {
    this.#note();
    let reached = -1;
    while (reached + 1 < this.#notes.length && this.#notes[reached + 1]!.position <= this.#log.durablePosition)
      reached++;
    if (reached >= 0) {
      this.#vector = this.#notes[reached]!.vector;
      this.#notes.splice(0, reached + 1);
    }
    return this.#vector;
  }

  #note(): void {
    const position = this.#log.endPosition;
    if (position === this.#notedPosition || this.#notes.length >= NOTES_MAX) return;
    // A merge moves the vector before its end, though all that the log has of it is the MERGE frame.
    if (this.#database.writesHeld) return;
    this.#notedPosition = position;
    this.#notes.push({ position, vector: this.#database.vector.clone() });
  }
}
