import { describe, expect, it } from '@jest/globals';
import { KEEP_TTL } from '../../src/database/writer.ts';
import { readVisible } from '../simulation/read-visible.ts';
import { exchangeAll, Node, START_MS } from './cluster.ts';

const LATER_MS = START_MS + 100_000;

/** Runs the writes at one instance; both must show the same afterwards. */
function shown(key: string, write: (node: Node) => void): unknown {
  const [a, b] = [new Node(1, 1), new Node(2, 2)];
  write(a);
  a.database.commit();
  exchangeAll([a, b]);
  const visible = readVisible(a.database, key);
  expect(readVisible(b.database, key)).toEqual(visible);
  return visible;
}

describe('a string written with its time to live kept', () => {
  it('takes the place of a set, whose time to live goes on', () => {
    const visible = shown('k', (node) => {
      node.addMember('k', 'm');
      node.database.writer.expire(node.key('k'), LATER_MS);
      node.set('k', 'v', KEEP_TTL);
    });
    expect(visible).toEqual({ type: 'string', value: 'v', expiryMs: LATER_MS });
  });

  it('takes the place of a hash, whose time to live goes on', () => {
    const visible = shown('k', (node) => {
      node.addField('k', 'f', 3);
      node.database.writer.expire(node.key('k'), LATER_MS);
      node.set('k', 'v', KEEP_TTL);
    });
    expect(visible).toEqual({ type: 'string', value: 'v', expiryMs: LATER_MS });
  });

  it('keeps it although a removed hash has left counters behind that are not stable yet', () => {
    const visible = shown('k', (node) => {
      node.addField('k', 'f', 3);
      node.remove('k');
      node.set('k', 'v', LATER_MS);
      node.set('k', 'vw', KEEP_TTL);
    });
    expect(visible).toEqual({ type: 'string', value: 'vw', expiryMs: LATER_MS });
  });
});

describe('many hashes, so that the tables resize', () => {
  const withHashes = (count: number): [Node, Node] => {
    const [a, b] = [new Node(1, 1), new Node(2, 2)];
    for (let i = 0; i < count; i++) a.setField(`h${i}`, 'f', 'v');
    a.database.commit();
    exchangeAll([a, b]);
    return [a, b];
  };

  it.each([50, 300, 1000])('are all gone everywhere after FLUSHALL (%i)', (count) => {
    const [a, b] = withHashes(count);
    b.database.writer.flush(b.key('any'));
    b.database.commit();
    exchangeAll([a, b]);
    expect([a.database.keyCount, b.database.keyCount]).toEqual([0, 0]);
  });

  it.each([50, 300, 1000])('are merged as the source has them when it has removed nearly all (%i)', (count) => {
    const [a, b] = withHashes(count);
    for (let i = 8; i < count; i++) b.remove(`h${i}`);
    b.database.commit();
    a.fullSyncFrom(b);
    expect(a.database.keyCount).toBe(8);
    expect(a.database.digest()).toBe(b.database.digest());
  });
});
