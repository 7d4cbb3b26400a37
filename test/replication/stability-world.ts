/**
 * Instances that write, send, crash and acknowledge, one small step at a time, for the law of stability. The parts under test are real (`Acks`, `StableState`,
 * `Generations`, `listKnownGenerations`); connections and crashes are as unkind as TCP and power failures allow: what a process has sent can be read after it
 * has died and forgotten it.
 *
 * The oracle is naive: whoever was told that a reset is final for an origin must never again apply an operation of that origin that has not seen it.
 */
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import { Acks } from '../../src/replication/acks.ts';
import { Generations, listKnownGenerations } from '../../src/replication/origins.ts';

type Name = string;

const nameOf = (instance: number, generation: number): Name => `${instance}:${generation}`;
const parse = (name: Name): [instance: number, generation: number] => {
  const [instance, generation] = name.split(':').map(Number);
  return [instance!, generation!];
};

interface Op {
  readonly origin: Name;
  readonly seq: number;
  /** What its origin had applied, itself left out. */
  readonly context: ReadonlyMap<Name, number>;
}

interface Statement {
  readonly applied: ReadonlyMap<Name, number>;
  readonly generations: ReadonlyMap<number, number>;
}

/** What survives a crash. */
interface Memory {
  readonly ops: Map<Name, Op[]>;
  readonly finals: { readonly origin: Name; readonly reset: Op }[];
}

/** A pulls from B: what B has sent and A has not read. */
interface Connection {
  readonly generation: number;
  readonly unread: Op[];
  isAlive: boolean;
}

const copyMemory = (memory: Memory): Memory => ({
  ops: new Map([...memory.ops].map(([origin, ops]) => [origin, [...ops]])),
  finals: [...memory.finals],
});

export class StableInstance {
  readonly id: number;
  generation: number;
  memory: Memory = { ops: new Map(), finals: [] };
  saved: Memory = { ops: new Map(), finals: [] };
  readonly pulls = new Map<number, Connection>();
  origins!: OriginTable;
  generations!: Generations;
  vector!: VersionVector;
  acks!: Acks;
  readonly #peers: readonly number[];

  constructor(id: number, generation: number, peers: readonly number[]) {
    this.id = id;
    this.generation = generation;
    this.#peers = peers;
    this.#begin();
  }

  crash(generation: number): void {
    this.memory = copyMemory(this.saved);
    this.generation = generation;
    this.pulls.clear();
    this.#begin();
  }

  #begin(): void {
    this.origins = new OriginTable();
    this.vector = new VersionVector();
    this.generations = new Generations(this.origins);
    for (const [origin, ops] of this.memory.ops) this.vector.set(this.indexOf(origin), ops.length);
    const index = this.indexOf(nameOf(this.id, this.generation));
    const self = { instance: this.id, generation: this.generation, index };
    this.acks = new Acks({ origins: this.origins, vector: this.vector, self });
    this.acks.configure(this.#peers);
  }

  indexOf(name: Name): number {
    return this.origins.indexOf(...parse(name));
  }

  has(origin: Name): number {
    return this.memory.ops.get(origin)?.length ?? 0;
  }

  applied(): Map<Name, number> {
    return new Map([...this.memory.ops].map(([origin, ops]) => [origin, ops.length]));
  }

  known(): Map<number, number> {
    return listKnownGenerations(this.origins, this.generations, (instance) => this.pulls.get(instance)?.generation);
  }

  hear(names: Iterable<Name>): void {
    for (const name of names) this.indexOf(name);
  }

  isRetired(name: Name): boolean {
    return this.generations.isRetired(this.indexOf(name));
  }

  isFinal(origin: Name, reset: Op): boolean {
    const dot = { origin: this.indexOf(reset.origin), seq: reset.seq };
    return this.acks.stability(this.known()).isFinal(this.indexOf(origin), dot);
  }

  /** False: it is early. */
  take(op: Op): boolean {
    this.hear([op.origin, ...op.context.keys()]);
    if (op.seq <= this.has(op.origin)) return true;
    if (op.seq !== this.has(op.origin) + 1) return false;
    for (const [origin, seq] of op.context) if (origin !== op.origin && this.has(origin) < seq) return false;
    for (const { origin, reset } of this.memory.finals) {
      const seen = op.context.get(reset.origin) ?? 0;
      if (origin === op.origin && op.origin !== reset.origin && seen < reset.seq) {
        throw new Error(
          `${op.origin} operation ${op.seq} has not seen ${reset.origin} ${reset.seq}, final at ${this.id}`,
        );
      }
    }
    const ops = this.memory.ops.get(op.origin);
    if (ops) ops.push(op);
    else this.memory.ops.set(op.origin, [op]);
    this.vector.set(this.indexOf(op.origin), op.seq);
    this.acks.noteLocalMoved();
    return true;
  }
}

export type Step =
  | { readonly do: 'write' | 'save' | 'crash' | 'judge'; readonly at: number }
  | { readonly do: 'connect' | 'send' | 'read' | 'leave' | 'say' | 'hear'; readonly at: number; readonly from: number }
  | { readonly do: 'relay'; readonly at: number; readonly from: number; readonly origin: number };

export class StableWorld {
  readonly instances: readonly StableInstance[];
  readonly #said = new Map<string, Statement[]>();
  #generation = 100;

  constructor(count: number) {
    const ids = Array.from({ length: count }, (_, i) => i + 1);
    this.instances = ids.map(
      (id) =>
        new StableInstance(
          id,
          this.#generation++,
          ids.filter((other) => other !== id),
        ),
    );
  }

  perform(step: Step): void {
    const at = this.instances[step.at % this.instances.length]!;
    if (step.do === 'write') return this.#write(at);
    if (step.do === 'save') return void (at.saved = copyMemory(at.memory));
    if (step.do === 'crash') return this.#crash(at);
    if (step.do === 'judge') return this.#judge(at);
    if (!('from' in step)) return;
    const from = this.instances[step.from % this.instances.length]!;
    if (at === from) return;
    if (step.do === 'connect') this.#connect(at, from);
    if (step.do === 'send') this.#send(at, from, (origin) => parse(origin)[0] === from.id || from.isRetired(origin));
    if (step.do === 'relay') this.#send(at, from, (origin) => parse(origin)[0] === step.origin + 1);
    if (step.do === 'read') this.#read(at, from);
    if (step.do === 'leave') this.#leaveEarlierProcess(at, from);
    if (step.do === 'say') this.#queue(at, from).push({ applied: at.applied(), generations: at.known() });
    if (step.do === 'hear') this.#hear(at, from);
  }

  /** Everybody is connected, nothing is lost any more. */
  heal(): void {
    for (let round = 0; round < 8; round++) {
      this.#each((at, from) => {
        this.#leaveEarlierProcess(at, from);
        this.#connect(at, from);
        for (let i = 0; i < 4; i++) {
          this.#send(at, from, () => true);
          while (this.#read(at, from));
        }
      });
      this.#each((at, from) => this.#queue(at, from).push({ applied: at.applied(), generations: at.known() }));
      this.#each((at, from) => {
        while (this.#queue(from, at).length > 0) this.#hear(at, from);
      });
    }
  }

  #each(fn: (at: StableInstance, from: StableInstance) => void): void {
    for (const at of this.instances) for (const from of this.instances) if (at !== from) fn(at, from);
  }

  #write(at: StableInstance): void {
    const origin = nameOf(at.id, at.generation);
    at.take({ origin, seq: at.has(origin) + 1, context: at.applied() });
  }

  /** What it had sent stays to be read, what was on its way to it is gone. */
  #crash(at: StableInstance): void {
    for (const other of this.instances) {
      const connection = other.pulls.get(at.id);
      if (connection) connection.isAlive = false;
      this.#said.delete(`${other.id}>${at.id}`);
    }
    at.crash(this.#generation++);
  }

  #judge(at: StableInstance): void {
    for (const origin of Array.from({ length: at.origins.count }, (_, index) => at.origins.at(index))) {
      const name = nameOf(origin.instance, origin.generation);
      for (const ops of at.memory.ops.values()) {
        for (const reset of ops) if (at.isFinal(name, reset)) at.memory.finals.push({ origin: name, reset });
      }
    }
  }

  #connect(at: StableInstance, from: StableInstance): void {
    if (at.pulls.has(from.id)) return;
    at.hear([nameOf(from.id, from.generation), ...from.memory.ops.keys()]);
    from.hear([nameOf(at.id, at.generation), ...at.memory.ops.keys()]);
    at.pulls.set(from.id, { generation: from.generation, unread: [], isAlive: true });
  }

  #send(at: StableInstance, from: StableInstance, isWanted: (origin: Name) => boolean): void {
    const connection = at.pulls.get(from.id);
    if (!connection?.isAlive) return;
    for (const [origin, ops] of from.memory.ops) {
      if (!isWanted(origin)) continue;
      const sent = connection.unread.filter((op) => op.origin === origin).at(-1)?.seq ?? at.has(origin);
      connection.unread.push(...ops.slice(sent));
    }
  }

  /** Whether something was read: the first that is not early. */
  #read(at: StableInstance, from: StableInstance): boolean {
    const connection = at.pulls.get(from.id);
    if (!connection) return false;
    if (connection.unread.length === 0 && !connection.isAlive) at.pulls.delete(from.id);
    const index = connection.unread.findIndex((op) => at.take(op));
    if (index < 0) return false;
    connection.unread.splice(index, 1);
    return true;
  }

  #leaveEarlierProcess(at: StableInstance, from: StableInstance): void {
    const connection = at.pulls.get(from.id);
    if (connection && connection.generation < at.generations.newestOf(from.id)) at.pulls.delete(from.id);
  }

  /** Statements on their way from the first to the second. */
  #queue(from: StableInstance, to: StableInstance): Statement[] {
    const key = `${from.id}>${to.id}`;
    const queue = this.#said.get(key) ?? [];
    this.#said.set(key, queue);
    return queue;
  }

  #hear(at: StableInstance, from: StableInstance): void {
    const statement = this.#queue(from, at).shift();
    if (!statement) return;
    const applied = new VersionVector();
    for (const [origin, seq] of statement.applied) applied.set(at.indexOf(origin), seq);
    at.acks.note(from.id, { applied, durable: null, generations: statement.generations });
  }
}
