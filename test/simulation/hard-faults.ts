/**
 * Faults that need several things to happen in a certain order, which chance alone would hardly ever bring about.
 *
 * Invariant: each is made of ordinary faults, in an order in which they might happen.
 */
import type { CrashKind, FaultOptions } from './faults.ts';
import { machineName } from './instance/simulated-instance.ts';
import type { SimulatedNode } from './simulated-node.ts';

export interface HardFaultOptions extends FaultOptions {
  readonly later: (delayMs: number, run: () => void) => void;
  /** False: it must not, for something that was compared would be lost. */
  readonly crash: (node: SimulatedNode, how: CrashKind) => boolean;
  readonly stop: (node: SimulatedNode) => void;
  readonly startLater: (node: SimulatedNode, delayMs?: number) => void;
}

/** How often it is looked whether the moment has come, and how long. */
const LOOK_MS = 10;
const LOOKS_MAX = 1500;
const LATE_TAIL_KEYS = ['s0', 'h0'];

export class HardFaults {
  readonly #options: HardFaultOptions;

  constructor(options: HardFaultOptions) {
    this.#options = options;
  }

  /**
   * The author counts on keys that another instance deletes at the same time; a third one, the holder, has both and is then cut off. The author loses the counts in
   * a crash and comes back; the two agree that the deletion is stable. Only then the holder returns, with counts that have not seen it.
   */
  lateTail(): void {
    const { random, nodes, world, execute, later, crash } = this.#options;
    if (nodes.length < 3 || nodes.some(({ state }) => state !== 'ready')) return;
    const author = random.pick(nodes);
    const deleter = random.pick(nodes.filter((node) => node !== author));
    const holder = random.pick(nodes.filter((node) => node !== author && node !== deleter));
    const names = [author, deleter, holder].map(({ id }) => machineName(id));
    const [a, d, h] = names as [string, string, string];
    world.note(34, () => `${a} will lose a tail that ${h} has, with counts on what ${d} deletes`);
    const count = (): void => {
      execute(author, [['INCR', 's0']]);
      execute(author, [['HINCRBY', 'h0', 'f1', '1']]);
    };
    count();
    // Each step waits until what it needs has arrived, if all goes well: latencies differ from run to run.
    const stepMs = random.pick([60, 150, 400]);
    later(stepMs * 2, () => {
      this.#cut(a, d);
      execute(deleter, [['DEL', ...LATE_TAIL_KEYS]]);
      later(stepMs, () => this.#cut(d, h));
      later(stepMs, count);
      later(stepMs * 2, () => {
        this.#cut(a, h);
        this.#heal(a, d);
        if (author.state === 'ready') crash(author, 'lose-current-and-all-unsynced');
      });
    });
    later(stepMs * 4 + random.between(3_000, 20_000), () => {
      this.#heal(a, h);
      this.#heal(d, h);
    });
  }

  /** Waits for a snapshot or full sync on that instance and strikes at a moment in the midst of it. */
  worstMoment(node: SimulatedNode): void {
    const { random, world, later, crash, stop, execute, flushes } = this.#options;
    if (random.chance(0.5)) this.snapshot(node);
    const [name, strike] = random.pick<readonly [string, () => void]>([
      ['stop', () => stop(node)],
      ['stop', () => stop(node)],
      ['kill', () => void crash(node, 'kill')],
      ['power', () => void crash(node, 'lose-current')],
      ['drop', () => this.#dropAll(node)],
      ['flush', () => execute(node, flushes ? [['FLUSHALL']] : [['DEL', 's0', 'h0', 'g0']])],
      ['delete', () => execute(node, [['DEL', 'bh0', 'bh1', 'bg0', 'bg1']])],
    ]);
    const look = (left: number): void => {
      if (left === 0 || node.state === 'down') return;
      if (!node.isCopying) return later(LOOK_MS, () => look(left - 1));
      later(random.exponential(random.pick([1, 20, 200])), () => {
        world.note(35, () => `${machineName(node.id)}: ${name} ${node.isCopying ? 'during' : 'after'} a copy`);
        if (node.state === 'ready') strike();
      });
    };
    look(LOOKS_MAX);
  }

  snapshot(node: SimulatedNode): void {
    if (node.state !== 'ready') return;
    const { world } = this.#options;
    const { engine } = node.instance!;
    engine.snapshot().catch((error: Error) => world.note(31, () => `snapshot failed: ${error.message}`));
  }

  #dropAll(node: SimulatedNode): void {
    const { nodes, world } = this.#options;
    for (const other of nodes) if (other !== node) world.network.drop(machineName(node.id), machineName(other.id));
  }

  #cut(a: string, b: string): void {
    const { network } = this.#options.world;
    network.cut(a, b);
    network.cut(b, a);
  }

  #heal(a: string, b: string): void {
    const { network } = this.#options.world;
    network.heal(a, b);
    network.heal(b, a);
  }
}
