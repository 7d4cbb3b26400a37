/**
 * One simulated machine: a clock, a disk and a name on the network, which outlive the processes that run on it one after the other.
 *
 * A process is a `Host`. It ends in one of three ways: `stop` (it has closed its files itself), `kill` (the process dies, what it had written is in
 * the page cache and survives) and `loseCurrent` (power failure: what was not synced may be gone). A dead process never runs again: its
 * timers do not fire, its promises do not settle, its connections are cut.
 *
 * Invariant: at most one process of a machine is alive.
 */
import { assert } from '../../../src/base/assert.ts';
import type { Connection, Host } from '../../../src/host/host.ts';
import { MachineClock, ProcessClock } from './clock.ts';
import { SimulatedDisk, type ProcessDisk } from './disk.ts';
import type { ProcessNetwork } from './network.ts';
import { SeededRandom } from './random.ts';
import type { SimulatedWorld } from './world.ts';

export interface SimulatedHost extends Host {
  readonly clock: ProcessClock;
  readonly random: SeededRandom;
  readonly disk: ProcessDisk;
  readonly network: ProcessNetwork;
  readonly alive: boolean;
  /** Accepts connections on the machine's port from now on; handlers must be set in the callback. */
  listen(port: number, accept: (connection: Connection) => void): void;
}

export class Machine {
  readonly name: string;
  readonly clock: MachineClock;
  readonly disk: SimulatedDisk;
  readonly #world: SimulatedWorld;
  #process: { readonly host: SimulatedHost; readonly end: (reset: 'quick' | 'silent') => void } | null = null;
  #starts = 0;
  #boots = 1;

  constructor(world: SimulatedWorld, name: string, clock: { readonly offsetMs: number; readonly drift: number }) {
    this.#world = world;
    this.name = name;
    this.clock = new MachineClock(world, name, clock);
    this.disk = new SimulatedDisk(world, name);
  }

  get running(): boolean {
    return this.#process !== null;
  }

  /** Starts a process. */
  start(): SimulatedHost {
    assert(this.#process === null, 'the machine runs a process already');
    const clock = new ProcessClock(this.#world, this.clock, this.name);
    const random = new SeededRandom(this.#world.seed, `process ${this.name} ${++this.#starts}`);
    const disk = this.disk.attach();
    const network = this.#world.network.attach(this.name);
    let alive = true;
    const host: SimulatedHost = {
      bootId: `boot ${this.#boots}`,
      clock,
      random,
      disk,
      network,
      collectGarbage: () => undefined,
      get alive() {
        return alive;
      },
      listen: (port, accept) => network.listen(port, accept),
    };
    const end = (reset: 'quick' | 'silent'): void => {
      alive = false;
      clock.kill();
      disk.kill();
      network.kill(reset);
    };
    this.#process = { host, end };
    this.#world.note(1, () => `${this.name}: process ${this.#starts} starts`);
    return host;
  }

  /** The process ends by itself; its connections are closed in order. */
  stop(): void {
    this.#world.note(2, () => `${this.name}: process ends`);
    this.#end('quick');
  }

  /** The process dies at once. What it wrote stays, what it was writing may be half there. */
  kill(): void {
    this.#world.note(3, () => `${this.name}: process killed`);
    this.#end('quick');
    this.disk.dropInFlight();
  }

  /** The machine loses its power: peers hear nothing, and unsynced bytes are lost as the seed says, or all of them. */
  loseCurrent(unsynced: 'by chance' | 'none' = 'by chance'): void {
    this.#world.note(4, () => `${this.name}: power lost`);
    this.#end('silent');
    this.disk.crash(unsynced);
    this.#boots++;
  }

  #end(reset: 'quick' | 'silent'): void {
    const process = this.#process;
    this.#process = null;
    process?.end(reset);
  }
}
