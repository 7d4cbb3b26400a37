import { beforeEach, describe, expect, it } from '@jest/globals';
import { TYPE_NAMES } from '../../src/database/key-ref.ts';
import { exchangeAll, Node } from './cluster.ts';

let one: Node;
let two: Node;
let told: string[];

const conflicts = ({ database }: Node): { readonly arisen: number; readonly keys: number } => ({
  arisen: database.keyspace.typeConflicts.arisen,
  keys: database.keyspace.typeConflicts.keyCount,
});

/** Two instances give one name to different things. */
function createBoth(): void {
  one.set('k', 'text');
  two.addMember('k', 'm');
  exchange();
}

function exchange(): void {
  commit();
  exchangeAll([one, two]);
}

function commit(): void {
  for (const { database } of [one, two]) database.commit();
}

beforeEach(() => {
  one = new Node(1, 1);
  two = new Node(2, 2);
  told = [];
  const { keyspace } = one.database;
  keyspace.typeConflicts.onArisen = (ref) => {
    told.push(
      `${ref.toString()}: ${keyspace
        .typesOf(ref.record)
        .map((type) => TYPE_NAMES[type])
        .join(' ')}`,
    );
  };
});

describe('A type conflict', () => {
  it('counts once at each instance, however often its batches come', () => {
    createBoth();
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 1, keys: 1 },
      { arisen: 1, keys: 1 },
    ]);
    exchange();
    for (const frame of two.batches()) expect(one.database.applyBatch(frame, 0, frame.length)).toBe('covered');
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 1, keys: 1 },
      { arisen: 1, keys: 1 },
    ]);
    expect(told).toEqual(['k: set string']);
  });

  it('is over after a DEL, and a new one counts anew', () => {
    createBoth();
    one.remove('k');
    exchange();
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 1, keys: 0 },
      { arisen: 1, keys: 0 },
    ]);
    createBoth();
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 2, keys: 1 },
      { arisen: 2, keys: 1 },
    ]);
  });

  it.each<[string, (node: Node) => void]>([
    ['the last visible element goes', (node) => node.removeMember('k', 'm')],
    ['a SET replaces all', (node) => node.set('k', 'new')],
    ['the database is flushed', (node) => node.database.writer.flush(node.key('k'))],
  ])('is over when %s, and coming back from that counts nothing', (_what, end) => {
    createBoth();
    end(one);
    expect(conflicts(one)).toEqual({ arisen: 1, keys: 0 });
    exchange();
    expect(conflicts(two)).toEqual({ arisen: 1, keys: 0 });
  });

  it('does not count again when a third type or more of the second comes', () => {
    createBoth();
    two.addMember('k', 'n');
    two.setField('k', 'f', 'v');
    two.add('k', 1);
    exchange();
    expect(conflicts(one)).toEqual({ arisen: 1, keys: 1 });
  });

  it('of a counter, whichever comes first', () => {
    one.add('k', 1);
    two.setField('k', 'f', 'v');
    exchange();
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 1, keys: 1 },
      { arisen: 1, keys: 1 },
    ]);
  });

  it('counts once though every batch removes one type and adds it again, as SUNIONSTORE does', () => {
    one.set('k', 'text');
    for (let i = 0; i < 5; i++) {
      two.remove('k');
      two.addMember('k', `m${i}`);
      two.database.commit();
    }
    exchange();
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 1, keys: 1 },
      { arisen: 1, keys: 1 },
    ]);
  });

  it('that comes and goes within one batch is none', () => {
    one.set('k', 'text');
    two.addMember('k', 'm');
    two.remove('k');
    two.database.commit();
    exchange();
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 0, keys: 0 },
      { arisen: 0, keys: 0 },
    ]);
    expect(told).toEqual([]);
  });

  it('counts when a full sync brings it, once', () => {
    one.set('k', 'text');
    two.addMember('k', 'm');
    commit();
    one.fullSyncFrom(two);
    two.fullSyncFrom(one);
    one.fullSyncFrom(two);
    expect([conflicts(one), conflicts(two)]).toEqual([
      { arisen: 1, keys: 1 },
      { arisen: 1, keys: 1 },
    ]);
    expect(told).toEqual(['k: set string']);
  });

  it('is none when a full sync replaces one type by another', () => {
    one.addMember('k', 'm');
    exchange();
    two.set('k', 'text');
    commit();
    one.fullSyncFrom(two);
    expect(conflicts(one)).toEqual({ arisen: 0, keys: 0 });
  });

  it('that a full sync resolves is over', () => {
    createBoth();
    two.remove('k');
    commit();
    one.fullSyncFrom(two);
    expect(conflicts(one)).toEqual({ arisen: 1, keys: 0 });
  });
});
