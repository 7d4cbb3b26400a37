/** Several databases in one process that exchange batches and full syncs as a test asks for it: no network, no disk. */
import { FRAME, readU32 } from '../../src/crdt/frame.ts';
import { Database } from '../../src/database/database.ts';
import type { KeyRef } from '../../src/database/key-ref.ts';
import { CLEAR_TTL } from '../../src/database/writer.ts';
import { makeArgs } from '../../src/resp/args.ts';

/** Looked up once: the way to a global is long where Jest runs a module. */
const { imul } = Math;

export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = imul(state ^ (state >>> 15), state | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

export const START_MS = 1_764_000_000_000;

/** All BATCH frames in the log of a database. */
export function framesOf({ log }: Database): Buffer[] {
  const frames: Buffer[] = [];
  for (let position = log.start; position < log.end;) {
    const piece = log.view(position, Infinity)!;
    for (let at = 0; at < piece.length;) {
      const length = readU32(piece, at) + 4;
      if (piece[at + 4] === FRAME.batch) frames.push(Buffer.from(piece.subarray(at, at + length)));
      at += length;
    }
    position += piece.length;
  }
  return frames;
}

/** Applies what it can of the frames, again and again until nothing more fits. `waiting`: those that depend on something missing. */
export function receive(
  database: Pick<Database, 'applyBatch'>,
  frames: readonly Buffer[],
): { readonly moved: boolean; readonly waiting: Buffer[] } {
  let moved = false;
  let waiting = [...frames];
  for (let before = Infinity; waiting.length < before;) {
    before = waiting.length;
    waiting = waiting.filter((frame) => {
      const outcome = database.applyBatch(frame, 0, frame.length);
      moved ||= outcome === 'applied';
      return outcome === 'early';
    });
  }
  return { moved, waiting };
}

export class Node {
  readonly database: Database;
  readonly instance: number;

  constructor(instance: number, seed: number) {
    this.instance = instance;
    this.database = new Database({
      instance,
      generation: 1_764_000_000,
      random: seededRandom(seed),
      segmentBytes: 1 << 20,
      logChunkBytes: 1 << 12,
    });
    this.database.setTime(START_MS);
  }

  key(name: string): KeyRef {
    return this.database.lookupWrite(makeArgs([name]), 0);
  }

  set(key: string, value: string, ttl = CLEAR_TTL): void {
    this.database.writer.set(this.key(key), Buffer.from(value), 0, value.length, ttl);
  }

  remove(key: string): void {
    const ref = this.key(key);
    if (ref.type !== 0) this.database.writer.remove(ref);
  }

  add(key: string, change: number): void {
    this.database.writer.add(this.key(key), change);
  }

  setField(key: string, field: string, value: string): void {
    const f = Buffer.from(field);
    this.database.writer.setField(this.key(key), f, 0, f.length, Buffer.from(value), 0, value.length);
  }

  removeField(key: string, field: string): void {
    const f = Buffer.from(field);
    this.database.writer.removeField(this.key(key), f, 0, f.length);
  }

  addField(key: string, field: string, change: number): void {
    const f = Buffer.from(field);
    this.database.writer.addField(this.key(key), f, 0, f.length, change);
  }

  addMember(key: string, member: string): void {
    const m = Buffer.from(member);
    this.database.writer.addMember(this.key(key), m, 0, m.length);
  }

  removeMember(key: string, member: string): void {
    const m = Buffer.from(member);
    this.database.writer.removeMember(this.key(key), m, 0, m.length);
  }

  /** All BATCH frames in this node's log, own and remote. */
  batches(): Buffer[] {
    return framesOf(this.database);
  }

  /** Applies what it can of the frames; returns those that depend on something missing. */
  receive(frames: readonly Buffer[]): Buffer[] {
    return receive(this.database, frames).waiting;
  }

  /** Pulls a full sync from another node, in pieces of the given size. */
  fullSyncFrom(source: Node, pieceBytes = 333): void {
    const snapshot = source.database.beginSnapshot();
    const incoming = this.database.beginIncoming();
    for (let piece = snapshot.next(pieceBytes); piece !== null; piece = snapshot.next(pieceBytes)) incoming.feed(piece);
    incoming.join();
    while (this.database.settleStep(5));
  }
}

/** Every node gets every batch that any node knows. */
export function exchangeAll(nodes: readonly Node[]): void {
  const frames = nodes.flatMap((node) => node.batches());
  for (const node of nodes) node.receive(frames);
}
