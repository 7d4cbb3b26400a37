/**
 * What goes wrong, and when: one fault after the other at random distances, each undone some time later, several at once by chance.
 *
 * Invariant: after `end` everything that a fault broke has been mended, but for instances that are down, which the caller starts.
 */
import { machineName } from './instance/simulated-instance.ts';
import type { OriginName } from './batch-decoder.ts';
import { HardFaults } from './hard-faults.ts';
import type { Trouble } from './profile.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Commands } from './workload.ts';
import type { SeededRandom } from './world/random.ts';
import type { SimulatedWorld } from './world/world.ts';

export type CrashKind = 'kill' | 'lose-current' | 'lose-current-and-all-unsynced';

export interface FaultOptions {
  readonly world: SimulatedWorld;
  readonly random: SeededRandom;
  readonly nodes: readonly SimulatedNode[];
  /** Mean distance between faults, ms. */
  readonly everyMs: number;
  /** Whether this instance may lose all that it has not made durable. */
  readonly mayCrash: (node: SimulatedNode) => boolean;
  /** Whether all that it has, or comes back with, is safe with another one. */
  readonly mayForget: (node: SimulatedNode) => boolean;
  /** How much of an origin anybody has seen. */
  readonly known: (origin: OriginName) => number;
  readonly troubles: ReadonlySet<Trouble>;
  /** A client's commands, outside its own stream: a fault needs them at that moment. */
  readonly execute: (node: SimulatedNode, commands: Commands) => void;
  readonly flushes: boolean;
}

const DOWN_MS_MEAN = 6000;
const CUT_MS_MEAN = 8000;
/** Less than the second after which a generation is named. */
const DOWN_MS_MIN = 100;
/** That an instance which is started comes back from a backup. */
const RESTORE_CHANCE = 0.3;
const SLOW_MS_MEAN = 10_000;
/** Two minutes, an hour, a year, and beyond 2039. */
const WILD_MS = [120_000, 3_600_000, 31_536_000_000, 18 * 31_536_000_000];

export class Faults {
  readonly #options: FaultOptions;
  readonly #hard: HardFaults;
  readonly #wild = new Set<SimulatedNode>();
  #round = 0;

  constructor(options: FaultOptions) {
    this.#options = options;
    this.#hard = new HardFaults({
      ...options,
      later: (delayMs, run) => this.#later(delayMs, run),
      crash: (node, how) => this.#crash(node, how),
      stop: (node) => this.#stop(node),
      startLater: (node, delayMs) => this.#startLater(node, delayMs),
    });
  }

  begin(): void {
    this.#round++;
    this.#plan();
  }

  end(): void {
    this.#round++;
    const { world, nodes } = this.#options;
    world.network.healAll();
    for (const node of this.#wild) node.machine.clock.correct();
    this.#wild.clear();
    for (const node of nodes) {
      node.machine.disk.mend();
      node.instance?.engine.resume();
    }
  }

  #plan(): void {
    const { random, everyMs } = this.#options;
    this.#later(random.exponential(everyMs), () => {
      this.#cause();
      this.#plan();
    });
  }

  #cause(): void {
    const { random, nodes, world, troubles } = this.#options;
    const weightOf = (trouble: Trouble, weight: number): number => (troubles.has(trouble) ? weight : 0);
    const node = random.pick(nodes);
    const other = random.pick(nodes.filter((each) => each !== node));
    const [from, to] = [machineName(node.id), machineName(other.id)];
    random.weighted<() => void>([
      [3, () => this.#cut(from, to, random.chance(0.4))],
      [1, () => this.#isolate(node)],
      [3, () => world.network.drop(from, to)],
      [2, () => this.#crash(node, 'kill')],
      [2, () => this.#crash(node, 'lose-current')],
      [1, () => this.#stop(node)],
      [1, () => this.#pause(node, other)],
      [1, () => this.#jump(node)],
      [1, () => this.#slowSync(node)],
      [1, () => this.#hard.snapshot(node)],
      [0.5, () => this.#crashAll()],
      [weightOf('slow-disks', 3), () => this.#slowDisk(node)],
      [weightOf('slow-lines', 3), () => this.#slowLine(from, to)],
      [weightOf('late-tails', 4), () => this.#hard.lateTail()],
      [weightOf('wild-clocks', 1), () => this.#wildClock(node)],
      [weightOf('old-copies', 2), () => this.#stop(node)],
      [weightOf('worst-moments', 5), () => this.#hard.worstMoment(node)],
    ])();
  }

  #cut(from: string, to: string, oneWay: boolean): void {
    const { network } = this.#options.world;
    const directions = oneWay ? [[from, to] as const] : [[from, to] as const, [to, from] as const];
    for (const [a, b] of directions) network.cut(a, b);
    this.#later(this.#options.random.exponential(CUT_MS_MEAN), () => {
      for (const [a, b] of directions) network.heal(a, b);
    });
  }

  /** Long enough for a small backlog to be outrun. */
  #isolate(node: SimulatedNode): void {
    for (const other of this.#options.nodes) {
      if (other !== node) this.#cut(machineName(node.id), machineName(other.id), false);
    }
  }

  #crash(node: SimulatedNode, how: CrashKind): boolean {
    if (node.state === 'down' || !this.#options.mayCrash(node)) return false;
    node.crash(how);
    this.#startLater(node);
    return true;
  }

  #crashAll(): void {
    for (const node of this.#options.nodes) this.#crash(node, 'lose-current');
  }

  #stop(node: SimulatedNode): void {
    if (node.state !== 'ready' || !(node.keepsAllWhenStopped || this.#options.mayCrash(node))) return;
    node.stop();
    this.#startLater(node);
  }

  #startLater(node: SimulatedNode, delayMs?: number): void {
    const { random, mayForget, known, troubles } = this.#options;
    this.#later(delayMs ?? DOWN_MS_MIN + random.exponential(DOWN_MS_MEAN), () => {
      if (node.state === 'stopping') return this.#startLater(node);
      const chance = troubles.has('old-copies') ? 2 * RESTORE_CHANCE : RESTORE_CHANCE;
      if (node.mayRestore && random.chance(chance) && mayForget(node)) node.restore(random, known);
      node.start();
    });
  }

  #pause(node: SimulatedNode, other: SimulatedNode): void {
    if (node.state !== 'ready') return;
    const { engine } = node.instance!;
    engine.pause(other.id);
    this.#later(this.#options.random.exponential(CUT_MS_MEAN), () => {
      if (node.instance?.engine === engine) engine.resume(other.id);
    });
  }

  #jump(node: SimulatedNode): void {
    const { random, world } = this.#options;
    const byMs = Math.round(random.real(-4000, 4000));
    world.note(30, () => `${machineName(node.id)}: the wall clock jumps by ${byMs} ms`);
    node.machine.clock.jump(byMs);
  }

  #slowSync(node: SimulatedNode): void {
    node.machine.disk.slow({ syncMs: 80 });
    this.#later(this.#options.random.exponential(CUT_MS_MEAN), () => node.machine.disk.mend());
  }

  /** As under somebody else's load: little throughput, an fsync of seconds. */
  #slowDisk(node: SimulatedNode): void {
    const { random, world } = this.#options;
    const bytesPerMs = random.pick([5, 50, 500]);
    const syncMs = random.pick([50, 500, 3000]);
    world.note(32, () => `${machineName(node.id)}: disk of ${bytesPerMs} bytes per ms, fsync of ${syncMs} ms`);
    node.machine.disk.slow({ bytesPerMs, syncMs });
    this.#later(random.exponential(SLOW_MS_MEAN), () => node.machine.disk.mend());
  }

  #slowLine(from: string, to: string): void {
    const { random, world } = this.#options;
    world.network.slow(from, to, random.pick([8, 30, 100]));
    this.#later(random.exponential(SLOW_MS_MEAN), () => world.network.slow(from, to, Infinity));
  }

  /** A clock that somebody has set wrong, and sets right after a while. */
  #wildClock(node: SimulatedNode): void {
    const { random, world } = this.#options;
    const byMs = random.pick(WILD_MS) * random.real(0.5, 1.5);
    world.note(33, () => `${machineName(node.id)}: the wall clock is set ${Math.round(byMs / 1000)} s ahead`);
    node.machine.clock.jump(Math.round(byMs));
    this.#wild.add(node);
    this.#later(random.exponential(SLOW_MS_MEAN), () => {
      node.machine.clock.correct();
      this.#wild.delete(node);
    });
  }

  #later(delayMs: number, run: () => void): void {
    const round = this.#round;
    this.#options.world.schedule(delayMs, 'fault', () => {
      if (round === this.#round) run();
    });
  }
}
