/**
 * A world in one process: virtual time, machines, a network between them, one seed behind everything that is left to chance.
 *
 * `run` takes one event after the other. After each, all promises that it settled have their turn (a real `setImmediate` comes only when the
 * microtasks are spent), so code with promises sees the same order in every run: no thread, no real timer and no real socket
 * takes part. A digest over all events is the proof: the same seed gives the same `traceHash`.
 *
 * Invariant: nothing outside the event queue moves time or runs code of a machine.
 */
import { setImmediate } from 'node:timers/promises';
import { Machine } from './machine.ts';
import { SimulatedNetwork } from './network.ts';
import { EventQueue, type SimulatedEvent } from './event-queue.ts';
import { mixWord, SeededRandom } from './random.ts';
import { workSteps } from './work-meter.ts';

/** 2026-01-01T00:00:00Z: where the world's time begins. */
const EPOCH_MS = 1_767_225_600_000;
/** More events than this within one virtual second: something runs in a circle. */
const EVENTS_PER_SECOND_MAX = 2_000_000;

export type TraceLine = (line: string) => void;

export class SimulatedWorld {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly epochMs = EPOCH_MS;
  readonly network: SimulatedNetwork;
  readonly machines: Machine[] = [];
  readonly #queue = new EventQueue();
  readonly #print: TraceLine | null;
  #nowMs = 0;
  #hash: number;
  #hash2: number;
  #eventCount = 0;
  #failure: Error | null = null;
  #stepsBefore = 0;
  #isInTurn = false;
  /** Called after each turn of a machine with its event's name and the steps of work that it took (see work-meter.ts). */
  onTurn: (name: string, steps: number) => void = () => undefined;

  /** `trace`: receives one line per thing worth telling; absent: only the digest is kept. */
  constructor(options: { readonly seed: number; readonly trace?: TraceLine }) {
    this.seed = options.seed;
    this.#print = options.trace ?? null;
    this.random = new SeededRandom(options.seed, 'world');
    this.#hash = mixWord(options.seed, 1);
    this.#hash2 = mixWord(options.seed, 2);
    this.network = new SimulatedNetwork(this);
  }

  /** Virtual milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Steps of work since the present turn began; outside of turns nobody's time is spent. */
  get turnSteps(): number {
    return this.#isInTurn ? workSteps() - this.#stepsBefore : 0;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  /** 16 hex digits over everything that happened so far. */
  get traceHash(): string {
    return this.#hash.toString(16).padStart(8, '0') + this.#hash2.toString(16).padStart(8, '0');
  }

  addMachine(name: string, options: { readonly offsetMs?: number; readonly drift?: number } = {}): Machine {
    const machine = new Machine(this, name, { offsetMs: options.offsetMs ?? 0, drift: options.drift ?? 0 });
    this.machines.push(machine);
    return machine;
  }

  schedule(delayMs: number, name: string, run: () => void): SimulatedEvent {
    return this.#queue.push(this.#nowMs + Math.max(0, delayMs), name, run);
  }

  /** Notes something in the digest and, when asked for, in the trace. `describe` is called only then. */
  note(number: number, describe: () => string): void {
    this.#mix(number);
    if (this.#print !== null) this.#print(`${(this.#nowMs / 1000).toFixed(6).padStart(12)}  ${describe()}`);
  }

  /** Something is wrong that its causer must not be able to catch: `run` throws it. The first one counts. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Runs until the virtual time is reached, or `until` says so after an event. */
  async run(untilMs: number, until?: () => boolean): Promise<void> {
    await setImmediate();
    let second = Math.floor(this.#nowMs / 1000);
    let inSecond = 0;
    while (true) {
      const event = this.#queue.peek();
      if (event === null || event.timeMs > untilMs) break;
      this.#queue.pop();
      this.#nowMs = Math.max(this.#nowMs, event.timeMs);
      this.#eventCount++;
      this.#mix(event.timeMs * 1000);
      this.#mix(event.sequence);
      this.#stepsBefore = workSteps();
      this.#isInTurn = true;
      for (const { clock } of this.machines) clock.beginTurn();
      event.run();
      await setImmediate();
      this.machines.find(({ name }) => name === event.name)?.clock.endTurn();
      const steps = this.turnSteps;
      this.#isInTurn = false;
      this.onTurn(event.name, steps);
      if (this.#failure !== null) throw this.#failure;
      if (until?.() === true) return;
      const now = Math.floor(this.#nowMs / 1000);
      inSecond = now === second ? inSecond + 1 : 0;
      second = now;
      if (inSecond > EVENTS_PER_SECOND_MAX) throw new Error(`time stands still at ${this.#nowMs} ms: ${event.name}`);
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #mix(number: number): void {
    const low = number >>> 0;
    const high = Math.floor(number / 0x1_0000_0000) >>> 0;
    this.#hash = mixWord(this.#hash, low ^ high);
    this.#hash2 = mixWord(this.#hash2, (low + Math.imul(high, 31)) >>> 0);
  }
}
