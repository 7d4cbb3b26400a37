/**
 * One run: instances under load and faults, healed and compared again and again.
 *
 *   storm (clients write, faults happen) -> calm (faults mended, clients silent) -> level (all equal) -> checks -> storm ...
 *
 * Invariant: a run is a function of its options; what it throws names the first thing that was wrong.
 */
import type { Context } from './batch-decoder.ts';
import { Chronicle, InvariantError } from './chronicle.ts';
import { compareWithOracle, DivergenceError } from './compare.ts';
import { Faults } from './faults.ts';
import { machineName } from './instance/simulated-instance.ts';
import { Ledger, COUNTER_KEY, SET_KEY } from './ledger.ts';
import { Oracle } from './oracle.ts';
import { chooseProfile, type Profile, type Trouble } from './profile.ts';
import { holdsSeveralTypes, readVisible } from './read-visible.ts';
import { describeVector, SimulatedNode } from './simulated-node.ts';
import { originName, type OriginName } from './batch-decoder.ts';
import { isLinear, makeRoom, Workload, type Commands } from './workload.ts';
import { SeededRandom } from './world/random.ts';
import { meterWork } from './world/work-meter.ts';
import { SimulatedWorld, type TraceLine } from './world/world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly instances: number;
  /** Instead of what the seed draws. */
  readonly troubles?: readonly Trouble[];
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
/** Longer words of a command are values. */
const KEY_CHARS_MAX = 8;
const HASHES = ['h0', 'bh0'];
/** Steps of work in one turn (see world/work-meter.ts), whatever is stored: a few slices of two thousand, as they may meet in one; and how many more per effect that was applied in it. */
const TURN_STEPS_MAX = 10_000;
const STEPS_PER_EFFECT_MAX = 12;
/** While an instance loads nobody sees how many effects it replays. */
const REPLAY_FACTOR = 10;
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
  /** The longest turn so far, as a share of what was allowed. */
  longestTurn = 0;
  #turnIsLong = false;
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
      const { backlogBytesMax, logSegmentBytes, arenaSegmentBytes, arenaBytesMax } = this.profile;
      const machine = this.world.addMachine(machineName(id), { offsetMs, drift });
      machine.clock.pace = this.profile.pace;
      this.#nodes.push(
        new SimulatedNode({
          world: this.world,
          machine,
          chronicle: this.#chronicle,
          settings: { id, ids, persistence, backlogBytesMax, logSegmentBytes, arenaSegmentBytes, arenaBytesMax },
          onReady: () => this.#forgetLost(),
        }),
      );
    }
    const { keys, flushes, faultEveryMs, troubles } = this.profile;
    this.world.network.windowBytes = this.profile.windowBytes;
    this.#workload = new Workload({ random: new SeededRandom(options.seed, 'workload'), keys, flushes, troubles });
    this.#faults = new Faults({
      world: this.world,
      random: new SeededRandom(options.seed, 'faults'),
      nodes: this.#nodes,
      everyMs: faultEveryMs,
      mayCrash: (node) => this.#mayCrash(node),
      mayForget: (node) => this.#mayForget(node),
      known: (origin) => this.#known(origin),
      troubles,
      flushes,
      execute: (node, commands) => this.#execute(node, commands),
    });
    meterWork();
    this.world.onTurn = (name, steps) => this.#judgeTurn(name, steps);
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
      if (this.profile.troubles.has('full-memory') && !this.#isLevel()) this.#makeRoom();
      if (this.profile.troubles.has('wild-clocks')) for (const node of this.#nodes) node.instance?.engine.acceptClock();
      await this.#run(500);
      if (!this.#isLevel()) levelSinceMs = Infinity;
      else if (levelSinceMs === Infinity) levelSinceMs = this.world.nowMs;
    }
  }

  /** As an operator does where an instance is full and cannot take what others have written. */
  #makeRoom(): void {
    for (const node of this.#nodes) this.#execute(node, makeRoom(this.#random));
  }

  #isLevel(): boolean {
    const first = this.#nodes[0]!;
    return this.#nodes.every((node) => {
      if (node.state !== 'ready' || !node.instance!.database.isSettled) return false;
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
    // Where memory is full one half of an entry may be refused.
    const isEntry = !this.profile.flushes && !this.profile.troubles.has('full-memory') && random.chance(0.1);
    const amount = random.between(1, 9);
    const member = `m${++this.#members}`;
    const commands = isEntry
      ? [
          ['INCRBY', COUNTER_KEY, String(amount)],
          ['SADD', SET_KEY, member],
        ]
      : this.#workload.next();
    const seq = this.#execute(node, commands);
    if (seq === 0) return;
    const origin = originName(database.self.instance, database.self.generation);
    if (isEntry) this.#ledger.note(amount, member);
    const { persistence } = this.profile.instances.find(({ id }) => id === node.id)!;
    if (persistence.kind !== 'aof' || persistence.fsync !== 'always') return;
    engine.log.whenDurable(engine.log.endPosition, () => this.#ledger.acknowledge(origin, seq));
  }

  /** Runs the commands as one batch, if the node takes writes. Returns its seq; 0: nothing was changed. */
  #execute(node: SimulatedNode, commands: Commands): number {
    if (node.state !== 'ready' || !node.instance!.acceptsWrites) return 0;
    if (isLinear(commands)) this.#turnIsLong = true;
    const keys = (): string => describeTypes(node, commands);
    const before = this.profile.refuses ? keys() : '';
    const { seq, refused } = node.instance!.execute(commands);
    this.world.note(seq, () => `${machineName(node.id)} @${seq}: ${JSON.stringify(commands).slice(0, 200)}`);
    if (refused !== null && commands.length === 1 && keys() !== before) {
      throw new InvariantError(`${machineName(node.id)} refused ${commands[0]![0]} (${refused}) and changed something`);
    }
    this.#checkHashes(node);
    return seq;
  }

  /**
   * A hash whose fields have all expired is no key, whoever may remove it; and to ask takes no longer where it is large. Not so while something waits to be
   * joined, or something else is hidden under the name: that comes to light with the removal.
   */
  #checkHashes(node: SimulatedNode): void {
    const { database } = node.instance!;
    if (!database.isSettled) return;
    for (const key of HASHES) {
      if (holdsSeveralTypes(database, key)) continue;
      const [type, length] = node.instance!.execute([
        ['TYPE', key],
        ['HLEN', key],
      ]).replies;
      if (type === 'hash' && length === 0) {
        throw new InvariantError(`${machineName(node.id)} shows ${key} as a hash, and no field of it`);
      }
    }
  }

  /** What one turn did must not grow with what is stored: only with what a client asked for, and with the batches that it applied. */
  #judgeTurn(name: string, steps: number): void {
    let allowed = TURN_STEPS_MAX;
    for (const node of this.#nodes) {
      if (node.hasNews) node.watch();
      allowed += STEPS_PER_EFFECT_MAX * node.takeEffects();
    }
    const isStarting = this.#nodes.some(({ id, state }) => state === 'starting' && machineName(id) === name);
    if (isStarting) allowed *= REPLAY_FACTOR;
    const isLong = this.#turnIsLong;
    this.#turnIsLong = false;
    this.longestTurn = Math.max(this.longestTurn, isLong ? 0 : steps / allowed);
    if (steps <= allowed || isLong) return;
    throw new InvariantError(`${name} was held up: one turn took ${steps} steps of work, ${allowed} were allowed`);
  }

  // ---------------------------------------------------------------- watching

  /** Logs are read after every event: the chronicle must see a batch in its author's log before it sees what builds on it elsewhere. */
  async #run(durationMs: number): Promise<void> {
    await this.world.run(this.world.nowMs + durationMs);
  }

  #watchForEver(): void {
    this.world.schedule(WATCH_PERIOD_MS, 'watch', () => {
      for (const node of this.#nodes) node.watch();
      this.#watchForEver();
    });
  }

  /** What nobody has, or may come back with, is gone: its dots may be used again. */
  #forgetLost(): void {
    this.#chronicle.forgetBeyond((origin) => this.#known(origin));
  }

  #known(origin: OriginName): number {
    return Math.max(...this.#nodes.map((node) => node.vector.get(origin) ?? 0));
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
    const overdue = this.#oracle.overdue(nowMs - EXPIRED_MS_MAX);
    if (overdue !== null) throw new InvariantError(`${overdue} has expired and nobody removes it`);
  }

  #checkDigests(): void {
    const [first, ...others] = this.#nodes.map(({ instance }) => instance!.database.digest());
    const different = others.findIndex((digest) => digest !== first);
    if (different < 0) return;
    const names = [this.#nodes[0]!, this.#nodes[different + 1]!].map(({ id }) => machineName(id));
    throw new DivergenceError(`the digests of ${names.join(' and ')} differ, though all visible values are equal`);
  }
}

/** Of what the commands name as keys, which there are, and of what type. */
function describeTypes(node: SimulatedNode, commands: Commands): string {
  const words = commands.flat().filter((word) => word.length <= KEY_CHARS_MAX);
  return JSON.stringify(node.instance!.execute(words.map((word) => ['TYPE', word])).replies);
}
