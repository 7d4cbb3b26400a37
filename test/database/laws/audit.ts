/** What a keyspace says about itself, counted again from its records: counts of the visible, indexes of times to live, marks. */
import { TAG } from '../../../src/crdt/cell.ts';
import { CONTAINER } from '../../../src/database/container-type.ts';
import { KeyRef, TYPE } from '../../../src/database/key-ref.ts';
import type { ExpiryIndex } from '../../../src/database/expiry-index.ts';
import type { Keyspace } from '../../../src/database/keyspace.ts';

/** Keys that hold more than one type. */
export function listSeveralTypes(keyspace: Keyspace): Set<string> {
  const names = new Set<string>();
  let cursor = 0;
  do {
    cursor = keyspace.keyMaps.scan(keyspace.keys, cursor, (record) => {
      if (keyspace.attributes(record) === 0 || keyspace.typesOf(record).length < 2) return;
      names.add(keyspace.refer(new KeyRef(), record).toString());
    });
  } while (cursor !== 0);
  return names;
}

/** Complaints; none when all is well. */
export function auditKeyspace(keyspace: Keyspace): string[] {
  const { cells, containers } = keyspace;
  const wrong: string[] = [];
  const records: number[] = [];
  let cursor = 0;
  do cursor = keyspace.keyMaps.scan(keyspace.keys, cursor, (record) => records.push(record));
  while (cursor !== 0);
  let visibleKeys = 0;
  const expiring = new Map<string, number>();
  for (const record of records) {
    const ref = keyspace.refer(new KeyRef(), record);
    const name = ref.toString();
    if (ref.type !== TYPE.none) visibleKeys++;
    const isEmpty = keyspace.attributes(record) === 0 && !cells.hasRegister(record);
    if (isEmpty) wrong.push(`${name} is a record of nothing`);
    const atMs = cells.expiry(record);
    if (atMs >= 0 && atMs !== Infinity) expiring.set(name, atMs);
    const set = containers.set(record);
    if (set !== 0 && containers.memberCount(set) === 0) wrong.push(`${name} has an empty set`);
    wrong.push(...auditHash(keyspace, record, name));
  }
  if (visibleKeys !== keyspace.keyCount) wrong.push(`${visibleKeys} visible keys, counted as ${keyspace.keyCount}`);
  const several = listSeveralTypes(keyspace).size;
  const { typeConflicts } = keyspace;
  if (several !== typeConflicts.keyCount) {
    wrong.push(`${several} keys hold several types, counted as ${typeConflicts.keyCount}`);
  }
  const indexed = listIndex(keyspace.expiries);
  for (const [name, atMs] of indexed) {
    if (expiring.get(name) !== atMs) wrong.push(`${name} is indexed at ${atMs}, expires at ${expiring.get(name)}`);
  }
  for (const name of expiring.keys()) if (!indexed.has(name)) wrong.push(`${name} expires but is not indexed`);
  return wrong;
}

function auditHash(keyspace: Keyspace, record: number, name: string): string[] {
  const { cells, containers } = keyspace;
  const hash = containers.hash(record);
  if (hash === 0) return [];
  const wrong: string[] = [];
  let visible = 0;
  let volatile = 0;
  let residual = 0;
  let earliest = Infinity;
  containers.eachField(hash, (field) => {
    if (!cells.hasRegister(field) && keyspace.attributes(field) === 0) wrong.push(`${name} has a field of nothing`);
    const atMs = cells.expiry(field);
    const expires = atMs >= 0 && atMs !== Infinity;
    if (expires) earliest = Math.min(earliest, atMs);
    if (expires) volatile++;
    if (atMs === Infinity || cells.attribute(field, TAG.counter) !== 0) residual++;
    if (cells.hasRegister(field) || cells.hasCounter(field)) visible++;
  });
  if (containers.fields.count(containers.map(hash)) === 0) wrong.push(`${name} has an empty hash`);
  if (visible !== containers.fieldCount(hash)) {
    wrong.push(`${name} has ${visible} visible fields, counted as ${containers.fieldCount(hash)}`);
  }
  if (residual !== containers.hashes.word(hash, CONTAINER.residual)) {
    wrong.push(`${name} has ${residual} residual fields, counted as ${containers.hashes.word(hash, CONTAINER.residual)}`);
  }
  if (volatile !== containers.volatileCount(hash)) {
    wrong.push(`${name} has ${volatile} volatile fields, counted as ${containers.volatileCount(hash)}`);
  }
  const lookedAtMs = listIndex(keyspace.fieldExpiries).get(name) ?? Infinity;
  if (earliest !== Infinity && lookedAtMs === Infinity) wrong.push(`nobody will look at the fields of ${name}`);
  return wrong;
}

function listIndex(index: ExpiryIndex): Map<string, number> {
  const listed = new Map<string, number>();
  let cursor = 0;
  do cursor = index.scan(cursor, (key, atMs) => listed.set(key.toString('latin1'), atMs));
  while (cursor !== 0);
  return listed;
}
