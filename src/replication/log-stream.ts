/**
 * The log as one peer is sent it: reads slices from where this peer is, picks what it wants (log-walker.ts), writes that.
 *
 * What is wanted may grow while it streams: a WANT, a generation that retired. If the peer lacks something of a new origin, the stream goes back in
 * the log to where that begins; everything it sent already it passes over. So there is one position, whatever is wanted.
 *
 * Invariant: nothing beyond the publish position is written; a batch is written at most once, in the order of the log, and per origin without
 * a hole.
 */
import { BATCH } from '../crdt/frame.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import type { ReplicationLimits } from './limits.ts';
import { LogWalker } from './log-walker.ts';
import { listWantedOrigins, type Generations } from './origins.ts';
import type { DatabasePort, LogLocation, LogPort } from './ports.ts';

export interface LogStreamDependencies {
  readonly database: DatabasePort;
  readonly log: LogPort;
  readonly limits: ReplicationLimits;
  readonly generations: Generations;
}

/** A batch that the peer would not understand. */
export interface Refusal {
  /** Who made it. */
  readonly instance: number;
  readonly needs: readonly string[];
}

export interface LogStreamOwner {
  /** Under which name the log keeps what this stream still needs. */
  readonly holder: string;
  /** False: the connection takes no more for now, or the stream is over. */
  mayWrite(): boolean;
  /** Bytes that were written and are still in use. */
  readonly waitingBytes: number;
  write(bytes: Uint8Array): void;
  /** Between two frames: others may be written. */
  onBoundary(): void;
  /** All that may be sent is sent. */
  onDrained(): void;
  /** To be pumped again in a later turn. */
  onMore(): void;
  /** The log no longer has what is next: `locate` anew. */
  onLost(): void;
  /** What is next came by a full sync and is in no batch; the reason in words. */
  onHole(reason: string): void;
  onRefused(refusal: Refusal): void;
  onFailed(message: string): void;
}

export class LogStream {
  readonly #deps: LogStreamDependencies;
  readonly #owner: LogStreamOwner;
  readonly #walker: LogWalker;
  #gathered: Buffer;
  #gatheredBytes = 0;
  #position = 0;
  #asked: ReadonlySet<number> = new Set();
  #wanted: readonly number[] = [];
  /** Size of the origin table when `wanted` was listed; -1: to be listed again. */
  #originsKnown = -1;
  #puller = { instance: 0, generation: -1 };
  #isReading = false;
  /** A batch that is put together to be looked at, and how much of it is here. */
  #whole: Buffer | null = null;
  #wholeBytes = 0;
  #refusal: Refusal | null = null;
  /** Where a hole was met. */
  #holePosition = -1;

  constructor(deps: LogStreamDependencies, owner: LogStreamOwner) {
    this.#deps = deps;
    this.#owner = owner;
    this.#walker = new LogWalker(deps.database.origins);
    this.#gathered = Buffer.allocUnsafeSlow(deps.limits.feedReadBytes);
  }

  get position(): number {
    return this.#position;
  }

  /** What the peer has, or will have when all that was written arrives. */
  get sent(): VersionVector {
    return this.#walker.sent;
  }

  /** The peer said so. */
  raiseSent(vector: VersionVector): void {
    this.#walker.raiseSent(vector);
  }

  /** Whether the last thing written was a whole frame. */
  get isBetweenFrames(): boolean {
    return this.#walker.frameBytesLeft === 0;
  }

  /** Origins asked for beside those that every feed carries. */
  want(origins: readonly number[]): void {
    this.#asked = new Set(origins);
    this.#originsKnown = -1;
  }

  /** Who pulls, and its current generation as it says. */
  setPuller(puller: { readonly instance: number; readonly generation: number }): void {
    this.#puller = puller;
    this.#originsKnown = -1;
  }

  /** The peer knows these features only: what needs another one ends the stream. null: it knows all. */
  restrictTo(known: ReadonlySet<string> | null): void {
    const { database } = this.#deps;
    this.#walker.admits =
      known === null
        ? null
        : (bytes, start, end) => {
            const needs = [...database.needsOf(bytes, start, end)].filter((need) => !known.has(need));
            if (needs.length === 0) return true;
            this.#refusal = { instance: bytes[start + BATCH.instance]!, needs };
            return false;
          };
  }

  /** Where the peer's next batch is, or why the log has it no more. */
  locate(): LogLocation {
    this.#listWanted();
    return this.#deps.log.locate(this.#walker.sent, this.#wanted);
  }

  seek(position: number): void {
    this.#position = position;
    this.#whole = null;
    this.#wholeBytes = 0;
    this.#deps.log.retain(this.#owner.holder, position);
  }

  /** After a snapshot: the peer has this and has thrown away what else was on its way; what follows begins there. */
  seekAfter(vector: VersionVector, position: number): void {
    this.#walker.resetSent(vector);
    this.#listWanted();
    this.seek(position);
  }

  /** Sends what there is, as far as the connection takes it and the turn allows. */
  pump(): void {
    const { log, limits, database } = this.#deps;
    const owner = this.#owner;
    let bytesLeft = limits.feedPumpBytesMax;
    while (!this.#isReading && owner.mayWrite()) {
      if (this.isBetweenFrames) {
        owner.onBoundary();
        if (this.#originsKnown !== database.origins.count) {
          this.#renewWanted();
          continue;
        }
        if (this.#walker.hasPassedMerge) {
          this.#walker.hasPassedMerge = false;
          this.#lookForHole();
          continue;
        }
      }
      const position = this.#position + this.#wholeBytes;
      const available = log.publishPosition - position;
      if (available <= 0) return owner.onDrained();
      if (bytesLeft <= 0) return owner.onMore();
      const bytes = log.read(position, Math.min(available, limits.feedReadBytes));
      if (bytes instanceof Promise) return this.#awaitRead(bytes);
      bytesLeft -= bytes?.length ?? 0;
      this.#send(bytes);
    }
  }

  #awaitRead(bytes: Promise<Buffer | null>): void {
    const owner = this.#owner;
    this.#isReading = true;
    bytes.then(
      (slice) => {
        this.#isReading = false;
        // Where the connection is full or gone by now the slice is read again, if ever.
        if (owner.mayWrite()) this.#send(slice);
        owner.onMore();
      },
      (error: unknown) => {
        this.#isReading = false;
        owner.onFailed(`the log cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      },
    );
  }

  #send(bytes: Buffer | null): void {
    if (bytes === null) return this.#owner.onLost();
    if (this.#whole !== null) return this.#sendWhole(this.#whole, bytes);
    const count = this.#walker.walk(bytes, this.#sendRun);
    this.#flushGathered();
    this.seek(this.#position + count);
    if (this.#walker.gap >= 0) this.#onHole(this.#walker.gap);
    else if (this.#walker.isRefused) this.#onRefused();
    else if (this.#walker.wholeBytes > 0) this.#beginWhole();
    else if (count === 0) this.#owner.onFailed(`the log ends within a frame at position ${this.#position}`);
  }

  /** The next batch is to be looked at and lies in several slices: it is put together first. */
  #beginWhole(): void {
    this.#whole = Buffer.allocUnsafeSlow(this.#walker.wholeBytes);
    this.#wholeBytes = 0;
    this.#walker.wholeBytes = 0;
  }

  #sendWhole(whole: Buffer, bytes: Buffer): void {
    this.#wholeBytes += bytes.copy(whole, this.#wholeBytes);
    if (this.#wholeBytes < whole.length) return;
    this.#whole = null;
    this.#wholeBytes = 0;
    this.#send(whole);
  }

  #onRefused(): void {
    this.#walker.isRefused = false;
    this.#owner.onRefused(this.#refusal!);
  }

  /**
   * Behind a full sync that was joined here: what it brought, and the peer lacks, no batch tells; nor may a batch that follows it show the hole, since its origin
   * may be one that writes no more.
   */
  #lookForHole(): void {
    const { floor } = this.#deps.log;
    const { sent } = this.#walker;
    const origin = this.#wanted.find((index) => floor.get(index) > sent.get(index));
    if (origin !== undefined) this.#onHole(origin);
  }

  /** A merge lies between: what the peer lacks of this origin is in no batch. Looking twice at the same place does not help. */
  #onHole(origin: number): void {
    this.#walker.gap = -1;
    if (this.#position !== this.#holePosition) {
      this.#holePosition = this.#position;
      return this.#owner.onLost();
    }
    const { origins, vector } = this.#deps.database;
    const { instance } = origins.at(origin);
    const has = this.#walker.sent.get(origin);
    this.#owner.onHole(
      `batches of instance ${instance} from offset ${has} on came by full sync, of ${vector.get(origin)}`,
    );
  }

  /** Runs are copied together: the log's own buffer will be written again. */
  readonly #sendRun = (bytes: Buffer, start: number, end: number): void => {
    for (let at = start; at < end;) {
      if (this.#gatheredBytes === this.#gathered.length) this.#flushGathered();
      const count = bytes.copy(this.#gathered, this.#gatheredBytes, at, end);
      this.#gatheredBytes += count;
      at += count;
    }
  };

  /** Nearly always the system takes everything at once, and the buffer is used again. */
  #flushGathered(): void {
    if (this.#gatheredBytes === 0) return;
    const owner = this.#owner;
    const bytes = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gatheredBytes = 0;
    if (owner.waitingBytes > 0) return owner.write(Buffer.from(bytes));
    owner.write(bytes);
    if (owner.waitingBytes > 0) this.#gathered = Buffer.allocUnsafeSlow(this.#deps.limits.feedReadBytes);
  }

  #listWanted(): void {
    const { database, generations } = this.#deps;
    const { origins, self } = database;
    this.#wanted = listWantedOrigins({
      server: self.instance,
      puller: this.#puller,
      asked: this.#asked,
      origins,
      generations,
    });
    this.#walker.setWanted(this.#wanted);
    this.#originsKnown = origins.count;
  }

  /** Takes in further origins; goes back in the log when the peer lacks something of them. */
  #renewWanted(): void {
    const { log, database } = this.#deps;
    const before = new Set(this.#wanted);
    this.#listWanted();
    const { sent } = this.#walker;
    const isLacked = (origin: number): boolean => !before.has(origin) && database.vector.get(origin) > sent.get(origin);
    if (!this.#wanted.some(isLacked)) return;
    const location = log.locate(sent, this.#wanted);
    if ('missing' in location) this.#owner.onLost();
    else this.seek(Math.min(this.#position, location.position));
  }
}
