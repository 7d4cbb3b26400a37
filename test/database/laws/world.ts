/**
 * Replicas in one process that do what a program says: write, receive batches, merge full syncs, acknowledge, free what is stable, expire,
 * and lose their memory. Everything is a function of the program, so that fast-check can make it smaller.
 *
 * The chronicle watches every log (a dot names one batch for ever, causal order); the oracle says what must be visible in the end.
 */
import fc from 'fast-check';
import { encodeVersionVector, readVersionVector } from '../../../src/crdt/version-vector.ts';
import type { Applied } from '../../../src/database/applier.ts';
import { Database } from '../../../src/database/database.ts';
import { Expirer } from '../../../src/database/expirer.ts';
import type { Stability } from '../../../src/database/stability.ts';
import { Acks } from '../../../src/replication/acks.ts';
import { Chronicle, DatabaseWatcher, vectorOf } from '../../simulation/chronicle.ts';
import type { Context } from '../../simulation/batch-decoder.ts';
import { compareWithOracle } from '../../simulation/compare.ts';
import { Oracle } from '../../simulation/oracle.ts';
import { readVisible } from '../../simulation/read-visible.ts';
import { framesOf, receive, seededRandom, START_MS } from '../cluster.ts';
import { auditKeyspace, listSeveralTypes } from './audit.ts';
import { describeState, takeSnapshot } from './state.ts';
import { bulkArbitrary, describeWrite, perform, writeArbitrary, type Write } from './writes.ts';

/** Replicas are named by index; a program of more replicas than there are wraps around. */
export type Step =
  | { readonly do: 'write'; readonly at: number; readonly writes: readonly Write[]; readonly afterMs: number }
  /** Of the batches in the log of `from`, up to that many; newest tried first if `reversed`. */
  | {
      readonly do: 'deliver';
      readonly at: number;
      readonly from: number;
      readonly count: number;
      readonly reversed: boolean;
    }
  /** A full sync; the source writes on while the snapshot is taken. */
  | { readonly do: 'merge'; readonly at: number; readonly from: number; readonly meanwhile: readonly Write[] }
  | { readonly do: 'acknowledge'; readonly at: number; readonly from: number }
  /** Settles about that many of what waits. */
  | { readonly do: 'settle'; readonly at: number; readonly count: number }
  | { readonly do: 'collect' | 'expire' | 'save' | 'lose-all' | 'lose-tail'; readonly at: number };

const place = fc.nat({ max: 3 });

export function stepArbitrary(options: { readonly bulk: boolean; readonly losses: boolean }): fc.Arbitrary<Step> {
  const write = options.bulk
    ? fc.oneof({ weight: 9, arbitrary: writeArbitrary }, { weight: 1, arbitrary: bulkArbitrary })
    : writeArbitrary;
  const between = fc.record({ at: place, from: place });
  return fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        at: place,
        writes: fc.oneof(fc.tuple(write), fc.array(write, { minLength: 1, maxLength: 4 })),
        afterMs: fc.nat({ max: 12 }),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('deliver' as const),
        at: place,
        from: place,
        count: fc.integer({ min: 1, max: 8 }),
        reversed: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(between, fc.array(write, { maxLength: 3 }))
        .map(([b, meanwhile]): Step => ({ do: 'merge', ...b, meanwhile })),
    },
    { weight: 3, arbitrary: between.map((b): Step => ({ do: 'acknowledge', ...b })) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('settle' as const), at: place, count: fc.integer({ min: 1, max: 4 }) }),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.constantFrom('collect' as const, 'collect' as const, 'expire' as const), place)
        .map(([what, at]): Step => ({ do: what, at })),
    },
    {
      weight: options.losses ? 2 : 0,
      arbitrary: fc
        .tuple(fc.constantFrom('save' as const, 'lose-tail' as const, 'lose-all' as const), place)
        .map(([what, at]): Step => ({ do: what, at })),
    },
  );
}

export const describeProgram = (steps: readonly Step[]): string => steps.map(describeStep).join('\n');

function describeStep(step: Step): string {
  switch (step.do) {
    case 'write':
      return `  ${step.at} writes after ${step.afterMs} ms: ${step.writes.map(describeWrite).join('; ')}`;
    case 'deliver':
      return `  ${step.at} receives ${step.count} from ${step.from}${step.reversed ? ', newest first' : ''}`;
    case 'merge':
      return `  ${step.at} merges ${step.from}, which meanwhile does: ${step.meanwhile.map(describeWrite).join('; ')}`;
    case 'acknowledge':
      return `  ${step.from} tells ${step.at} what it has`;
    default:
      return `  ${step.at} ${step.do}`;
  }
}

export class Replica {
  readonly id: number;
  database: Database;
  watcher: DatabaseWatcher;
  acks: Acks;
  /** Times that a batch or a full sync left a key with several types that did not have them before. */
  typeConflicts = 0;
  /** What a disk would bring back. */
  saved: { readonly bytes: Buffer; readonly generation: number; readonly vector: Context } | null = null;

  readonly isLazy: boolean;

  constructor(id: number, database: Database, watcher: DatabaseWatcher, acks: Acks, isLazy: boolean) {
    this.id = id;
    this.isLazy = isLazy;
    this.database = database;
    this.watcher = watcher;
    this.acks = acks;
  }

  applyBatch(bytes: Uint8Array, start: number, end: number): Applied {
    return this.#countTypeConflicts(() => {
      const outcome = this.database.applyBatch(bytes, start, end);
      if (!this.isLazy) this.database.settle();
      return outcome;
    });
  }

  merge(snapshot: Buffer): void {
    this.watcher.noteMerge();
    this.#countTypeConflicts(() => {
      const incoming = this.database.beginIncoming();
      incoming.feed(snapshot);
      incoming.join();
      if (!this.isLazy) this.database.settle();
    });
    this.watcher.watch();
  }

  #countTypeConflicts<T>(change: () => T): T {
    const before = listSeveralTypes(this.database.keyspace);
    const result = change();
    for (const key of listSeveralTypes(this.database.keyspace)) if (!before.has(key)) this.typeConflicts++;
    return result;
  }
}

export class World {
  readonly replicas: Replica[] = [];
  readonly #chronicle = new Chronicle();
  readonly #isLazy: boolean;
  nowMs = START_MS;
  #generation = START_MS / 1000;

  /** `isLazy`: what takes effect at once and is carried out late is left to look-ups and to `settle` steps. */
  constructor(count: number, isLazy = false) {
    this.#isLazy = isLazy;
    for (let id = 1; id <= count; id++) {
      const database = this.#newDatabase(id, ++this.#generation);
      this.replicas.push(
        new Replica(id, database, this.#watch(id, database), this.#newAcks(id, database, count), isLazy),
      );
    }
  }

  /** Runs the program; after each step the books of every replica must be right. */
  run(steps: readonly Step[]): void {
    for (const step of steps) {
      this.#step(step);
      for (const replica of this.replicas) this.#check(replica);
    }
  }

  #step(step: Step): void {
    const replica = this.#at(step.at);
    const { database } = replica;
    switch (step.do) {
      case 'write':
        this.nowMs += step.afterMs;
        for (const each of this.replicas) each.database.setTime(this.nowMs);
        perform(database, step.writes);
        return;
      case 'deliver': {
        const frames = framesOf(this.#at(step.from).database);
        if (step.reversed) frames.reverse();
        let left = step.count;
        for (const frame of frames) {
          if (left > 0 && replica.applyBatch(frame, 0, frame.length) === 'applied') left--;
        }
        return;
      }
      case 'merge':
        if (this.#at(step.from) !== replica) this.#merge(replica, this.#at(step.from), step.meanwhile);
        return;
      case 'acknowledge':
        if (this.#at(step.from) !== replica) this.acknowledge(replica, this.#at(step.from));
        return;
      case 'settle':
        database.settleStep(step.count);
        return;
      case 'collect':
        this.collect(replica);
        return;
      case 'expire':
        this.expire(replica);
        return;
      case 'save':
        replica.saved = {
          bytes: takeSnapshot(database),
          generation: database.self.generation,
          vector: vectorOf(database),
        };
        return;
      case 'lose-all':
        replica.saved = null;
        this.#lose(replica, null);
        return;
      case 'lose-tail':
        this.#lose(replica, replica.saved);
    }
  }

  #merge(replica: Replica, source: Replica, meanwhile: readonly Write[]): void {
    source.database.settle();
    const snapshot = source.database.beginSnapshot();
    const pieces: Buffer[] = [];
    let next = 0;
    for (let piece = snapshot.next(60); piece !== null; piece = snapshot.next(60)) {
      pieces.push(Buffer.from(piece));
      const write = meanwhile[next++];
      if (write !== undefined) perform(source.database, [write]);
    }
    source.watcher.watch();
    replica.merge(Buffer.concat(pieces));
  }

  acknowledge(replica: Replica, from: Replica): void {
    const { vector, origins } = from.database;
    const read = readVersionVector(encodeVersionVector(vector, origins), 0, replica.database.origins);
    replica.acks.note(from.id, { applied: read!.vector, durable: null, generations: null });
  }

  collect(replica: Replica): void {
    replica.database.settle();
    while (replica.database.collectStep(stabilityOf(replica), Infinity));
  }

  /** Acts for every owner: who may is not the database's question. */
  expire(replica: Replica): void {
    const expirer = new Expirer(replica.database);
    for (let quiet = 0; quiet < 3; quiet++) if (expirer.step(() => true) > 0) quiet = 0;
  }

  /** Starts over from what was saved, or from nothing, under a new generation. What nobody has any more is forgotten. */
  #lose(replica: Replica, saved: Replica['saved']): void {
    replica.database = this.#newDatabase(replica.id, 0);
    replica.typeConflicts = 0;
    replica.watcher = this.#watch(replica.id, replica.database);
    replica.acks = this.#newAcks(replica.id, replica.database, this.replicas.length);
    if (saved !== null) {
      replica.merge(saved.bytes);
      replica.database.resumeGeneration(saved.generation);
    }
    replica.database.startGeneration(++this.#generation, 0);
    const vectors = this.replicas.flatMap(({ database, saved: disk }) => [
      vectorOf(database),
      disk?.vector ?? new Map(),
    ]);
    this.#chronicle.forgetBeyond((origin) => Math.max(...vectors.map((vector) => vector.get(origin) ?? 0)));
  }

  /** Brings everybody level: by batches as far as logs reach, by full syncs where they do not. */
  converge(): void {
    for (let moved = true; moved;) {
      moved = false;
      for (const replica of this.replicas) {
        for (const other of this.replicas)
          if (other !== replica && receive(replica, framesOf(other.database)).moved) moved = true;
        this.#check(replica);
      }
      if (moved || this.#isLevel()) continue;
      for (const replica of this.replicas) {
        for (const other of this.replicas) if (other !== replica) this.#merge(replica, other, []);
        this.#check(replica);
      }
      moved = true;
    }
  }

  /** When level: the same state everywhere, and what the oracle says. */
  expectConverged(): void {
    const oracle = new Oracle();
    const [first, ...rest] = this.replicas;
    oracle.take(this.#chronicle.takeCovered(vectorOf(first!.database)));
    for (const { id, database } of this.replicas) {
      compareWithOracle(oracle, `instance ${id}`, (key) => readVisible(database, key));
    }
    const state = describeState(first!.database, { residue: false });
    for (const { id, database } of rest) {
      const other = describeState(database, { residue: false });
      if (other !== state) throw new Error(`instance ${first!.id} knows\n${state}\ninstance ${id} knows\n${other}`);
      if (database.digest() !== first!.database.digest()) throw new Error(`equal states, but the digests differ`);
    }
  }

  /** When level: what only conflicts needed is freed, and after everything was removed nothing is held at all. */
  expectNothingLeft(): void {
    this.#collectStable();
    // What nobody but its own instance may take away is removed by that one, which is one more thing that everybody has to have.
    this.converge();
    this.#collectStable();
    for (const { id, database } of this.replicas) {
      const state = describeState(database, { residue: true, markers: false });
      if (state === describeState(database, { residue: false })) continue;
      throw new Error(`instance ${id} keeps what is stable:\n${state}`);
    }
    perform(this.replicas[0]!.database, [{ do: 'flush' }]);
    this.converge();
    this.#collectStable();
    this.converge();
    this.#collectStable();
    for (const { id, database } of this.replicas) {
      database.settle();
      const { keyspace } = database;
      const left = keyspace.keyMaps.count(keyspace.keys);
      if (left > 0) throw new Error(`instance ${id} keeps ${left} records of what is gone everywhere`);
    }
  }

  #collectStable(): void {
    for (const replica of this.replicas) {
      for (const other of this.replicas) if (other !== replica) this.acknowledge(replica, other);
      this.collect(replica);
      this.#check(replica);
    }
  }

  #isLevel(): boolean {
    for (const { database } of this.replicas) database.settle();
    const describe = ({ database }: Replica): string => JSON.stringify([...vectorOf(database)].sort());
    return this.replicas.every((replica) => describe(replica) === describe(this.replicas[0]!));
  }

  #check(replica: Replica): void {
    if (!this.#isLazy) replica.database.settle();
    replica.watcher.watch();
    if (!replica.database.isSettled) return;
    const { keyspace } = replica.database;
    const wrong = auditKeyspace(keyspace);
    const { arisen } = keyspace.typeConflicts;
    if (!this.#isLazy && arisen !== replica.typeConflicts)
      wrong.push(`${replica.typeConflicts} type conflicts, counted as ${arisen}`);
    if (wrong.length > 0) throw new Error(`instance ${replica.id}: ${wrong.join(', ')}`);
  }

  #at(index: number): Replica {
    return this.replicas[index % this.replicas.length]!;
  }

  #watch(id: number, database: Database): DatabaseWatcher {
    return new DatabaseWatcher(this.#chronicle, database, `instance ${id}`);
  }

  #newAcks(id: number, database: Database, count: number): Acks {
    const acks = new Acks(database);
    acks.configure(Array.from({ length: count }, (_, i) => i + 1).filter((other) => other !== id));
    return acks;
  }

  #newDatabase(instance: number, generation: number): Database {
    const database = new Database({
      instance,
      generation,
      random: seededRandom(instance),
      segmentBytes: 1 << 20,
      logChunkBytes: 1 << 12,
      limits: { smallContainerEntries: 2, smallKeyspaceKeys: 1, applyReserveBytes: 1 << 12 },
    });
    database.setTime(this.nowMs);
    return database;
  }
}

/** By what everybody has said; lost tails are a matter of replication (test/replication). */
function stabilityOf({ acks }: Replica): Stability {
  const stable = acks.stability(new Map()).least;
  return {
    covers: (origin, seq) => stable.coversDot(origin, seq),
    isFinal: (_origin, reset) => stable.coversDot(reset.origin, reset.seq),
  };
}
