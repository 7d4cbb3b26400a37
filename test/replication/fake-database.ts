/**
 * The trivial database: a grow-only log of texts. It checks seq and context exactly as the real one does, has a log that can be trimmed and
 * published with a delay, snapshot files, and full syncs that are loaded beside it.
 */
import { varintBytes, readVarint, writeVarint } from '../../src/base/varint.ts';
import {
  BATCH,
  BATCH_HAS_CONTEXT,
  FRAME,
  readU32,
  readF64,
  readU48,
  writeF64,
  writeU32,
  writeU48,
} from '../../src/crdt/frame.ts';
import {
  OriginTable,
  VersionVector,
  describeVersionVector,
  parseVersionVector,
} from '../../src/crdt/version-vector.ts';
import { hlcToMs, isClockValue } from '../../src/crdt/hybrid-clock.ts';
import { ClockAheadError } from '../../src/database/applier.ts';
import { AppendBuffer } from '../../src/memory/append-buffer.ts';
import type {
  DatabasePort,
  LogLocation,
  Incoming,
  LogPort,
  SnapshotHandle,
  SnapshotSource,
  SpoolFile,
  SpoolPort,
} from '../../src/replication/ports.ts';
import type { FakeClock } from './fake-network.ts';

interface Op {
  readonly instance: number;
  readonly generation: number;
  readonly seq: number;
  readonly text: string;
}

/** A BATCH frame. */
export function makeBatch(options: {
  readonly instance: number;
  readonly generation: number;
  readonly seq: number;
  readonly context?: readonly (readonly [instance: number, generation: number, seq: number])[];
  readonly text: string;
  readonly hlc?: number;
}): Buffer {
  const context = options.context ?? [];
  const text = Buffer.from(options.text);
  const frame = Buffer.alloc(BATCH.body + 5 + context.length * 13 + text.length);
  frame[4] = FRAME.batch;
  frame[BATCH.flags] = context.length > 0 ? BATCH_HAS_CONTEXT : 0;
  frame[BATCH.instance] = options.instance;
  writeU32(frame, BATCH.generation, options.generation);
  writeU48(frame, BATCH.seq, options.seq);
  writeF64(frame, BATCH.hlc, options.hlc ?? 1);
  let at: number = BATCH.body;
  if (context.length > 0) at = writeVarint(frame, at, context.length);
  for (const [instance, generation, seq] of context) {
    frame[at] = instance;
    writeU32(frame, at + 1, generation);
    at = writeVarint(frame, at + 5, seq);
  }
  text.copy(frame, at);
  at += text.length;
  writeU32(frame, 0, at - 4);
  return frame.subarray(0, at);
}

export class FakeDatabase implements DatabasePort {
  readonly origins = new OriginTable();
  readonly vector = new VersionVector();
  readonly log = new AppendBuffer({ chunkBytes: 64 * 1024 });
  readonly ops = new Map<string, Op>();
  self: { instance: number; generation: number; index: number };
  /** Latest value of its clock. */
  hlc = 1;
  capabilities: readonly string[] = ['text'];
  features: readonly string[] = ['text'];
  /** Virtual milliseconds that applying one batch takes. */
  applyMs = 0;
  /** Virtual milliseconds that loading a piece of a full sync takes. */
  feedMs = 0;
  /** Full syncs that are being loaded. */
  incomingOpen = 0;
  /** Thrown instead of applying. */
  refuses: Error | null = null;
  readonly #clock: FakeClock | null;
  readonly #contexts = new Map<number, VersionVector>();

  constructor(instance: number, generation: number, clock: FakeClock | null = null) {
    this.self = { instance, generation, index: this.origins.indexOf(instance, generation) };
    this.#clock = clock;
  }

  #nowMs = 0;

  setTime(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  startGeneration(generation: number): void {
    const { instance } = this.self;
    this.self = { instance, generation, index: this.origins.indexOf(instance, generation) };
  }

  /** A local operation; returns its seq. */
  write(text: string): number {
    const { instance, generation, index } = this.self;
    const seq = this.vector.get(index) + 1;
    const last = this.#contexts.get(index);
    const context: [number, number, number][] = [];
    for (const [origin, value] of this.vector.entries()) {
      if (origin === index || value === (last?.get(origin) ?? 0)) continue;
      context.push([this.origins.at(origin).instance, this.origins.at(origin).generation, value]);
    }
    const frame = makeBatch({ instance, generation, seq, context, text, hlc: this.hlc });
    this.#take(frame, 0, frame.length, index, seq, this.vector.clone());
    return seq;
  }

  applyBatch(bytes: Uint8Array, start: number, end: number, clockAheadMsMax: number): 'applied' | 'covered' | 'early' {
    this.#clock?.spend(this.applyMs);
    if (this.refuses) throw this.refuses;
    const index = this.origins.indexOf(bytes[start + BATCH.instance]!, readU32(bytes, start + BATCH.generation));
    const seq = readU48(bytes, start + BATCH.seq);
    if (this.vector.coversDot(index, seq)) return 'covered';
    if (seq !== this.vector.get(index) + 1) return 'early';
    const context = this.#contexts.get(index)?.clone() ?? new VersionVector();
    const { delta } = readContext(bytes, start, this.origins);
    context.raiseAll(delta);
    if (!this.vector.covers(context)) return 'early';
    const hlc = readF64(bytes, start + BATCH.hlc);
    if (!isClockValue(hlc)) throw new Error(`malformed batch: its clock says ${hlc}`);
    this.#checkClock(bytes[start + BATCH.instance]!, hlc, clockAheadMsMax);
    this.#take(bytes, start, end, index, seq, context);
    this.hlc = Math.max(this.hlc, readF64(bytes, start + BATCH.hlc));
    return 'applied';
  }

  /** Equal on converged databases. */
  digest(): string {
    return [...this.ops.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { text }]) => `${name}=${text}`)
      .join();
  }

  /** A batch whose text is `needs:NAME ...` needs that. */
  needsOf(bytes: Uint8Array, start: number, end: number): ReadonlySet<string> {
    const { textStart } = readContext(bytes, start, this.origins);
    const name = /^needs:(\S+)/.exec(Buffer.from(bytes.subarray(textStart, end)).toString())?.[1];
    return new Set(['text', ...(name === undefined ? [] : [name])]);
  }

  /** The bytes of a snapshot of this moment. */
  snapshot(): Buffer {
    const contexts = [...this.#contexts].map(([index, context]) => [
      this.origins.at(index),
      describeVersionVector(context, this.origins),
    ]);
    const header = { vector: describeVersionVector(this.vector, this.origins), contexts, hlc: this.hlc };
    const lines = [JSON.stringify(header), ...[...this.ops.values()].map((op) => JSON.stringify(op)), '.', ''];
    return Buffer.from(lines.join('\n'));
  }

  #checkClock(instance: number, hlc: number, clockAheadMsMax: number): void {
    const aheadMs = hlcToMs(hlc) - this.#nowMs;
    if (aheadMs > clockAheadMsMax) throw new ClockAheadError(instance, aheadMs);
  }

  beginIncoming(clockAheadMsMax: number): Incoming {
    this.incomingOpen++;
    return new FakeIncoming(this, {
      feedMs: (bytes) => this.#clock?.spend((this.feedMs * bytes) / 1024),
      checkClock: (hlc) => this.#checkClock(0, hlc, clockAheadMsMax),
      join: (header, ops) => this.#join(header, ops),
    });
  }

  #join(header: SnapshotHeader, ops: readonly Op[]): void {
    for (const op of ops) this.#addOp(op);
    for (const [origin, context] of header.contexts) {
      const index = this.origins.indexOf(origin.instance, origin.generation);
      const own = this.#contexts.get(index) ?? new VersionVector();
      own.raiseAll(parseVersionVector(context, this.origins)!);
      this.#contexts.set(index, own);
    }
    this.hlc = Math.max(this.hlc, header.hlc);
    this.vector.raiseAll(parseVersionVector(header.vector, this.origins)!);
  }

  #take(bytes: Uint8Array, start: number, end: number, index: number, seq: number, context: VersionVector): void {
    const { textStart } = readContext(bytes, start, this.origins);
    const { instance, generation } = this.origins.at(index);
    this.#addOp({ instance, generation, seq, text: Buffer.from(bytes.subarray(textStart, end)).toString() });
    this.#contexts.set(index, context);
    this.vector.set(index, seq);
    this.log.append(bytes.subarray(start, end));
  }

  #addOp(op: Op): void {
    this.ops.set(`${op.instance}:${op.generation}:${op.seq}`, op);
  }
}

interface SnapshotHeader {
  readonly vector: unknown;
  readonly contexts: readonly [{ readonly instance: number; readonly generation: number }, unknown][];
  readonly hlc: number;
}

interface IncomingHooks {
  readonly feedMs: (bytes: number) => void;
  readonly checkClock: (hlc: number) => void;
  readonly join: (header: SnapshotHeader, ops: readonly Op[]) => void;
}

class FakeIncoming implements Incoming {
  vector: VersionVector | null = null;
  complete = false;
  readonly #database: FakeDatabase;
  readonly #hooks: IncomingHooks;
  readonly #ops: Op[] = [];
  #header: SnapshotHeader | null = null;
  #text = '';
  #isOver = false;

  constructor(database: FakeDatabase, hooks: IncomingHooks) {
    this.#database = database;
    this.#hooks = hooks;
  }

  get keys(): number {
    return this.#ops.length;
  }

  feed(bytes: Uint8Array): void {
    this.#hooks.feedMs(bytes.length);
    const lines = (this.#text + Buffer.from(bytes).toString()).split('\n');
    this.#text = lines.pop()!;
    for (const line of lines) {
      if (this.complete) throw new Error('bytes after the end of the snapshot');
      if (line === '.') this.complete = true;
      else if (this.#header) this.#ops.push(JSON.parse(line) as Op);
      else this.#begin(JSON.parse(line) as SnapshotHeader);
    }
  }

  #begin(header: SnapshotHeader): void {
    this.#header = header;
    this.#hooks.checkClock(header.hlc);
    this.vector = parseVersionVector(header.vector, this.#database.origins)!;
  }

  join(): void {
    this.#end();
    if (!this.complete) throw new Error('join before the end');
    this.#hooks.join(this.#header!, this.#ops);
  }

  abandon(): void {
    this.#end();
  }

  #end(): void {
    if (this.#isOver) throw new Error('ended twice');
    this.#isOver = true;
    this.#database.incomingOpen--;
  }
}

function readContext(
  bytes: Uint8Array,
  start: number,
  origins: OriginTable,
): { readonly delta: VersionVector; readonly textStart: number } {
  const delta = new VersionVector();
  let at = start + BATCH.body;
  if ((bytes[start + BATCH.flags]! & BATCH_HAS_CONTEXT) === 0) return { delta, textStart: at };
  const count = readVarint(bytes, at);
  at += varintBytes(count);
  for (let i = 0; i < count; i++) {
    const seq = readVarint(bytes, at + 5);
    delta.set(origins.indexOf(bytes[at]!, readU32(bytes, at + 1)), seq);
    at += 5 + varintBytes(seq);
  }
  return { delta, textStart: at };
}

/** The log over the database's buffer, and the spool. */
export class FakeLog implements LogPort {
  readonly floor = new VersionVector();
  readonly retained = new Map<string, number>();
  readonly merges: string[] = [];
  readonly #database: FakeDatabase;
  /** Reads answer later, as from a file. */
  readsAreSlow = false;
  publishDelayed = false;
  publishPositionHeld = 0;
  readonly durableVector = new VersionVector();
  onPublishable: () => void = () => undefined;

  constructor(database: FakeDatabase) {
    this.#database = database;
  }

  /** What the disk has not taken. */
  unwrittenBytes = 0;

  get endPosition(): number {
    return this.#database.log.end;
  }

  get publishPosition(): number {
    return this.publishDelayed ? this.publishPositionHeld : this.#database.log.end;
  }

  /** Forgets everything up to now, as far as whole chunks allow; the floor says what is gone. */
  trim(position = this.endPosition): void {
    this.#start = position;
    this.#database.log.trimBefore(position);
    this.#forEachBatch(this.#database.log.start, position, (index, seq) => this.floor.raise(index, seq));
    if (position === this.endPosition) this.floor.raiseAll(this.#database.vector);
  }

  #start = 0;

  read(position: number, bytesMax: number): Buffer | null | Promise<Buffer | null> {
    const slice = position < this.#start ? null : this.#database.log.view(position, bytesMax);
    return this.readsAreSlow ? Promise.resolve(slice) : slice;
  }

  locate(have: VersionVector, origins: readonly number[]): LogLocation {
    for (const origin of origins) {
      if (have.get(origin) < this.floor.get(origin)) {
        return { missing: { origin, have: have.get(origin), floor: this.floor.get(origin) } };
      }
    }
    const wanted = new Set(origins);
    let found = this.endPosition;
    this.#forEachBatch(Math.max(this.#start, this.#database.log.start), this.endPosition, (index, seq, position) => {
      if (wanted.has(index) && seq > have.get(index)) found = Math.min(found, position);
    });
    return { position: found };
  }

  retain(holder: string, position: number): void {
    this.retained.set(holder, position);
  }

  release(holder: string): void {
    this.retained.delete(holder);
  }

  wake(): void {
    this.onPublishable();
  }

  /** What a merge brought is in no batch: the floor rises to it. */
  noteMerge(merge: {
    readonly file: string;
    readonly vectorBefore: VersionVector;
    readonly snapshotVector: VersionVector;
  }): number {
    this.merges.push(merge.file);
    const frame = Buffer.alloc(20);
    writeU32(frame, 0, 16);
    frame[4] = FRAME.merge;
    this.#database.log.append(frame);
    for (const [index, seq] of merge.snapshotVector.entries()) {
      if (seq > merge.vectorBefore.get(index)) this.floor.raise(index, seq);
    }
    return this.#database.log.end;
  }

  #forEachBatch(from: number, to: number, visit: (index: number, seq: number, position: number) => void): void {
    const { log, origins } = this.#database;
    for (let position = from; position < to;) {
      const slice = log.view(position, 64 * 1024 * 1024)!;
      let at = 0;
      while (at < slice.length) {
        if (slice[at + 4] === FRAME.batch) {
          const index = origins.indexOf(slice[at + BATCH.instance]!, readU32(slice, at + BATCH.generation));
          if (position + at < to) visit(index, readU48(slice, at + BATCH.seq), position + at);
        }
        at += 4 + readU32(slice, at);
      }
      position += at;
    }
  }
}

/** Snapshot files in memory. */
export class FakeSnapshots implements SnapshotSource {
  /** Handles that are not released. */
  open = 0;
  taken = 0;
  /** Virtual milliseconds that taking one lasts. */
  acquireMs = 0;
  /** Virtual milliseconds per read. */
  readMs = 0;
  fails: string | null = null;
  readonly #database: FakeDatabase;
  readonly #log: FakeLog;
  readonly #clock: FakeClock;

  constructor(database: FakeDatabase, log: FakeLog, clock: FakeClock) {
    this.#database = database;
    this.#log = log;
    this.#clock = clock;
  }

  async acquire(): Promise<SnapshotHandle> {
    if (this.acquireMs > 0) await new Promise<void>((resolve) => void this.#clock.after(this.acquireMs, resolve));
    if (this.fails !== null) throw new Error(this.fails);
    const bytes = this.#database.snapshot();
    const position = this.#log.endPosition;
    const holder = `snapshot ${++this.taken}`;
    this.#log.retain(holder, position);
    this.open++;
    let at = 0;
    let isOpen = true;
    return {
      vector: this.#database.vector.clone(),
      position,
      bytes: bytes.length,
      next: async () => {
        if (this.readMs > 0) await new Promise<void>((resolve) => void this.#clock.after(this.readMs, resolve));
        if (at === bytes.length) return null;
        const piece = bytes.subarray(at, at + 64 * 1024);
        at += piece.length;
        return piece;
      },
      release: () => {
        if (!isOpen) throw new Error('released twice');
        isOpen = false;
        this.open--;
        this.#log.release(holder);
      },
    };
  }
}

export class FakeSpool implements SpoolPort {
  readonly files = new Map<string, FakeSpoolFile>();
  /** Bytes that the disk takes before it says wait. */
  unwrittenBytesMax = Infinity;
  fails = false;
  readonly #clock: FakeClock;
  #count = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  create(from: number): SpoolFile {
    const file = new FakeSpoolFile(`merge-${++this.#count}-${from}`, this, this.#clock);
    this.files.set(file.file, file);
    return file;
  }
}

class FakeSpoolFile implements SpoolFile {
  readonly file: string;
  readonly #spool: FakeSpool;
  readonly #clock: FakeClock;
  #unwrittenBytes = 0;
  onDrain: () => void = () => undefined;

  constructor(file: string, spool: FakeSpool, clock: FakeClock) {
    this.file = file;
    this.#spool = spool;
    this.#clock = clock;
  }

  append(bytes: Uint8Array): boolean {
    this.#unwrittenBytes += bytes.length;
    if (this.#unwrittenBytes <= this.#spool.unwrittenBytesMax) return true;
    this.#clock.after(1, () => {
      this.#unwrittenBytes = 0;
      this.onDrain();
    });
    return false;
  }

  finish(): Promise<void> {
    return this.#spool.fails ? Promise.reject(new Error('no space left on device')) : Promise.resolve();
  }

  noteMerged(): void {}

  discard(): Promise<void> {
    this.#spool.files.delete(this.file);
    return Promise.resolve();
  }
}
