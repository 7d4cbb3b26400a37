/**
 * One run: instances under load and faults, healed and compared again and again.
 *
 *   storm (clients write, faults happen) -> calm (faults mended, clients silent) -> level (all equal) -> checks -> storm ...
 *
 * Invariant: a run is a function of its options; what it throws names the first thing that was wrong.
 */
import type { Context } from './batch-decoder.ts';
import { Chronicle, InvariantError } from './chronicle.ts';
import { compareWithOracle, describe, DivergenceError } from './compare.ts';
import { Faults } from './faults.ts';
import { machineName } from './instance/simulated-instance.ts';
import { Ledger, COUNTER_KEY, SET_KEY } from './ledger.ts';
import { Oracle } from './oracle.ts';
import { chooseProfile, type Profile } from './profile.ts';
import { readVisible } from './read-visible.ts';
import { describeVector, SimulatedNode } from './simulated-node.ts';
import { originName } from './batch-decoder.ts';
import { Workload } from './workload.ts';
import { SeededRandom } from './world/random.ts';
import { SimulatedWorld, type TraceLine } from './world/world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly instances: number;
  readonly trace?: TraceLine;
}

export interface SimulationReport {
  readonly traceHash: string;
  readonly events: number;
  readonly batches: number;
  readonly comparisons: number;
  readonly profile: string;
}

const WATCH_PERIOD_MS = 50;
const STORM_MS = { min: 15_000, max: 60_000 } as const;
/** How long everything may take to become level once all is mended. */
const CALM_MS_MAX = 240_000;
/** Level for so long: what expires soon has expired, what is written is synced, what is stable is known to be. */
const LEVEL_MS = 12_000;
/** A key that expired longer ago than this must have been removed. */
const EXPIRED_MS_MAX = 30_000;

export class Simulation {
  readonly world: SimulatedWorld;
  readonly profile: Profile;
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #chronicle = new Chronicle();
  readonly #oracle = new Oracle();
  readonly #ledger = new Ledger();
  readonly #nodes: SimulatedNode[] = [];
  readonly #workload: Workload;
  readonly #faults: Faults;
  #storming = false;
  #members = 0;
  #batches = 0;
  #comparisons = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.world = new SimulatedWorld(options);
    this.#random = new SeededRandom(options.seed, 'simulation');
    this.profile = chooseProfile(this.#random, options);
    const ids = this.profile.instances.map(({ id }) => id);
    for (const { id, persistence, offsetMs, drift } of this.profile.instances) {
      const { backlogBytesMax, logSegmentBytes } = this.profile;
      this.#nodes.push(
        new SimulatedNode({
          world: this.world,
          machine: this.world.addMachine(machineName(id), { offsetMs, drift }),
          chronicle: this.#chronicle,
          settings: { id, ids, persistence, backlogBytesMax, logSegmentBytes },
          onReady: () => this.#forgetLost(),
        }),
      );
    }
    const { keys, flushes, faultEveryMs } = this.profile;
    this.#workload = new Workload({ random: new SeededRandom(options.seed, 'workload'), keys, flushes });
    this.#faults = new Faults({
      world: this.world,
      random: new SeededRandom(options.seed, 'faults'),
      nodes: this.#nodes,
      everyMs: faultEveryMs,
      mayCrash: (node) => this.#mayCrash(node),
      mayForget: (node) => this.#mayForget(node),
    });
  }

  async run(): Promise<SimulationReport> {
    const { world } = this;
    for (const node of this.#nodes) node.start();
    this.#watchForEver();
    for (const node of this.#nodes) this.#clientOf(node);
    const endMs = this.#options.minutes * 60_000;
    do {
      await this.#storm(
        Math.min(this.#random.between(STORM_MS.min, STORM_MS.max), Math.max(1000, endMs - world.nowMs)),
      );
      await this.#calm();
      this.#compare();
    } while (world.nowMs < endMs);
    return {
      traceHash: world.traceHash,
      events: world.eventCount,
      batches: this.#batches,
      comparisons: this.#comparisons,
      profile: this.profile.name,
    };
  }

  // ---------------------------------------------------------------- phases

  async #storm(durationMs: number): Promise<void> {
    this.world.note(40, () => 'storm');
    this.#storming = true;
    this.#faults.begin();
    await this.#run(durationMs);
    this.#faults.end();
    this.#storming = false;
  }

  /** Everything is mended; runs until all have been level for a while. */
  async #calm(): Promise<void> {
    this.world.note(41, () => 'calm');
    const deadlineMs = this.world.nowMs + CALM_MS_MAX;
    let levelSinceMs = Infinity;
    while (this.world.nowMs - levelSinceMs < LEVEL_MS || !this.#isLevel()) {
      if (this.world.nowMs > deadlineMs) throw new DivergenceError(this.#describeStandstill());
      for (const node of this.#nodes) if (node.state === 'down') node.start();
      await this.#run(500);
      if (!this.#isLevel()) levelSinceMs = Infinity;
      else if (levelSinceMs === Infinity) levelSinceMs = this.world.nowMs;
    }
  }

  #isLevel(): boolean {
    const first = this.#nodes[0]!;
    return this.#nodes.every((node) => {
      if (node.state !== 'ready' || node.instance!.database.writesHeld) return false;
      node.watch();
      return describeVector(node.vector) === describeVector(first.vector);
    });
  }

  #describeStandstill(): string {
    const lines = this.#nodes.map((node) => {
      const links = node.instance?.engine.links() ?? [];
      const described = links.map(({ from, state, lastError }) => `from ${from} ${state} ${lastError ?? ''}`.trim());
      return `${machineName(node.id)} ${node.state} has ${describeVector(node.vector)} (${described.join(', ')})`;
    });
    return `not level ${CALM_MS_MAX / 1000} s after all was mended: ${lines.join('; ')}`;
  }

  // ---------------------------------------------------------------- clients

  #clientOf(node: SimulatedNode): void {
    const random = new SeededRandom(this.#options.seed, `client ${node.id}`);
    const next = (): void => {
      this.world.schedule(random.exponential(this.profile.writeEveryMs), 'client', () => {
        if (this.#storming && node.state === 'ready' && node.instance!.acceptsWrites) this.#write(node, random);
        next();
      });
    };
    next();
  }

  #write(node: SimulatedNode, random: SeededRandom): void {
    const { database, engine } = node.instance!;
    const isEntry = !this.profile.flushes && random.chance(0.1);
    const amount = random.between(1, 9);
    const member = `m${++this.#members}`;
    const commands = isEntry
      ? [
          ['INCRBY', COUNTER_KEY, String(amount)],
          ['SADD', SET_KEY, member],
        ]
      : this.#workload.next();
    const { seq } = node.instance!.execute(commands);
    this.world.note(seq, () => `${machineName(node.id)} @${seq}: ${JSON.stringify(commands).slice(0, 200)}`);
    if (seq === 0) return;
    const origin = originName(database.self.instance, database.self.generation);
    if (isEntry) this.#ledger.note(amount, member);
    const { persistence } = this.profile.instances.find(({ id }) => id === node.id)!;
    if (persistence.kind !== 'aof' || persistence.fsync !== 'always') return;
    engine.log.whenDurable(engine.log.endPosition, () => this.#ledger.acknowledge(origin, seq));
  }

  // ---------------------------------------------------------------- watching

  /** Logs are read after every event: the chronicle must see a batch in its author's log before it sees what builds on it elsewhere. */
  async #run(durationMs: number): Promise<void> {
    await this.world.run(this.world.nowMs + durationMs, () => {
      for (const node of this.#nodes) if (node.hasNews) node.watch();
      return false;
    });
  }

  #watchForEver(): void {
    this.world.schedule(WATCH_PERIOD_MS, 'watch', () => {
      for (const node of this.#nodes) node.watch();
      this.#watchForEver();
    });
  }

  /** What nobody has, or may come back with, is gone: its dots may be used again. */
  #forgetLost(): void {
    const known = (origin: string): number => Math.max(...this.#nodes.map((node) => node.vector.get(origin) ?? 0));
    this.#chronicle.forgetBeyond(known);
  }

  /** What was compared before must not be lost: it is on this instance's disk, or somebody else has it. */
  #mayCrash(node: SimulatedNode): boolean {
    const covers = (vector: Context): boolean =>
      [...this.#oracle.vector].every(([origin, seq]) => (vector.get(origin) ?? 0) >= seq);
    node.watch();
    const { persistence } = this.profile.instances.find(({ id }) => id === node.id)!;
    if (persistence.kind === 'aof') return true;
    if (persistence.kind === 'snapshot' && covers(node.durable)) return true;
    return this.#nodes.some((other) => other !== node && other.state === 'ready' && covers(other.vector));
  }

  /** Another instance has all of it on its disk. */
  #mayForget(node: SimulatedNode): boolean {
    const covers = (vector: Context, other: Context): boolean =>
      [...other].every(([origin, seq]) => (vector.get(origin) ?? 0) >= seq);
    return this.#nodes.some((other) => {
      const { persistence } = this.profile.instances.find(({ id }) => id === other.id)!;
      if (other === node || other.state !== 'ready' || persistence.kind !== 'aof') return false;
      other.watch();
      return covers(other.durable, node.vector) && covers(other.durable, this.#oracle.vector);
    });
  }

  // ---------------------------------------------------------------- checks

  #compare(): void {
    const { world } = this;
    const first = this.#nodes[0]!;
    this.#forgetLost();
    const batches = this.#chronicle.takeCovered(first.vector);
    this.#oracle.take(batches);
    this.#ledger.settle(batches);
    this.#batches += batches.length;
    this.#comparisons++;
    world.note(42, () => `all are level: comparing after ${batches.length} batches`);
    const nowMs = world.epochMs + Math.floor(world.nowMs);
    for (const node of this.#nodes) {
      const { database } = node.instance!;
      compareWithOracle(this.#oracle, machineName(node.id), (key) => readVisible(database, key));
      const expected = this.#oracle.keyNames.filter((key) => this.#oracle.visible(key).type !== 'none').length;
      if (database.keyCount !== expected) {
        throw new DivergenceError(`${machineName(node.id)} counts ${database.keyCount} keys, the oracle ${expected}`);
      }
      if (!this.profile.flushes) this.#ledger.check(first.vector, (key) => readVisible(database, key));
      database.setTime(nowMs);
    }
    this.#checkDigests();
    for (const key of this.#oracle.keyNames) {
      const visible = this.#oracle.visible(key);
      if (visible.type !== 'none' && visible.expiryMs < nowMs - EXPIRED_MS_MAX) {
        throw new InvariantError(`key ${JSON.stringify(key)} has expired and nobody removes it: ${describe(visible)}`);
      }
    }
  }

  #checkDigests(): void {
    const [first, ...others] = this.#nodes.map(({ instance }) => instance!.database.digest());
    const different = others.findIndex((digest) => digest !== first);
    if (different < 0) return;
    const names = [this.#nodes[0]!, this.#nodes[different + 1]!].map(({ id }) => machineName(id));
    throw new DivergenceError(`the digests of ${names.join(' and ')} differ, though all visible values are equal`);
  }
}
