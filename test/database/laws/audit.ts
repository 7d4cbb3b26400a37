/** What a keyspace says about itself, counted again from its records: counts of the visible, indexes of times to live, marks. */
import { TAG } from '../../../src/crdt/cell.ts';
import { CONTAINER } from '../../../src/database/container-type.ts';
import { KeyRef, TYPE } from '../../../src/database/key-ref.ts';
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
  let volatileKeys = 0;
  for (const record of records) {
    const ref = keyspace.refer(new KeyRef(), record);
    const name = ref.toString();
    if (ref.type !== TYPE.none) visibleKeys++;
    const isEmpty = keyspace.attributes(record) === 0 && !cells.hasRegister(record);
    if (isEmpty) wrong.push(`${name} is a record of nothing`);
    if (cells.expiryOwner(record) !== -1) volatileKeys++;
    wrong.push(...auditArmed(keyspace, record, name));
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
  if (volatileKeys !== keyspace.volatileCount) {
    wrong.push(`${volatileKeys} volatile keys, counted as ${keyspace.volatileCount}`);
  }
  return wrong;
}

function auditHash(keyspace: Keyspace, record: number, name: string): string[] {
  const { cells, containers } = keyspace;
  const hash = containers.hash(record);
  if (hash === 0) return [];
  const wrong: string[] = [];
  let visible = 0;
  let volatile = 0;
  let expired = 0;
  let residual = 0;
  containers.eachField(hash, (field) => {
    if (!cells.hasRegister(field) && keyspace.attributes(field) === 0) wrong.push(`${name} has a field of nothing`);
    if (cells.expiryOwner(field) !== -1) volatile++;
    if (cells.attribute(field, TAG.counter) !== 0) residual++;
    wrong.push(...auditArmed(keyspace, field, `a field of ${name}`));
    if (!cells.hasRegister(field) && !cells.hasCounter(field)) return;
    visible++;
    if (keyspace.isExpired(field)) expired++;
  });
  if (containers.fields.count(containers.map(hash)) === 0) wrong.push(`${name} has an empty hash`);
  if (visible !== containers.fieldCount(hash)) {
    wrong.push(`${name} has ${visible} visible fields, counted as ${containers.fieldCount(hash)}`);
  }
  if (residual !== containers.hashes.word(hash, CONTAINER.residual)) {
    wrong.push(
      `${name} has ${residual} residual fields, counted as ${containers.hashes.word(hash, CONTAINER.residual)}`,
    );
  }
  if (volatile !== containers.volatileCount(hash)) {
    wrong.push(`${name} has ${volatile} volatile fields, counted as ${containers.volatileCount(hash)}`);
  }
  if (!keyspace.expiries.settleHash(hash, keyspace.nowMs)) return wrong;
  if (expired !== containers.expiredCount(hash)) {
    wrong.push(`${name} has ${expired} expired fields, counted as ${containers.expiredCount(hash)}`);
  }
  return wrong;
}

/** A wheel knows the visible time to live, if that is finite, and no other. */
function auditArmed({ cells }: Keyspace, record: number, name: string): string[] {
  const armed = cells.armedExpiry(record);
  const owner = cells.expiryOwner(record);
  if ((armed === 0 ? -1 : cells.expiryOrigin(armed)) === owner) return [];
  return [`${name} expires by origin ${owner}, armed is ${armed === 0 ? 'none' : cells.expiryOrigin(armed)}`];
}
