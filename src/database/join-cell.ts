/**
 * Two states of one cell become one: the join that a full sync does, key by key and field by field. It is symmetric: which side is the target is a
 * matter of convenience, each comes with the version vector of what it had applied.
 *
 * The rule, for every dot (of a value, of a time to live): on one side only, it stays unless the other side's vector covers it (then it was removed
 * there); on both, it stays. Counters join by frame, n and cut; a frame that one side lacks although its vector covers the frame's beginning
 * was freed there: cut whole, and that was final.
 */
import type { Context, Dot } from '../crdt/cell.ts';
import { VersionVector } from '../crdt/version-vector.ts';
import { SEGMENT_SHIFT } from '../memory/arena.ts';
import type { ByteMap } from '../memory/byte-map.ts';
import type { JoinVectors } from './container-type.ts';
import type { Keyspace } from './keyspace.ts';

/** Covers nothing: what is added stands beside what is there. */
const NO_CONTEXT = new VersionVector(0);

/**
 * Joins `other` (0: the other side has no such cell) into `target`, which is in the map. The other stays as it is, and may be freed. Returns the
 * target's address.
 */
export function joinCell(
  keyspace: Keyspace,
  maps: ByteMap,
  map: number,
  target: number,
  other: number,
  vectors: JoinVectors,
): number {
  if (other === 0 && keyspace.attributes(target) === 0) return joinPlain(keyspace, maps, map, target, vectors);
  const { cells } = keyspace;
  target = dropRemovedValues(keyspace, maps, map, target, other, vectors);
  dropRemovedExpiries(keyspace, target, other, vectors);
  dropFreedCounters(keyspace, target, other, vectors);
  if (other === 0) return target;
  target = addValues(keyspace, maps, map, target, other, vectors);
  cells.eachExpiry(other, ({ origin, seq, atMs }) => {
    if (!vectors.target.coversDot(origin, seq)) cells.addExpiry(target, { origin, seq }, atMs);
  });
  cells.eachCounter(other, (entry) => {
    const isFreed = !cells.hasCounterOf(target, entry.origin) && vectors.target.coversDot(entry.origin, entry.frame);
    if (isFreed) return;
    cells.mergeCounter(target, entry);
    keyspace.hasResidue = true;
  });
  return target;
}

/** Nearly every cell that one side has alone: one value and nothing else. */
function joinPlain(keyspace: Keyspace, maps: ByteMap, map: number, target: number, vectors: JoinVectors): number {
  const { cells } = keyspace;
  if (!cells.hasRegister(target)) return target;
  const isRemoved = vectors.other.coversDot(cells.registerOrigin(target), cells.registerSeq(target));
  return isRemoved ? cells.dropRegister(maps, map, target, null) : target;
}

function dropRemovedValues(
  { cells }: Keyspace,
  maps: ByteMap,
  map: number,
  target: number,
  other: number,
  vectors: JoinVectors,
): number {
  const gone: Dot[] = [];
  cells.eachValue(target, ({ origin, seq }) => {
    if (vectors.other.coversDot(origin, seq) && !(other !== 0 && cells.hasValue(other, origin, seq)))
      gone.push({ origin, seq });
  });
  for (const dot of gone) target = cells.dropValue(maps, map, target, dot);
  return target;
}

function dropRemovedExpiries({ cells }: Keyspace, target: number, other: number, vectors: JoinVectors): void {
  const gone: Dot[] = [];
  cells.eachExpiry(target, ({ origin, seq }) => {
    if (vectors.other.coversDot(origin, seq) && !(other !== 0 && cells.hasExpiryDot(other, origin, seq)))
      gone.push({ origin, seq });
  });
  for (const dot of gone) cells.dropExpiryDot(target, dot);
}

function dropFreedCounters({ cells }: Keyspace, target: number, other: number, vectors: JoinVectors): void {
  const gone: number[] = [];
  cells.eachCounter(target, ({ origin, frame }) => {
    if (vectors.other.coversDot(origin, frame) && !(other !== 0 && cells.hasCounterOf(other, origin)))
      gone.push(origin);
  });
  for (const origin of gone) cells.dropCounter(target, origin);
}

function addValues(
  { cells, arena }: Keyspace,
  maps: ByteMap,
  map: number,
  target: number,
  other: number,
  vectors: JoinVectors,
): number {
  cells.eachValue(other, (value) => {
    if (vectors.target.coversDot(value.origin, value.seq)) {
      // Both have it, or it was removed here. Only its implied "no time to live" may have gone there meanwhile.
      if (!value.persists) cells.clearPersists(target, value.origin, value.seq);
      return;
    }
    const write = {
      origin: value.origin,
      seq: value.seq,
      hlc: value.hlc,
      persists: value.persists,
      context: NO_CONTEXT,
    };
    const bytes = arena.bytes[value.address >>> SEGMENT_SHIFT]!;
    target = cells.writeRegister(maps, map, target, write, bytes, value.byteOffset, value.length);
  });
  return target;
}

/** Whether a removal with that context leaves nothing of the cell. Says no where that takes a closer look. */
export function isCellCovered(keyspace: Keyspace, cell: number, context: Context): boolean {
  if (keyspace.attributes(cell) !== 0) return false;
  if (context === null) return true;
  const { cells } = keyspace;
  return !cells.hasRegister(cell) || context.coversDot(cells.registerOrigin(cell), cells.registerSeq(cell));
}
