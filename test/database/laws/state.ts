/**
 * Everything a database knows, as lines for people: values with their dots, siblings, counters with frames and cuts, times to live,
 * members. Two states are equal exactly if these are; a digest would show only what is visible.
 *
 * Read through a snapshot, so that what is compared is what a full sync would carry.
 */
import { formatExact } from '../../../src/crdt/exact-number.ts';
import type { OriginTable } from '../../../src/crdt/version-vector.ts';
import type { Database } from '../../../src/database/database.ts';
import { SnapshotParser, type Slice, type SnapshotCell } from '../../../src/database/snapshot-parser.ts';
import { vectorOf } from '../../simulation/chronicle.ts';

export interface StateOptions {
  /** What instances free each in their own time: counters that are cut whole, times to live that come to "none". */
  readonly residue: boolean;
}

export function describeState(database: Database, options: StateOptions = { residue: true }): string {
  const vector = [...vectorOf(database)].sort().map(([origin, seq]) => `${origin}@${seq}`);
  return [`vector ${vector.join(' ')}`, ...describeSnapshot(takeSnapshot(database), database.origins, options)].join(
    '\n',
  );
}

/** The whole stream. */
export function takeSnapshot(database: Database, pieceBytes = 4096): Buffer {
  const snapshot = database.beginSnapshot();
  const pieces: Buffer[] = [];
  for (let piece = snapshot.next(pieceBytes); piece !== null; piece = snapshot.next(pieceBytes)) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

/** Lines of a snapshot's records, sorted; a record that comes twice is two lines. */
export function describeSnapshot(bytes: Buffer, origins: OriginTable, options: StateOptions): string[] {
  const lines: string[] = [];
  const text = (piece: Buffer, { start, length }: Slice): string => piece.toString('latin1', start, start + length);
  const dot = ({ origin, seq }: { readonly origin: number; readonly seq: number }): string =>
    `${origins.at(origin).instance}:${origins.at(origin).generation}@${seq}`;
  const add = (name: string, piece: Buffer, cell: SnapshotCell): void => {
    const parts = describeCell(cell, dot, (slice) => text(piece, slice), options);
    // A key or field of which nothing counts is residue itself.
    if (parts.length > 0) lines.push(`${name}: ${parts.join(' | ')}`);
  };
  const parser = new SnapshotParser(origins, {
    header: () => undefined,
    key: (piece, key, cell) => add(text(piece, key), piece, cell),
    field: (piece, key, field, cell) => add(`${text(piece, key)}.${text(piece, field)}`, piece, cell),
    member: (piece, key, member, dots) =>
      lines.push(`${text(piece, key)}{${text(piece, member)}}: ${dots.map(dot).sort().join(' ')}`),
  });
  parser.feed(bytes);
  return lines.sort();
}

function describeCell(
  cell: SnapshotCell,
  dot: (of: { readonly origin: number; readonly seq: number }) => string,
  text: (slice: Slice) => string,
  { residue }: StateOptions,
): string[] {
  const values = cell.values.map(
    (value) => `${dot(value)} hlc ${value.hlc} ${JSON.stringify(text(value))}${value.persists ? ' persists' : ''}`,
  );
  const counters = cell.counters
    .filter(({ n, cutN }) => residue || n > cutN)
    .map((entry) => {
      const cut = entry.cutN === 0 ? '' : ` cut at n ${entry.cutN} total ${formatExact(entry.cutTotal)}`;
      return `counter ${dot({ origin: entry.origin, seq: entry.frame })} n ${entry.n} total ${formatExact(entry.total)}${entry.isDecimal ? ' decimal' : ''}${cut}`;
    });
  const saysNone = cell.values.some(({ persists }) => persists) || cell.expiries.some(({ atMs }) => atMs === Infinity);
  const expiries = saysNone && !residue ? [] : cell.expiries.map((ttl) => `until ${ttl.atMs} by ${dot(ttl)}`);
  return [...values.sort(), ...counters.sort(), ...expiries.sort()];
}
