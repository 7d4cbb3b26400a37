/** Cells against a plain object that keeps every value, time to live and counter by the rules of semantics.md. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CELL_KEY_OFFSET, Cells, type Context } from '../../src/crdt/cell.ts';
import { formatExact, parseExact, type ExactNumber } from '../../src/crdt/exact-number.ts';
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import { Arena, SEGMENT_SHIFT } from '../../src/memory/arena.ts';
import { ByteMap, MAP_BYTES } from '../../src/memory/byte-map.ts';
import { assertLaw } from '../law.ts';

interface Change {
  readonly do: 'write' | 'drop' | 'expire' | 'drop-expiry';
  readonly origin: number;
  readonly unseen: readonly number[] | null;
  readonly hlc: number;
  readonly persists: boolean;
  readonly value: string;
  readonly atMs: number;
}

interface Value {
  readonly origin: number;
  readonly seq: number;
  readonly hlc: number;
  persists: boolean;
  readonly value: string;
}

const ORIGINS = 3;
const change: fc.Arbitrary<Change> = fc.record({
  do: fc.constantFrom('write', 'write', 'drop', 'expire', 'drop-expiry'),
  origin: fc.nat({ max: ORIGINS - 1 }),
  unseen: fc.option(fc.array(fc.nat({ max: 4 }), { minLength: ORIGINS, maxLength: ORIGINS }), { freq: 3 }),
  hlc: fc.nat({ max: 4 }),
  persists: fc.boolean(),
  value: fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.nat({ max: 2000 }).map((count) => 'v'.repeat(count)),
  ),
  atMs: fc.oneof(fc.nat({ max: 9 }), fc.constant(Infinity)),
});

class Fixture {
  readonly arena = new Arena({ segmentBytes: 1 << 17 });
  readonly origins = new OriginTable();
  readonly cells = new Cells(this.arena, this.origins);
  readonly maps = new ByteMap(this.arena, { keyOffset: CELL_KEY_OFFSET, seed: [1, 2] });
  readonly map = this.arena.allocate(MAP_BYTES);
  readonly name = Buffer.from('name');
  record: number;

  constructor() {
    // The later an index is given, the smaller its instance: so the order of indexes decides nothing.
    for (let i = 0; i < ORIGINS; i++) this.origins.indexOf(ORIGINS - i, 1);
    this.maps.create(this.map);
    this.record = this.cells.create(this.maps, this.map, this.maps.hash(this.name, 0, 4), this.name, 0, 4, 0, 0);
  }

  find(): number {
    return this.maps.find(this.map, this.maps.hash(this.name, 0, 4), this.name, 0, 4);
  }

  values(): Value[] {
    const values: Value[] = [];
    this.cells.eachValue(this.record, ({ origin, seq, hlc, persists, address, byteOffset, length }) => {
      const bytes = this.arena.bytes[address >>> SEGMENT_SHIFT]!;
      values.push({ origin, seq, hlc, persists, value: bytes.toString('utf8', byteOffset, byteOffset + length) });
    });
    return values;
  }

  /** Everything is given back. */
  destroy(): void {
    this.maps.remove(this.map, this.record);
    this.cells.destroy(this.record);
    this.maps.destroy(this.map);
    expect(this.arena.usedBytes).toBe(MAP_BYTES);
  }
}

const byDot = (a: { origin: number; seq: number }, b: { origin: number; seq: number }): number =>
  a.origin - b.origin || a.seq - b.seq;

describe("a cell's register and times to live", () => {
  it('are what the writes that nobody observed and replaced have left, the highest visible', () => {
    const check = (changes: readonly Change[]): void => {
      const f = new Fixture();
      const latest = Array.from({ length: ORIGINS }, () => 0);
      let values: Value[] = [];
      let expiries: { origin: number; seq: number; atMs: number }[] = [];
      for (const { do: what, origin, unseen, hlc, persists, value, atMs } of changes) {
        const context: Context = unseen === null ? null : new VersionVector();
        unseen?.forEach((count, index) => context!.set(index, Math.max(0, latest[index]! - count)));
        const isUnseen = (dot: { origin: number; seq: number }): boolean =>
          context !== null && !context.coversDot(dot.origin, dot.seq);
        const dot = { origin, seq: ++latest[origin]! };
        const bytes = Buffer.from(value);
        if (what === 'write') {
          values = [...values.filter(isUnseen), { ...dot, hlc, persists, value }];
          const write = { ...dot, hlc, persists, context };
          f.record = f.cells.writeRegister(f.maps, f.map, f.record, write, bytes, 0, bytes.length);
        } else if (what === 'drop') {
          values = values.filter(isUnseen);
          f.record = f.cells.dropRegister(f.maps, f.map, f.record, context);
        } else {
          expiries = expiries.filter(isUnseen);
          for (const one of values) if (!isUnseen(one)) one.persists = false;
          if (what === 'expire') expiries.push({ ...dot, atMs });
          if (what === 'expire') f.cells.writeExpiry(f.record, dot, atMs, context);
          else f.cells.dropExpiry(f.record, context);
        }
        expect(f.find()).toBe(f.record);
        const held = f.values();
        const [top] = [...values].sort((a, b) => b.hlc - a.hlc || b.origin - a.origin || b.seq - a.seq);
        expect(held[0]).toEqual(top);
        expect(held.sort(byDot)).toEqual(values.sort(byDot));
        expect(f.cells.hasRegister(f.record)).toBe(top !== undefined);
        const heldExpiries: typeof expiries = [];
        f.cells.eachExpiry(f.record, (expiry) => heldExpiries.push(expiry));
        expect(heldExpiries.sort(byDot)).toEqual(expiries.sort(byDot));
        const longest = expiries.length === 0 ? -1 : Math.max(...expiries.map((expiry) => expiry.atMs));
        const isOverruled = longest >= 0 && values.some((one) => one.persists);
        expect(f.cells.expiry(f.record)).toBe(isOverruled ? Infinity : longest);
        // Of equally long ones that of the smaller instance, which has the higher index here.
        const owners = expiries.filter((expiry) => expiry.atMs === longest).map((expiry) => expiry.origin);
        expect(f.cells.expiryOwner(f.record)).toBe(isOverruled || longest === Infinity ? -1 : Math.max(-1, ...owners));
      }
      f.destroy();
    };
    assertLaw(fc.array(change, { maxLength: 25 }), check, {
      runs: 100,
      print: (changes) => changes.map((one) => JSON.stringify(one)).join('\n'),
    });
  });
});

/** An origin adds, somebody resets what they have seen of it: numbers of increments back from the latest. */
type Count = { readonly add: string } | { readonly unseen: number };

describe("a cell's counter", () => {
  it('adds up exactly what no reset has observed, and cuts nothing twice', () => {
    const count: fc.Arbitrary<Count> = fc.oneof(
      fc.record({
        add: fc.constantFrom('1', '-3', '0', '0.1', '-0.35', '9007199254740991', '9223372036854775807'),
      }),
      fc.record({ unseen: fc.nat({ max: 3 }) }),
    );
    const check = (counts: readonly Count[]): void => {
      const f = new Fixture();
      const hundredths = (text: string): bigint =>
        text.includes('.') ? BigInt(Math.round(Number(text) * 100)) : BigInt(text) * 100n;
      let increments: bigint[] = [];
      /** The states that the entry has been in, which a reset can have observed. */
      let seen: { readonly frame: number; readonly n: number; readonly total: ExactNumber; isDecimal: boolean }[] = [];
      /** Increments that are cut. */
      let cutN = 0;
      counts.forEach((one, index) => {
        const seq = index + 1;
        if ('add' in one) {
          const next = f.cells.nextIncrement(f.record, 0, seq);
          if (next.frame === seq) [increments, seen, cutN] = [[], [], 0];
          expect(next.isDecimal).toBe(seen.at(-1)?.isDecimal ?? false);
          expect(next.n).toBe(increments.length + 1);
          increments.push(hundredths(one.add));
          const total = increments.reduce((sum, change) => sum + change, 0n);
          const isDecimal = next.isDecimal || one.add.includes('.');
          const state = { frame: next.frame, n: next.n, total: parseExact(`${total}e-2`), isDecimal };
          // Applied twice, and older states after it: nothing changes.
          for (const { frame, n, total: said, isDecimal: mark } of [state, state, ...seen]) {
            f.cells.applyIncrement(f.record, 0, frame, n, said, mark);
          }
          seen.push(state);
        } else {
          const observed = seen[seen.length - 1 - one.unseen];
          if (observed === undefined) return;
          const cut = { origin: 0, ...observed };
          for (let twice = 0; twice < 2; twice++) f.cells.applyCut(f.record, cut, { origin: 1, seq });
          cutN = Math.max(cutN, observed.n);
        }
        const left = increments.slice(cutN).reduce((sum, change) => sum + change, 0n);
        const sum = formatExact(f.cells.counterSum(f.record));
        const [whole, fraction = ''] = sum.replace('-', '').split('.');
        expect((sum.startsWith('-') ? -1n : 1n) * BigInt(whole! + fraction.padEnd(2, '0'))).toBe(left);
        expect(f.cells.hasCounter(f.record)).toBe(cutN < increments.length);
        expect(f.cells.hasDecimals(f.record)).toBe(cutN < increments.length && seen.at(-1)!.isDecimal);
        expect(f.cells.observedCuts(f.record)).toHaveLength(cutN < increments.length ? 1 : 0);
      });
      const stable = new VersionVector();
      expect(f.cells.dropFinalCounters(f.record, (_origin, reset) => stable.coversDot(reset.origin, reset.seq))).toBe(
        increments.length > 0 && cutN === increments.length,
      );
      stable.set(1, counts.length);
      expect(f.cells.dropFinalCounters(f.record, (_origin, reset) => stable.coversDot(reset.origin, reset.seq))).toBe(
        false,
      );
      expect(f.cells.hasCounterOf(f.record, 0)).toBe(cutN < increments.length);
      f.destroy();
    };
    assertLaw(fc.array(count, { maxLength: 25 }), check, { runs: 150, print: (counts) => JSON.stringify(counts) });
  });
});
