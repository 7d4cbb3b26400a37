/** Work that takes effect at once and is carried out late: snapshots taken while it waits, and recovery from a log that ends before it was announced. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BATCH, FRAME, readU32 } from '../../src/crdt/frame.ts';
import { Database } from '../../src/database/database.ts';
import { Expirer } from '../../src/database/expirer.ts';
import { TYPE } from '../../src/database/key-ref.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { assertLaw } from '../law.ts';
import { framesOf, receive, seededRandom, START_MS } from './cluster.ts';
import { auditKeyspace } from './laws/audit.ts';
import { describeSnapshot, describeState, takeSnapshot } from './laws/state.ts';
import { describeWrite, perform, writeArbitrary, type Write } from './laws/writes.ts';

const GENERATION = 1_764_000_000;

function newDatabase(instance: number, generation = GENERATION): Database {
  const database = new Database({
    instance,
    generation,
    random: seededRandom(instance),
    segmentBytes: 1 << 18,
    logChunkBytes: 1 << 12,
    limits: { smallContainerEntries: 1, smallKeyspaceKeys: 1, snapshotValueBytes: 3, applyReserveBytes: 1 << 12 },
  });
  database.setTime(START_MS);
  return database;
}

type Act =
  | { readonly do: 'here' | 'there'; readonly writes: readonly Write[] }
  /** Of the other's batches, that many; `back`: the other receives ours. */
  | { readonly do: 'receive' | 'back'; readonly count: number }
  | { readonly do: 'settle'; readonly count: number }
  | { readonly do: 'join' | 'collect' | 'expire' | 'abandon' };

const writes = fc.array(writeArbitrary, { minLength: 1, maxLength: 3 });
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: writes.map((list): Act => ({ do: 'here', writes: list })) },
  { weight: 4, arbitrary: writes.map((list): Act => ({ do: 'there', writes: list })) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.constantFrom('receive' as const, 'back' as const, 'settle' as const), fc.integer({ min: 1, max: 4 }))
      .map(([what, count]): Act => ({ do: what, count })),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('join' as const, 'join' as const, 'collect' as const, 'expire' as const, 'abandon' as const)
      .map((what): Act => ({ do: what })),
  },
);
const acts = (maxLength: number): fc.Arbitrary<readonly Act[]> => fc.array(act, { maxLength, size: 'max' });

const describeAct = (each: Act): string => {
  if (each.do === 'here' || each.do === 'there') return `  ${each.do}: ${each.writes.map(describeWrite).join('; ')}`;
  return `  ${each.do}${'count' in each ? ` ${each.count}` : ''}`;
};
const describeActs = (list: readonly Act[]): string => list.map(describeAct).join('\n');

/** Two instances, of which the first is looked at. */
class Pair {
  readonly here = newDatabase(1);
  readonly there = newDatabase(2);
  /** Full syncs that were joined here: what stands in the log before, and the snapshot. */
  readonly joined: { readonly frames: number; readonly snapshot: Buffer }[] = [];
  #nowMs = START_MS;

  do(each: Act): void {
    const { here, there } = this;
    this.#nowMs += 3;
    for (const database of [here, there]) database.setTime(this.#nowMs);
    switch (each.do) {
      case 'here':
      case 'there':
        perform(each.do === 'here' ? here : there, each.writes);
        return;
      case 'receive':
      case 'back': {
        const [to, from] = each.do === 'receive' ? [here, there] : [there, here];
        let left = each.count;
        for (const frame of framesOf(from)) if (left > 0 && to.applyBatch(frame, 0, frame.length) === 'applied') left--;
        return;
      }
      case 'settle':
        here.settleStep(each.count);
        return;
      case 'join':
      case 'abandon': {
        const incoming = here.beginIncoming();
        const snapshot = takeSnapshot(there);
        incoming.feed(snapshot);
        if (each.do === 'abandon') return incoming.abandon();
        incoming.join();
        this.joined.push({ frames: wholeLog(here).length, snapshot });
        return;
      }
      case 'collect':
        here.collectStep({ covers: () => false, isFinal: () => false }, 3);
        return;
      case 'expire':
        new Expirer(here).step(() => true);
    }
  }
}

describe('a snapshot', () => {
  it('is the state at its beginning, whatever is flushed, joined, received, settled and given up meanwhile', () => {
    const story = fc.record({
      before: acts(15),
      meanwhile: acts(25),
      pieceBytes: fc.integer({ min: 1, max: 60 }),
      aborts: fc.nat({ max: 17 }),
    });
    assertLaw(
      story,
      ({ before, meanwhile, pieceBytes, aborts }) => {
        const pair = new Pair();
        before.forEach((each) => pair.do(each));
        const { here } = pair;
        const expected = describeSnapshot(takeSnapshot(here), here.origins, { residue: true });
        for (let i = 0; i < aborts; i++) {
          while (!here.maySnapshot) here.settleStep(10);
          const given = here.beginSnapshot();
          if (i % 2 === 0) given.next(50);
          given.abort();
        }
        while (!here.maySnapshot) here.settleStep(10);
        const snapshot = here.beginSnapshot();
        const pieces: Buffer[] = [];
        let next = 0;
        for (let piece = snapshot.next(pieceBytes); piece !== null; piece = snapshot.next(pieceBytes)) {
          pieces.push(Buffer.from(piece));
          if (next < meanwhile.length && pieces.length % 3 === 0) pair.do(meanwhile[next++]!);
        }
        expect(describeSnapshot(Buffer.concat(pieces), here.origins, { residue: true })).toEqual(expected);
        here.settle();
        expect(auditKeyspace(here.keyspace)).toEqual([]);
        // And the state is what another snapshot says of it.
        const copy = newDatabase(3);
        const incoming = copy.beginIncoming();
        incoming.feed(takeSnapshot(here));
        incoming.join();
        expect(describeState(copy)).toBe(describeState(here));
      },
      {
        runs: 60,
        print: ({ before, meanwhile, pieceBytes, aborts }) =>
          `${describeActs(before)}\n  snapshot in pieces of ${pieceBytes} after ${aborts} aborts, meanwhile\n${describeActs(meanwhile)}`,
      },
    );
  });
});

/** Frames of every kind in the log. */
function wholeLog({ log }: Database): Buffer[] {
  const frames: Buffer[] = [];
  for (let position = log.start; position < log.end;) {
    const piece = log.view(position, Infinity)!;
    for (let at = 0; at < piece.length;) {
      const length = readU32(piece, at) + 4;
      frames.push(Buffer.from(piece.subarray(at, at + length)));
      at += length;
    }
    position += piece.length;
  }
  return frames;
}

function recover(frames: readonly Buffer[], joined: Pair['joined'] = []): Database {
  const database = newDatabase(1);
  database.setTime(START_MS + 1000);
  const joinAt = (place: number): void => {
    for (const { frames: before, snapshot } of joined) {
      if (before !== place) continue;
      const incoming = database.beginIncoming(Infinity);
      incoming.feed(snapshot);
      incoming.join();
    }
  };
  joinAt(0);
  for (const [i, frame] of frames.entries()) {
    if (i > 0) joinAt(i);
    if (frame[4] === FRAME.generation) database.resumeGeneration(readU32(frame, 5));
    else database.replayBatch(frame, 0, frame.length);
  }
  if (frames.length > 0) joinAt(frames.length);
  return database;
}

describe('recovery from the log', () => {
  const story = fc.record({
    acts: acts(30),
    cut: fc.nat({ max: 60 }),
    again: acts(10).map((list) => list.filter((each) => each.do === 'here' || each.do === 'settle')),
  });

  it('announces what was owed, wherever the log ends, once and under a new generation', () => {
    assertLaw(
      story,
      ({ acts: list, cut, again }) => {
        const pair = new Pair();
        list.forEach((each) => pair.do(each));
        const log = wholeLog(pair.here);
        const kept = log.slice(0, Math.max(0, log.length - (cut % (log.length + 1))));
        const recovered = recover(kept, pair.joined);
        recovered.startGeneration(GENERATION + 1, 0);
        receive(recovered, framesOf(pair.there));
        recovered.settle();
        for (const each of again) {
          if (each.do === 'here') perform(recovered, each.writes);
          else if (each.do === 'settle') recovered.settleStep(each.count);
        }
        recovered.settle();
        // A peer that had what was kept, and receives the rest.
        const peer = newDatabase(3);
        peer.setTime(START_MS + 1000);
        const batches = kept.filter((frame) => frame[4] === FRAME.batch);
        receive(peer, [...batches, ...framesOf(pair.there)]);
        receive(peer, framesOf(recovered));
        expect(describeState(peer, { residue: false })).toBe(describeState(recovered, { residue: false }));
        // And a second recovery, of all of it.
        const twice = recover(
          [...kept, ...wholeLog(recovered)],
          pair.joined.filter(({ frames }) => frames <= kept.length),
        );
        twice.settle();
        expect(describeState(twice, { residue: false })).toBe(describeState(recovered, { residue: false }));
      },
      {
        runs: 100,
        print: ({ acts: list, cut, again }) =>
          `${describeActs(list)}\n  the log loses ${cut} frames, then\n${describeActs(again)}`,
      },
    );
  });
});

describe('a new generation', () => {
  it('announces what was owed under itself: the next dot of the former may have been used already', () => {
    const { here, there } = new Pair();
    perform(here, [
      { do: 'add', key: 'a', change: '1', asDecimal: false },
      { do: 'add', key: 'b', change: '1', asDecimal: false },
    ]);
    receive(there, framesOf(here));
    perform(here, [{ do: 'flush' }]);
    perform(there, [{ do: 'add', key: 'a', change: '10', asDecimal: false }]);
    // What the other did to `a` is the last in the log: the announcement of the cut, which followed it, is lost.
    const foreign = framesOf(there).filter((frame) => frame[BATCH.instance] === 2);
    const recovered = recover([...wholeLog(here), ...foreign]);
    expect(recovered.keyspace.stages.owed.count).toBe(1);
    recovered.startGeneration(GENERATION + 1, 0);
    recovered.settle();
    const written = framesOf(recovered).filter((frame) => frame[BATCH.instance] === 1);
    expect(written.length).toBeGreaterThan(0);
    for (const frame of written) expect(readU32(frame, BATCH.generation)).toBe(GENERATION + 1);
  });
});

describe('what this instance removes while a full sync still waits to be joined', () => {
  /** Both sides have counters under `h`, and a key that the other side alone has. */
  function joinedPair(): Database {
    const { here, there } = new Pair();
    for (const database of [here, there]) {
      for (const field of ['f', 'g'])
        perform(database, [{ do: 'add', key: 'h', field, change: '5', asDecimal: false }]);
    }
    perform(there, [{ do: 'set', key: 'k', value: 'v', ttl: 'none' }]);
    const incoming = here.beginIncoming();
    incoming.feed(takeSnapshot(there));
    incoming.join();
    return here;
  }

  it('is hidden at once: a large hash that holds counters', () => {
    const here = joinedPair();
    perform(here, [{ do: 'remove', key: 'h' }]);
    expect(here.isSettled).toBe(false);
    expect(here.lookup(makeArgs(['h']), 0).type).toBe(TYPE.none);
    here.settle();
    expect(here.lookup(makeArgs(['h']), 0).type).toBe(TYPE.none);
  });

  it('is not counted, scanned or chosen any more: everything', () => {
    const here = joinedPair();
    expect(here.keyCount).toBe(2);
    perform(here, [{ do: 'flush' }]);
    expect(here.isSettled).toBe(false);
    expect(here.keyCount).toBe(0);
    expect(here.keyspace.stages.keys.random(here.random)).toBe(0);
    let cursor = 0;
    do cursor = here.keyspace.scan(cursor, () => expect('a key').toBe('not seen'));
    while (cursor !== 0);
    here.settle();
    expect(here.keyCount).toBe(0);
  });
});

describe('a full sync that takes longer than epochs need to come round', () => {
  it('leaves nothing that a later snapshot takes for written', () => {
    const { here, there } = new Pair();
    for (const field of ['f', 'g']) perform(there, [{ do: 'set', key: 'h', field, value: 'v', ttl: 'none' }]);
    const bytes = takeSnapshot(there);
    takeSnapshot(here);
    const incoming = here.beginIncoming();
    takeSnapshot(here);
    incoming.feed(bytes);
    for (let i = 0; i < 15; i++) takeSnapshot(here);
    incoming.join();
    here.settle();
    const complete = describeState(here);
    expect(complete).toContain('h.f');
    for (let i = 0; i < 17; i++) expect(describeState(here)).toBe(complete);
  });
});
