/**
 * The chronicle: every batch that was ever committed anywhere, taken from the instances' logs, and the rules that hold at every moment.
 *
 *   - a dot names one batch for ever: two instances never show different bytes under one dot;
 *   - an instance applies the batches of an origin in order, each once, and none before what its context names;
 *   - the hybrid clock of an instance's own batches goes up;
 *   - a version vector never shrinks while the instance runs.
 *
 * A crash may lose the tail of the instance's own batches; `forget` takes those that nobody else has out of the chronicle, and only
 * then may their dots come again.
 *
 * Invariant: the batches of one origin are contiguous.
 */
import { FRAME, FRAME_HEADER_BYTES, readU32 } from '../../src/crdt/frame.ts';
import type { Database } from '../../src/database/database.ts';
import { BatchDecoder, dotName, originName, type Batch, type Context, type OriginName } from './batch-decoder.ts';
import { mixWord } from './world/random.ts';

export class InvariantError extends Error {}

interface Entry {
  readonly batch: Batch;
  readonly digest: number;
}

export class Chronicle {
  readonly #decoder = new BatchDecoder();
  readonly #origins = new Map<OriginName, Map<number, Entry>>();
  /** Per origin: what a checkpoint has taken out. */
  readonly #taken = new Map<OriginName, number>();
  readonly #contexts = new Map<OriginName, Context>();

  get batchCount(): number {
    let count = 0;
    for (const entries of this.#origins.values()) count += entries.size;
    return count;
  }

  find(origin: OriginName, seq: number): Batch | null {
    return this.#origins.get(origin)?.get(seq)?.batch ?? null;
  }

  /** Notes a batch frame that stands in somebody's log. Returns the dot's origin and seq. */
  note(bytes: Uint8Array, start: number, end: number): Batch {
    const batch = this.#decoder.decode(bytes, start, end, (origin, seq) => this.#contextOf(origin, seq));
    const taken = this.#taken.get(batch.origin) ?? 0;
    if (batch.seq <= taken) return batch;
    let entries = this.#origins.get(batch.origin);
    if (entries === undefined) {
      entries = new Map();
      this.#origins.set(batch.origin, entries);
    }
    const digest = digestOf(bytes, start, end);
    const known = entries.get(batch.seq);
    if (known !== undefined) {
      if (known.digest !== digest) throw new InvariantError(`${dotName(batch)} names two different batches`);
      return known.batch;
    }
    if (batch.seq !== taken + entries.size + 1) throw new InvariantError(`${dotName(batch)} comes after a gap`);
    entries.set(batch.seq, { batch, digest });
    return batch;
  }

  /** Takes out all that the vector covers: everybody has it. */
  takeCovered(vector: Context): readonly Batch[] {
    const batches: Batch[] = [];
    for (const [origin, entries] of this.#origins) {
      const upTo = vector.get(origin) ?? 0;
      for (let seq = (this.#taken.get(origin) ?? 0) + 1; seq <= upTo; seq++) {
        const entry = entries.get(seq);
        if (entry === undefined) throw new InvariantError(`${origin}@${seq} was applied but stands in nobody's log`);
        batches.push(entry.batch);
        entries.delete(seq);
        this.#contexts.set(origin, entry.batch.context);
        this.#taken.set(origin, seq);
      }
    }
    return batches;
  }

  /** Forgets the batches of the origin above `seq`: nobody has them any more. Returns how many. */
  forget(origin: OriginName, seq: number): number {
    const entries = this.#origins.get(origin);
    let count = 0;
    for (const known of entries?.keys() ?? []) {
      if (known > seq && entries!.delete(known)) count++;
    }
    return count;
  }

  /** The same for every origin. */
  forgetBeyond(known: (origin: OriginName) => number): void {
    for (const origin of this.#origins.keys()) this.forget(origin, known(origin));
  }

  #contextOf(origin: OriginName, seq: number): Context | null {
    if (seq === 0) return null;
    const entry = this.#origins.get(origin)?.get(seq);
    if (entry !== undefined) return entry.batch.context;
    return seq === this.#taken.get(origin) ? this.#contexts.get(origin)! : null;
  }
}

/** One instance's log and version vector, watched while it runs. A restart makes a new watcher. */
export class DatabaseWatcher {
  readonly #chronicle: Chronicle;
  readonly #database: Database;
  readonly #name: string;
  readonly #vector: Map<OriginName, number>;
  #position: number;
  #hlc = 0;
  /** A full sync was merged since the vector was last known batch by batch. */
  #merged = false;
  /** Called for each batch read from the log, own ones included. */
  onBatch: (batch: Batch) => void = () => undefined;

  constructor(chronicle: Chronicle, database: Database, name: string) {
    this.#chronicle = chronicle;
    this.#database = database;
    this.#name = name;
    this.#position = database.log.end;
    this.#vector = vectorOf(database);
    this.#readBeforeItGoes(database.log);
  }

  /** What is written to a file may leave the memory within the turn in which it was applied. */
  #readBeforeItGoes(log: Database['log']): void {
    const trim = log.trimBefore.bind(log);
    log.trimBefore = (position) => {
      while (this.hasNews) this.#readFrame();
      trim(position);
    };
  }

  get hasNews(): boolean {
    return this.#position < this.#database.log.end;
  }

  /** Reads what came into the log since the last call, and checks the rules. */
  watch(): void {
    const { hlc } = this.#database;
    while (this.hasNews) this.#readFrame();
    if (hlc < this.#hlc)
      throw new InvariantError(`${this.#name}: the hybrid clock went back from ${this.#hlc} to ${hlc}`);
    this.#hlc = hlc;
    const vector = vectorOf(this.#database);
    for (const [origin, seq] of this.#vector) {
      const now = vector.get(origin) ?? 0;
      if (now < seq) throw new InvariantError(`${this.#name}: the version vector fell from ${origin}@${seq} to ${now}`);
    }
    for (const [origin, seq] of vector) this.#vector.set(origin, seq);
    this.#merged = false;
  }

  /** A full sync begins that leaves no mark in the log. */
  noteMerge(): void {
    this.#merged = true;
  }

  #readFrame(): void {
    const { log } = this.#database;
    const piece = log.view(this.#position, Infinity);
    if (piece === null) throw new InvariantError(`${this.#name}: the log lost ${this.#position} before it was watched`);
    const length = 4 + readU32(piece, 0);
    const kind = piece[4]!;
    if (kind === FRAME.merge) this.#merged = true;
    if (kind === FRAME.batch) this.#readBatch(piece, length);
    this.#position += Math.max(length, FRAME_HEADER_BYTES);
  }

  #readBatch(bytes: Uint8Array, length: number): void {
    const batch = this.#chronicle.note(bytes, 0, length);
    const before = this.#vector.get(batch.origin) ?? 0;
    if (batch.seq <= before) throw new InvariantError(`${this.#name}: applied ${dotName(batch)} twice`);
    if (!this.#merged) {
      if (batch.seq !== before + 1)
        throw new InvariantError(`${this.#name}: applied ${dotName(batch)} after @${before}`);
      for (const [origin, seq] of batch.context) {
        if ((this.#vector.get(origin) ?? 0) >= seq) continue;
        throw new InvariantError(
          `${this.#name}: applied ${dotName(batch)} before ${origin}@${seq}, which it builds on`,
        );
      }
    }
    this.#vector.set(batch.origin, batch.seq);
    this.onBatch(batch);
  }
}

export function vectorOf(database: Database): Map<OriginName, number> {
  const vector = new Map<OriginName, number>();
  for (const [index, seq] of database.vector.entries()) {
    const { instance, generation } = database.origins.at(index);
    vector.set(originName(instance, generation), seq);
  }
  return vector;
}

function digestOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = mixWord(hash, bytes[i]!);
  return hash;
}
