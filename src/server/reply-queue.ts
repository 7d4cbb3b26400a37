/**
 * Replies of one turn of the event loop, of all clients that had something to read, until they leave together at its end.
 *
 * Why not at once: a client that waits on another core wakes up at the first reply, finds one, answers it and sleeps again; woken once by fifty
 * replies it answers fifty. Redis does the same ("before sleep"). All replies stand in the one writer's buffer, one client's after
 * the other's, and each leaves with one write; nearly always the kernel takes all of them and the buffer is used again.
 *
 * Invariant: outside of a client's requests, every byte in the writer belongs to a client that has been added.
 */
import { assert } from '../base/assert.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { Outbox } from './outbox.ts';

export class ReplyQueue {
  readonly #writer: ReplyWriter;
  readonly #outboxes: Outbox[] = [];
  /** Where each one's replies end in the writer. */
  readonly #ends: number[] = [];
  #end = 0;

  constructor(writer: ReplyWriter) {
    this.#writer = writer;
  }

  get isEmpty(): boolean {
    return this.#outboxes.length === 0;
  }

  /** What was written since the last call is that client's. */
  add(outbox: Outbox): void {
    const end = this.#writer.length;
    if (end === this.#end) return;
    this.#outboxes.push(outbox);
    this.#ends.push(end);
    this.#end = end;
  }

  /** What was written since the last call of `add` is nobody's. */
  drop(): void {
    this.#writer.truncate(this.#end);
    this.#writer.begin();
  }

  /** Everything leaves, in order. */
  flush(): void {
    const outboxes = this.#outboxes;
    assert(this.#writer.length === this.#end, 'no client is in the middle of its requests when replies leave');
    if (outboxes.length === 0) return;
    const bytes = this.#writer.peek();
    let areAllTaken = true;
    let start = 0;
    for (let i = 0; i < outboxes.length; i++) {
      const end = this.#ends[i]!;
      if (!outboxes[i]!.send(bytes.subarray(start, end))) areAllTaken = false;
      start = end;
    }
    outboxes.length = 0;
    this.#ends.length = 0;
    this.#end = 0;
    if (areAllTaken) this.#writer.truncate();
    else this.#writer.surrender();
  }
}
