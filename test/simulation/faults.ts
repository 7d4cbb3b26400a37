/**
 * What goes wrong, and when: one fault after the other at random distances, each undone some time later, several at once by chance.
 *
 * Invariant: after `end` everything that a fault broke has been mended, but for instances that are down, which the caller starts.
 */
import { machineName } from './instance/simulated-instance.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { SeededRandom } from './world/random.ts';
import type { SimulatedWorld } from './world/world.ts';

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
}

const DOWN_MS_MEAN = 6000;
const CUT_MS_MEAN = 8000;
/** Less than the second after which a generation is named. */
const DOWN_MS_MIN = 100;
/** That an instance which is started comes back from a backup. */
const RESTORE_CHANCE = 0.3;

export class Faults {
  readonly #options: FaultOptions;
  #round = 0;

  constructor(options: FaultOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#round++;
    this.#plan();
  }

  end(): void {
    this.#round++;
    const { world, nodes } = this.#options;
    world.network.healAll();
    for (const node of nodes) {
      node.machine.disk.speed.syncMs = 2;
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
    const { random, nodes, world } = this.#options;
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
      [1, () => this.#slowDisk(node)],
      [1, () => this.#snapshot(node)],
      [0.5, () => this.#crashAll()],
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

  #crash(node: SimulatedNode, how: 'kill' | 'lose-current'): void {
    if (!this.#options.mayCrash(node)) return;
    node.crash(how);
    this.#startLater(node);
  }

  #crashAll(): void {
    for (const node of this.#options.nodes) this.#crash(node, 'lose-current');
  }

  #stop(node: SimulatedNode): void {
    if (!this.#options.mayCrash(node)) return;
    node.stop();
    this.#startLater(node);
  }

  #startLater(node: SimulatedNode): void {
    const { random, mayForget } = this.#options;
    const delayMs = DOWN_MS_MIN + random.exponential(DOWN_MS_MEAN);
    this.#later(delayMs, () => {
      if (node.state === 'stopping') return this.#startLater(node);
      if (node.mayRestore && random.chance(RESTORE_CHANCE) && mayForget(node)) node.restore();
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

  #slowDisk(node: SimulatedNode): void {
    node.machine.disk.speed.syncMs = 80;
    this.#later(this.#options.random.exponential(CUT_MS_MEAN), () => (node.machine.disk.speed.syncMs = 2));
  }

  #snapshot(node: SimulatedNode): void {
    if (node.state !== 'ready') return;
    const engine = node.instance!.engine;
    engine.snapshot().catch((error: Error) => this.#options.world.note(31, () => `snapshot failed: ${error.message}`));
  }

  #later(delayMs: number, run: () => void): void {
    const round = this.#round;
    this.#options.world.schedule(delayMs, 'fault', () => {
      if (round === this.#round) run();
    });
  }
}
