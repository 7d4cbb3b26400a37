/**
 * The network between the machines of a simulated world: who listens, who can reach whom, how long it takes.
 *
 * Every ordered pair of machines is a *path* with its own latency; it can be cut in one direction only. Bytes sent into a cut path wait, as TCP
 * retransmits, and arrive after it heals if the connection still exists; so does the news that the other side has closed. A new
 * connection needs both directions. What happens on one connection is in connection.ts.
 *
 * Invariant: bytes of one direction of one connection arrive in order, each once, or not at all.
 */
import type { Connection, Network } from '../../../src/host/host.ts';
import { ConnectionPair, type ConnectionEnd } from './connection.ts';
import { SeededRandom } from './random.ts';
import type { SimulatedWorld } from './world.ts';

export class Path {
  cut = false;
  latencyMs: number;
  /** Of all connections together. */
  bytesPerMs = Infinity;
  /** By the world's time: when what was sent before has left. */
  freeAtMs = 0;
  /** What to do when the path heals. */
  readonly waiting: (() => void)[] = [];

  constructor(latencyMs: number) {
    this.latencyMs = latencyMs;
  }
}

/** What one direction of a connection holds at most of what was not yet consumed. */
const WINDOW_BYTES = 256 * 1024;

export class SimulatedNetwork {
  readonly random: SeededRandom;
  windowBytes = WINDOW_BYTES;
  readonly #world: SimulatedWorld;
  readonly #paths = new Map<string, Path>();
  readonly #listeners = new Map<string, (connection: Connection) => void>();
  readonly #pairs = new Set<ConnectionPair>();

  constructor(world: SimulatedWorld) {
    this.#world = world;
    this.random = new SeededRandom(world.seed, 'network');
  }

  get world(): SimulatedWorld {
    return this.#world;
  }

  get connectionCount(): number {
    return this.#pairs.size;
  }

  path(from: string, to: string): Path {
    const name = `${from}>${to}`;
    let path = this.#paths.get(name);
    if (path === undefined) {
      path = new Path(this.random.pick([0.2, 1, 10, 40, 120]) * this.random.real(0.5, 1.5));
      this.#paths.set(name, path);
    }
    return path;
  }

  /** Nothing from `from` reaches `to` until `heal`. */
  cut(from: string, to: string): void {
    this.#world.note(20, () => `path ${from} > ${to} is cut`);
    this.path(from, to).cut = true;
  }

  heal(from: string, to: string): void {
    const path = this.path(from, to);
    if (!path.cut) return;
    this.#world.note(21, () => `path ${from} > ${to} heals`);
    path.cut = false;
    for (const resume of path.waiting.splice(0)) resume();
  }

  healAll(): void {
    for (const [name, path] of this.#paths) {
      path.bytesPerMs = Infinity;
      path.freeAtMs = 0;
      if (!path.cut) continue;
      const [from, to] = name.split('>');
      this.heal(from!, to!);
    }
  }

  /** A line with little bandwidth. Infinity: as much as one likes. */
  slow(from: string, to: string, bytesPerMs: number): void {
    this.#world.note(24, () => `path ${from} > ${to} carries ${bytesPerMs} bytes per ms`);
    this.path(from, to).bytesPerMs = bytesPerMs;
  }

  /** Breaks every connection between the two: both sides see an error. Returns how many there were. */
  drop(a: string, b: string): number {
    const pairs = [...this.#pairs].filter((pair) => pair.joins(a, b));
    for (const pair of pairs) pair.breakOff();
    if (pairs.length > 0) this.#world.note(22, () => `${pairs.length} connections between ${a} and ${b} break`);
    return pairs.length;
  }

  attach(machine: string): ProcessNetwork {
    return new ProcessNetwork(this, machine);
  }

  // What follows is called by the processes' side only.

  listen(address: string, accept: (connection: Connection) => void): void {
    if (this.#listeners.has(address)) throw new Error(`EADDRINUSE: ${address}`);
    this.#listeners.set(address, accept);
  }

  stopListening(address: string): void {
    this.#listeners.delete(address);
  }

  connect(
    from: string,
    target: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    done: (error: Error | null, end: ConnectionEnd | null) => void,
  ): void {
    const there = this.path(from, target.host);
    const back = this.path(target.host, from);
    const roundTripMs = there.latencyMs + back.latencyMs;
    const address = `${target.host}:${target.port}`;
    if (there.cut || back.cut || roundTripMs > target.timeoutMs) {
      this.#world.schedule(target.timeoutMs, from, () => done(new Error(`ETIMEDOUT: ${address}`), null));
      return;
    }
    this.#world.schedule(roundTripMs, from, () => {
      const accept = this.#listeners.get(address);
      if (accept === undefined) {
        done(new Error(`ECONNREFUSED: ${address}`), null);
        return;
      }
      const pair = new ConnectionPair(this, from, target.host, () => this.#pairs.delete(pair));
      this.#pairs.add(pair);
      this.#world.note(23, () => `${from} connects to ${address}`);
      accept(pair.accepted);
      done(null, pair.connected);
    });
  }

  /** The connections that end at the machine. */
  endsAt(machine: string): readonly ConnectionEnd[] {
    return [...this.#pairs].flatMap((pair) => pair.endsAt(machine));
  }
}

/** The network as one process sees it. */
export class ProcessNetwork implements Network {
  readonly #network: SimulatedNetwork;
  readonly #machine: string;
  readonly #addresses: string[] = [];
  #alive = true;

  constructor(network: SimulatedNetwork, machine: string) {
    this.#network = network;
    this.#machine = machine;
  }

  connect(
    target: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    done: (error: Error | null, connection: Connection | null) => void,
  ): void {
    if (!this.#alive) return;
    this.#network.connect(this.#machine, target, (error, end) => {
      if (this.#alive) done(error, end);
      else end?.abandon('quick');
    });
  }

  listen(port: number, accept: (connection: Connection) => void): void {
    const address = `${this.#machine}:${port}`;
    this.#network.listen(address, accept);
    this.#addresses.push(address);
  }

  /** The process is gone: nobody listens, its connections end (`silent`: the other sides learn it late). */
  kill(reset: 'quick' | 'silent'): void {
    this.#alive = false;
    for (const address of this.#addresses.splice(0)) this.#network.stopListening(address);
    for (const end of this.#network.endsAt(this.#machine)) end.abandon(reset);
  }
}
