/**
 * The engine alone: databases that change at random, exchange batches in any order and take and join snapshots at any moment, with no log file, no
 * link and no command in between, and with limits so small that a few keys meet them all. What fails here is the engine's, and a run is short enough to be read.
 *
 * Everything is one synchronous loop of steps: a local batch of a few effects, the delivery of some origin's next batch (or of one that comes too
 * early, or again), a piece of a snapshot that is being taken, a piece of one that is being received, a slice of what waits to be carried out, an
 * expiry, a clock that goes wrong, an instance that starts over empty under a new generation. An arena may be full: what it refuses must have changed nothing.
 *
 * Invariant: the steps, and so the outcome, are a function of the seed.
 */
import { ClockAheadError } from '../../src/database/applier.ts';
import { Database } from '../../src/database/database.ts';
import { Expirer } from '../../src/database/expirer.ts';
import type { Incoming } from '../../src/database/incoming.ts';
import { KeyRef, TYPE } from '../../src/database/key-ref.ts';
import type { Snapshot } from '../../src/database/snapshot.ts';
import { BatchTooLargeError } from '../../src/database/effects.ts';
import { KEEP_TTL } from '../../src/database/writer.ts';
import { ArenaFullError } from '../../src/memory/arena.ts';
import { hlcToMs } from '../../src/crdt/hybrid-clock.ts';
import { FRAME, readU32 } from '../../src/crdt/frame.ts';
import { describeBatch } from './batch-decoder.ts';
import { Chronicle, DatabaseWatcher, vectorOf } from './chronicle.ts';
import { compareWithOracle } from './compare.ts';
import { Oracle } from './oracle.ts';
import { readVisible } from './read-visible.ts';
import { SeededRandom } from './world/random.ts';

const EPOCH_SECOND = 1_767_225_600;
const KEYS = ['a', 'b', 'c', 'd'];
/** Few, so that they conflict, and a tail of many, so that containers are large against the limits below. */
const FEW_ELEMENTS = 3;
const MANY_ELEMENTS = 60;
const BATCH_BYTES_MAX = 12 * 1024;
/** For databases. The arena of every so many runs is so small that it gets full. */
const LIMITS = {
  batchBytesMax: BATCH_BYTES_MAX,
  smallContainerEntries: 4,
  smallKeyspaceKeys: 2,
  snapshotValueBytes: 200,
  bucketsPerEntry: 2,
  applyReserveBytes: 16 * 1024,
};
const SMALL_ARENA_EVERY = 4;
const SMALL_ARENA_BYTES = 4 * 1024 * 1024;
const SEGMENT_BYTES = 256 * 1024;
const WILD_SKEW_MS = 7_200_000;

interface Replica {
  readonly id: number;
  database: Database;
  watcher: DatabaseWatcher;
  /** Batches in the order applied, for others to read. */
  frames: Buffer[];
  readPosition: number;
  skewMs: number;
  isWild: boolean;
  expirer: Expirer;
  /** A snapshot that is being taken. */
  snapshot: { readonly reader: Snapshot; readonly pieces: Buffer[] } | null;
  /** The latest one that was completed: others are filled from it, however old it is. */
  file: readonly Buffer[] | null;
  /** Being filled from another's snapshot. */
  incoming: { readonly port: Incoming; readonly pieces: Buffer[] } | null;
}

export interface EngineRunOptions {
  readonly seed: number;
  readonly instances: number;
  readonly steps: number;
  readonly trace?: (line: string) => void;
}

export interface EngineReport {
  batches: number;
  joins: number;
  refusals: number;
}

export class EngineRun {
  readonly #report: EngineReport = { batches: 0, joins: 0, refusals: 0 };
  readonly #random: SeededRandom;
  readonly #options: EngineRunOptions;
  readonly #chronicle = new Chronicle();
  readonly #oracle = new Oracle();
  readonly #replicas: Replica[] = [];
  readonly #ref = new KeyRef();
  readonly #isSmall: boolean;
  #generation = EPOCH_SECOND;
  #nowMs = EPOCH_SECOND * 1000;

  constructor(options: EngineRunOptions) {
    this.#options = options;
    this.#isSmall = options.seed % SMALL_ARENA_EVERY === 0;
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
        isWild: false,
        expirer: new Expirer(database),
        snapshot: null,
        file: null,
        incoming: null,
      });
    }
  }

  /** Throws at the first thing that is wrong. Returns how much has happened, so that a run of nothing is noticed. */
  run(): EngineReport {
    for (let step = 0; step < this.#options.steps; step++) {
      this.#nowMs += this.#random.below(20);
      const replica = this.#random.pick(this.#replicas);
      this.#setTime(replica);
      this.#step(replica);
      for (const each of this.#replicas) this.#watch(each);
      if (this.#random.chance(0.002)) this.#converge();
    }
    this.#converge();
    return this.#report;
  }

  #setTime(replica: Replica): void {
    replica.database.setTime(this.#nowMs + replica.skewMs + (replica.isWild ? WILD_SKEW_MS : 0));
  }

  #step(replica: Replica): void {
    const step = this.#random.weighted<() => void>([
      [50, () => this.#write(replica)],
      [40, () => this.#deliver(replica, this.#random.pick(this.#others(replica)))],
      [10, () => this.#continueSnapshot(replica)],
      [8, () => this.#continueIncoming(replica)],
      [15, () => void replica.database.settleStep(this.#random.between(1, 6))],
      [2, () => void replica.expirer.step(() => true)],
      [0.2, () => (replica.isWild = !replica.isWild)],
      [0.2, () => this.#restart(replica)],
    ]);
    step();
  }

  // ---------------------------------------------------------------- steps

  #write(replica: Replica): void {
    const { database } = replica;
    const count = this.#random.chance(0.15) ? this.#random.between(2, 30) : 1;
    const before = database.log.end;
    let refused: Error | null = null;
    for (let i = 0; i < count && refused === null; i++) {
      try {
        this.#writeEffect(database);
      } catch (error) {
        if (!(error instanceof ArenaFullError || error instanceof BatchTooLargeError)) throw error;
        refused = error;
        this.#report.refusals++;
      }
    }
    database.commit();
    // What `commit` announces of earlier removals may be there; the refused effect must not.
    const bytes = database.log.end - before;
    if (bytes > BATCH_BYTES_MAX * 2) throw new Error(`instance ${replica.id} wrote ${bytes} bytes as one batch`);
  }

  #writeEffect(database: Database): void {
    const random = this.#random;
    const { writer, keyspace } = database;
    const key = Buffer.from(random.pick(KEYS));
    const ref = keyspace.locate(this.#ref, key, 0, key.length);
    const value = Buffer.from(this.#value());
    const field = Buffer.from(`f${this.#element()}`);
    const member = Buffer.from(`m${this.#element()}`);
    const isString = ref.type === TYPE.none || ref.type === TYPE.string;
    const isHash = ref.type === TYPE.none || ref.type === TYPE.hash;
    const isSet = ref.type === TYPE.none || ref.type === TYPE.set;
    switch (random.below(13)) {
      case 0:
        return writer.set(ref, value, 0, value.length);
      case 1:
        return writer.set(ref, value, 0, value.length, this.#nowMs + this.#ttlMs());
      case 2:
        return isString ? writer.set(ref, value, 0, value.length, KEEP_TTL, random.below(20)) : undefined;
      case 3:
      case 4:
        return isString && this.#isNumber(database, ref) ? writer.add(ref, random.between(-5, 9)) : undefined;
      case 5:
        return random.chance(0.7) ? writer.remove(ref) : undefined;
      case 6:
        if (ref.type === TYPE.none) return undefined;
        return writer.expire(ref, random.chance(0.2) ? Infinity : this.#nowMs + this.#ttlMs());
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
    return random.weighted<() => string>([
      [1, () => random.pick(['9223372036854775807', '1.5', '-0.25', ''])],
      [8, () => 'v'.repeat(random.between(1, 60))],
      [1, () => 'w'.repeat(LIMITS.snapshotValueBytes + random.between(-40, 40))],
      [this.#isSmall ? 8 : 1, () => 'x'.repeat(random.between(1000, BATCH_BYTES_MAX))],
    ])();
  }

  #ttlMs(): number {
    return this.#random.chance(0.3) ? this.#random.below(2000) : this.#random.below(10_000_000);
  }

  #element(): number {
    return this.#random.chance(0.5) ? this.#random.below(FEW_ELEMENTS) : this.#random.below(MANY_ELEMENTS);
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
      this.#apply(replica, this.#random.pick(other.frames));
      return;
    }
    let budget = this.#random.between(1, 6);
    for (const frame of other.frames) {
      if (budget === 0) return;
      if (this.#apply(replica, frame) === 'applied') budget--;
    }
  }

  /** `refused`: the arena is full, or the other's clock is wrong; nothing has changed then. */
  #apply({ database, id }: Replica, frame: Buffer): 'applied' | 'covered' | 'early' | 'refused' {
    const before = database.log.end;
    try {
      return database.applyBatch(frame, 0, frame.length);
    } catch (error) {
      if (!(error instanceof ArenaFullError || error instanceof ClockAheadError)) throw error;
      if (database.log.end !== before)
        throw new Error(`instance ${id} refused a batch and has it in its log`, { cause: error });
      this.#report.refusals++;
      return 'refused';
    }
  }

  /** Begins one where none is being taken; the instance goes on while it is. */
  #continueSnapshot(replica: Replica): void {
    const { snapshot, database } = replica;
    if (snapshot === null) {
      if (database.maySnapshot) replica.snapshot = { reader: database.beginSnapshot(), pieces: [] };
      return;
    }
    if (this.#random.chance(0.01)) {
      snapshot.reader.abort();
      replica.snapshot = null;
      return;
    }
    const bytesMax = this.#random.between(1, 600);
    const piece = snapshot.reader.next(bytesMax);
    if (piece === null) {
      replica.file = snapshot.pieces;
      replica.snapshot = null;
      return;
    }
    if (piece.length === 0 || piece.length > bytesMax)
      throw new Error(`a piece of ${piece.length}, not 1..${bytesMax}`);
    snapshot.pieces.push(Buffer.from(piece));
  }

  #continueIncoming(replica: Replica): void {
    if (replica.incoming === null) {
      const { file, id } = this.#random.pick(this.#others(replica));
      if (file === null) return;
      this.#trace(`${replica.id} begins a full sync from ${id}`);
      replica.incoming = { port: replica.database.beginIncoming(), pieces: [...file] };
      return;
    }
    const { port, pieces } = replica.incoming;
    const piece = pieces.shift();
    try {
      if (piece !== undefined && !this.#random.chance(0.005)) {
        const at = this.#random.below(piece.length + 1);
        if (at > 0) port.feed(piece.subarray(0, at));
        if (at < piece.length) port.feed(piece.subarray(at));
        return;
      }
    } catch (error) {
      if (!(error instanceof ArenaFullError || error instanceof ClockAheadError)) throw error;
    }
    replica.incoming = null;
    if (!port.complete) return port.abandon();
    replica.watcher.noteMerge();
    port.join();
    replica.watcher.watch();
    this.#report.joins++;
    this.#trace(`${replica.id} has joined`);
  }

  /** All is lost but what others have; the instance goes on under a new generation. */
  #restart(replica: Replica): void {
    if (!this.#mayRestart(replica)) return;
    this.#trace(`${replica.id} starts over`);
    const own = vectorOf(replica.database);
    replica.database = this.#newDatabase(replica.id);
    replica.watcher = this.#watcher(replica.id, replica.database);
    replica.expirer = new Expirer(replica.database);
    replica.frames = [];
    replica.readPosition = 0;
    replica.snapshot = null;
    replica.incoming = null;
    // Files of others may hold what nobody else has any more: they are not to bring back dots that come again.
    for (const each of this.#replicas) each.file = null;
    for (const each of this.#replicas) each.incoming = each.incoming?.port.abandon() ?? null;
    for (const origin of own.keys()) {
      const survives = Math.max(...this.#replicas.map((each) => vectorOf(each.database).get(origin) ?? 0));
      this.#chronicle.forget(origin, survives);
    }
  }

  /** What the oracle has taken must not be lost: somebody else has it all. */
  #mayRestart(replica: Replica): boolean {
    const taken = [...this.#oracle.vector];
    return this.#others(replica).some(({ database }) => {
      const vector = vectorOf(database);
      return taken.every(([origin, seq]) => (vector.get(origin) ?? 0) >= seq);
    });
  }

  // ---------------------------------------------------------------- checks

  /** Brings everybody level, then compares. */
  #converge(): void {
    // Clocks that were wrong have been set right, and time has caught up with what they said.
    for (const replica of this.#replicas) replica.isWild = false;
    this.#nowMs = Math.max(this.#nowMs, ...this.#replicas.map(({ database }) => hlcToMs(database.hlc)));
    for (const replica of this.#replicas) {
      this.#setTime(replica);
      replica.snapshot?.reader.abort();
      replica.snapshot = null;
      replica.incoming?.port.abandon();
      replica.incoming = null;
    }
    for (let moved = true; moved;) {
      moved = false;
      for (const replica of this.#replicas) {
        for (const other of this.#others(replica)) {
          for (const frame of [...other.frames]) {
            const outcome = this.#apply(replica, frame);
            if (outcome === 'applied') moved = true;
            if (outcome !== 'refused') continue;
            this.#makeRoom(replica);
            moved = true;
            break;
          }
        }
        this.#watch(replica);
      }
      if (!moved && !this.#sameVectors()) {
        // Somebody's log no longer holds what another lacks: a full sync fills the gap.
        for (const replica of this.#replicas) {
          for (const other of this.#others(replica)) this.#syncFully(replica, other);
        }
        moved = true;
      }
    }
    this.#compare();
  }

  #syncFully(replica: Replica, source: Replica): void {
    settleAll(source.database);
    const reader = source.database.beginSnapshot();
    const port = replica.database.beginIncoming();
    try {
      for (let piece = reader.next(200); piece !== null; piece = reader.next(200)) port.feed(piece);
    } catch (error) {
      if (!(error instanceof ArenaFullError)) throw error;
      reader.abort();
      port.abandon();
      return this.#makeRoom(replica);
    }
    replica.watcher.noteMerge();
    port.join();
    this.#watch(replica);
  }

  /** As an operator does where an instance is full. */
  #makeRoom(replica: Replica): void {
    const { database } = replica;
    database.writer.flush(this.#ref);
    database.commit();
    settleAll(database);
    this.#watch(replica);
    this.#trace(`${replica.id} is full and flushes`);
  }

  #compare(): void {
    const first = this.#replicas[0]!;
    for (const { database } of this.#replicas) settleAll(database);
    for (const replica of this.#replicas) this.#watch(replica);
    if (!this.#sameVectors()) return this.#converge();
    const batches = this.#chronicle.takeCovered(vectorOf(first.database));
    this.#oracle.take(batches);
    this.#report.batches += batches.length;
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
      segmentBytes: SEGMENT_BYTES,
      logChunkBytes: 4096,
      limits: this.#isSmall ? { ...LIMITS, arenaBytesMax: SMALL_ARENA_BYTES } : LIMITS,
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

/** Everything that waits, and the memory that is to be freed. */
function settleAll(database: Database): void {
  database.settle();
  while (database.settleStep(1000));
}
