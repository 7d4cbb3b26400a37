/**
 * The engine alone: databases that change at random, exchange batches in any order and merge snapshots at any moment, with no log file, no
 * link and no command in between. What fails here is the engine's, and a run is short enough to be read.
 *
 * Everything is one synchronous loop of steps: a local batch of a few effects, the delivery of some origin's next batch (or of one that comes too
 * early, or again), a piece of a snapshot under way, a piece of a merge, an instance that starts over empty under a new generation.
 *
 * Invariant: the steps, and so the outcome, are a function of the seed.
 */
import { Database } from '../../src/database/database.ts';
import { KeyRef, TYPE } from '../../src/database/key-ref.ts';
import type { Snapshot } from '../../src/database/snapshot.ts';
import type { SnapshotMerger } from '../../src/database/snapshot-merger.ts';
import { KEEP_TTL } from '../../src/database/writer.ts';
import { FRAME, readU32 } from '../../src/crdt/frame.ts';
import { describeBatch } from './batch-decoder.ts';
import { Chronicle, DatabaseWatcher, vectorOf } from './chronicle.ts';
import { compareWithOracle } from './compare.ts';
import { Oracle } from './oracle.ts';
import { readVisible } from './read-visible.ts';
import { SeededRandom } from './world/random.ts';

const EPOCH_SECOND = 1_767_225_600;
const KEYS = ['a', 'b', 'c', 'd'];
const FIELDS = ['f', 'g', 'h'];
const MEMBERS = ['x', 'y', 'z'];

interface Replica {
  readonly id: number;
  database: Database;
  watcher: DatabaseWatcher;
  /** Batches in the order applied, for others to read. */
  frames: Buffer[];
  readPosition: number;
  skewMs: number;
  /** Being filled from another's snapshot. */
  merge: { readonly merger: SnapshotMerger; readonly snapshot: Snapshot | null; readonly pieces: Buffer[] } | null;
  readonly source: { busy: boolean };
}

export interface EngineRunOptions {
  readonly seed: number;
  readonly instances: number;
  readonly steps: number;
  readonly trace?: (line: string) => void;
}

export class EngineRun {
  readonly #random: SeededRandom;
  readonly #options: EngineRunOptions;
  readonly #chronicle = new Chronicle();
  readonly #oracle = new Oracle();
  readonly #replicas: Replica[] = [];
  readonly #ref = new KeyRef();
  #generation = EPOCH_SECOND;
  #nowMs = EPOCH_SECOND * 1000;

  constructor(options: EngineRunOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed, 'engine');
    for (let id = 1; id <= options.instances; id++) {
      const database = this.#newDatabase(id);
      this.#replicas.push({
        id,
        database,
        watcher: this.#watcher(id, database),
        frames: [],
        readPosition: 0,
        skewMs: this.#random.between(-3000, 3000),
        merge: null,
        source: { busy: false },
      });
    }
  }

  /** Throws at the first thing that is wrong. */
  run(): void {
    for (let step = 0; step < this.#options.steps; step++) {
      this.#nowMs += this.#random.below(20);
      const replica = this.#random.pick(this.#replicas);
      replica.database.setTime(this.#nowMs + replica.skewMs);
      this.#step(replica);
      for (const each of this.#replicas) this.#watch(each);
      if (this.#random.chance(0.002)) this.#converge();
    }
    this.#converge();
  }

  #step(replica: Replica): void {
    if (replica.merge !== null) {
      this.#continueMerge(replica);
      return;
    }
    const kind = this.#random.weighted<'write' | 'deliver' | 'merge' | 'restart'>([
      [50, 'write'],
      [48, 'deliver'],
      [1.5, 'merge'],
      [0.2, 'restart'],
    ]);
    if (kind === 'write') this.#write(replica);
    if (kind === 'deliver') this.#deliver(replica, this.#random.pick(this.#others(replica)));
    if (kind === 'merge') this.#beginMerge(replica, this.#random.pick(this.#others(replica)));
    if (kind === 'restart' && this.#mayRestart(replica)) this.#restart(replica);
  }

  // ---------------------------------------------------------------- steps

  #write(replica: Replica): void {
    const { database } = replica;
    const count = this.#random.chance(0.15) ? this.#random.between(2, 5) : 1;
    for (let i = 0; i < count; i++) this.#writeEffect(database);
    database.commit();
  }

  #writeEffect(database: Database): void {
    const random = this.#random;
    const { writer, keyspace } = database;
    const key = Buffer.from(random.pick(KEYS));
    const ref = keyspace.locate(this.#ref, key, 0, key.length);
    const value = Buffer.from(this.#value());
    const field = Buffer.from(random.pick(FIELDS));
    const member = Buffer.from(random.pick(MEMBERS));
    const isString = ref.type === TYPE.none || ref.type === TYPE.string;
    const isHash = ref.type === TYPE.none || ref.type === TYPE.hash;
    const isSet = ref.type === TYPE.none || ref.type === TYPE.set;
    switch (random.below(13)) {
      case 0:
        return writer.set(ref, value, 0, value.length);
      case 1:
        return writer.set(ref, value, 0, value.length, this.#nowMs + random.below(10_000_000));
      case 2:
        return isString ? writer.set(ref, value, 0, value.length, KEEP_TTL, random.below(20)) : undefined;
      case 3:
      case 4:
        return isString && this.#isNumber(database, ref) ? writer.add(ref, random.between(-5, 9)) : undefined;
      case 5:
        return random.chance(0.7) ? writer.remove(ref) : undefined;
      case 6:
        if (ref.type === TYPE.none) return undefined;
        return writer.expire(ref, random.chance(0.2) ? Infinity : this.#nowMs + random.below(10_000_000));
      case 7:
        return isHash ? writer.setField(ref, field, 0, field.length, value, 0, value.length) : undefined;
      case 8:
        return isHash && this.#isFieldNumber(database, ref, field)
          ? writer.addField(ref, field, 0, field.length, random.between(-5, 9))
          : undefined;
      case 9:
        return ref.type === TYPE.hash ? writer.removeField(ref, field, 0, field.length) : undefined;
      case 10:
      case 11:
        return isSet ? writer.addMember(ref, member, 0, member.length) : undefined;
      default:
        if (random.chance(0.02)) return writer.flush(this.#ref);
        return ref.type === TYPE.set ? writer.removeMember(ref, member, 0, member.length) : undefined;
    }
  }

  #value(): string {
    const random = this.#random;
    if (random.chance(0.5)) return String(random.between(-20, 100));
    return random.chance(0.1)
      ? random.pick(['9223372036854775807', '1.5', '-0.25', ''])
      : 'v'.repeat(random.between(1, 60));
  }

  #isNumber(database: Database, ref: KeyRef): boolean {
    return ref.record === 0 || database.keyspace.readNumber(ref.record) !== null;
  }

  #isFieldNumber(database: Database, ref: KeyRef, field: Buffer): boolean {
    if (ref.record === 0) return true;
    const { keyspace } = database;
    const cell = keyspace.containers.findField(keyspace.containers.hash(ref.record), field, 0, field.length);
    return cell === 0 || keyspace.readNumber(cell) !== null;
  }

  /** Some batch of the other's log: mostly one that fits, sometimes any. */
  #deliver(replica: Replica, other: Replica): void {
    if (other.frames.length === 0) return;
    if (this.#random.chance(0.2)) {
      const frame = this.#random.pick(other.frames);
      replica.database.applyBatch(frame, 0, frame.length);
      return;
    }
    let budget = this.#random.between(1, 6);
    for (const frame of other.frames) {
      if (budget === 0) return;
      if (replica.database.applyBatch(frame, 0, frame.length) === 'applied') budget--;
    }
  }

  #beginMerge(replica: Replica, source: Replica): void {
    if (source.merge !== null || source.source.busy || replica.source.busy) return;
    this.#trace(`${replica.id} begins a full sync from ${source.id}`);
    source.source.busy = true;
    const snapshot = source.database.beginSnapshot();
    if (this.#random.chance(0.1)) {
      snapshot.next(100);
      snapshot.abort();
      source.source.busy = false;
      return;
    }
    const pieces: Buffer[] = [];
    // The source goes on while its snapshot is written.
    for (let piece = snapshot.next(200); piece !== null; piece = snapshot.next(200)) {
      pieces.push(Buffer.from(piece));
      for (let i = this.#random.below(3); i > 0; i--) this.#write(source);
    }
    source.source.busy = false;
    replica.watcher.noteMerge();
    replica.merge = { merger: replica.database.beginMerge(), snapshot, pieces };
  }

  #continueMerge(replica: Replica): void {
    const { merger, pieces } = replica.merge!;
    const piece = pieces.shift();
    if (piece !== undefined) {
      const at = this.#random.below(piece.length + 1);
      merger.feed(piece.subarray(0, at));
      merger.feed(piece.subarray(at));
      return;
    }
    if (!merger.step(this.#random.between(1, 5))) return;
    this.#trace(`${replica.id} has merged`);
    replica.merge = null;
  }

  /** All is lost but what others have; the instance goes on under a new generation. */
  #restart(replica: Replica): void {
    this.#trace(`${replica.id} starts over`);
    const own = vectorOf(replica.database);
    replica.database = this.#newDatabase(replica.id);
    replica.watcher = this.#watcher(replica.id, replica.database);
    replica.frames = [];
    replica.readPosition = 0;
    for (const origin of own.keys()) {
      const survives = Math.max(...this.#replicas.map((each) => vectorOf(each.database).get(origin) ?? 0));
      this.#chronicle.forget(origin, survives);
    }
  }

  /** What the oracle has taken must not be lost: somebody else has it all. */
  #mayRestart(replica: Replica): boolean {
    if (this.#replicas.some((each) => each.merge !== null)) return false;
    const taken = [...this.#oracle.vector];
    return this.#others(replica).some(({ database }) => {
      const vector = vectorOf(database);
      return taken.every(([origin, seq]) => (vector.get(origin) ?? 0) >= seq);
    });
  }

  // ---------------------------------------------------------------- checks

  /** Brings everybody level, then compares. */
  #converge(): void {
    for (const replica of this.#replicas) while (replica.merge !== null) this.#continueMerge(replica);
    for (let moved = true; moved;) {
      moved = false;
      for (const replica of this.#replicas) {
        for (const other of this.#others(replica)) {
          for (const frame of other.frames) {
            if (replica.database.applyBatch(frame, 0, frame.length) === 'applied') moved = true;
          }
        }
        this.#watch(replica);
      }
      if (!moved && !this.#sameVectors()) {
        // Somebody's log no longer holds what another lacks: a full sync fills the gap.
        for (const replica of this.#replicas) {
          for (const other of this.#others(replica)) {
            this.#beginMerge(replica, other);
            while (replica.merge !== null) this.#continueMerge(replica);
            this.#watch(replica);
          }
        }
        moved = true;
      }
    }
    this.#compare();
  }

  #compare(): void {
    const first = this.#replicas[0]!;
    this.#oracle.take(this.#chronicle.takeCovered(vectorOf(first.database)));
    for (const { id, database } of this.#replicas) {
      compareWithOracle(this.#oracle, `instance ${id}`, (key) => readVisible(database, key));
    }
    for (const { database } of this.#replicas) database.setTime(this.#nowMs);
    for (const { id, database } of this.#replicas) {
      if (database.digest() === first.database.digest()) continue;
      throw new Error(`the digests of instances ${first.id} and ${id} differ, though all visible values are equal`);
    }
    this.#trace(`all level after ${this.#chronicle.batchCount} open batches`);
  }

  #sameVectors(): boolean {
    const describe = ({ database }: Replica): string => JSON.stringify([...vectorOf(database)].sort());
    return this.#replicas.every((replica) => describe(replica) === describe(this.#replicas[0]!));
  }

  #watch(replica: Replica): void {
    replica.watcher.watch();
    const { log } = replica.database;
    while (replica.readPosition < log.end) {
      const piece = log.view(replica.readPosition, Infinity)!;
      const length = 4 + readU32(piece, 0);
      if (piece[4] === FRAME.batch) replica.frames.push(piece.subarray(0, length));
      replica.readPosition += length;
    }
  }

  #others(replica: Replica): readonly Replica[] {
    return this.#replicas.filter((other) => other !== replica);
  }

  #newDatabase(instance: number): Database {
    const random = this.#random.fork(`database ${instance} ${this.#generation}`);
    return new Database({
      instance,
      generation: ++this.#generation,
      random: () => random.uint32(),
      segmentBytes: 1 << 20,
      logChunkBytes: 4096,
    });
  }

  #watcher(id: number, database: Database): DatabaseWatcher {
    const watcher = new DatabaseWatcher(this.#chronicle, database, `instance ${id}`);
    watcher.onBatch = (batch) => this.#trace(`${id} has ${describeBatch(batch)}`);
    return watcher;
  }

  #trace(line: string): void {
    this.#options.trace?.(line);
  }
}
