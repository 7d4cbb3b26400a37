/** Full syncs as a join: whatever two replicas know, merging comes to the same as receiving the batches. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OriginTable, type VersionVector } from '../../src/crdt/version-vector.ts';
import { Database } from '../../src/database/database.ts';
import { Expirer } from '../../src/database/expirer.ts';
import type { Stability } from '../../src/database/stability.ts';
import { SnapshotFormatError } from '../../src/database/snapshot-parser.ts';
import { assertLaw } from '../law.ts';
import { meterWork, workSteps } from '../simulation/world/work-meter.ts';
import { framesOf, Node, receive, seededRandom, START_MS } from './cluster.ts';
import { auditKeyspace } from './laws/audit.ts';
import { describeSnapshot, describeState, SnapshotLines, takeSnapshot } from './laws/state.ts';
import { describeProgram, stepArbitrary, World, type Step } from './laws/world.ts';
import { bulkArbitrary, describeWrite, perform, writeArbitrary, type Write } from './laws/writes.ts';

/** What three replicas know after a program without full syncs, so that everybody's log holds all that it knows. */
const history: fc.Arbitrary<readonly Step[]> = fc
  .array(
    stepArbitrary({ bulk: false, losses: false }).filter((step) => step.do === 'write' || step.do === 'deliver'),
    { minLength: 1, maxLength: 25, size: 'max' },
  )
  .filter((steps) => steps.some((step) => step.do === 'write'));

function runHistory(steps: readonly Step[]): Database[] {
  const world = new World(3);
  world.run(steps);
  return world.replicas.map(({ database }) => database);
}

const stableAt = (vector: VersionVector): Stability => ({
  covers: (origin, seq) => vector.coversDot(origin, seq),
  isFinal: (_origin, reset) => vector.coversDot(reset.origin, reset.seq),
});

let observers = 200;

/** A database that never wrote. */
function observer(): Database {
  observers = observers === 250 ? 200 : observers + 1;
  const database = new Database({
    instance: observers,
    generation: 1,
    random: seededRandom(observers),
    segmentBytes: 1 << 18,
    logChunkBytes: 1 << 12,
    limits: { smallContainerEntries: 2, smallKeyspaceKeys: 1, snapshotValueBytes: 3, applyReserveBytes: 1 << 12 },
  });
  database.setTime(START_MS + 10_000);
  return database;
}

function merge(target: Database, snapshot: Buffer): Database {
  const incoming = target.beginIncoming();
  incoming.feed(snapshot);
  incoming.join();
  while (target.settleStep(2));
  return target;
}

/** The join of the snapshots, in that order. */
const joined = (...snapshots: readonly Buffer[]): Database => snapshots.reduce(merge, observer());

const law = (name: string, check: (databases: readonly Database[]) => void): void => {
  it(name, () => {
    assertLaw(history, (steps) => check(runHistory(steps)), {
      runs: 30,
      print: (steps) => `3 replicas\n${describeProgram(steps)}`,
    });
  });
};

describe('a full sync', () => {
  law('is commutative, associative and idempotent', (databases) => {
    const [a, b, c] = databases.map((database) => takeSnapshot(database)) as [Buffer, Buffer, Buffer];
    const all = describeState(joined(a, b, c));
    expect(describeState(joined(c, b, a))).toBe(all);
    expect(describeState(joined(b, a, c))).toBe(all);
    expect(describeState(joined(a, takeSnapshot(joined(b, c))))).toBe(all);
    expect(describeState(joined(a, b, c, a, b, b))).toBe(all);
    expect(describeState(joined(a))).toBe(describeState(databases[0]!));
  });

  law('comes to what the batches come to, in any causal order, and late batches change nothing', (databases) => {
    const frames = databases.flatMap((database) => framesOf(database));
    const inOrder = observer();
    receive(inOrder, frames);
    const all = describeState(inOrder);
    const reversed = observer();
    receive(reversed, [...frames].reverse());
    expect(describeState(reversed)).toBe(all);
    const merged = joined(...databases.map((database) => takeSnapshot(database)));
    expect(describeState(merged)).toBe(all);
    for (const frame of frames) expect(merged.applyBatch(frame, 0, frame.length)).toBe('covered');
    expect(describeState(merged)).toBe(all);
    // Halfway by batches, the rest by a full sync, and the other way round.
    const half = observer();
    receive(half, frames.slice(0, frames.length / 2));
    expect(describeState(merge(half, takeSnapshot(inOrder)))).toBe(all);
    const early = joined(takeSnapshot(databases[0]!));
    receive(early, frames);
    expect(describeState(early)).toBe(all);
  });

  law('in both directions leaves both with the same', ([a, b]) => {
    const before = takeSnapshot(a!);
    merge(a!, takeSnapshot(b!));
    merge(b!, before);
    expect(describeState(b!)).toBe(describeState(a!));
    expect(b!.digest()).toBe(a!.digest());
  });
});

interface Story {
  readonly before: readonly Write[];
  readonly meanwhile: readonly Write[];
}

const anyWrite = fc.oneof({ weight: 3, arbitrary: writeArbitrary }, { weight: 1, arbitrary: bulkArbitrary });
const story: fc.Arbitrary<Story> = fc.record({
  before: fc.array(anyWrite, { maxLength: 12 }),
  meanwhile: fc.array(anyWrite, { minLength: 1, maxLength: 12 }),
});
const printStory = ({ before, meanwhile }: Story): string =>
  `before: ${before.map(describeWrite).join('; ')}\nmeanwhile: ${meanwhile.map(describeWrite).join('; ')}`;

describe('a snapshot', () => {
  it('is exactly the state at its version vector, whatever is written, merged and freed while it is taken', () => {
    const check = ({ before, meanwhile }: Story): void => {
      const [source, other] = [observer(), observer()];
      perform(other, meanwhile);
      for (const write of before) perform(source, [write]);
      const state = describeState(source);
      const expirer = new Expirer(source);
      const disturbances = [
        () => source.collectStep(stableAt(source.vector), 10),
        () => merge(source, takeSnapshot(other)),
        () => source.setTime(source.nowMs + 30),
        () => expirer.step(() => true),
      ];
      const snapshot = source.beginSnapshot();
      const pieces: Buffer[] = [];
      for (let piece = snapshot.next(500); piece !== null; piece = snapshot.next(500)) {
        pieces.push(Buffer.from(piece));
        const write = meanwhile[pieces.length - 1];
        if (write !== undefined) perform(source, [write]);
        disturbances[pieces.length % 7]?.();
      }
      const bytes = Buffer.concat(pieces);
      const lines = describeSnapshot(bytes, source.origins, { residue: true });
      expect(lines.join('\n')).toBe(state.split('\n').slice(1).join('\n'));
      expect(describeState(joined(bytes))).toBe(state);
      source.settle();
      expect(auditKeyspace(source.keyspace)).toEqual([]);
      // The next one is whole again, also after one that was given up.
      source.beginSnapshot().abort();
      expect(describeState(joined(takeSnapshot(source, 100)))).toBe(describeState(source));
    };
    assertLaw(story, check, { runs: 20, print: printStory });
  });

  it('is read the same however the stream is cut, and anything else is refused', () => {
    const source = observer();
    perform(source, [
      { do: 'fill', key: 'a', count: 9 },
      { do: 'add', key: 'b', change: '0.5', asDecimal: true },
      { do: 'remove', key: 'b' },
      { do: 'set', key: 'c', value: 'v', ttl: 5000 },
    ]);
    const bytes = takeSnapshot(source);
    const check = (cuts: readonly number[]): void => {
      const target = observer();
      const merger = target.beginIncoming();
      let from = 0;
      for (const cut of [...cuts.map((at) => at % bytes.length).sort((a, b) => a - b), bytes.length]) {
        merger.feed(bytes.subarray(from, cut));
        from = cut;
      }
      merger.join();
      while (target.settleStep(1));
      expect(describeState(target)).toBe(describeState(source));
    };
    assertLaw(fc.array(fc.nat(), { maxLength: 20 }), check, { runs: 40, print: (cuts) => cuts.join(' ') });
    const older = Buffer.from(bytes);
    older.write('CRDBSNP1');
    for (const other of [older, Buffer.from('REDIS0009 and so on')]) {
      const parser = new SnapshotLines(new OriginTable());
      expect(() => parser.feed(other)).toThrow(SnapshotFormatError);
    }
  });
});

describe('a snapshot whose rest was written before the walk came there', () => {
  it('is walked in small parts, with a piece for each, and read as the state at its beginning', () => {
    meterWork();
    const keys = 20_000;
    const a = new Node(1, 1);
    for (let i = 0; i < keys; i++) a.set(`k${i}`, 'old');
    a.database.commit();
    const before = a.database.digest();
    const snapshot = a.database.beginSnapshot();
    for (let i = 0; i < keys; i++) a.set(`k${i}`, 'new');
    a.database.commit();
    const pieces: Buffer[] = [];
    let longest = 0;
    for (;;) {
      const steps = workSteps();
      const piece = snapshot.next(1024);
      longest = Math.max(longest, workSteps() - steps);
      if (piece === null) break;
      expect(piece.length).toBeGreaterThan(0);
      pieces.push(Buffer.from(piece));
    }
    expect(longest).toBeLessThan(keys / 5);
    const b = new Node(2, 2);
    const incoming = b.database.beginIncoming();
    incoming.feed(Buffer.concat(pieces));
    incoming.join();
    expect(b.database.digest()).toBe(before);
  });
});
