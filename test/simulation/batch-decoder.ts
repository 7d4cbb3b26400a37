/**
 * Batches as plain records: what the oracle and the chronicle work on. The decoder of effects (src/database/effects.ts) is the one piece
 * of the engine that they share; frames and contexts are read here once more, from docs/internals/frames.md.
 *
 * Invariant: a record is never changed after it was made; contexts are shared between batches where they are equal.
 */
import { readVarint, varintBytes } from '../../src/base/varint.ts';
import { BATCH, BATCH_HAS_CONTEXT, readF64, readU32, readU48 } from '../../src/crdt/frame.ts';
import { formatExact, type ExactNumber } from '../../src/crdt/exact-number.ts';
import { OriginTable } from '../../src/crdt/version-vector.ts';
import { EffectReader, SET, type EffectHandler } from '../../src/database/effects.ts';

/** `instance:generation`. */
export type OriginName = string;
export type Context = ReadonlyMap<OriginName, number>;

/** Times are ms since 1970; Infinity: no time to live. Keys, fields, members and values hold one char per byte. */
export type Effect =
  | {
      readonly kind: 'set';
      readonly key: string;
      readonly field: string | null;
      readonly value: string;
      readonly keepTtl: boolean;
      readonly persists: boolean;
      readonly expiryMs: number | null;
    }
  | { readonly kind: 'remove'; readonly key: string; readonly field: string | null }
  | {
      readonly kind: 'add';
      readonly key: string;
      readonly field: string | null;
      readonly frame: number;
      readonly n: number;
      readonly total: string;
      readonly isDecimal: boolean;
    }
  | { readonly kind: 'expire'; readonly key: string; readonly field: string | null; readonly expiryMs: number }
  | { readonly kind: 'add-member'; readonly key: string; readonly member: string }
  | { readonly kind: 'remove-member'; readonly key: string; readonly member: string }
  | { readonly kind: 'flush' };

export interface Batch {
  readonly origin: OriginName;
  readonly instance: number;
  readonly generation: number;
  readonly seq: number;
  readonly hlc: number;
  /** The origin's version vector just before, its own entry included. */
  readonly context: Context;
  readonly effects: readonly Effect[];
}

export const originName = (instance: number, generation: number): OriginName => `${instance}:${generation}`;

export const dotName = (batch: Batch): string => `${batch.origin}@${batch.seq}`;

/** One line: the dot, what it builds on, what it does. */
export function describeBatch(batch: Batch): string {
  const context = [...batch.context].map(([origin, seq]) => `${origin}@${seq}`).join(' ');
  const effects = batch.effects.map((effect) => JSON.stringify(effect).replaceAll('"', ''));
  return `${dotName(batch)} hlc ${batch.hlc} after [${context}]: ${effects.join(' ')}`;
}

export class BatchDecoder {
  readonly #collector = new EffectCollector();
  readonly #reader = new EffectReader(new OriginTable());

  /**
   * Decodes a BATCH frame at `start`. `previousContext` gives the context of the origin's batch before (null: this is
   * its first).
   */
  decode(
    bytes: Uint8Array,
    start: number,
    end: number,
    previousContext: (origin: OriginName, seq: number) => Context | null,
  ): Batch {
    const instance = bytes[start + BATCH.instance]!;
    const generation = readU32(bytes, start + BATCH.generation);
    const seq = readU48(bytes, start + BATCH.seq);
    const origin = originName(instance, generation);
    let at = start + BATCH.body;
    const context = new Map(previousContext(origin, seq - 1) ?? []);
    if ((bytes[start + BATCH.flags]! & BATCH_HAS_CONTEXT) !== 0) {
      const count = readVarint(bytes, at);
      at += varintBytes(count);
      for (let i = 0; i < count; i++) {
        const known = readVarint(bytes, at + 5);
        context.set(originName(bytes[at]!, readU32(bytes, at + 1)), known);
        at += 5 + varintBytes(known);
      }
    }
    if (seq > 1) context.set(origin, seq - 1);
    this.#reader.read(bytes, at, end, this.#collector);
    const effects = this.#collector.take();
    return { origin, instance, generation, seq, hlc: readF64(bytes, start + BATCH.hlc), context, effects };
  }
}

interface Span {
  readonly start: number;
  readonly length: number;
}

class EffectCollector implements EffectHandler {
  #bytes: Buffer = Buffer.alloc(0);
  #key = '';
  #effects: Effect[] = [];

  take(): readonly Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  key(bytes: Uint8Array, start: number, length: number): void {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#key = this.#text({ start, length });
  }

  set(flags: number, expiryMs: number, _cuts: unknown, start: number, length: number): void {
    this.#set(null, flags, expiryMs, { start, length });
  }

  setField(field: Span, flags: number, expiryMs: number, _cuts: unknown, start: number, length: number): void {
    this.#set(this.#text(field), flags, expiryMs, { start, length });
  }

  remove(): void {
    this.#effects.push({ kind: 'remove', key: this.#key, field: null });
  }

  removeField(field: Span): void {
    this.#effects.push({ kind: 'remove', key: this.#key, field: this.#text(field) });
  }

  add(frame: number, n: number, total: ExactNumber, isDecimal: boolean): void {
    this.#effects.push({ kind: 'add', key: this.#key, field: null, frame, n, total: formatExact(total), isDecimal });
  }

  addField(field: Span, frame: number, n: number, total: ExactNumber, isDecimal: boolean): void {
    const name = this.#text(field);
    this.#effects.push({ kind: 'add', key: this.#key, field: name, frame, n, total: formatExact(total), isDecimal });
  }

  expire(expiryMs: number): void {
    this.#effects.push({ kind: 'expire', key: this.#key, field: null, expiryMs });
  }

  expireField(field: Span, expiryMs: number): void {
    this.#effects.push({ kind: 'expire', key: this.#key, field: this.#text(field), expiryMs });
  }

  addMember(start: number, length: number): void {
    this.#effects.push({ kind: 'add-member', key: this.#key, member: this.#text({ start, length }) });
  }

  removeMember(start: number, length: number): void {
    this.#effects.push({ kind: 'remove-member', key: this.#key, member: this.#text({ start, length }) });
  }

  flush(): void {
    this.#effects.push({ kind: 'flush' });
  }

  /** A removal before it has taken away what it names. */
  cut(): void {}

  cutField(): void {}

  #set(field: string | null, flags: number, expiryMs: number, value: Span): void {
    this.#effects.push({
      kind: 'set',
      key: this.#key,
      field,
      value: this.#text(value),
      keepTtl: (flags & SET.keepTtl) !== 0,
      persists: (flags & SET.persists) !== 0,
      expiryMs: (flags & SET.expires) !== 0 ? expiryMs : null,
    });
  }

  #text({ start, length }: Span): string {
    return this.#bytes.toString('latin1', start, start + length);
  }
}
