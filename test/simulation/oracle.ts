/**
 * The naive oracle: what every instance must show once all have applied the same batches, computed from the definition in semantics
 * (docs) and from nothing else.
 *
 * Every write, increment, time to live and set member is kept as an *item* with the dot of its batch. An item counts until an effect
 * that removes such items has *observed* it: its dot is in the context of that effect's batch, or it stands earlier in the same batch.
 * No sibling list, no counter totals, no cuts, no merge: the engine needs those because it must not keep everything; the oracle keeps
 * everything.
 *
 * Batches are taken in the order of their hybrid clock, which must be one linear extension of the causal order: each
 * batch's context has to be covered when its turn comes, or the run has failed.
 *
 * Invariant: the items kept are those that no batch taken so far has observed and removed.
 */
import { dotName, type Batch, type Context, type Effect } from './batch-decoder.ts';
import { add, clamp, fitsInt64, formatDecimal, negate, readDecimal, ZERO, type Decimal } from './decimal.ts';

interface Item {
  readonly batch: Batch;
}

interface Register extends Item {
  readonly value: string;
}

interface Increment extends Item {
  readonly change: Decimal;
  /** INCRBYFLOAT has added to its frame by then: the sum has no bounds. */
  readonly isDecimal: boolean;
}

interface Ttl extends Item {
  /** Infinity: the write said "no time to live". */
  readonly atMs: number;
  /** Belongs to a register: goes when that is replaced. */
  readonly implied: boolean;
}

type Add = Effect & { readonly kind: 'add' };

interface Cell {
  registers: Register[];
  increments: Increment[];
  ttls: Ttl[];
  /** Per origin: the latest total, by which the next increment's change is known. */
  readonly totals: Map<string, { readonly total: Decimal } & Pick<Add, 'frame' | 'n' | 'isDecimal'>>;
}

interface Key extends Cell {
  readonly fields: Map<string, Cell>;
  readonly members: Map<string, Item[]>;
}

/** What a client would see under a key. `expiryMs`: Infinity when there is none. Fields and members are sorted. */
export type Visible =
  | { readonly type: 'none' }
  | { readonly type: 'string'; readonly expiryMs: number; readonly value: string }
  | { readonly type: 'hash'; readonly expiryMs: number; readonly fields: readonly (readonly [string, string])[] }
  | { readonly type: 'set'; readonly expiryMs: number; readonly members: readonly string[] };

export class OracleError extends Error {}

export class Oracle {
  readonly #keys = new Map<string, Key>();
  readonly #vector = new Map<string, number>();

  /** What has been taken so far. */
  get vector(): Context {
    return this.#vector;
  }

  get keyNames(): readonly string[] {
    return [...this.#keys.keys()].sort();
  }

  /** Takes batches whose contexts are covered by what was taken before and what is given now. */
  take(batches: readonly Batch[]): void {
    const ordered = [...batches].sort((a, b) => a.hlc - b.hlc || b.instance - a.instance || a.seq - b.seq);
    for (const batch of ordered) this.#takeBatch(batch);
  }

  /** Names what has expired before that time and is still there, keys and fields; null: nothing. */
  overdue(beforeMs: number): string | null {
    for (const [name, key] of this.#keys) {
      const cells = [
        [`key ${name}`, key] as const,
        ...[...key.fields].map(([field, cell]) => [`field ${field} of ${name}`, cell] as const),
      ];
      const isThere = this.visible(name).type !== 'none';
      const late = isThere && cells.find(([, cell]) => (cell === key || exists(cell)) && expiryOf(cell) < beforeMs);
      if (late) return `${late[0]} (at ${expiryOf(late[1])})`;
    }
    return null;
  }

  visible(name: string): Visible {
    const key = this.#keys.get(name);
    if (key === undefined) return { type: 'none' };
    const expiryMs = expiryOf(key);
    const fields = [...key.fields]
      .filter(([, cell]) => exists(cell))
      .map(([field, cell]) => [field, valueOf(cell)] as const);
    if (fields.length > 0) return { type: 'hash', expiryMs, fields: fields.sort(([a], [b]) => (a < b ? -1 : 1)) };
    const members = [...key.members].filter(([, items]) => items.length > 0).map(([member]) => member);
    if (members.length > 0) return { type: 'set', expiryMs, members: members.sort() };
    return exists(key) ? { type: 'string', expiryMs, value: valueOf(key) } : { type: 'none' };
  }

  #takeBatch(batch: Batch): void {
    if (batch.seq !== (this.#vector.get(batch.origin) ?? 0) + 1)
      throw new OracleError(`${dotName(batch)} is out of order`);
    for (const [origin, seq] of batch.context) {
      if ((this.#vector.get(origin) ?? 0) < seq) {
        throw new OracleError(`${dotName(batch)} has observed ${origin}@${seq}, whose hlc is not below its own`);
      }
    }
    this.#vector.set(batch.origin, batch.seq);
    for (const effect of batch.effects) this.#apply(batch, effect);
  }

  #apply(batch: Batch, effect: Effect): void {
    if (effect.kind === 'flush') {
      for (const key of this.#keys.values()) removeKey(key, batch);
      return;
    }
    const key = this.#key(effect.key);
    switch (effect.kind) {
      case 'set':
        if (effect.field === null && !effect.keepTtl) removeKey(key, batch);
        setCell(effect.field === null ? key : fieldOf(key, effect.field), batch, effect);
        return;
      case 'remove':
        if (effect.field === null) removeKey(key, batch);
        else removeCell(fieldOf(key, effect.field), batch);
        return;
      case 'add':
        increment(effect.field === null ? key : fieldOf(key, effect.field), batch, effect);
        return;
      case 'expire': {
        const cell = effect.field === null ? key : fieldOf(key, effect.field);
        cell.ttls = unobserved(cell.ttls, batch);
        cell.ttls.push({ batch, atMs: effect.expiryMs, implied: false });
        return;
      }
      case 'add-member':
        key.members.set(effect.member, [...unobserved(key.members.get(effect.member) ?? [], batch), { batch }]);
        return;
      case 'remove-member':
        key.members.set(effect.member, unobserved(key.members.get(effect.member) ?? [], batch));
    }
  }

  #key(name: string): Key {
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = { ...newCell(), fields: new Map(), members: new Map() };
      this.#keys.set(name, key);
    }
    return key;
  }
}

const newCell = (): Cell => ({ registers: [], increments: [], ttls: [], totals: new Map() });

/** The items that the batch has not observed. Items of the batch itself stand earlier in it, so it has observed those. */
function unobserved<T extends Item>(items: readonly T[], batch: Batch): T[] {
  return items.filter((item) => item.batch !== batch && (batch.context.get(item.batch.origin) ?? 0) < item.batch.seq);
}

function fieldOf(key: Key, name: string): Cell {
  let cell = key.fields.get(name);
  if (cell === undefined) {
    cell = newCell();
    key.fields.set(name, cell);
  }
  return cell;
}

function removeCell(cell: Cell, batch: Batch): void {
  cell.registers = unobserved(cell.registers, batch);
  cell.increments = unobserved(cell.increments, batch);
  cell.ttls = unobserved(cell.ttls, batch);
}

function removeKey(key: Key, batch: Batch): void {
  removeCell(key, batch);
  for (const cell of key.fields.values()) removeCell(cell, batch);
  for (const [member, items] of key.members) key.members.set(member, unobserved(items, batch));
}

function setCell(cell: Cell, batch: Batch, effect: Effect & { kind: 'set' }): void {
  cell.registers = [...unobserved(cell.registers, batch), { batch, value: effect.value }];
  cell.increments = unobserved(cell.increments, batch);
  const unseen = new Set(unobserved(cell.ttls, batch));
  cell.ttls = cell.ttls.filter((ttl) => unseen.has(ttl) || (effect.keepTtl && !ttl.implied));
  if (effect.persists) cell.ttls.push({ batch, atMs: Infinity, implied: true });
  if (effect.expiryMs !== null) cell.ttls.push({ batch, atMs: effect.expiryMs, implied: false });
}

function increment(cell: Cell, batch: Batch, effect: Add): void {
  const before = cell.totals.get(batch.origin);
  const total = readDecimal(effect.total)!;
  const continues = before !== undefined && before.frame === effect.frame;
  if (continues && effect.n !== before.n + 1)
    throw new OracleError(`${dotName(batch)} skips an increment of ${effect.key}`);
  if (!continues && (effect.n !== 1 || effect.frame !== batch.seq)) {
    throw new OracleError(`${dotName(batch)} goes on with a counter frame of ${effect.key} that nobody began`);
  }
  const { frame, n, isDecimal } = effect;
  if (continues && before.isDecimal && !isDecimal) {
    throw new OracleError(`${dotName(batch)} forgets that ${effect.key} is a decimal`);
  }
  cell.totals.set(batch.origin, { frame, n, total, isDecimal });
  cell.increments.push({ batch, change: continues ? add(total, negate(before.total)) : total, isDecimal });
}

const exists = (cell: Cell): boolean => cell.registers.length > 0 || cell.increments.length > 0;

/** Later hlc, then smaller instance id, then later generation, then later seq. */
const isAbove = (a: Batch, b: Batch): boolean =>
  (a.hlc - b.hlc || b.instance - a.instance || a.generation - b.generation || a.seq - b.seq) > 0;

function valueOf(cell: Cell): string {
  const top = cell.registers.reduce<Register | null>(
    (best, r) => (best === null || isAbove(r.batch, best.batch) ? r : best),
    null,
  );
  if (cell.increments.length === 0) return top!.value;
  const base = top === null ? ZERO : readDecimal(top.value);
  if (base === null) return top!.value;
  const sum = cell.increments.reduce((so, { change }) => add(so, change), base);
  const hasBounds = fitsInt64(base) && !cell.increments.some(({ isDecimal }) => isDecimal);
  return formatDecimal(hasBounds ? clamp(sum) : sum);
}

/** The longest; none said: there is none. */
const expiryOf = (cell: Cell): number =>
  cell.ttls.length === 0 ? Infinity : Math.max(...cell.ttls.map(({ atMs }) => atMs));
