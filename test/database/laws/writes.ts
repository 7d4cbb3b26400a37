/**
 * Local writes as data: what a law's program says an instance does, printed like a command, shrunk by fast-check.
 *
 * They act on the `Writer`, below the commands, and do not ask for types: so keys hold everything at once more often than clients could
 * bring about. What commands promise the writer they promise here too: time is given only to what is visible.
 */
import fc from 'fast-check';
import { parseExact } from '../../../src/crdt/exact-number.ts';
import type { Database } from '../../../src/database/database.ts';
import { TYPE } from '../../../src/database/key-ref.ts';
import { CLEAR_TTL, KEEP_TTL } from '../../../src/database/writer.ts';
import { copyContents } from '../../../src/redis-commands/copy-key.ts';
import { makeArgs } from '../../../src/resp/args.ts';

/** Of a write: none, the one there is, or ms from now. */
export type Ttl = 'none' | 'keep' | number;

export type Write =
  | { readonly do: 'set'; readonly key: string; readonly field?: string; readonly value: string; readonly ttl: Ttl }
  /** `asDecimal`: as INCRBYFLOAT does it. */
  | {
      readonly do: 'add';
      readonly key: string;
      readonly field?: string;
      readonly change: string;
      readonly asDecimal: boolean;
    }
  | { readonly do: 'remove'; readonly key: string; readonly field?: string }
  | { readonly do: 'expire'; readonly key: string; readonly field?: string; readonly inMs: number | 'never' }
  | { readonly do: 'add-member' | 'remove-member'; readonly key: string; readonly member: string }
  | { readonly do: 'rename'; readonly key: string; readonly to: string }
  /** Writes or removes many keys, fields and members, so that tables grow, shrink and are walked in slices. */
  | { readonly do: 'fill' | 'clear'; readonly key: string; readonly count: number }
  | { readonly do: 'flush' };

export const KEYS = ['a', 'b', 'c'] as const;
const FIELDS = ['f', 'g'] as const;
const MEMBERS = ['x', 'y'] as const;

const key = fc.constantFrom(...KEYS);
const field = fc.constantFrom(undefined, undefined, ...FIELDS);
const value = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -9, max: 99 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('', 'text', '1.5', '-0.25', '9223372036854775800', 'w'.repeat(300)) },
);
const integers = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -9, max: 9 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('9007199254740991', '9223372036854775807', '-9223372036854775808') },
);
const change = fc.oneof(
  { weight: 4, arbitrary: integers.map((text) => ({ change: text, asDecimal: false })) },
  {
    weight: 1,
    arbitrary: fc
      .oneof(integers, fc.constantFrom('0.1', '-2.75', '1e19'))
      .map((text) => ({ change: text, asDecimal: true })),
  },
);
const inMs = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1_000_000, 2_000_000));
const ttl = fc.oneof(
  { weight: 3, arbitrary: fc.constant('none' as const) },
  { weight: 1, arbitrary: fc.constant('keep' as const) },
  { weight: 1, arbitrary: inMs },
);
const withField = <T extends object>(name: string | undefined, write: T): T & { readonly field?: string } =>
  name === undefined ? write : { ...write, field: name };

export const writeArbitrary: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(key, field, value, ttl)
      .map(([k, f, v, t]): Write => withField(f, { do: 'set', key: k, value: v, ttl: t })),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(key, field, change).map(([k, f, c]): Write => withField(f, { do: 'add', key: k, ...c })),
  },
  { weight: 4, arbitrary: fc.tuple(key, field).map(([k, f]): Write => withField(f, { do: 'remove', key: k })) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(key, field, fc.oneof(inMs, fc.constant('never' as const)))
      .map(([k, f, ms]): Write => withField(f, { do: 'expire', key: k, inMs: ms })),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('add-member' as const, 'remove-member' as const), key, fc.constantFrom(...MEMBERS))
      .map(([what, k, member]): Write => ({ do: what, key: k, member })),
  },
  { weight: 1, arbitrary: fc.tuple(key, key).map(([k, to]): Write => ({ do: 'rename', key: k, to })) },
  { weight: 1, arbitrary: fc.constant<Write>({ do: 'flush' }) },
);

/** Rarely chosen: a run with them takes a hundred times as long. */
export const bulkArbitrary: fc.Arbitrary<Write> = fc
  .tuple(
    fc.constantFrom('fill' as const, 'clear' as const),
    key,
    fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 500, max: 900 })),
  )
  .map(([what, k, count]): Write => ({ do: what, key: k, count }));

export function describeWrite(write: Write): string {
  const { do: what, ...rest } = write;
  const words = Object.entries(rest).map(([name, part]) => (name === 'key' ? part : `${name} ${JSON.stringify(part)}`));
  return [what, ...words].join(' ');
}

/** Does the writes as one batch; its seq is returned, 0 when nothing changed. */
export function perform(database: Database, writes: readonly Write[]): number {
  for (const write of writes) performOne(database, write);
  return database.commit();
}

function performOne(database: Database, write: Write): void {
  const { writer } = database;
  if (write.do === 'flush') return writer.flush(find(database, 'a'));
  const ref = find(database, write.key);
  switch (write.do) {
    case 'set': {
      const bytes = Buffer.from(write.value);
      const until = write.ttl === 'none' ? CLEAR_TTL : write.ttl === 'keep' ? KEEP_TTL : database.nowMs + write.ttl;
      if (write.field === undefined) return writer.set(ref, bytes, 0, bytes.length, until);
      const name = Buffer.from(write.field);
      return writer.setField(ref, name, 0, name.length, bytes, 0, bytes.length, until);
    }
    case 'add': {
      if (write.field === undefined) return writer.add(ref, parseExact(write.change), write.asDecimal);
      const name = Buffer.from(write.field);
      return writer.addField(ref, name, 0, name.length, parseExact(write.change), write.asDecimal);
    }
    case 'remove': {
      if (write.field === undefined) return writer.remove(ref);
      const name = Buffer.from(write.field);
      return writer.removeField(ref, name, 0, name.length);
    }
    case 'expire': {
      const atMs = write.inMs === 'never' ? Infinity : database.nowMs + write.inMs;
      if (write.field === undefined) return ref.type === TYPE.none ? undefined : writer.expire(ref, atMs);
      const name = Buffer.from(write.field);
      return isFieldVisible(database, ref.record, name) ? writer.expireField(ref, name, 0, 1, atMs) : undefined;
    }
    case 'add-member':
      return writer.addMember(ref, Buffer.from(write.member), 0, 1);
    case 'remove-member':
      return writer.removeMember(ref, Buffer.from(write.member), 0, 1);
    case 'rename':
      if (ref.type === TYPE.none || write.to === write.key) return undefined;
      copyContents(database, ref, find(database, write.to, 1));
      return writer.remove(ref);
    case 'fill':
    case 'clear':
      return performBulk(database, write);
  }
}

/** Every third name is a hash, every third a set, every third a field and a member of the key itself. */
function performBulk(database: Database, { do: what, key: prefix, count }: Write & { do: 'fill' | 'clear' }): void {
  const { writer } = database;
  for (let i = 0; i < count; i++) {
    const name = Buffer.from(`${prefix}${i}`);
    const ref = find(database, i % 3 === 2 ? prefix : `${prefix}${i}`);
    if (what === 'clear' && i % 3 < 2) writer.remove(ref);
    else if (what === 'clear') {
      writer.removeField(ref, name, 0, name.length);
      writer.removeMember(ref, name, 0, name.length);
    } else {
      if (i % 3 !== 0) writer.addMember(ref, name, 0, name.length);
      if (i % 3 !== 1) writer.setField(ref, name, 0, name.length, name, 0, name.length);
    }
  }
}

const find = (database: Database, name: string, slot = 0): ReturnType<Database['lookupWrite']> =>
  database.lookupWrite(makeArgs([name]), 0, slot);

function isFieldVisible({ keyspace }: Database, record: number, field: Buffer): boolean {
  const cell = record === 0 ? 0 : keyspace.containers.findField(keyspace.containers.hash(record), field, 0, 1);
  return cell !== 0 && keyspace.isFieldVisible(cell);
}
