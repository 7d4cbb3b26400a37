/**
 * Everything a database knows, as lines for people: values with their dots, siblings, counters with frames and cuts, times to live,
 * members. Two states are equal exactly if these are; a digest would show only what is visible.
 *
 * Read through a snapshot, so that what is compared is what a full sync would carry.
 */
import { formatExact } from '../../../src/crdt/exact-number.ts';
import type { OriginTable } from '../../../src/crdt/version-vector.ts';
import type { Database } from '../../../src/database/database.ts';
import { RECORD } from '../../../src/database/snapshot-format.ts';
import { SnapshotParser } from '../../../src/database/snapshot-parser.ts';
import { vectorOf } from '../../simulation/chronicle.ts';

export interface StateOptions {
  /** What instances free each in their own time: counters that are cut whole, times to live that come to "none". */
  readonly residue: boolean;
  /** Times to live that come to "none"; if not said, as residue. They stay as long as something has not taken their place. */
  readonly markers?: boolean;
}

export function describeState(database: Database, options: StateOptions = { residue: true }): string {
  database.settle();
  const vector = [...vectorOf(database)].sort().map(([origin, seq]) => `${origin}@${seq}`);
  return [`vector ${vector.join(' ')}`, ...describeSnapshot(takeSnapshot(database), database.origins, options)].join(
    '\n',
  );
}

/** The whole stream. */
export function takeSnapshot(database: Database, pieceBytes = 4096): Buffer {
  database.settle();
  const snapshot = database.beginSnapshot();
  const pieces: Buffer[] = [];
  for (let piece = snapshot.next(pieceBytes); piece !== null; piece = snapshot.next(pieceBytes)) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

/** Lines of a snapshot's records, sorted; a record that comes twice is two lines. */
export function describeSnapshot(bytes: Buffer, origins: OriginTable, options: StateOptions): string[] {
  const reader = new SnapshotLines(origins, options);
  reader.feed(bytes);
  return reader.lines.sort();
}

/** Reads a snapshot into lines, without a database. */
export class SnapshotLines extends SnapshotParser {
  readonly lines: string[] = [];
  readonly #table: OriginTable;
  readonly #options: StateOptions;

  constructor(origins: OriginTable, options: StateOptions = { residue: true }) {
    super(origins);
    this.#table = origins;
    this.#options = options;
  }

  protected override onHeader(): void {}

  protected override onKey(start: number, length: number): void {
    this.#add(this.#text(start, length));
  }

  protected override onEntry(kind: number, key: number, keyLength: number, name: number, nameLength: number): boolean {
    const [keyName, entryName] = [this.#text(key, keyLength), this.#text(name, nameLength)];
    if (kind === RECORD.field) this.#add(`${keyName}.${entryName}`);
    else
      this.lines.push(
        `${keyName}{${entryName}}: ${this.#list(() => this.#dot())
          .sort()
          .join(' ')}`,
      );
    return true;
  }

  #add(name: string): void {
    const parts = this.#cell();
    // A key or field of which nothing counts is residue itself.
    if (parts.length > 0) this.lines.push(`${name}: ${parts.join(' | ')}`);
  }

  #cell(): string[] {
    const { residue, markers } = this.#options;
    let saysNone = false;
    const values = this.#list(() => {
      const dot = this.#dot();
      const hlc = this.float();
      const persists = this.varint() === 1;
      saysNone ||= persists;
      const length = this.varint();
      const start = this.skip(length);
      return `${dot} hlc ${hlc} ${JSON.stringify(this.#text(start, length))}${persists ? ' persists' : ''}`;
    });
    const counters = this.#list(() => this.#counter()).filter((line) => line !== '');
    const expiries = this.#list(() => {
      const dot = this.#dot();
      const atMs = this.float();
      saysNone ||= atMs === Infinity;
      return `until ${atMs} by ${dot}`;
    });
    return [...values.sort(), ...counters.sort(), ...(saysNone && !(markers ?? residue) ? [] : expiries.sort())];
  }

  #counter(): string {
    const origin = this.origin();
    const frame = this.varint();
    const n = this.varint();
    const total = formatExact(this.number());
    const isDecimal = this.varint() === 1;
    const cutN = this.varint();
    const cutTotal = formatExact(this.number());
    this.origin();
    this.varint();
    if (!this.#options.residue && n === cutN) return '';
    const cut = cutN === 0 ? '' : ` cut at n ${cutN} total ${cutTotal}`;
    return `counter ${this.#name(origin, frame)} n ${n} total ${total}${isDecimal ? ' decimal' : ''}${cut}`;
  }

  #list<T>(read: () => T): T[] {
    return Array.from({ length: this.varint() }, read);
  }

  #dot(): string {
    const origin = this.origin();
    return this.#name(origin, this.varint());
  }

  #name(origin: number, seq: number): string {
    return `${this.#table.at(origin).instance}:${this.#table.at(origin).generation}@${seq}`;
  }

  #text(start: number, length: number): string {
    return this.bytes.toString('latin1', start, start + length);
  }
}
