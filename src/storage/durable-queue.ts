/**
 * Who waits for which log position to be on disk. Replies under `appendfsync-always` come here: one entry per connection and turn, no
 * promise, and the arrays are reused.
 *
 * Invariant: callbacks run in the order in which they were queued, and none before its position is durable.
 */
export class DurableQueue {
  #positions: number[] = [];
  #callbacks: (() => void)[] = [];
  #head = 0;

  get length(): number {
    return this.#positions.length - this.#head;
  }

  add(position: number, fn: () => void): void {
    const last = this.#positions.length - 1;
    // Positions ascend, so that the queue can be served from its head: waiting longer than asked is harmless.
    this.#positions.push(last >= this.#head ? Math.max(position, this.#positions[last]!) : position);
    this.#callbacks.push(fn);
  }

  /** Calls everyone whose position is at most `position`. Callbacks may queue again. */
  release(position: number): void {
    while (this.#head < this.#positions.length && this.#positions[this.#head]! <= position)
      this.#callbacks[this.#head++]!();
    if (this.#head === this.#positions.length) {
      this.#positions.length = 0;
      this.#callbacks.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#positions.splice(0, this.#head);
      this.#callbacks.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
