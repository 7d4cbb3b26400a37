/**
 * Events ordered by (time, sequence): two events of one instant run in the order in which they were scheduled.
 *
 * A binary heap; a cancelled event stays in it and is skipped, which is cheap because timers are few.
 *
 * Invariant: `pop` never returns an event earlier than one it returned before, unless the caller scheduled into the past.
 */
export interface SimulatedEvent {
  readonly timeMs: number;
  readonly sequence: number;
  readonly name: string;
  readonly run: () => void;
  cancelled: boolean;
}

export class EventQueue {
  readonly #heap: SimulatedEvent[] = [];
  #sequence = 0;

  push(timeMs: number, name: string, run: () => void): SimulatedEvent {
    const event: SimulatedEvent = { timeMs, sequence: this.#sequence++, name, run, cancelled: false };
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
    return event;
  }

  /** The next event that is not cancelled, without taking it. */
  peek(): SimulatedEvent | null {
    while (this.#heap.length > 0 && this.#heap[0]!.cancelled) this.#take();
    return this.#heap[0] ?? null;
  }

  pop(): SimulatedEvent | null {
    return this.peek() === null ? null : this.#take();
  }

  #take(): SimulatedEvent {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: SimulatedEvent, b: SimulatedEvent): boolean =>
  a.timeMs !== b.timeMs ? a.timeMs < b.timeMs : a.sequence < b.sequence;
