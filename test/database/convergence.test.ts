import { describe, expect, it } from '@jest/globals';
import { describeVersionVector } from '../../src/crdt/version-vector.ts';
import { exchangeAll, Node, seededRandom, START_MS } from './cluster.ts';

const KEYS = ['a', 'b'];
const NAMES = ['x', 'y', 'z'];

/** One random local command. */
function act(node: Node, random: () => number, timeMs: number): void {
  const pick = <T>(list: readonly T[]): T => list[random() % list.length]!;
  const key = pick(KEYS);
  node.database.setTime(timeMs + (random() % 7) - 3);
  const actions: (() => void)[] = [
    () => node.set(key, String(random() % 20)),
    () => node.set(key, pick(['text', '1.5', '', 'longer text that needs more room than before'])),
    () => node.set(key, String(random() % 20), START_MS + 10_000_000 + (random() % 5) * 1000),
    () => node.remove(key),
    () => node.add(key, (random() % 9) - 4),
    () => node.add(key, (random() % 9) + 1),
    () => node.setField(key, pick(NAMES), String(random() % 20)),
    () => node.removeField(key, pick(NAMES)),
    () => node.addField(key, pick(NAMES), (random() % 9) - 4),
    () => node.addMember(key, pick(NAMES)),
    () => node.removeMember(key, pick(NAMES)),
    () => {
      const ref = node.key(key);
      if (ref.type !== 0) {
        node.database.writer.expire(ref, pick([Infinity, START_MS + 20_000_000, START_MS + 30_000_000]));
      }
    },
    () => node.database.writer.flush(node.key(key)),
  ];
  // FLUSHALL is rare, and a batch may hold several effects.
  for (let n = random() % 5 === 0 ? 3 : 1; n > 0; n--) actions[(random() % (actions.length * 4 - 3)) >> 2]!();
  node.database.commit();
}

function run(seed: number, count: number): void {
  const random = seededRandom(seed);
  const nodes = Array.from({ length: count }, (_, i) => new Node(i + 1, seed + i));
  for (let step = 0; step < 80; step++) {
    const node = nodes[random() % count]!;
    const other = nodes[random() % count]!;
    const choice = random() % 100;
    if (choice < 55) act(node, random, START_MS + step * 2);
    else if (choice < 92) node.receive(other.batches().slice(0, 1 + (random() % 40)));
    else if (node !== other) node.fullSyncFrom(other);
  }
  // Every origin's own log holds all its batches, so exchanging them is enough; a full sync afterwards must change nothing.
  exchangeAll(nodes);
  expectEqual(seed, nodes);
  for (const node of nodes) for (const other of nodes) if (node !== other) node.fullSyncFrom(other);
  expectEqual(seed, nodes);
}

function expectEqual(seed: number, nodes: readonly Node[]): void {
  const [first, ...rest] = nodes.map((node) => ({
    vector: describeVersionVector(node.database.vector, node.database.origins),
    digest: node.database.digest(),
    keys: node.database.keyCount,
  }));
  for (const state of rest) expect({ seed, ...state }).toEqual({ seed, ...first });
}

describe('Database', () => {
  it('converges on three instances that write, exchange batches out of order, and sync in full at any moment', () => {
    for (let seed = 1; seed <= Number(process.env['SEEDS'] ?? 400); seed++) run(seed, 3);
  });

  it('converges on five instances', () => {
    for (let seed = 1; seed <= 60; seed++) run(seed, 5);
  });
});
