/**
 * The instances of a transcript: real databases behind the real server, on machines whose time passes only when told. What they say to each other
 * is what replication would carry: batches in the order of their origin, or snapshots that are merged.
 *
 * Every command takes a millisecond, so that what stands further down in a transcript happened later. After a full sync everything is stable, and
 * what was kept for conflicts alone is freed, as an instance does it: nothing may change by that.
 */
import { BATCH } from '../../src/crdt/frame.ts';
import type { Dot } from '../../src/crdt/cell.ts';
import { Expirer } from '../../src/database/expirer.ts';
import { Node } from '../database/cluster.ts';
import { Endpoint } from '../server/endpoint.ts';
import type { Machine } from '../simulation/world/machine.ts';
import { SimulatedWorld } from '../simulation/world/world.ts';
import { printReply } from './print-reply.ts';
import { Terminal } from './terminal.ts';

class Instance extends Node {
  readonly endpoint: Endpoint;
  readonly machine: Machine;
  readonly expirer = new Expirer(this.database);
  readonly terminals = new Map<string, Terminal>();
  /** Batches that have come, but depend on something that has not. */
  early: readonly Buffer[] = [];

  constructor(id: number, world: SimulatedWorld) {
    super(id, id);
    this.machine = world.addMachine(`instance ${id}`);
    this.endpoint = new Endpoint({ database: this.database, clock: this.machine.start().clock });
    // How wrong a clock may be is a matter of replication; what it decides is what transcripts show.
    this.database.clockAheadMsMax = Infinity;
    this.enterTurn();
  }

  enterTurn(): void {
    this.database.setTime(this.machine.clock.wallMs);
  }

  take(frames: readonly Buffer[]): void {
    this.enterTurn();
    this.early = this.receive([...this.early, ...frames]);
  }

  ownBatches(): Buffer[] {
    return this.batches().filter((frame) => frame[BATCH.instance] === this.instance);
  }

  terminal(name: string): Terminal {
    const terminal = this.terminals.get(name) ?? new Terminal(name, this.endpoint);
    this.terminals.set(name, terminal);
    return terminal;
  }

  /** What a time to live of its own says is over. */
  removeExpired(): void {
    this.enterTurn();
    while (this.expirer.step((owner) => owner === this.instance) > 0);
  }

  freeStable(): void {
    const { vector } = this.database;
    this.database.settle();
    const stability = {
      covers: (origin: number, seq: number) => vector.coversDot(origin, seq),
      isFinal: (_origin: number, reset: Dot) => vector.coversDot(reset.origin, reset.seq),
    };
    while (this.database.collectStep(stability, Infinity));
  }
}

export class Instances {
  readonly #world = new SimulatedWorld({ seed: 1 });
  readonly #instances: readonly Instance[];
  readonly #mergesSnapshots: boolean;

  /** `mergesSnapshots`: a full sync carries snapshots in the place of batches. */
  constructor(count: number, options: { readonly mergesSnapshots: boolean }) {
    this.#mergesSnapshots = options.mergesSnapshots;
    this.#instances = Array.from({ length: count }, (_, i) => new Instance(i + 1, this.#world));
    for (const { instance, endpoint } of this.#instances) {
      endpoint.instance.publishToPeers = (channel, message, sharded) => {
        const peers = this.#instances.filter((peer) => peer.instance !== instance);
        for (const peer of peers) peer.endpoint.server.pubsub.deliver(channel, message, sharded);
      };
    }
  }

  /** What redis-cli shows for the command at that prompt: `2`, `2b` for a second client of instance 2, or `all`. */
  async run(prompt: string, command: string): Promise<string[]> {
    await this.#pass(1);
    if (prompt !== 'all') return this.#runAt(prompt, command);
    const shown = this.#instances.map(({ instance }) => this.#runAt(String(instance), command));
    const [first] = shown;
    if (shown.some((lines) => lines.join('\n') !== first!.join('\n'))) {
      throw new Error(
        `the instances differ:\n${shown.map((lines, i) => `  ${i + 1}: ${lines.join('\n     ')}`).join('\n')}`,
      );
    }
    return first!;
  }

  #runAt(prompt: string, command: string): string[] {
    const terminal = this.#terminalAt(prompt);
    if (terminal.read().length > 0) throw new Error(`messages have come that were not shown: ${prompt}<`);
    terminal.type(command);
    const replies = terminal.read();
    if (replies.length === 0) throw new Error('no reply has come');
    return replies.flatMap((reply) => printReply(reply, command));
  }

  /** The messages that have been pushed to that client. */
  async readMessages(prompt: string): Promise<string[]> {
    await this.#pass(1);
    return this.#terminalAt(prompt)
      .read()
      .flatMap((message) => printReply(message));
  }

  /** All hear of everything; throws if they do not agree then. */
  sync(): void {
    if (this.#mergesSnapshots) {
      for (const target of this.#instances) for (const source of this.#instances) this.#merge(source, target);
    } else {
      const frames = this.#instances.flatMap((each) => each.batches());
      for (const each of this.#instances) each.take(frames);
    }
    this.#expectEqual('after a full sync');
    for (const each of this.#instances) each.freeStable();
    this.#expectEqual('after what is stable was freed');
  }

  /** One hears what the other itself did. */
  pull(from: number, to: number): void {
    this.#at(to).take(this.#at(from).ownBatches());
  }

  /** One merges a snapshot of the other. */
  merge(from: number, to: number): void {
    this.#merge(this.#at(from), this.#at(to));
  }

  /** Time passes everywhere, and every instance removes what it owes to expiry. */
  async advance(ms: number): Promise<void> {
    await this.#pass(ms);
    for (const each of this.#instances) each.removeExpired();
  }

  /** Sets the clock of an instance forward or back. */
  jumpClock(id: number, byMs: number): void {
    this.#at(id).machine.clock.jump(byMs);
  }

  limitMemory(id: number, bytes: number): void {
    this.#at(id).database.memoryBytesMax = bytes;
  }

  /** Everything said has been read, and all agree in the end. */
  async finish(): Promise<void> {
    await this.#pass(1);
    this.sync();
    for (const { terminals } of this.#instances) {
      for (const [name, terminal] of terminals) {
        if (terminal.read().length > 0) throw new Error(`messages have come that are not shown: ${name}<`);
      }
    }
  }

  #merge(source: Instance, target: Instance): void {
    if (source === target) return;
    source.enterTurn();
    target.enterTurn();
    target.fullSyncFrom(source);
    target.take([]);
  }

  #expectEqual(when: string): void {
    for (const each of this.#instances) each.enterTurn();
    const digests = this.#instances.map(({ database }) => database.digest());
    if (digests.some((digest) => digest !== digests[0])) {
      throw new Error(
        `the instances do not hold the same ${when}:\n${digests.map((d, i) => `  ${i + 1}: ${d}`).join('\n')}`,
      );
    }
  }

  #terminalAt(prompt: string): Terminal {
    return this.#at(Number(prompt[0])).terminal(prompt);
  }

  #at(id: number): Instance {
    const instance = this.#instances[id - 1];
    if (instance === undefined) throw new Error(`there is no instance ${id}; begin with "instances ${id}"`);
    return instance;
  }

  async #pass(ms: number): Promise<void> {
    await this.#world.run(this.#world.nowMs + ms);
  }
}
